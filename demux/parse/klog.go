package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var klogParser = simple("klog", "what klog and glog write, Kubernetes' own log: structured keys become columns", func() format {
	return &klogFormat{pairs: keyed{slots: map[string]uint8{}, root: &node{}}}
})

// klogFormat parses the text format of klog and glog:
//
//	Lmmdd hh:mm:ss.uuuuuu thread file:line] message
//
// glog may write a year before the month, CockroachDB two digits of it, and no bracket. A structured message begins with quotes and
// goes on in key="value", key=value or, of several lines, key=< … >. Lines without a
// head belong to the record before them.
type klogFormat struct {
	pairs              keyed // without roles: the head has time and level
	gen                *rows.Generation
	thread, file, line *rows.Column
	buf                []byte
	open               bool // the record has brackets that are not closed
}

// klogHead is what stands before a message.
type klogHead struct {
	tags, entry        []byte // CockroachDB's
	time               times.Instant
	stamp              []byte // the time as written
	thread, file, line []byte
	n                  int // of the message
}

func (f *klogFormat) begin(r *reader) {
	f.pairs.begin(r)
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.thread = r.b.Typed("thread", schema.Long)
	f.file = r.b.Typed("file", schema.String)
	f.line = r.b.Typed("line", schema.Long)
}

// starts implements grouper.
func (f *klogFormat) starts(line []byte) bool {
	_, ok := klogDate(line)
	return ok || bytes.HasPrefix(line, []byte("Log file created at: "))
}

// klogDate returns how many digits the date of a head has.
func klogDate(s []byte) (n int, ok bool) {
	if len(s) < 20 || s[0] != 'I' && s[0] != 'W' && s[0] != 'E' && s[0] != 'F' {
		return 0, false
	}
	n = bytes.IndexByte(s[:10], ' ') - 1
	return n, (n == 4 || n == 6 || n == 8) && isNumber(s[1:1+n]) && s[4+n] == ':' && s[7+n] == ':'
}

// read reads a head, or says where it is none.
func (h *klogHead) read(s []byte, z *times.Zone) (why string) {
	n, ok := klogDate(s)
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
	h.time = times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}
	h.stamp = s[1:d.I]
	if n == 6 && h.cockroach(s, d.I) {
		return ""
	}
	end := bytes.IndexByte(s[d.I:], ']')
	if end < 0 {
		return "there is no ] behind thread, file and line"
	}
	c := cursor{s: s[:d.I+end], i: d.I}
	c.spaces()
	h.file = c.rest()
	if w := c.word(); len(c.rest()) > 0 {
		h.thread, h.file = w, c.rest()
	}
	if i := bytes.LastIndexByte(h.file, ':'); i >= 0 {
		h.file, h.line = h.file[:i], h.file[i+1:]
	}
	if h.n = d.I + end + 1; h.n < len(s) && s[h.n] == ' ' {
		h.n++
	}
	return ""
}

// cockroach reads what follows the time in CockroachDB's logs: "74 1@server/x.go:567 ⋮
// [n1,client=…] 12  message".
func (h *klogHead) cockroach(s []byte, at int) bool {
	c := cursor{s: s, i: at}
	c.spaces()
	thread, place := c.word(), c.word()
	colon := bytes.LastIndexByte(place, ':')
	if !isNumber(thread) || colon < 0 || !isNumber(place[colon+1:]) {
		return false
	}
	h.thread, h.file, h.line = thread, place[:colon], place[colon+1:]
	if i := bytes.IndexByte(h.file, '@'); i >= 0 && isNumber(h.file[:i]) { // the channel
		h.file = h.file[i+1:]
	}
	marked := string(c.peekWord()) == "⋮"
	if marked {
		c.word()
	}
	if n := bracket(c.rest()[:min(len(c.rest()), 512)]); n > 2 {
		h.tags = c.rest()[1 : n-1]
		c.i += n
		c.spaces()
		if w := c.peekWord(); isNumber(w) && (marked || bytes.HasPrefix(c.rest()[len(w):], []byte("  "))) {
			h.entry = c.word()
		}
	}
	h.n = c.i
	return true
}

