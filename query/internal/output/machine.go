package output

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/akupara/akupara/query/internal/duck"
)

// csv writes a header line and fields quoted as RFC 4180 says; lines end with a
// newline alone, as line tools expect.
type csv struct {
	w     buffer
	kinds []Kind
}

func (c *csv) Begin(cols []Column) error {
	c.kinds = make([]Kind, len(cols))
	for i, col := range cols {
		c.kinds[i] = col.Kind
		if i > 0 {
			c.w.putByte(',')
		}
		c.field(col.Name)
	}
	_, err := c.w.WriteString("\n")
	return err
}

func (c *csv) Row(cells []duck.Cell) error {
	for i, cell := range cells {
		if i > 0 {
			c.w.putByte(',')
		}
		if cell.Null {
			continue
		}
		c.field(shown(cell, c.kinds[i]))
	}
	_, err := c.w.WriteString("\n")
	return err
}

// field quotes what must be, and the empty string, which would be a NULL.
func (c *csv) field(s string) {
	if s != "" && !strings.ContainsAny(s, ",\"\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		c.w.put(s)
		return
	}
	c.w.putByte('"')
	for {
		before, after, found := strings.Cut(s, `"`)
		c.w.put(before)
		if !found {
			break
		}
		c.w.put(`""`)
		s = after
	}
	c.w.putByte('"')
}

func (c *csv) End() error { return c.w.Flush() }

// jsonWriter writes an array of objects, one a line, or the objects alone.
type jsonWriter struct {
	w     buffer
	array bool
	names []string // as JSON, with the colon
	kinds []Kind
	rows  int64
}

func (j *jsonWriter) Begin(cols []Column) error {
	seen := map[string]bool{}
	for _, col := range cols {
		name := col.Name
		for n := 1; seen[name]; n++ {
			name = fmt.Sprintf("%s_%d", col.Name, n)
		}
		seen[name] = true
		j.names = append(j.names, string(appendString(nil, name))+":")
		j.kinds = append(j.kinds, col.Kind)
	}
	if j.array {
		return j.w.WriteByte('[')
	}
	return nil
}

func (j *jsonWriter) Row(cells []duck.Cell) error {
	if j.array {
		if j.rows > 0 {
			j.w.putByte(',')
		}
		j.w.putByte('\n')
	}
	j.rows++
	j.w.putByte('{')
	for i, cell := range cells {
		if i > 0 {
			j.w.putByte(',')
		}
		j.w.put(j.names[i])
		j.value(cell, j.kinds[i])
	}
	j.w.putByte('}')
	if j.array {
		return nil
	}
	return j.w.WriteByte('\n')
}

func (j *jsonWriter) value(cell duck.Cell, kind Kind) {
	text := cell.Text
	if cell.Null {
		j.w.put("null")
		return
	}
	switch kind {
	case Number:
		s, plain := number(text)
		if plain {
			j.w.put(s)
			return
		}
		text = s
	case Bool:
		j.w.put(text)
		return
	case JSON:
		j.w.put(value(text))
		return
	}
	j.w.putBytes(appendString(j.w.AvailableBuffer(), text))
}

func (j *jsonWriter) End() error {
	if j.array {
		if j.rows > 0 {
			j.w.putByte('\n')
		}
		j.w.put("]\n")
	}
	return j.w.Flush()
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string (RFC 8259). DuckDB's text is UTF-8;
// whatever is not becomes U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				b = append(b, s[start:i]...)
				b = append(b, "\ufffd"...)
				start = i + 1
			}
			i += n
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\r':
			b = append(b, '\\', 'r')
		case '\t':
			b = append(b, '\\', 't')
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
