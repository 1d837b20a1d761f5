package cut

import (
	"bytes"
	"unicode/utf8"

	"github.com/akupara/akupara/chunk"
)

// lineEnd is the length of the line that b starts with, its newline included;
// -1 where b holds no newline.
func (c *Cutter) lineEnd(b []byte) int {
	if c.width == 1 {
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return i + 1
		}
		return -1
	}
	return chunk.LineEnd(b, c.rules.Encoding)
}

// lastLineEnd is the offset past the last newline in b, which starts with a
// whole unit; 0 where there is none.
func (c *Cutter) lastLineEnd(b []byte) int {
	if c.width == 1 {
		return bytes.LastIndexByte(b, '\n') + 1
	}
	low, other := 0, 1 // where a unit's bytes are
	if c.bigEndian {
		low, other = 1, 0
	}
	for end := len(b) &^ 1; end > 0; {
		i := bytes.LastIndexByte(b[:end], '\n')
		if i < 0 {
			return 0
		}
		end = i &^ 1
		if b[end+low] == '\n' && b[end+other] == 0 {
			return end + 2
		}
	}
	return 0
}

// LastLineEnd is the offset past the last newline in b, which starts with a
// whole character; 0 where there is none.
func (c *Cutter) LastLineEnd(b []byte) int { return c.lastLineEnd(b) }

// Align returns the last offset at or below off, counted from where the text
// begins, that is between two character units.
func (c *Cutter) Align(off int64) int64 { return off - off%int64(c.width) }

// charEnd is how much of data, which has more than max bytes and starts with a
// character, makes a part of a record: at most max, and whole characters as far
// as max bytes tell.
func (c *Cutter) charEnd(data []byte) int {
	n := c.max
	switch {
	case c.width == 2:
		high := data[n-1]
		if c.bigEndian {
			high = data[n-2]
		}
		if high&0xfc == 0xd8 { // the first half of a pair of surrogates
			n -= 2
		}
	case c.dec != nil:
		if whole := c.dec.Whole(data[:n]); whole > 0 {
			n = whole
		}
	default:
		for i := n - 1; i >= max(0, n-utf8.UTFMax+1); i-- {
			if utf8.RuneStart(data[i]) {
				if !utf8.FullRune(data[i:n]) {
					n = i
				}
				break
			}
		}
	}
	return n
}

// starts reports whether the line that data starts with starts a record. It is
// not sure while the line is not whole.
func (c *Cutter) starts(data []byte, flush Flush) (yes, sure bool) {
	n := c.lineEnd(data)
	if n >= 0 {
		data = data[:n]
	}
	return c.startsLine(data, n >= 0 || flush == Always)
}

func (c *Cutter) startsLine(line []byte, whole bool) (yes, sure bool) {
	ahead := c.ahead()
	if !whole && len(line) < ahead {
		return false, false
	}
	if c.rules.Indented {
		return !c.indented(line), true
	}
	return c.matches(line[:min(len(line), ahead)]), true
}

func (c *Cutter) indented(line []byte) bool {
	if len(line) < c.width {
		return false
	}
	char := line[0]
	if c.width == 2 {
		high := line[1]
		if c.bigEndian {
			char, high = high, char
		}
		if high != 0 {
			return false
		}
	}
	return char == ' ' || char == '\t'
}

// matches matches a line, without its end and a byte order mark, with the one
// pattern there is.
func (c *Cutter) matches(line []byte) bool {
	if c.width == 1 {
		if n := len(line); n > 0 && line[n-1] == '\n' {
			line = line[:n-1]
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if c.dec == nil && !c.match.endsWell(line) {
			return false
		}
		if yes, sure := c.match.ascii(line); sure {
			return yes
		}
		return c.match.re.Match(bytes.TrimPrefix(c.dec.Text(line), []byte("\ufeff")))
	}
	text := bytes.TrimPrefix(c.dec.Text(line), []byte("\ufeff"))
	text = bytes.TrimSuffix(text, []byte("\n"))
	return c.match.match(bytes.TrimSuffix(text, []byte("\r")))
}
