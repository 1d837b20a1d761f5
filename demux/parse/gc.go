package parse

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

var gcParser = simple("gc", "the JVM's GC logs: unified logging with any decorations, and -XX:+PrintGCDetails before it; sizes in bytes", func() format {
	return &gcFormat{typedColumns: newTyped(
		longColumn("gc_id"), textColumn("event"), textColumn("cause"), longColumn("heap_before"), longColumn("heap_after"), longColumn("heap_size"),
		doubleColumn("duration_ms"), doubleColumn("uptime"), doubleColumn("user_time"), doubleColumn("sys_time"), doubleColumn("real_time"),
		textColumn("tagset"), longColumn("pid"), textColumn("thread"), textColumn("hostname"))}
}).guessed(clue{sure: sureGC.Match})

const (
	gcID = iota
	gcEvent
	gcCause
	gcBefore
	gcAfter
	gcSize
	gcDuration
	gcUptime
	gcUser
	gcSys
	gcReal
	gcTags
	gcPID
	gcThread
	gcHost
)

// gcFormat parses what the JVM writes with -Xlog (JEP 158), whatever its
// decorations, and with -XX:+PrintGCDetails before Java 9:
//
//	[2026-11-28T10:00:00.123+0000][1.234s][info][gc] GC(12) Pause Young (Normal) (G1 Evacuation Pause) 24M->4M(256M) 3.123ms
//	2026-11-28T10:00:00.123+0000: 1.234: [GC (Allocation Failure) [PSYoungGen: 5K->1K(9K)] 5K->1K(9K), 0.0054 secs]
//
// uptime is in seconds, as are the times of the processor. A line of a log without
// times has that of the chunk.
type gcFormat struct {
	typedColumns
	numbered, upped bool // the record has a process id, and an uptime
}

func (f *gcFormat) record(r *reader, rec []byte) {
	if rec[0] == '[' {
		f.unified(r, rec)
		return
	}
	f.older(r, rec)
}

// unified reads "[decoration]… message".
func (f *gcFormat) unified(r *reader, rec []byte) {
	r.row()
	f.numbered, f.upped = false, false
	n, known := 0, 0
	for n < len(rec) && rec[n] == '[' {
		end := bytes.IndexByte(rec[n:min(len(rec), n+256)], ']')
		if end < 0 {
			break
		}
		if f.decoration(r, bytes.TrimSpace(rec[n+1:n+end])) {
			known++
		}
		n += end + 1
	}
	message := bytes.TrimPrefix(rec[n:], []byte(" "))
	r.b.Message(message)
	if known == 0 {
		r.b.Fail(fmt.Sprintf("not gc: there is no time, level or tag in brackets, at byte %d", n))
		return
	}
	if in, ok := bytes.CutPrefix(message, []byte("GC(")); ok {
		if id, rest, ok := bytes.Cut(in, []byte(") ")); ok && words.IsNumber(id) {
			f.put(gcID, id)
			message = rest
		}
	}
	if bytes.HasPrefix(message, []byte("User=")) {
		f.times(message, "User=", "Sys=", "Real=")
		return
	}
	f.sizes(message, false)
	if last := bytes.LastIndexByte(message, ' '); last >= 0 {
		if ms, ok := bytes.CutSuffix(message[last+1:], []byte("ms")); ok {
			f.put(gcDuration, number(ms))
		}
	}
	f.event(message)
}

// decoration takes one, and reports whether it is known by its form.
func (f *gcFormat) decoration(r *reader, in []byte) bool {
	switch {
	case len(in) == 0:
		return false
	case levels.Is(in):
		r.setLevel(in, "level")
		return true
	case in[0] >= '0' && in[0] <= '9':
		if t, n := times.ISO(in, &r.zone); n == len(in) && n > 0 {
			r.setTime(t, "time", in)
			return true
		}
		return f.numeral(r, in)
	case in[0] >= 'a' && in[0] <= 'z' && bytes.IndexByte(in, '.') < 0 && bytes.IndexByte(in, '-') < 0:
		f.put(gcTags, in)
		return true
	}
	f.put(gcHost, in)
	return false
}

