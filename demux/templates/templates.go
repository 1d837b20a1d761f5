// Package templates finds what is the same in messages of one kind: a template is
// a message with its variables replaced by <*>, and says which statement of a
// program wrote it. It is a function of the message alone, so that it is the same
// in every run, on every machine and in whatever order messages come; DESIGN.md
// says why, and what that costs.
package templates

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"unicode/utf8"
)

// Variable stands in a template for what varies.
const Variable = "<*>"

// maxScan is how much of a message is looked at, in bytes. What is beyond it is a
// variable.
const maxScan = 1 << 10

// Append appends the template of a message, of which the first line that is not
// blank counts. A blank message has none: nothing is appended. What it appends is
// valid UTF-8 if the message is, and at most 3 KiB.
func Append(dst, message []byte) []byte {
	line, cut := firstLine(message)
	s := scanner{in: line, out: dst}
	s.scan()
	s.flush(len(line))
	if cut && s.joins {
		s.out = s.out[:s.end]
	} else if cut {
		s.out = append(s.out, ' ')
		s.out = append(s.out, Variable...)
	}
	for n := len(s.out); n > len(dst) && s.out[n-1] == ' '; n-- {
		s.out = s.out[:n-1]
	}
	return s.out
}

// firstLine returns the first line that is not blank, or its begin: cut says so.
func firstLine(message []byte) (line []byte, cut bool) {
	line = message
	for len(line) > 0 && class[line[0]]&blank != 0 {
		line = line[1:]
	}
	limit := min(len(line), maxScan)
	if n := bytes.IndexByte(line[:limit], '\n'); n >= 0 {
		return line[:n], false
	}
	if limit == len(line) {
		return line, false
	}
	// A word that is cut in two would be another word.
	for limit > maxScan-128 && class[line[limit]]&blank == 0 {
		limit--
	}
	for limit > 0 && !utf8.RuneStart(line[limit]) {
		limit--
	}
	return line[:limit], true
}

// None reports whether a message is blank.
func None(message []byte) bool {
	for _, b := range message {
		if class[b]&blank == 0 {
			return false
		}
	}
	return true
}

// ID returns the id of a template: the first 16 hexadecimal digits of its SHA-256, so
// that every engine can make it.
func ID(template []byte) (id [16]byte) {
	sum := sha256.Sum256(template)
	hex.Encode(id[:], sum[:8])
	return id
}
