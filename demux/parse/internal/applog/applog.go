// Package applog reads what stands before the messages of application logs: time,
// level, thread, logger and what else logging frameworks write there.
package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/colours"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// Head is what a record says before its message, and the message. What it does not say
// is nil.
type Head struct {
	At                    times.Instant
	Time                  []byte // as it is written
	Level, Thread, Logger []byte
	Others                []Pair // what else it says
	Message               []byte
}

// Pair is a name and what a head has under it.
type Pair struct {
	Name  string
	Value []byte
}

// add adds what a head has under a name, unless that is empty.
func (h *Head) add(name string, v []byte) {
	if len(v) > 0 {
		h.Others = append(h.Others, Pair{name, v})
	}
}

// Reader reads heads. It is not safe for concurrent use.
type Reader struct {
	// Times are the forms of times, in place of the usual ones; nil: those.
	Times times.Formats

	seen  times.Zone // for times of which it matters only that they are there
	head  Head
	plain []byte // of a record without its colours
	buf   []byte // of a message that is not as the record has it
}

// NewReader makes a Reader.
func NewReader() *Reader { return &Reader{seen: times.AnyZone()} }

// Starts reports whether a record starts with a line: with its time, or with its level
// and its time soon after, or as one of the odd forms.
func (r *Reader) Starts(line []byte) bool {
	line = r.colourless(line[:min(len(line), maxHead)], line)
	if r.Times == nil && (len(line) < 8 || !startsHead[line[0]]) {
		return false
	}
	if len(line) > 0 && line[0] == ' ' && r.Times == nil {
		if c := bytes.TrimLeft(line, " "); len(c) == 0 || c[0] < '0' || c[0] > '9' {
			return false
		}
		line = line[indented(line, &r.seen):]
	}
	if _, n := r.time(line, &r.seen); n > 0 {
		return true
	}
	return r.levelFirst(line, &r.seen).n > 0 || r.Times == nil && r.odd(line, &r.seen).n > 0
}

// Read reads the head of a record, or says why there is none. What it returns holds
// until the next call.
func (r *Reader) Read(rec []byte, z *times.Zone) (_ *Head, why string) {
	r.head = Head{Others: r.head.Others[:0]}
	h := &r.head
	rec = r.colourless(rec, rec)
	if len(rec) > 0 && rec[0] == ' ' && r.Times == nil {
		rec = rec[indented(rec, z):]
	}
	if t, n := r.time(rec, z); n > 0 {
		h.At, h.Time = t, rec[:n]
		r.after(rec[n:], rec[0] == '[')
		return h, ""
	}
	if l := r.levelFirst(rec, z); l.n > 0 {
		h.At, h.Time, h.Level, h.Thread = l.at, l.time, l.level, l.thread
		r.after(rec[l.n:], false)
		return h, ""
	}
	if r.Times != nil {
		return nil, "it does not start with a time as time_format says: " + r.Times.Why(rec[:min(len(rec), maxHead)], z)
	}
	if o := r.odd(rec, z); o.n > 0 {
		r.oddMessage(rec[o.n:], &o)
		return h, ""
	}
	return nil, "it starts with neither a time nor a level and a time"
}

// startsHead are the bytes with which heads of the usual forms start.
var startsHead = func() (t [256]bool) {
	for c := range t {
		t[c] = times.LetterOrDigit(byte(c)) || bytes.IndexByte([]byte("[<#= "), byte(c)) >= 0
	}
	return t
}()

// indented returns how many spaces stand before a head that has the level in brackets
// behind its time: some of Go's programs indent their logs. Other lines that begin
// with spaces belong to the record before them.
func indented(s []byte, z *times.Zone) int {
	n := 0
	for n < len(s) && n < 8 && s[n] == ' ' {
		n++
	}
	if n == 0 || n == len(s) || s[n] < '0' || s[n] > '9' {
		return 0
	}
	_, k := times.ISO(s[n:], z)
	if rest := s[n+k:]; k == 0 || len(rest) < 7 || rest[0] != ' ' || rest[1] != '[' || rest[2] < 'A' || rest[2] > 'Z' {
		return 0
	}
	return n
}

// maxHead bounds the bytes of a line in which its first colour is looked for.
const maxHead = 64

// colourless returns a text without its colours, if it has one where that is looked for.
func (r *Reader) colourless(where, s []byte) []byte {
	if bytes.IndexByte(where, colours.Escape) < 0 {
		return s
	}
	r.plain = colours.Off(r.plain[:0], s)
	return r.plain
}

// leading is a record's level, a thread in brackets, and its time, in this order.
type leading struct {
	level, thread, time []byte
	at                  times.Instant
	n                   int // bytes up to the end of the time; 0: it is of no such form
}

// levelFirst reads "INFO  [main] 2026-11-28 10:00:00,123" and
// "[INFO] [2026-11-28 10:00:00,123]" at the start of s.
func (r *Reader) levelFirst(s []byte, z *times.Zone) (l leading) {
	n := 0
	if len(s) > 0 && s[0] == '[' {
		if n = bytes.IndexByte(s[:min(len(s), 16)], ']') + 1; n == 0 {
			return l
		}
		l.level = bytes.TrimSpace(s[1 : n-1])
	} else {
		for n < len(s) && n < 16 && times.LetterOrDigit(s[n]) {
			n++
		}
		l.level = s[:n]
	}
	if !levels.Is(l.level) || n == len(s) || s[n] != ' ' && s[n] != '\t' && s[n] != '[' {
		return leading{}
	}
	for range 2 {
		for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
			n++
		}
		if n == len(s) || s[n] != '[' && (s[n] < '0' || s[n] > '9') {
			return leading{}
		}
		if t, k := r.time(s[n:], z); k > 0 {
			l.at, l.time, l.n = t, s[n:n+k], n+k
			return l
		}
		k := words.Brackets(s[n:min(len(s), n+256)])
		if k == 0 {
			return leading{}
		}
		l.thread = s[n+1 : n+k-1]
		n += k
	}
	return leading{}
}

// time reads the time at the start of a record, with its brackets.
func (r *Reader) time(s []byte, z *times.Zone) (times.Instant, int) {
	if r.Times == nil {
		return Time(s, z)
	}
	t, n := r.Times.Read(s, z)
	if n == 0 && len(s) > 1 && s[0] == '[' {
		if t, n = r.Times.Read(s[1:], z); n > 0 && n+1 < len(s) && s[n+1] == ']' {
			return t, n + 2
		}
		return times.Instant{}, 0
	}
	return t, n
}
