package parse

import (
	"bytes"
	"fmt"
)

// quoting is how fields stand in quotes.
type quoting uint8

const (
	noQuotes quoting = iota
	escaped          // a quote within has a backslash
	doubled          // a quote within is there twice
)

// split takes the fields of a record apart that sep parts, and says why it can't.
// Several spaces part as one does. A quote that no separator follows ends nothing:
// not all writers escape those within. Where a place wants a time, that may stand in
// brackets.
func (p *placed) split(rec []byte, sep byte, q quoting) (why string) {
	p.vals, p.buf = p.vals[:0], p.buf[:0]
	for i := 0; i < len(rec); {
		if sep == ' ' && rec[i] == ' ' {
			i++
			continue
		}
		v := value{at: i}
		var n int
		switch c := rec[i]; {
		case c == '"' && p.greedy > 0 && len(p.vals) == p.greedy:
			if n = bytes.LastIndexByte(rec[i:], '"') + 1; n == 1 {
				return unclosed(i)
			}
			v.text, v.quoted = rec[i+1:i+n-1], true
		case c == '"' && q != noQuotes:
			if v.text, n = p.quoted(rec[i:], sep, q); n == 0 {
				return unclosed(i)
			}
			v.quoted = true
		case c == '[' && p.wantsTime(len(p.vals)):
			if n = bytes.IndexByte(rec[i:], ']') + 1; n == 0 {
				return fmt.Sprintf("the bracket at byte %d is not closed", i)
			}
			v.text = rec[i+1 : i+n-1]
		default:
			if n = bytes.IndexByte(rec[i:], sep); n < 0 {
				n = len(rec) - i
			}
			v.text = rec[i : i+n]
		}
		if len(p.vals) > maxFields {
			return fmt.Sprintf("more than %d fields, at byte %d", maxFields, i)
		}
		p.vals = append(p.vals, v)
		if i += n; i < len(rec) && rec[i] != sep {
			return fmt.Sprintf("unexpected %q at byte %d", rec[i], i)
		}
		if i++; i == len(rec) && sep != ' ' {
			p.vals = append(p.vals, value{at: i}) // the last field is empty
		}
	}
	return ""
}

func unclosed(at int) string { return fmt.Sprintf("the quotes at byte %d are not closed", at) }

func (p *placed) wantsTime(i int) bool { return i < len(p.places) && p.places[i].as == asTime }

// quoted returns the content of the quotes that s starts with, and their length; 0
// if they are not closed.
func (p *placed) quoted(s []byte, sep byte, q quoting) ([]byte, int) {
	strange := false
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && q == escaped:
			strange = true
			i++
		case c != '"':
		case q == doubled && i+1 < len(s) && s[i+1] == '"':
			strange = true
			i++
		case i+1 == len(s) || s[i+1] == sep:
			if !strange {
				return s[1:i:i], i + 1
			}
			return p.unquote(s[1:i], q), i + 1
		}
	}
	return nil, 0
}

// unquote returns the content of quotes without what they are escaped by.
func (p *placed) unquote(s []byte, q quoting) []byte {
	escape := byte('"')
	if q == escaped {
		escape = '\\'
	}
	from := len(p.buf)
	for i := 0; i < len(s); i++ {
		if s[i] == escape && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == escape) {
			i++
		}
		p.buf = append(p.buf, s[i])
	}
	return p.buf[from:len(p.buf):len(p.buf)]
}
