package parse

import "bytes"

// escape begins the sequences ESC [ … m that colour a text on a terminal.
const escape = 0x1b

// colourful is a format that takes records with their colours: it keeps them in
// messages, or takes them off itself. All others get records without.
type colourful interface{ keepsColours() }

// uncoloured appends a text without its colours.
func uncoloured(dst, s []byte) []byte {
	for {
		i := bytes.IndexByte(s, escape)
		if i < 0 {
			return append(dst, s...)
		}
		dst = append(dst, s[:i]...)
		n := colour(s[i:])
		if n == 0 {
			dst = append(dst, escape)
			n = 1
		}
		s = s[i+n:]
	}
}

// colour returns the length of the sequence that s starts with; 0 if it is of another kind.
func colour(s []byte) int {
	if len(s) < 3 || s[1] != '[' {
		return 0
	}
	n := 2
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == ';' || s[n] == ':') {
		n++
	}
	if n == len(s) || s[n] != 'm' && s[n] != 'K' { // K: grep and others clear the line behind a colour
		return 0
	}
	return n + 1
}

// unspelled takes colours off both ends of a text that a writer has spelled out as
// JSON has them: \u001b[32m.
func unspelled(s []byte) []byte {
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

// give gives a record to a format, without its colours where it wants none.
func (r *reader) give(f format, rec []byte) {
	if bytes.IndexByte(rec, escape) < 0 {
		f.record(r, rec)
		return
	}
	if _, keeps := f.(colourful); keeps {
		f.record(r, rec)
		return
	}
	plain := uncoloured(nil, rec)
	if len(plain) == 0 {
		f.record(r, rec)
		return
	}
	r.coloured, r.plain = rec, plain
	f.record(r, plain)
	r.coloured, r.plain = nil, nil
}

// original returns a record as it was written, where it is one that give took the
// colours off.
func (r *reader) original(rec []byte) []byte {
	if n := len(r.plain); n > 0 && len(rec) == n && &rec[0] == &r.plain[0] {
		return r.coloured
	}
	return rec
}

func (rawFormat) keepsColours()         {}
func (*autoFormat) keepsColours()       {}
func (*criFormat) keepsColours()        {}
func (*log4jFormat) keepsColours()      {}
func (*dissectFormat) keepsColours()    {}
func (*expressionFormat) keepsColours() {}