func (f *klogFormat) record(r *reader, rec []byte) {
	var h klogHead
	if why := h.read(rec, &r.zone); why != "" {
		if bytes.HasPrefix(rec, []byte("Log file created at: ")) { // glog's own head
			r.row()
			r.b.Message(rec)
			return
		}
		r.fail(rec, notA("klog", why))
		return
	}
	text := rec[h.n:]
	f.pairs.reset()
	f.buf, f.open = f.buf[:0], false
	message := text
	if len(text) > 0 && text[0] == '"' {
		if m, rest, ok := f.structured(text); ok {
			message = m
			if len(rest) > 0 { // lines behind it, such as a stack trace
				at := len(f.buf)
				f.buf = append(append(append(f.buf, m...), '\n'), rest...)
				message = f.buf[at:]
			}
		} else {
			f.pairs.fields = f.pairs.fields[:0]
		}
	}
	f.pairs.fill(r)
	r.setTime(h.time, "time", h.stamp)
	r.setLevel(rec[:1], "level")
	if len(h.thread) > 0 {
		putLong(f.thread, h.thread)
	}
	put(f.file, h.file)
	attr(r, "tags", h.tags)
	attr(r, "entry", h.entry)
	if len(h.line) > 0 {
		putLong(f.line, h.line)
	}
	r.b.Message(message)
}

// structured reads a message in quotes and its pairs; rest are the lines behind them.
func (f *klogFormat) structured(s []byte) (message, rest []byte, ok bool) {
	message, n := unquote(&f.buf, s)
	if n == 0 {
		return nil, nil, false
	}
	for s = s[n:]; len(s) > 0; {
		switch {
		case s[0] == '\n':
			return message, s[1:], true
		case s[0] != ' ':
			return nil, nil, false
		}
		if s = bytes.TrimLeft(s, " "); len(s) == 0 || s[0] == '\n' {
			continue
		}
		n := keyEnd(s)
		if n == 0 || n == len(s) || s[n] != '=' {
			return nil, nil, false
		}
		node := f.pairs.child(f.pairs.root, s[:n], len(f.pairs.fields))
		s = s[n+1:]
		v, k, n := f.value(s)
		if n < 0 {
			return nil, nil, false
		}
		num := uint64(0)
		if k == kindText {
			k, num = bareValue(v)
		}
		f.pairs.add(node, k, v, num)
		s = s[n:]
	}
	return message, nil, true
}

// value reads a value, and returns how many bytes it has; below 0 if it has no end. Its
// kind is text, where it is not in quotes.
func (f *klogFormat) value(s []byte) (v []byte, k kind, n int) {
	switch {
	case len(s) == 0:
		return s, kindString, 0
	case s[0] == '"':
		v, n = unquote(&f.buf, s)
		if n == 0 {
			n = -1
		}
		return v, kindString, n
	case bytes.HasPrefix(s, []byte("<\n")):
		end := bytes.Index(s, []byte("\n >"))
		if end < 0 {
			return nil, kindString, -1
		}
		at := len(f.buf)
		for line := range bytes.Lines(s[2 : end+1]) {
			f.buf = append(f.buf, bytes.TrimPrefix(line, []byte("\t"))...)
		}
		return bytes.TrimSuffix(f.buf[at:len(f.buf):len(f.buf)], []byte("\n")), kindString, end + 3
	case !f.open && (s[0] == '{' || s[0] == '[' || s[0] == '&' || bytes.HasPrefix(s, []byte("map["))):
		if n = nested(s); n > 0 {
			return s[:n], kindString, n
		}
		f.open = true // no need to look again
	}
	if n = bytes.IndexAny(s, " \n"); n < 0 {
		n = len(s)
	}
	return s[:n], kindText, n
}

// nested returns the length of the brackets and braces that s starts with, and of what
// is in them; 0 if they are not closed on the line.
func nested(s []byte) int {
	depth, quoted := 0, false
	for i, c := range s {
		switch {
		case c == '\n':
			return 0
		case c == '"' && (i == 0 || s[i-1] != '\\'):
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}
