package parse

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads a JSON object (RFC 8259) in one pass and gives its values to a
// keyed record, without a tree between. It is lenient in two things: control
// characters in strings are taken as they are, and NaN, Infinity and -Infinity
// are numbers, as many writers have them.
type scanner struct {
	s   []byte
	i   int
	k   *keyed
	buf []byte // unescaped strings of the record
}

const (
	maxDepth  = 500 // of nested values
	maxDotted = 16  // of nested objects that become dotted columns
	maxPrefix = 256 // bytes of the keys before a nested one: each of them repeats these
)

var errEnd = errors.New("it ends too early")

// object reads the object that s starts with, and returns how long it is with the
// spaces around it.
func (p *scanner) object(k *keyed, s []byte) (int, error) {
	p.s, p.i, p.k, p.buf = s, 0, k, p.buf[:0]
	if bytes.HasPrefix(s, []byte("\ufeff")) {
		p.i = len("\ufeff")
	}
	p.space()
	if p.peek() != '{' {
		return 0, errors.New("it is no object")
	}
	for last := k.root; ; {
		n, err := p.next(last)
		if err != nil {
			return 0, err
		}
		if n == nil {
			p.space()
			return p.i, nil
		}
		if err := p.value(n); err != nil {
			return 0, err
		}
		last = n
	}
}

func (p *scanner) unexpected() error {
	if p.i >= len(p.s) {
		return errEnd
	}
	return fmt.Errorf("unexpected %q at byte %d", p.s[p.i], p.i)
}

func (p *scanner) peek() byte {
	if p.i < len(p.s) {
		return p.s[p.i]
	}
	return 0
}

func (p *scanner) space() {
	for p.i < len(p.s) {
		switch p.s[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
		default:
			return
		}
	}
}

// next reads from the value of last, or the root, to the next value, and returns
// its key; nil: the object ends there. Most often it is what came there before.
func (p *scanner) next(last *node) (*node, error) {
	if n, ok := p.follow(last); ok {
		return n, nil
	}
	from := p.i
	n, err := p.between(last)
	if err == nil {
		p.k.learn(last, p.s[from:p.i], n)
	}
	return n, err
}

// between is next of what is not known.
func (p *scanner) between(last *node) (*node, error) {
	if last == p.k.root {
		p.i++ // {
		if p.space(); p.peek() == '}' {
			p.i++
			return nil, nil
		}
		return p.key(last)
	}
	parent := last.parent
	for p.space(); p.peek() == '}'; p.space() {
		p.i++
		if parent == p.k.root {
			return nil, nil
		}
		parent = parent.parent
	}
	if p.peek() != ',' {
		return nil, p.unexpected()
	}
	p.i++
	p.space()
	return p.key(parent)
}

// key reads the key of a value below parent: one of an object within, where the
// next value is one that becomes dotted columns.
func (p *scanner) key(parent *node) (*node, error) {
	for {
		if p.peek() != '"' {
			return nil, p.unexpected()
		}
		key, _, err := p.string()
		if err != nil {
			return nil, err
		}
		if p.space(); p.peek() != ':' {
			return nil, p.unexpected()
		}
		p.i++
		p.space()
		n := p.k.child(parent, key, len(p.k.fields))
		if !p.nests(n) {
			return n, nil
		}
		p.i++ // {
		p.space()
		parent = n
	}
}

// nests reports whether the value here is an object whose members have columns of
// their own: below n.
func (p *scanner) nests(n *node) bool {
	return p.peek() == '{' && n.depth < maxDotted && len(n.name) <= maxPrefix && !p.emptyObject()
}

// value reads a value that has one column.
func (p *scanner) value(n *node) error {
	start := p.i
	switch p.peek() {
	case '"':
		v, ascii, err := p.string()
		if err != nil {
			return err
		}
		d := p.k.more()
		d.node, d.kind, d.ascii, d.val, d.num = n, kindString, ascii, v, 0
	case '{', '[':
		if err := p.skip(n.depth); err != nil {
			return err
		}
		p.k.add(n, kindText, p.s[start:p.i], 0)
	case 't':
		if err := p.literal("true"); err != nil {
			return err
		}
		p.k.add(n, kindBool, p.s[start:p.i], 1)
	case 'f':
		if err := p.literal("false"); err != nil {
			return err
		}
		p.k.add(n, kindBool, p.s[start:p.i], 0)
	case 'n':
		return p.literal("null")
	default:
		t, num, err := p.number()
		if err != nil {
			return err
		}
		p.k.add(n, t, p.s[start:p.i], num)
	}
	return nil
}