// numeral takes an uptime, or the numbers of process and thread.
func (f *gcFormat) numeral(r *reader, in []byte) bool {
	k := len(in)
	for k > 0 && in[k-1] >= 'a' && in[k-1] <= 'z' {
		k--
	}
	v, err := strconv.ParseFloat(string(in[:k]), 64)
	if err != nil {
		f.put(gcHost, in)
		return false
	}
	switch string(in[k:]) {
	case "s":
	case "ms":
		v /= 1e3
	case "ns":
		v /= 1e9
	case "":
		if f.numbered {
			f.put(gcThread, in)
		} else {
			f.put(gcPID, in)
		}
		f.numbered = true
		return false
	default:
		return false
	}
	if v > 1e9 { // milliseconds and nanoseconds of a clock, not of the JVM
		if t := times.EpochFloat(v); r.believes(t) {
			r.setTime(t, "time", in)
			return true
		}
	}
	if !f.upped {
		f.cols[gcUptime].Double(v, in)
	}
	f.upped = true
	return true
}

// number returns v where it is one in digits; else nil.
func number(v []byte) []byte {
	dots := 0
	for _, c := range v {
		switch {
		case c == '.':
			dots++
		case c < '0' || c > '9':
			return nil
		}
	}
	if dots > 1 || len(v) == dots {
		return nil
	}
	return v
}

// older reads "TIME: UPTIME: [GC …", where either may be missing.
func (f *gcFormat) older(r *reader, rec []byte) {
	t, n := times.ISO(rec, &r.zone)
	s := rec
	if n > 0 {
		s = bytes.TrimPrefix(rec[n:], []byte(": "))
	}
	up, _, ok := bytes.Cut(s[:min(len(s), 32)], []byte(": "))
	if ok && number(up) != nil {
		s = s[len(up)+2:]
	} else {
		up = nil
	}
	if n == 0 && up == nil {
		if gcBanner(rec) {
			r.row()
			r.b.SetLevel(rows.Info)
			r.b.Message(rec)
			return
		}
		r.fail(rec, "not gc: there are neither decorations in brackets nor a time, at byte 0")
		return
	}
	r.row()
	if n > 0 {
		r.setTime(t, "time", rec[:n])
	}
	f.put(gcUptime, up)
	r.b.SetLevel(rows.Info)
	r.b.Message(s)
	if len(s) == 0 || s[0] != '[' {
		return
	}
	f.sizes(s, true)
	if i := bytes.Index(s, []byte("[Times: ")); i >= 0 {
		f.times(s[i:], "user=", "sys=", "real=")
		s = s[:i]
	}
	if end := bytes.LastIndex(s, []byte(" secs]")); end >= 0 {
		secs := number(s[bytes.LastIndexByte(s[:end], ' ')+1 : end])
		if v, err := strconv.ParseFloat(string(secs)+"e3", 64); err == nil {
			f.cols[gcDuration].Double(v, secs)
		}
	}
	f.event(bytes.TrimSuffix(s[1:], []byte("]")))
}

// times takes processor times in seconds by their keys.
func (f *gcFormat) times(s []byte, keys ...string) {
	for i, key := range keys {
		at := bytes.Index(s, []byte(key))
		if at < 0 {
			continue
		}
		v := s[at+len(key):]
		n := 0
		for n < len(v) && (v[n] >= '0' && v[n] <= '9' || v[n] == '.') {
			n++
		}
		f.put(gcUser+i, number(v[:n]))
	}
}

