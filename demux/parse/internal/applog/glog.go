package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// Glog is the head of glog and klog:
//
//	Lmmdd hh:mm:ss.uuuuuu thread file:line] message
//
// glog may write a year before the month, CockroachDB two digits of it, and no bracket.
type Glog struct {
	Tags, Entry        []byte // CockroachDB's
	At                 times.Instant
	Time               []byte // as written
	Thread, File, Line []byte
	Caller             []byte // file and line
	Message            int    // where it begins
}

// IsGlog reports whether a line begins with such a level and time.
func IsGlog(line []byte) bool {
	_, ok := glogDate(line)
	return ok
}

// glogDate returns how many digits the date of a head has.
func glogDate(s []byte) (n int, ok bool) {
	if len(s) < 20 || s[0] != 'I' && s[0] != 'W' && s[0] != 'E' && s[0] != 'F' {
		return 0, false
	}
	n = bytes.IndexByte(s[:10], ' ') - 1
	return n, (n == 4 || n == 6 || n == 8) && words.IsNumber(s[1:1+n]) && s[4+n] == ':' && s[7+n] == ':'
}

// Read reads a head, or says where it is none.
func (h *Glog) Read(s []byte, z *times.Zone) (why string) {
	n, ok := glogDate(s)
	if !ok {
		return "want a level and a time, as in I0102 15:04:05.678901, at byte 0"
	}
	d := times.Words{S: s, I: n + 2}
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return "want a time of day after the date"
	}
	month, day := times.Digits(s, n-3, 2), times.Digits(s, n-1, 2)
	var local int64
	switch n {
	case 8:
		local, ok = times.Seconds(times.Digits(s, 1, 4), month, day, 0, 0, 0)
	case 6:
		local, ok = times.Seconds(times.Century(times.Digits(s, 1, 2)), month, day, 0, 0, 0)
	default:
		local, ok = times.LastSuch(z, month, day, clock)
	}
	if !ok {
		return "want a month and a day at byte 1"
	}
	h.At = times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}
	h.Time = s[1:d.I]
	if n == 6 && h.cockroach(s, d.I) {
		return ""
	}
	end := bytes.IndexByte(s[d.I:], ']')
	if end < 0 {
		return "there is no ] behind thread, file and line"
	}
	h.File = bytes.TrimLeft(s[d.I:d.I+end], " ")
	if thread, file, ok := nextWord(h.File); ok {
		h.Thread, h.File = thread, file
	}
	h.Caller = h.File
	if i := bytes.LastIndexByte(h.File, ':'); i >= 0 {
		h.File, h.Line = h.File[:i], h.File[i+1:]
	}
	if h.Message = d.I + end + 1; h.Message < len(s) && s[h.Message] == ' ' {
		h.Message++
	}
	return ""
}

// nextWord parts a text at its first spaces; ok is false where it is one word.
func nextWord(s []byte) (word, rest []byte, ok bool) {
	word = words.First(s)
	rest = bytes.TrimLeft(s[len(word):], " ")
	return word, rest, len(rest) > 0
}

// cockroach reads what follows the time in CockroachDB's logs: "74 1@server/x.go:567 ⋮
// [n1,client=…] 12  message".
func (h *Glog) cockroach(s []byte, at int) bool {
	thread, rest, _ := nextWord(bytes.TrimLeft(s[at:], " "))
	place, rest, _ := nextWord(rest)
	colon := bytes.LastIndexByte(place, ':')
	if !words.IsNumber(thread) || colon < 0 || !words.IsNumber(place[colon+1:]) {
		return false
	}
	h.Thread, h.File, h.Line = thread, place[:colon], place[colon+1:]
	if i := bytes.IndexByte(h.File, '@'); i >= 0 && words.IsNumber(h.File[:i]) { // the channel
		h.File = h.File[i+1:]
	}
	mark, behind, _ := nextWord(rest)
	marked := string(mark) == "⋮"
	if marked {
		rest = behind
	}
	if n := words.Brackets(rest[:min(len(rest), 512)]); n > 2 {
		h.Tags = rest[1 : n-1]
		rest = bytes.TrimLeft(rest[n:], " ")
		if w, behind, _ := nextWord(rest); words.IsNumber(w) && (marked || bytes.HasPrefix(rest[len(w):], []byte("  "))) {
			h.Entry, rest = w, behind
		}
	}
	h.Message = len(s) - len(rest)
	return true
}

// glog reads such a head where it has a thread and a caller.
func (h *oddHead) glog(s []byte, z *times.Zone) {
	var g Glog
	if g.Read(s[:min(len(s), 512)], z) != "" || !words.IsNumber(g.Thread) || !words.IsCaller(g.Caller) {
		return
	}
	h.At, h.Time, h.Level, h.Thread, h.caller = g.At, g.Time, s[:1], g.Thread, g.Caller
	h.n = len(s) - len(bytes.TrimLeft(s[g.Message:], " "))
}
