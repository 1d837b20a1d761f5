// Package redact finds what must not be kept in texts (addresses of e-mail and of the
// Internet, card numbers, tokens and passwords, and what patterns say) and puts a mask
// or a hash in its place. All of it takes time in proportion to the text.
package redact

import (
	"bytes"
	"regexp"
)

// Kind is what a text may hold.
type Kind string

// The kinds that are found without a pattern.
const (
	Email Kind = "email"
	Card  Kind = "card"
	Token Kind = "token"
	IP    Kind = "ip"

	other Kind = "redacted" // what a pattern finds, and whole values
)

// Kinds are those that are found without a pattern, in the order in which they are
// looked for: what one has found is no more of another.
var Kinds = []Kind{Token, Email, Card, IP}

// find returns the first place in s that begins at from or behind it; first is
// negative where there is none.
type find func(s []byte, from int) (first, last int)

var finds = map[Kind][]find{
	Token: {privateKey, named("="), named(":"), bearer, userinfo, prefixed},
	Email: {emailBy("@"), emailBy("%40")},
	Card:  {card},
	IP:    {ipv6, ipv4},
}

// Pattern is a regular expression. Of a match it has groups in, these are meant.
type Pattern struct {
	Regexp *regexp.Regexp
	// Match reports whether there is a match, faster than Regexp does; nil: it does.
	Match func(s []byte) bool
}

// Redactor redacts texts. It is not safe for concurrent use.
type Redactor struct {
	passes   []pass
	patterns []Pattern
	hash     *Hasher // nil: masks
	names    [][]byte

	out, from, plain []byte
}

type pass struct {
	kind Kind
	find find
}

// New makes a Redactor of what is of these kinds, or matches one of the patterns. Hashes
// stand instead of it; masks, where hash is nil.
func New(kinds []Kind, patterns []Pattern, hash *Hasher) *Redactor {
	r := &Redactor{patterns: patterns, hash: hash}
	for _, k := range Kinds {
		for _, given := range kinds {
			if given == k {
				for _, f := range finds[k] {
					r.passes = append(r.passes, pass{k, f})
				}
				break
			}
		}
	}
	return r
}

// maxRounds bounds how often a text is gone through until nothing is found.
const maxRounds = 4

// Redact returns the text without what was found, and whether that was anything. The
// result is s itself, or valid until the next call.
func (r *Redactor) Redact(s []byte) (out []byte, found bool) {
	// What an escape of JSON hides is found as well: in a text that was not parsed.
	if plain, escaped := unescape(r.plain[:0], s); escaped {
		r.plain = plain
		if out, found := r.rounds(plain); found {
			return out, true
		}
	}
	return r.rounds(s)
}

func (r *Redactor) rounds(s []byte) (out []byte, found bool) {
	for range maxRounds {
		next, again := r.round(s)
		if !again {
			return s, found
		}
		s, found = next, true
	}
	return r.swap(r.replace(r.next(), other, s)), true // what stands instead is found anew each time
}

// round goes through the text once for each thing that it looks for.
func (r *Redactor) round(s []byte) (out []byte, found bool) {
	for _, p := range r.passes {
		first, last := p.find(s, 0)
		if first < 0 {
			continue
		}
		into, at := r.next(), 0
		for first >= 0 {
			into = append(into, s[at:first]...)
			into = r.replace(into, p.kind, s[first:last])
			at = last
			first, last = p.find(s, at)
		}
		s, found = r.swap(append(into, s[at:]...)), true
	}
	for i := range r.patterns {
		if again, ok := r.matches(&r.patterns[i], s); ok {
			s, found = again, true
		}
	}
	return s, found
}

// next returns the room for a text that is made of the present one, which is in the
// other room, if in any.
func (r *Redactor) next() []byte { return r.from[:0] }

func (r *Redactor) swap(made []byte) []byte {
	r.out, r.from = made, r.out
	return made
}

// matches redacts what a pattern matches.
func (r *Redactor) matches(p *Pattern, s []byte) (out []byte, found bool) {
	if p.Match != nil && !p.Match(s) {
		return s, false
	}
	into, at := r.next(), 0
	put := func(first, last int) {
		if first < at || first == last || masked(s, first, last) {
			return
		}
		into = append(into, s[at:first]...)
		into = r.replace(into, other, s[first:last])
		at, found = last, true
	}
	for _, m := range p.Regexp.FindAllSubmatchIndex(s, -1) {
		if len(m) == 2 {
			put(m[0], m[1])
		}
		for g := 2; g < len(m); g += 2 {
			if m[g] >= 0 {
				put(m[g], m[g+1])
			}
		}
	}
	if !found {
		return s, false
	}
	return r.swap(append(into, s[at:]...)), true
}

