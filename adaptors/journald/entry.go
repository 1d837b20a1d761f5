package journald

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds on what is taken of an entry. The journal allows fields of 768 MiB.
const (
	maxKey    = 256     // bytes of a field's name
	maxCursor = 512     // bytes of a cursor: many are stored
	maxItems  = 4096    // fields and values of an entry
	maxKept   = 2 << 20 // bytes of all values that are kept: a line has six times as many at most
)

// entry is one entry of the journal in its own form: an object on a line.
type entry struct {
	cursor string
	line   []byte // the newline included
}

// parser reads the objects that journalctl writes ("journalctl -o json", see
// systemd.io/JOURNAL_EXPORT_FORMATS): a field is a string; an array of numbers
// where its bytes are no text; an array of such where it has several values;
// or null. It keeps no more of a value than the bound.
type parser struct {
	r        *bufio.Reader
	maxField int

	limit int // bytes of a value that are kept, of this entry
	kept  int
	items []field
}

type field struct {
	key    string
	values []value
	many   bool
}

type value struct {
	form form
	kept []byte
	size int // bytes there were
}

type form uint8

const (
	text form = iota
	binary
	literal // null, a number, true or false: as it is
)

func newParser(r io.Reader, maxField int) *parser {
	return &parser{r: bufio.NewReaderSize(r, 64<<10), maxField: maxField}
}

var errSyntax = errors.New("journalctl's output is not understood")

// next returns the next entry; io.EOF at the end, io.ErrUnexpectedEOF within one.
func (p *parser) next() (entry, error) {
	c, err := p.skipSpace()
	if err != nil {
		return entry{}, err
	}
	e, err := p.object(c)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return e, err
}

func (p *parser) object(c byte) (entry, error) {
	if c != '{' {
		return entry{}, fmt.Errorf("%w: an entry starts with %q", errSyntax, c)
	}
	p.limit, p.kept, p.items = p.maxField, 0, p.items[:0]
	cursor := ""
	for n := 0; ; n++ {
		c, err := p.skipSpace()
		if err != nil {
			return entry{}, err
		}
		if c == '}' && n == 0 {
			break
		}
		if c != '"' {
			return entry{}, fmt.Errorf("%w: %q where a field's name should be", errSyntax, c)
		}
		f, err := p.field()
		if err != nil {
			return entry{}, err
		}
		if f.key == "__CURSOR" && len(f.values) == 1 {
			if cursor = string(f.values[0].kept); f.values[0].size > maxCursor {
				return entry{}, fmt.Errorf("%w: a cursor of %d bytes", errSyntax, f.values[0].size)
			}
		}
		if wanted(f.key) {
			p.items = append(p.items, f)
			for i := range f.values {
				p.kept += len(f.values[i].kept)
			}
			if p.kept > maxKept {
				p.shrink()
			}
		}
		if n > maxItems {
			return entry{}, fmt.Errorf("%w: an entry of more than %d fields", errSyntax, maxItems)
		}
		if c, err = p.skipSpace(); err != nil {
			return entry{}, err
		}
		if c == '}' {
			break
		}
		if c != ',' {
			return entry{}, fmt.Errorf("%w: %q after a field", errSyntax, c)
		}
	}
	return entry{cursor: cursor, line: p.line()}, nil
}

// wanted reports whether a field is stored with the entry. Of what journalctl adds
// (the names with two underscores), the times alone are the same whichever of
// its files the entry is read from, and in all versions.
func wanted(key string) bool {
	return !strings.HasPrefix(key, "__") || key == "__REALTIME_TIMESTAMP" || key == "__MONOTONIC_TIMESTAMP"
}

// shrink halves the bound until all values fit. What it is in the end does not
// depend on the order of the fields, which journalctl changes from run to run.
func (p *parser) shrink() {
	for {
		p.kept = 0
		for i := range p.items {
			for j := range p.items[i].values {
				v := &p.items[i].values[j]
				if len(v.kept) > p.limit {
					v.kept = v.kept[:p.limit]
				}
				p.kept += len(v.kept)
			}
		}
		if p.kept <= maxKept || p.limit < 2 {
			return
		}
		p.limit /= 2
	}
}

func (p *parser) skipSpace() (byte, error) {
	for {
		c, err := p.r.ReadByte()
		if err != nil {
			return 0, err
		}
		switch c {
		case ' ', '\t', '\n', '\r':
		default:
			return c, nil
		}
	}
}

