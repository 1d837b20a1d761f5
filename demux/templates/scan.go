package templates

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// scanner makes a template of a line. It reads atoms, the pieces between blanks and
// borders, and decides of each whether it is a variable.
type scanner struct {
	in    []byte
	i     int
	plain int // where what was read begins that is not in out yet: it is no variable
	out   []byte

	// joins says that there is a variable, and that all behind it may be a part of it.
	// It ends at end in out.
	joins  bool
	end    int
	number bool // the last variable is a number

	assigned bool    // the last thing read is the = of an assignment
	before   [2]kind // of the last words, without what is between them
}

func (s *scanner) scan() {
	for s.i < len(s.in) {
		b := s.in[s.i]
		switch c := class[b]; {
		case c&blank != 0:
			s.blanks()
		case c&border != 0:
			s.border(b)
		case s.assigned:
			s.assignment()
		case b == '.' && s.byteAt(s.i+1) == '.':
			s.i = s.dots()
			s.joins = false
		case !s.words():
			s.atom()
		}
	}
}

// words reads plain words with single spaces between them, which most of a line is, as
// atom does it, only faster. It reports whether there was one.
func (s *scanner) words() (read bool) {
	for in := s.in; ; {
		from := s.i
		end := letters(in, from)
		n := end - from
		if n < 1 || n >= 8 && (n > maxName || isHexa(in[from:end])) || end < len(in) && !endsWord(in[end]) || s.before[1]&(thing|aim) != 0 {
			return read
		}
		k := kindOf(in[from:end])
		if k&(value|unit|calendar) != 0 {
			return read
		}
		read, s.joins = true, false
		s.before[0], s.before[1] = s.before[1], k
		if s.i = end; end+1 >= len(in) || in[end] != ' ' || !isLetter(in[end+1]) {
			return true
		}
		s.i++
	}
}

// endsWord reports whether a byte ends a word of letters, whatever is behind it.
func endsWord(b byte) bool { return class[b]&(blank|border) != 0 && b != ':' && b != '\'' }

// letters returns where a run of ASCII letters ends, with eight looked at in one go.
func letters(in []byte, i int) int {
	for ; i+8 <= len(in); i += 8 {
		const all, high = 0x0101010101010101, 0x8080808080808080
		x := binary.LittleEndian.Uint64(in[i:])
		low := x&^high | 0x20*all                                          // letters in lower case; no byte carries into the next
		is := (low + (0x80-'a')*all) &^ (low + (0x7f-'z')*all) &^ x & high // from a up to z
		if is != high {
			return i + bits.TrailingZeros64(is^high)/8
		}
	}
	for i < len(in) && isLetter(in[i]) {
		i++
	}
	return i
}

func isLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// isHexa reports whether all letters are ones that hexadecimal texts have.
func isHexa(w []byte) bool {
	for _, b := range w {
		if class[b]&hexa == 0 {
			return false
		}
	}
	return true
}

// blanks reads blanks, of which there is one space in the template.
func (s *scanner) blanks() {
	from := s.i
	s.i++
	if s.in[from] == ' ' && !s.is(s.i, blank) {
		return
	}
	s.i = s.skip(s.i, blank)
	s.flush(from)
	s.out = append(s.out, ' ')
	s.plain = s.i
}

// flush takes what is no variable, up to an index, into the template.
func (s *scanner) flush(to int) { s.out = append(s.out, s.in[s.plain:to]...) }

// variable makes of what was read from an index on a variable, or a part of the last
// one.
func (s *scanner) variable(from int, number bool) {
	s.assigned, s.number = false, number
	s.before[0], s.before[1] = s.before[1], 0
	if s.joins {
		s.out = s.out[:s.end]
	} else {
		s.flush(from)
		s.out = append(s.out, Variable...)
		s.joins, s.end = true, len(s.out)
	}
	s.plain = s.i
}

