package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var klogParser = simple("klog", "what klog and glog write, Kubernetes' own log: structured keys become columns", func() format {
	return &klogFormat{pairs: keyed{slots: map[string]uint8{}, root: &node{}}}
})

// klogFormat parses the text format of klog and glog. A structured message begins with
// quotes and goes on in key="value", key=value or, of several lines, key=< … >. Lines without a
// head belong to the record before them.
type klogFormat struct {
	pairs              keyed // without roles: the head has time and level
	gen                *rows.Generation
	thread, file, line *rows.Column
	buf                []byte
	open               bool // the record has brackets that are not closed
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
	return applog.IsGlog(line) || bytes.HasPrefix(line, []byte("Log file created at: "))
}

func (f *klogFormat) record(r *reader, rec []byte) {
	var h applog.Glog
	if why := h.Read(rec, &r.zone); why != "" {
		if bytes.HasPrefix(rec, []byte("Log file created at: ")) { // glog's own head
			r.row()
			r.b.Message(rec)
			return
		}
		r.fail(rec, notA("klog", why))
		return
	}
	text := rec[h.Message:]
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
	r.setTime(h.At, "time", h.Time)
	r.setLevel(rec[:1], "level")
	if len(h.Thread) > 0 {
		putLong(f.thread, h.Thread)
	}
	put(f.file, h.File)
	attr(r, "tags", h.Tags)
	attr(r, "entry", h.Entry)
	if len(h.Line) > 0 {
		putLong(f.line, h.Line)
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