// event takes what was done and why: "Pause Young (Normal) (G1 Evacuation Pause)".
func (f *gcFormat) event(s []byte) {
	open := bytes.Index(s, []byte(" ("))
	if open <= 0 { // Concurrent Mark Cycle 12.345ms
		if open = bytes.LastIndexByte(s, ' '); open <= 0 || !bytes.HasSuffix(s, []byte("ms")) {
			return
		}
	}
	what := s[:open]
	switch w := words.First(what); string(w) {
	case "Pause", "Concurrent", "Garbage", "Full", "GC", "Major", "Minor", "Trigger:", "Young", "Mixed":
	default:
		return
	}
	f.put(gcEvent, what)
	var cause []byte
	for bytes.HasPrefix(s[open:], []byte(" (")) {
		end := bytes.IndexByte(s[open:], ')')
		if end < 0 {
			break
		}
		if open+end+1 < len(s) && s[open+end+1] == ')' { // (System.gc())
			end++
		}
		cause = s[open+2 : open+end]
		open += end + 1
	}
	f.put(gcCause, cause)
}

// sizes takes the last "24M->4M(256M)"; nested says that those in inner brackets
// are parts of the heap.
func (f *gcFormat) sizes(s []byte, nested bool) {
	depth := 0
	var before, after, size int64 = -1, -1, -1
	for i := 0; i+1 < len(s); i++ {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '-':
			if s[i+1] != '>' || nested && depth != 1 {
				continue
			}
			from, ok := sizeBefore(s[:i])
			to, k := sizeAt(s[i+2:])
			if !ok || k == 0 {
				continue
			}
			before, after, size = from, to, -1
			if rest := s[i+2+k:]; len(rest) > 0 && rest[0] == '(' {
				if v, k := sizeAt(rest[1:]); k > 0 && k+1 < len(rest) && rest[k+1] == ')' {
					size = v
				}
			}
		}
	}
	for i, v := range [...]int64{before, after, size} {
		if v >= 0 {
			f.cols[gcBefore+i].Long(v)
		}
	}
}

// sizeBefore reads the size that s ends with, a share in brackets behind it or none.
func sizeBefore(s []byte) (int64, bool) {
	end := len(s)
	if end > 0 && s[end-1] == ')' { // ZGC: 206M(10%)
		open := bytes.LastIndexByte(s[max(0, end-8):], '(')
		if open < 0 || s[end-2] != '%' {
			return 0, false
		}
		end = max(0, end-8) + open
	}
	from := end
	for from > 0 && end-from < 24 && s[from-1] > ' ' && s[from-1] != '[' && s[from-1] != ':' {
		from--
	}
	v, n := sizeAt(s[from:end])
	return v, n > 0 && n == end-from
}

// sizeAt reads a size in bytes at the start of s, with its unit; 0 if there is none.
func sizeAt(s []byte) (int64, int) {
	n := 0
	for n < len(s) && n < 20 && (s[n] >= '0' && s[n] <= '9' || s[n] == '.') {
		n++
	}
	if n == 0 || n == len(s) {
		return 0, 0
	}
	v, err := strconv.ParseFloat(string(s[:n]), 64)
	if err != nil || v > 1e12 {
		return 0, 0
	}
	switch s[n] {
	case 'B':
	case 'K':
		v *= 1 << 10
	case 'M':
		v *= 1 << 20
	case 'G':
		v *= 1 << 30
	default:
		return 0, 0
	}
	return int64(v), n + 1
}

// gcBanner reports whether a line is one of those that a log begins with.
func gcBanner(rec []byte) bool {
	for _, start := range [...]string{"OpenJDK ", "Java HotSpot(TM) ", "Memory: ", "CommandLine flags: "} {
		if bytes.HasPrefix(rec, []byte(start)) {
			return true
		}
	}
	return false
}

// sureGC matches unified logging by a tag of the collector's, or by an uptime before a
// level, and what was written before Java 9.
var sureGC = regexp.MustCompile(`^(\[[^\]]+\])*\[gc[,\] ]|^(\[[^\]]+\])*\[\d+[.,]\d{3}s\]\[(trace|debug|info|warning|error) *\]|` +
	`\[(Full )?GC( |\()|^(\d{4}-\d\d-\d\dT\S+: )?\d+[.,]\d+: (\[(CMS|GC|Full|G1|Times)|Total time for which |Application time: )|` +
	`^(OpenJDK|Java HotSpot\(TM\)) .* (JRE|Java) |^CommandLine flags: |^Memory: \d+k page, `)