// byteAt returns a byte of the line; beyond its end a blank.
func (s *scanner) byteAt(i int) byte {
	if i < 0 || i >= len(s.in) {
		return ' '
	}
	return s.in[i]
}

func (s *scanner) is(i int, c uint8) bool { return class[s.byteAt(i)]&c != 0 }

// border reads a border.
func (s *scanner) border(b byte) {
	at := s.i
	s.i++
	switch b {
	case '=':
		s.equals(at)
		return
	case '(', '[', '{':
		if s.is(at-1, blank) && closes(b, s.byteAt(s.i)) {
			s.joins = false
			s.variable(s.i, false) // of which nothing is there
			return
		}
	case '"', '\'':
		if s.quoted(b) {
			return
		}
	case '<':
		if s.is(s.i, digit) && s.is(at-1, blank) && s.less(at) {
			return
		}
	}
	s.assigned = false
	if class[b]&joining == 0 {
		s.joins = false
		s.before = [2]kind{}
	}
}

// closes reports whether a bracket closes another one.
func closes(open, b byte) bool {
	return open == '(' && b == ')' || open == '[' && b == ']' || open == '{' && b == '}'
}

// equals reads an =, and what was assigned if that is nothing.
func (s *scanner) equals(at int) {
	before, next := s.byteAt(at-1), s.byteAt(s.i)
	s.assigned = next != '=' && next != '>' && before != '!' &&
		(class[before]&border == 0 || before == ')' || before == ']' || before == '"' || before == '\'')
	if !s.assigned || class[before]&blank != 0 {
		return
	}
	i := s.skip(s.i, blank)
	switch c := s.byteAt(i); {
	case i == len(s.in), c == ',', c == ';', c == ')', c == ']', c == '}', i > s.i && s.byteAt(s.atomEnd(i)) == '=':
		s.variable(s.i, false)
	}
}

// skip returns where bytes of some classes end.
func (s *scanner) skip(i int, c uint8) int {
	for i < len(s.in) && class[s.in[i]]&c != 0 {
		i++
	}
	return i
}

// atomEnd returns where the atom at i ends.
func (s *scanner) atomEnd(i int) int {
	for i < len(s.in) && class[s.in[i]]&(blank|border) == 0 {
		i++
	}
	return i
}

// less reads a number behind a <, which is a part of it: "<1 sec". It reports whether
// there is one.
func (s *scanner) less(at int) bool {
	end := s.atomEnd(s.i)
	if b := s.byteAt(end); b == '>' || b == ':' {
		return false
	}
	number := s.skip(s.i, digit) == end
	s.i = end
	s.variable(at, number)
	return true
}

// quoted reads what is in quotes, of which the first is read: a value that was
// assigned, or one word. Else it is left to be read by and by.
func (s *scanner) quoted(q byte) bool {
	n := bytes.IndexByte(s.in[s.i:], q)
	if n <= 0 || !s.assigned && bytes.IndexByte(s.in[s.i:s.i+n], ' ') >= 0 {
		return false
	}
	from := s.i
	end := from + n
	next := s.byteAt(end + 1)
	if class[next]&(blank|border) == 0 && next != '.' {
		return false
	}
	s.joins = false
	if next != ':' || s.assigned { // else it is a key of JSON
		s.i = end
		s.variable(from, false)
		s.joins = false
	}
	s.i = end + 1
	return true
}

// dots returns where a leader of dots ends.
func (s *scanner) dots() int {
	i := s.i
	for s.byteAt(i) == '.' {
		i++
	}
	return i
}

// assignment reads the value that was assigned: up to a blank, an ampersand, or a
// border other than a colon and a bar.
func (s *scanner) assignment() {
	from := s.i
	for ; s.i < len(s.in); s.i++ {
		b := s.in[s.i]
		if b == '&' || class[b]&(blank|border) != 0 && b != ':' && b != '|' {
			break
		}
	}
	s.variable(from, false)
}