// emptyObject reports whether the object here has no members: then it is kept as
// text, since it has no column of its own.
func (p *scanner) emptyObject() bool {
	for _, c := range p.s[p.i+1:] {
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c == '}'
		}
	}
	return false
}

func (p *scanner) literal(want string) error {
	if len(p.s)-p.i < len(want) || string(p.s[p.i:p.i+len(want)]) != want {
		return p.unexpected()
	}
	p.i += len(want)
	return nil
}

// skip reads a value and drops it.
func (p *scanner) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("more than %d levels at byte %d", maxDepth, p.i)
	}
	switch c := p.peek(); c {
	case '"':
		_, err := p.quoted()
		return err
	case '{', '[':
		p.i++
		end := c + 2 // in ASCII, both closing brackets follow after one other
		if p.space(); p.peek() == end {
			p.i++
			return nil
		}
		for {
			if c == '{' {
				if p.peek() != '"' {
					return p.unexpected()
				}
				if _, err := p.quoted(); err != nil {
					return err
				}
				if p.space(); p.peek() != ':' {
					return p.unexpected()
				}
				p.i++
				p.space()
			}
			if err := p.skip(depth + 1); err != nil {
				return err
			}
			p.space()
			switch p.peek() {
			case ',':
				p.i++
				p.space()
			case end:
				p.i++
				return nil
			default:
				return p.unexpected()
			}
		}
	case 't':
		return p.literal("true")
	case 'f':
		return p.literal("false")
	case 'n':
		return p.literal("null")
	}
	_, _, err := p.number()
	return err
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special returns where s has its first quote or backslash from i on; len(s) where
// there is none. What it saw on the way has bits of highs only if not all is ASCII.
func special(s []byte, i int) (at int, saw uint64) {
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		saw |= x
		q, b := x^('"'*ones), x^('\\'*ones)
		if m := ((q-ones)&^q | (b-ones)&^b) & highs; m != 0 {
			return i + bits.TrailingZeros64(m)/8, saw
		}
	}
	for i < len(s) && s[i] != '"' && s[i] != '\\' {
		saw |= uint64(s[i])
		i++
	}
	return i, saw
}

// quoted reads a string and gives whether it has escapes; it ends after the
// closing quote.
func (p *scanner) quoted() (escapes bool, err error) {
	s, i := p.s, p.i+1
	for {
		if i, _ = special(s, i); i >= len(s) {
			p.i = i
			return false, errEnd
		}
		if s[i] == '"' {
			p.i = i + 1
			return escapes, nil
		}
		escapes = true
		n := 2
		if i+1 >= len(s) {
			p.i = i
			return false, errEnd
		}
		switch s[i+1] {
		case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		case 'u':
			if n = 6; hex4(s, i+2) < 0 {
				p.i = i
				return false, p.unexpected()
			}
		default:
			p.i = i
			return false, p.unexpected()
		}
		i += n
	}
}

// string reads a string and gives its content, which stays as it is until the
// next object, and whether that is known to be ASCII.
func (p *scanner) string() (v []byte, ascii bool, err error) {
	start := p.i + 1
	end, saw := special(p.s, start)
	if end < len(p.s) && p.s[end] == '"' {
		p.i = end + 1
		return p.s[start:end:end], saw&highs == 0, nil
	}
	if _, err := p.quoted(); err != nil {
		return nil, false, err
	}
	at := len(p.buf)
	p.buf = unescape(p.buf, p.s[start:p.i-1])
	return p.buf[at:len(p.buf):len(p.buf)], false, nil
}

// unescape appends the content of a valid string. Half a surrogate pair is no
// character: it stays as it was written.
func unescape(dst, s []byte) []byte {
	for len(s) > 0 {
		i := bytes.IndexByte(s, '\\')
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		s = s[i:]
		c := s[1]
		if c != 'u' {
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			}
			dst, s = append(dst, c), s[2:]
			continue
		}
		r, n := rune(hex4(s, 2)), 6
		if utf16.IsSurrogate(r) {
			if len(s) >= 12 && s[6] == '\\' && s[7] == 'u' {
				if full := utf16.DecodeRune(r, rune(hex4(s, 8))); full != utf8.RuneError {
					r, n = full, 12
				}
			}
			if n == 6 {
				dst, s = append(dst, s[:6]...), s[6:]
				continue
			}
		}
		dst, s = utf8.AppendRune(dst, r), s[n:]
	}
	return dst
}

// hex4 reads four hexadecimal digits at s[i:]; -1 means that they are not there.
func hex4(s []byte, i int) int {
	if i+4 > len(s) {
		return -1
	}
	v := 0
	for _, c := range s[i : i+4] {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return -1
		}
		v = v<<4 | int(c)
	}
	return v
}
