// Package colours takes the colours of terminals off texts.
package colours

import "bytes"

// Escape begins the sequences ESC [ … m that colour a text on a terminal.
const Escape = 0x1b

// Off appends a text without its colours.
func Off(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, Escape)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		n := Sequence(s[i:])
		if n == 0 {
			dst = append(dst, Escape)
			n = 1
		}
		s = s[i+n:]
	}
}

// Sequence returns the length of the sequence that s starts with; 0 if it is of another kind.
func Sequence(s []byte) int {
	if len(s) < 3 || s[1] != '[' {
		return 0
	}
	n := 2
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == ';' || s[n] == ':') {
		n++
	}
	if n == len(s) || s[n] != 'm' && (s[n] != 'K' || n > 2) { // K: grep and others clear the line behind a colour
		return 0
	}
	return n + 1
}

// Unspelled takes colours off both ends of a text that a writer has spelled out as
// JSON has them: \u001b[32m.
func Unspelled(s []byte) []byte {
	for n := spelled(s); n > 0; n = spelled(s) {
		s = bytes.TrimLeft(s[n:], " ")
	}
	for {
		i := bytes.LastIndexByte(s, '\\')
		if i < 0 || len(s)-i > 32 || i+spelled(s[i:]) != len(s) {
			return s
		}
		s = bytes.TrimRight(s[:i], " ")
	}
}

// spelled returns the length of such a sequence at the start of s; 0 if there is none.
func spelled(s []byte) int {
	for _, esc := range [...]string{`\u001b[`, `\u001B[`, `\x1b[`, `\x1B[`, `\033[`, `\e[`} {
		if !bytes.HasPrefix(s, []byte(esc)) {
			continue
		}
		for n := len(esc); n < len(s); n++ {
			switch c := s[n]; {
			case c == 'm':
				return n + 1
			case (c < '0' || c > '9') && c != ';':
				return 0
			}
		}
	}
	return 0
}
