package chunk

import (
	"bytes"
	"iter"
	"strings"
)

// Unit tells how wide a text encoding's unit is, in bytes, where it is not one,
// and whether its high byte comes first. Only UTF-16 has a unit of two bytes; in
// all other encodings that are known here a newline is the byte 0x0A and
// nothing else is.
func Unit(encoding string) (width int, bigEndian bool) {
	switch strings.ToUpper(encoding) {
	case "UTF-16LE":
		return 2, false
	case "UTF-16BE":
		return 2, true
	}
	return 1, false
}

// LineEnd is the length of the line that b starts with, its newline included;
// -1 where b holds no newline.
func LineEnd(b []byte, encoding string) int {
	width, bigEndian := Unit(encoding)
	if width == 1 {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return i + 1
		}
		return -1
	}
	low := 0 // where in a unit the low byte is
	if bigEndian {
		low = 1
	}
	for from := 0; ; {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return -1
		}
		at := from + i
		if at%2 == low && (at^1) < len(b) && b[at^1] == 0 {
			return at&^1 + 2
		}
		from = at + 1
	}
}

// Records returns where each record of a Data chunk starts and ends in its body:
// at its borders, or else at newlines. None goes over what was dropped.
func (c *Chunk) Records() iter.Seq2[int, int] {
	return func(yield func(first, last int) bool) {
		drops := c.Drops
		for first, i := 0, 0; first < len(c.Body); i++ {
			last := len(c.Body)
			for len(drops) > 0 && drops[0].Body <= int64(first) {
				drops = drops[1:]
			}
			if len(drops) > 0 {
				last = int(drops[0].Body)
			}
			if i < len(c.Borders) {
				last = int(c.Borders[i])
			} else if n := LineEnd(c.Body[first:last], c.Encoding); n > 0 {
				last = first + n
			}
			if !yield(first, last) {
				return
			}
			first = last
		}
	}
}
