// Package words reads words of lines: what they start with, and what a word may be.
package words

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// IsName reports whether w may be a logger's name: no spaces, and not long.
func IsName(w []byte) bool {
	return len(w) > 0 && len(w) <= 200 && !bytes.ContainsAny(w, " {}\"=")
}

// IsClass reports whether w looks like a class with its package.
func IsClass(w []byte) bool {
	return IsName(w) && w[0] >= 'a' && w[0] <= 'z' && bytes.IndexByte(w, '.') > 0 && !bytes.ContainsAny(w, "/:")
}

// IsCaller reports whether w is a file and a line: server/http.go:123.
func IsCaller(w []byte) bool {
	i := bytes.LastIndexByte(w, ':')
	return IsName(w) && i > 0 && IsNumber(w[i+1:]) && bytes.IndexByte(w[:i], '.') > 0
}

// First is what s starts with, up to a space.
func First(s []byte) []byte {
	if i := bytes.IndexByte(s, ' '); i >= 0 {
		return s[:i]
	}
	return s
}

// UpToBlank is what s starts with, up to a space, a tab or a line's end.
func UpToBlank(s []byte) []byte {
	if i := bytes.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}

// IsNumber reports whether a word is digits alone.
func IsNumber(w []byte) bool {
	for _, c := range w {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(w) > 0
}

// Brackets returns the length of the brackets that s starts with, those within
// them included; 0 if they are not closed.
func Brackets(s []byte) int {
	depth := 0
	for i, c := range s {
		switch c {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

// IsDecimal reports whether w is a number with a point.
func IsDecimal(w []byte) bool {
	whole, fraction, ok := bytes.Cut(w, []byte("."))
	return ok && IsNumber(whole) && IsNumber(fraction)
}

// IsWord reports whether a word is letters, digits and underscores.
func IsWord(w []byte) bool {
	for _, c := range w {
		if c != '_' && !times.LetterOrDigit(c) {
			return false
		}
	}
	return len(w) > 0
}

// IsUpper reports whether a word has no small letters.
func IsUpper(w []byte) bool {
	for _, c := range w {
		if c >= 'a' && c <= 'z' {
			return false
		}
	}
	return true
}

// IsCapitals reports whether w is nothing but capital letters: a word that a program
// writes behind its time, and no host.
func IsCapitals(w []byte) bool {
	for _, c := range w {
		if c < 'A' || c > 'Z' {
			return false
		}
	}
	return len(w) > 0
}

// Tag reads "app[pid]: ", "app: " or "app version: " at the start of s.
func Tag(s []byte) (app, pid []byte, n int) {
	const longest = 128
	if bytes.HasPrefix(s, []byte("-- ")) { // login's
		n = len("-- ")
	}
	for n < len(s) && n < longest && s[n] > ' ' && s[n] != ':' && s[n] != '[' {
		n++
	}
	if n == 0 || n == len(s) {
		return nil, nil, 0
	}
	app = s[:n]
	if s[n] == ' ' { // "syslogd 1.4.1: restart."
		i, dots := n+1, 0
		for i < len(s) && i < longest && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
			if s[i] == '.' {
				dots++
			}
			i++
		}
		if dots == 0 || i == len(s) || s[i] != ':' {
			return nil, nil, 0
		}
		return s[:i], nil, i + 1
	}
	if s[n] == '[' {
		end := bytes.IndexByte(s[n:min(len(s), n+longest+1)], ']')
		if end < 0 {
			return nil, nil, 0
		}
		pid = s[n+1 : n+end]
		n += end + 1
	}
	if n < len(s) && s[n] == ':' && (n+1 == len(s) || s[n+1] == ' ') {
		return app, pid, n + 1
	}
	if pid != nil {
		if n < len(s) && s[n] == ':' { // Huawei's
			n++
		}
		return app, pid, n
	}
	return nil, nil, 0
}

func IsHex(w []byte) bool {
	for i := range w {
		if HexDigit(w[i]) < 0 {
			return false
		}
	}
	return len(w) > 0
}

// HexDigit returns the value of a hexadecimal digit; -1 if c is none.
func HexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
