package templates

import "bytes"

// atom reads an atom, a variable behind whose begin there are borders, or nothing but
// punctuation.
func (s *scanner) atom() {
	from := s.i
	end, classes, special := s.read()
	if end < len(s.in) && s.in[end] == ':' {
		if end := s.beyondColon(from, end); end > 0 {
			s.i = end
			s.variable(from, false)
			return
		}
	}
	for end > from+1 && trails(s.in[end-1]) {
		end--
	}
	s.i = end
	w := s.in[from:end]
	switch {
	case classes&digit != 0:
		s.variable(from, classes&(letter|hexa) == 0)
		return
	case classes&alnum == 0:
		s.joins = s.joins && joins(w)
		return
	}
	k := kindOf(w)
	if special && isPathOrName(w) || s.varies(w, k, classes) {
		s.variable(from, false)
		return
	}
	s.joins = false
	s.before[0], s.before[1] = s.before[1], k
}

// trails reports whether a byte at an atom's end is no part of it.
func trails(b byte) bool { return b == '.' || b == '!' || b == '?' || b == '-' }

// read returns where the atom ends, of which classes its bytes are, and whether there
// are special ones.
func (s *scanner) read() (end int, classes uint8, specials bool) {
	in, from := s.in, s.i
	for i := from; i < len(in); i++ {
		c := class[in[i]]
		if c&(blank|border|special) == 0 {
			classes |= c
			continue
		}
		switch b := in[i]; {
		case c&special == 0:
			if b != '\'' || i == from || !s.is(i-1, letter|hexa) || !s.is(i+1, letter|hexa) { // "can't" is a word
				return i, classes, specials
			}
		case b == '.' && s.byteAt(i+1) == '.' && s.byteAt(i-1) != '/':
			return i, classes, specials
		case b == '@':
			if i > from && s.is(i+1, alnum) {
				classes |= digit // an address is a variable
			}
		case b == '?':
			if specials {
				i = s.urlEnd(i) - 1
			}
		default:
			specials = true
		}
	}
	return len(in), classes, specials
}

// joins reports whether something may stand between two parts of one variable.
func joins(w []byte) bool {
	for _, b := range w {
		if class[b]&joining == 0 {
			return false
		}
	}
	return true
}

// urlEnd returns where a word ends that borders do not end, but quotes and brackets.
func (s *scanner) urlEnd(i int) int {
	for ; i < len(s.in) && class[s.in[i]]&blank == 0; i++ {
		switch s.in[i] {
		case '"', '\'', '<', '>', ')', ']', '}':
			return i
		}
	}
	return i
}

// beyondColon returns where a variable ends of which an atom is the begin, and a
// colon follows: a URL, a path of Windows, an address. It is 0 if there is none.
func (s *scanner) beyondColon(from, end int) int {
	next := s.byteAt(end + 1)
	if next == '/' && s.byteAt(end+2) == '/' || next == '\\' && end == from+1 {
		return s.urlEnd(end)
	}
	return s.colons(from)
}

// colons returns where a hardware or an IPv6 address ends; 0 if none begins here.
func (s *scanner) colons(from int) int {
	n, digits := 0, false
	for i := from; ; i++ {
		b := s.byteAt(i)
		switch c := class[b]; {
		case b == ':':
			n++
		case c&digit != 0, b == '.', b == '%', b == '/':
			digits = true
		case c&hexa == 0:
			if n >= 2 && digits && c&(blank|border) != 0 {
				return i
			}
			return 0
		}
	}
}

// maxName is the most bytes of a word that is no variable.
const maxName = 64

// varies reports whether a word is a variable.
func (s *scanner) varies(w []byte, k kind, classes uint8) bool {
	switch {
	case len(w) > maxName, classes&letter == 0 && len(w) >= 8: // the latter is hexadecimal
		return true
	case k == 0:
	case k&value != 0:
		return true
	case k&unit != 0 && s.number && s.joins && s.i-len(w)-s.plain <= 1:
		return true
	case k&calendar != 0:
		return s.dated()
	}
	return s.before[1]&(thing|aim) != 0 && s.named(w, k)
}

// isPathOrName reports whether a word with slashes or points is a path, or the name of
// a host, a class or a file.
func isPathOrName(w []byte) bool {
	slashes := bytes.Count(w, []byte{'/'}) + bytes.Count(w, []byte{'\\'})
	switch {
	case slashes < 2 && bytes.Count(w, []byte{'.'}) > 1 && isName(w):
		return true
	case slashes == 0:
		return false
	case w[0] == '/':
		return len(w) > 1
	case w[0] == '\\':
		return slashes > 2
	}
	return slashes > 1 || w[0] == '.' || w[0] == '~'
}

// isName reports whether a word with points is such a name. Those of exceptions say what happened, so they are none.
func isName(w []byte) bool {
	if bytes.HasSuffix(w, []byte("Exception")) || bytes.HasSuffix(w, []byte("Error")) {
		return false
	}
	for i, b := range w { // "e.g"
		if i%2 == 1 && b != '.' {
			return true
		}
	}
	return false
}

// dated reports whether what is around the name of a month or a weekday makes a date
// of it.
func (s *scanner) dated() bool {
	i := s.skip(s.i, joining)
	return s.joins || s.is(i, digit) || i+3 <= len(s.in) && kindOf(s.in[i:i+3])&calendar != 0
}

// named reports whether a word is the name of what the words before it say.
func (s *scanner) named(w []byte, k kind) bool {
	last, other := s.before[1], s.before[0]
	switch {
	case s.byteAt(s.i) == ':', s.byteAt(s.i) == '(':
		return false
	case last&thing != 0 && other&leading != 0, last&aim != 0 && other&subject != 0:
		return mayName(w, k)
	case last&user != 0 && k&ofUser == 0:
		i := s.skip(s.i, blank)
		next := s.in[i:s.atomEnd(i)]
		return mayName(w, k) && len(next) > 0 && !mayName(next, kindOf(next))
	}
	return false
}