// Whole returns what stands instead of a whole value. It is valid until the next call.
func (r *Redactor) Whole(s []byte) []byte {
	if n := maskAt(s); n > 0 && n == len(s) {
		return s
	}
	if r.hash != nil {
		r.out = r.hash.Append(r.out[:0], s)
		return r.out
	}
	r.out = r.replace(r.out[:0], other, s)
	return r.out
}

// replace appends what stands instead of a text.
func (r *Redactor) replace(dst []byte, k Kind, s []byte) []byte {
	dst = append(append(dst, '['), k...)
	switch {
	case r.hash != nil:
		dst = r.hash.Append(append(dst, ':'), canonical(k, s))
	case k == Card:
		dst = append(dst, " *"...)
		digits := canonical(k, s)
		dst = append(dst, digits[len(digits)-4:]...)
	}
	return append(dst, ']')
}

const maxMask = len("[redacted:]") + hashLen

// maskAt returns the length of the mask, or of the hash in brackets, that s begins
// with; 0 where it begins with none.
func maskAt(s []byte) int {
	if len(s) == 0 || s[0] != '[' {
		return 0
	}
	for _, k := range append([]Kind{other}, Kinds...) {
		rest, ok := bytes.CutPrefix(s[1:], []byte(k))
		if !ok || len(rest) == 0 {
			continue
		}
		switch n := 1 + len(k); {
		case rest[0] == ']':
			return n + 1
		case k == Card && len(rest) > 6 && rest[0] == ' ' && rest[1] == '*' && rest[6] == ']':
			return n + 7
		case rest[0] == ':' && len(rest) > hashLen+1 && isHash(rest[1:1+hashLen]) && rest[1+hashLen] == ']':
			return n + hashLen + 2
		}
	}
	return 0
}

// masked reports whether a part of s belongs to a mask.
func masked(s []byte, first, last int) bool {
	least := max(0, first-maxMask)
	open := bytes.LastIndexByte(s[least:first+1], '[')
	return open >= 0 && least+open+maskAt(s[least+open:]) >= last
}

// unescape appends s without JSON's escapes of characters that need none, and reports
// whether there were any.
func unescape(dst, s []byte) ([]byte, bool) {
	i := bytes.IndexByte(s, '\\')
	if i < 0 {
		return dst, false
	}
	escaped, at := false, 0
	for ; i >= 0 && i < len(s); i++ {
		if s[i] != '\\' {
			next := bytes.IndexByte(s[i:], '\\')
			if next < 0 {
				break
			}
			i += next
		}
		c, n := escape(s[i:])
		if n > 0 && c > 0 {
			dst = append(append(dst, s[at:i]...), c)
			at, escaped = i+n, true
		}
		i += max(n, 1) - 1
	}
	return append(dst, s[at:]...), escaped
}

// escape returns the length of the escape that s begins with, and its character where
// that would stand there as well without.
func escape(s []byte) (c byte, n int) {
	switch {
	case len(s) > 1 && s[1] == '/':
		return '/', 2
	case len(s) > 5 && s[1] == 'u' && s[2] == '0' && s[3] == '0':
		c := hexDigit(s[4])<<4 | hexDigit(s[5])
		if hexDigit(s[4]) > 7 || hexDigit(s[5]) > 15 || c < ' ' || c == '"' || c == '\\' || c == 0x7f {
			return 0, 2
		}
		return c, 6
	}
	return 0, 2
}

func hexDigit(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case c >= 'a' && c <= 'f', c >= 'A' && c <= 'F':
		return c&^0x20 - 'A' + 10
	}
	return 255
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func isLetter(c byte) bool { return c|0x20-'a' < 26 }

// inWord reports whether c is part of a word: a letter, a digit or a low line.
func inWord(c byte) bool { return isDigit(c) || isLetter(c) || c == '_' }

func before(s []byte, i int) byte {
	if i > 0 {
		return s[i-1]
	}
	return 0
}

func at(s []byte, i int) byte {
	if i < len(s) {
		return s[i]
	}
	return 0
}