// field reads what follows the quote of a field's name.
func (p *parser) field() (field, error) {
	key, err := p.text(maxKey + 1)
	if err != nil {
		return field{}, err
	}
	if key.size > maxKey {
		return field{}, fmt.Errorf("%w: a field's name of %d bytes", errSyntax, key.size)
	}
	f := field{key: string(key.kept)}
	c, err := p.skipSpace()
	if err == nil && c != ':' {
		err = fmt.Errorf("%w: %q after a field's name", errSyntax, c)
	}
	if err == nil {
		c, err = p.skipSpace()
	}
	if err != nil {
		return field{}, err
	}
	if c != '[' {
		v, err := p.value(c)
		f.values = []value{v}
		return f, err
	}
	return f, p.list(&f)
}

// list reads the values of a field, or its one value as numbers.
func (p *parser) list(f *field) error {
	c, err := p.skipSpace()
	if err != nil {
		return err
	}
	if c == ']' || c >= '0' && c <= '9' {
		v, err := p.numbers(c)
		f.values = []value{v}
		return err
	}
	f.many = true
	for {
		var v value
		if c == '[' {
			if c, err = p.skipSpace(); err == nil {
				v, err = p.numbers(c)
			}
		} else {
			v, err = p.value(c)
		}
		if err != nil {
			return err
		}
		if f.values = append(f.values, v); len(f.values) > maxItems {
			return fmt.Errorf("%w: a field of more than %d values", errSyntax, maxItems)
		}
		if c, err = p.skipSpace(); err != nil || c == ']' {
			return err
		}
		if c != ',' {
			return fmt.Errorf("%w: %q after a value", errSyntax, c)
		}
		if c, err = p.skipSpace(); err != nil {
			return err
		}
	}
}

func (p *parser) value(c byte) (value, error) {
	if c == '"' {
		return p.text(p.limit)
	}
	v := value{form: literal, kept: []byte{c}}
	for len(v.kept) < 64 {
		next, err := p.r.ReadByte()
		if err != nil {
			return v, err
		}
		if next == ',' || next == '}' || next == ']' || next <= ' ' {
			if !slices.Contains([]string{"null", "true", "false"}, string(v.kept)) {
				if _, err := strconv.ParseFloat(string(v.kept), 64); err != nil {
					break
				}
			}
			v.size = len(v.kept)
			return v, p.r.UnreadByte()
		}
		v.kept = append(v.kept, next)
	}
	return v, fmt.Errorf("%w: the value %.20q", errSyntax, v.kept)
}

// numbers reads an array of bytes; c is what follows its bracket.
func (p *parser) numbers(c byte) (value, error) {
	v := value{form: binary}
	var err error
	for c != ']' {
		n, digits := 0, 0
		for ; c >= '0' && c <= '9' && n < 256; digits++ {
			n = n*10 + int(c-'0')
			if c, err = p.r.ReadByte(); err != nil {
				return v, err
			}
		}
		if digits == 0 || n > 255 {
			return v, fmt.Errorf("%w: an array that holds no bytes", errSyntax)
		}
		if v.size++; len(v.kept) < p.limit {
			v.kept = append(v.kept, byte(n))
		}
		if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			if c, err = p.skipSpace(); err != nil {
				return v, err
			}
		}
		if c == ']' {
			break
		}
		if c != ',' {
			return v, fmt.Errorf("%w: %q in an array of bytes", errSyntax, c)
		}
		if c, err = p.skipSpace(); err != nil {
			return v, err
		}
	}
	return v, nil
}

// text reads what follows a quote.
func (p *parser) text(limit int) (value, error) {
	var v value
	put := func(b ...byte) {
		v.size += len(b)
		v.kept = append(v.kept, b[:min(len(b), max(0, limit-len(v.kept)))]...)
	}
	for {
		c, err := p.r.ReadByte()
		if err != nil {
			return v, err
		}
		switch c {
		case '"':
			return v, nil
		case '\\':
			if c, err = p.r.ReadByte(); err != nil {
				return v, err
			}
			if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
				put("\"\\/\b\f\n\r\t"[i])
				continue
			}
			if c != 'u' {
				return v, fmt.Errorf("%w: the escape \\%c", errSyntax, c)
			}
			r, err := p.escaped()
			if err != nil {
				return v, err
			}
			put(utf8.AppendRune(nil, r)...)
		default:
			put(c)
		}
	}
}

// escaped reads what follows \u, and a second escape where both are one
// character.
func (p *parser) escaped() (rune, error) {
	r, err := p.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if next, _ := p.r.Peek(2); string(next) != `\u` {
		return utf8.RuneError, nil
	}
	_, _ = p.r.Discard(2)
	second, err := p.hex()
	return utf16.DecodeRune(r, second), err
}

func (p *parser) hex() (rune, error) {
	var b [4]byte
	if _, err := io.ReadFull(p.r, b[:]); err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(string(b[:]), 16, 16)
	if err != nil {
		return 0, fmt.Errorf("%w: the escape \\u%s", errSyntax, b)
	}
	return rune(n), nil
}
