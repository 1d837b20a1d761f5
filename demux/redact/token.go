package redact

import (
	"bytes"
)

// names are what the keys of secrets end with, in lower case, without what stands between
// their words.
var names = [...]string{
	"password", "passwd", "passphrase", "passcode", "pwd", "secret", "token", "apikey", "accesskey", "secretkey", "privatekey",
	"accesskeyid", "sessionid", "sharedkey", "authkey", "credential", "credentials", "authorization", "signature", "cookie",
}

// Names has what follows one of these keys, and a colon or an equals sign, redacted, too:
// for texts that were not parsed.
func (r *Redactor) Names(keys []string) {
	for _, k := range keys {
		if n := normal(nil, []byte(k)); len(n) > 0 {
			r.names = append(r.names, n)
		}
	}
	var ends [256]bool
	for _, n := range r.names {
		c := n[len(n)-1]
		ends[c], ends[upper(c)] = true, true
	}
	by := func(sign string) pass {
		return pass{other, func(s []byte, from int) (int, int) { return valued(s, from, sign, &ends, r.isName, all) }}
	}
	r.passes = append([]pass{by("="), by(":")}, r.passes...)
}

func upper(c byte) byte {
	if isLetter(c) {
		return c &^ 0x20
	}
	return c
}

func (r *Redactor) isName(key []byte) bool {
	for _, n := range r.names {
		if bytes.Equal(key, n) {
			return true
		}
	}
	return false
}

// named returns what finds the value of a key that says that it is a secret, behind one
// of the signs: password=…, "apiKey": "…".
func named(sign string) func(s []byte, from int) (first, last int) {
	return func(s []byte, from int) (first, last int) {
		return valued(s, from, sign, &nameEnds, isSecret, telling)
	}
}

// IsSecret reports whether a column of that name has what a Token is.
func IsSecret(column string) bool {
	n := normal(nil, []byte(column))
	return len(n) > 0 && isSecret(n)
}

// Secret is Redact for a value of a column that IsSecret.
func (r *Redactor) Secret(s []byte) (out []byte, found bool) {
	if len(s) == 0 || !telling(s) {
		return s, false
	}
	return r.swap(r.replace(r.next(), Token, s)), true
}

// nameEnds are the last letters of the names.
var nameEnds = func() (ends [256]bool) {
	for _, n := range names {
		c := n[len(n)-1]
		ends[c], ends[upper(c)] = true, true
	}
	return ends
}()

func isSecret(key []byte) bool {
	for _, n := range names {
		if len(key) >= len(n) && string(key[len(key)-len(n):]) == n {
			return true
		}
	}
	return false
}

// maxName is how much of a key is looked at, in bytes.
const maxName = 64

// normal appends a key in lower case, without what stands between its words.
func normal(dst, key []byte) []byte {
	for _, c := range key {
		switch {
		case isLetter(c):
			dst = append(dst, c|0x20)
		case isDigit(c), c >= 0x80:
			dst = append(dst, c)
		}
	}
	return dst
}

// valued finds a value behind one of some keys and a sign: keys that end with a letter
// of these, and whose normal form is one. Which values are meant, a function says.
func valued(s []byte, from int, sign string, ends *[256]bool, is, meant func([]byte) bool) (first, last int) {
	for i := index(s, from, sign); i < len(s); i = index(s, i+1, sign) {
		end := i
		for end > 0 && i-end < 4 && behindKey[s[end-1]] {
			end--
		}
		if end == 0 || !ends[s[end-1]] {
			continue
		}
		key := end
		for key > 0 && end-key < maxName && (inWord(s[key-1]) || s[key-1] == '-' || s[key-1] == '.' || s[key-1] >= 0x80) {
			key--
		}
		name := normal(make([]byte, 0, maxName), s[key:end])
		if len(name) == 0 || !is(name) {
			continue
		}
		if first, last = value(s, i+1, name); last > first && first >= from && meant(s[first:last]) {
			return first, last
		}
	}
	return -1, -1
}

// behindKey are the bytes that may stand between a key and its sign.
var behindKey = [256]bool{' ': true, '"': true, '\'': true, '\\': true, ']': true}

// value returns the place of the value that begins behind a key's sign. A scheme before
// it is none of it.
func value(s []byte, i int, name []byte) (first, last int) {
	for n := 0; n < 4 && (at(s, i) == ' ' || at(s, i) == '=' || at(s, i) == '>' || at(s, i) == '\t'); n++ {
		i++
	}
	first = i
	for at(s, first) == '\\' {
		first++
	}
	if q := at(s, first); q == '"' || q == '\'' {
		first++
		return first, quotedEnd(s, first, q)
	}
	first = i
	switch {
	case bytes.HasSuffix(name, []byte("cookie")): // a list
		for last = first; last < len(s) && s[last] != '\n' && s[last] != '"' && s[last] != '\''; last++ {
		}
		return first, last
	case bytes.HasSuffix(name, []byte("authorization")):
		word := first
		for isLetter(at(s, word)) {
			word++
		}
		if word > first && at(s, word) == ' ' && bareEnd(s, word+1) > word+1 {
			first = word + 1
		}
	}
	return first, bareEnd(s, first)
}

