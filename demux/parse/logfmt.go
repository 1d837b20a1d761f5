package parse

import (
	"bytes"
	"fmt"
)

var logfmtParser = simple("logfmt", "key=value pairs", func() format { return newLogfmt() }).guessed(clue{kin: kinLoose, sure: surePairs})

// logfmtFormat parses lines of key=value pairs into keyed records:
//
//	ts=2026-11-28T10:00:00Z level=info msg="cache is full" size=4096 retry
//
// A value in quotes has the escapes of JSON. A key without a value is true. A
// number and true and false have their types, whatever is in quotes is text.
// Dots in keys are kept.
type logfmtFormat struct {
	*keyed
	buf []byte // unescaped values of the record
}

func newLogfmt() *logfmtFormat { return &logfmtFormat{keyed: newKeyed()} }

func (f *logfmtFormat) record(r *reader, rec []byte) {
	if err := f.read(rec); err != nil {
		r.fail(rec, fmt.Sprintf("not logfmt: %v", err))
		return
	}
	if !f.fill(r) && r.format == f {
		f.untimed(r)
	}
}

// read takes a line's pairs; there must be one with a value.
func (f *logfmtFormat) read(rec []byte) error {
	f.reset()
	f.buf = f.buf[:0]
	pairs := 0
	s := rec
	for {
		s = bytes.TrimLeft(s, " \t")
		if len(s) == 0 {
			break
		}
		n := keyEnd(s)
		if n == 0 {
			return fmt.Errorf("unexpected %q at byte %d, want a key", s[0], len(rec)-len(s))
		}
		node := f.child(f.root, s[:n], len(f.fields))
		s = s[n:]
		if len(s) == 0 || s[0] != '=' {
			f.add(node, kindBool, trueText, 1)
			continue
		}
		pairs++
		s = s[1:]
		if len(s) > 0 && s[0] == '"' {
			v, n := unquote(&f.buf, s)
			if n == 0 {
				return fmt.Errorf("the quotes at byte %d are not closed", len(rec)-len(s))
			}
			f.add(node, kindString, v, 0)
			if s = s[n:]; len(s) > 0 && s[0] != ' ' && s[0] != '\t' {
				return fmt.Errorf("unexpected %q at byte %d, want a space after the quotes", s[0], len(rec)-len(s))
			}
			continue
		}
		v := s[:valueEnd(s)]
		s = s[len(v):]
		t, num := bareValue(v)
		f.add(node, t, v, num)
	}
	if pairs == 0 {
		return fmt.Errorf("there is no key=value")
	}
	return nil
}

var trueText = []byte("true")

// keyEnd returns how many bytes of s are a key.
func keyEnd(s []byte) int {
	for i, c := range s {
		if c <= ' ' || c == '=' || c == '"' {
			return i
		}
	}
	return len(s)
}

// valueEnd returns how many bytes of s are a value without quotes.
func valueEnd(s []byte) int {
	if i := bytes.IndexAny(s, " \t"); i >= 0 {
		return i
	}
	return len(s)
}

// unquote returns the content of the quotes that s starts with, and their length;
// 0 if they are not closed. What it unescapes is added to buf.
func unquote(buf *[]byte, s []byte) ([]byte, int) {
	escapes := false
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			escapes = true
			i++
		case '"':
			if !escapes {
				return s[1:i:i], i + 1
			}
			at := len(*buf)
			*buf = unescapeLoose(*buf, s[1:i])
			return (*buf)[at:len(*buf):len(*buf)], i + 1
		}
	}
	return nil, 0
}

// unescapeLoose appends text with JSON's escapes; what is none stays as it is.
func unescapeLoose(dst, s []byte) []byte {
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 || i+1 == len(s) {
			return append(dst, s...)
		}
		dst, s = append(dst, s[:i]...), s[i:]
		n := 2
		switch s[1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if n = 6; hex4(s, 2) < 0 {
				n = 0
			} else if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' && hex4(s, 8) >= 0 {
				n = 12
			}
		default:
			n = 0
		}
		if n == 0 {
			dst, s = append(dst, s[:2]...), s[2:]
			continue
		}
		dst, s = unescape(dst, s[:n]), s[n:]
	}
	return dst
}

// bareValue returns what a value without quotes is: a number that JSON could
// have, too, true, false, or text.
func bareValue(v []byte) (kind, uint64) {
	if len(v) == 0 {
		return kindString, 0
	}
	switch c := v[0]; {
	case c >= '0' && c <= '9' || c == '-':
		p := scanner{s: v}
		if t, num, err := p.number(); err == nil && p.i == len(v) {
			return t, num
		}
	case c == 't' && string(v) == "true":
		return kindBool, 1
	case c == 'f' && string(v) == "false":
		return kindBool, 0
	}
	return kindString, 0
}

// surePairs reports whether a line is pairs of keys and values, and hardly anything
// else.
func surePairs(line []byte) bool {
	s := line
	pairs, bare := 0, 0
	for {
		s = bytes.TrimLeft(s, " \t")
		if len(s) == 0 {
			break
		}
		n := keyEnd(s)
		if n == 0 {
			return false
		}
		key := s[:n]
		if s = s[n:]; len(s) == 0 || s[0] != '=' {
			if bare++; pairs == 0 {
				return false
			}
			continue
		}
		if !plainKey(key) {
			return false
		}
		pairs++
		if s = s[1:]; len(s) > 0 && s[0] == '"' {
			end := closing(s)
			if end < 0 {
				return false
			}
			s = s[end:]
			continue
		}
		s = s[valueEnd(s):]
	}
	return pairs >= 2 && bare*4 <= pairs
}

// closing returns where the quotes that s starts with end; -1 if they don't.
func closing(s []byte) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return -1
}

func plainKey(key []byte) bool {
	for i, c := range key {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '@'
		if !letter && (i == 0 || (c < '0' || c > '9') && c != '.' && c != '-' && c != '/') {
			return false
		}
	}
	return true
}