// all reports whether a value is no mask.
func all(v []byte) bool { return maskAt(v) != len(v) }

// telling reports whether a value tells something that is kept secret.
func telling(v []byte) bool {
	if maskAt(v) == len(v) || len(bytes.Trim(v, "*")) == 0 {
		return false
	}
	switch string(bytes.ToLower(v[:min(len(v), 10)])) {
	case "null", "nil", "none", "true", "false", "undefined", "-":
		return false
	}
	return true
}

// quotedEnd returns where quotes that were opened end: where the line does, if nothing
// closes them.
func quotedEnd(s []byte, i int, quote byte) int {
	for ; i < len(s) && s[i] != '\n'; i++ {
		switch {
		case s[i] == quote:
			return i
		case s[i] == '\\' && at(s, i+1) == quote && escapedEnd(s, i+2):
			return i
		case s[i] == '\\':
			i++
		}
	}
	return min(i, len(s))
}

// escapedEnd reports whether a value in escaped quotes may end before i: JSON in JSON.
func escapedEnd(s []byte, i int) bool {
	for at(s, i) == ' ' {
		i++
	}
	return i >= len(s) || bytes.IndexByte([]byte(`,}])\"`), s[i]) >= 0
}

// bareEnd returns where a value without quotes ends. A comma or a semicolon is a part
// of it where no key follows.
func bareEnd(s []byte, i int) int {
	i += maskAt(s[i:])
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || bytes.IndexByte([]byte(`"'<>)]}&|`), c) >= 0:
			return i
		case c == ',' || c == ';':
			if keyFollows(s, i+1) {
				return i
			}
		}
	}
	return i
}

// keyFollows reports whether s goes on with a blank, a quote, its end, or a key and its
// sign.
func keyFollows(s []byte, i int) bool {
	if c := at(s, i); c <= ' ' || c == '"' || c == '\'' {
		return true
	}
	for n := 0; n < maxName && (inWord(at(s, i)) || at(s, i) == '-' || at(s, i) == '.'); n++ {
		i++
	}
	return at(s, i) == '=' || at(s, i) == ':'
}

// bearer finds what follows the scheme of an Authorization header.
func bearer(s []byte, from int) (first, last int) {
	for i := max(from, 1); i < len(s); i++ {
		if s[i] != ' ' { // words are short: a search for the next one costs more
			continue
		}
		if c := s[i-1] | 0x20; c != 'r' && c != 'c' && c != 'e' {
			continue
		}
		for _, scheme := range [...]string{"bearer", "basic", "negotiate"} {
			k := i - len(scheme)
			if k < 0 || !bytes.EqualFold(s[k:i], []byte(scheme)) || inWord(before(s, k)) {
				continue
			}
			last = i + 1
			for inToken(at(s, last)) {
				last++
			}
			if i >= from && last-i > 8 && !wordAlone(s[i+1:last]) {
				return i + 1, last
			}
		}
	}
	return -1, -1
}

// wordAlone reports whether a text is a word of small letters, as "basic operations" is.
func wordAlone(s []byte) bool {
	for i, c := range s {
		if c < 'a' || c > 'z' {
			return c == '.' && i == len(s)-1
		}
	}
	return true
}

func inToken(c byte) bool { return inWord(c) || bytes.IndexByte([]byte("-._~+/="), c) >= 0 && c != 0 }

// userinfo finds the password in a URL: scheme://user:password@host.
func userinfo(s []byte, from int) (first, last int) {
	for i := from; i < len(s); {
		mark := bytes.Index(s[i:], []byte("://"))
		if mark < 0 {
			break
		}
		i += mark + 3
		first, last = -1, -1
		k := i
		for ; k < len(s) && k-i < 512 && s[k] > ' ' && bytes.IndexByte([]byte(`/?#"'<>`), s[k]) < 0; k++ {
			switch {
			case s[k] == ':' && first < 0:
				first = k + 1
			case s[k] == '@' && first >= 0:
				last = k
			}
		}
		if first >= from && last > first {
			if telling(s[first:last]) {
				return first, last
			}
		}
		i = k
	}
	return -1, -1
}

// privateKey finds a private key in PEM, to its end or to that of the text.
func privateKey(s []byte, from int) (first, last int) {
	for i := from; i < len(s); {
		begin := bytes.Index(s[i:], []byte("-----BEGIN "))
		if begin < 0 {
			break
		}
		first = i + begin
		i = first + len("-----BEGIN ")
		head := s[i:min(len(s), i+64)]
		if !bytes.Contains(head, []byte("PRIVATE KEY")) {
			continue
		}
		last = len(s)
		if end := bytes.Index(s[i:], []byte("-----END ")); end >= 0 {
			last = i + end + len("-----END ")
			if dashes := bytes.Index(s[last:min(len(s), last+64)], []byte("-----")); dashes >= 0 {
				last += dashes + len("-----")
			}
		}
		return first, last
	}
	return -1, -1
}
