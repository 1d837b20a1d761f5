package redact

import (
	"bytes"
	"net/netip"
	"unicode"
	"unicode/utf8"
)

const (
	maxLocal  = 256 // bytes, in any coding
	maxDomain = 255
)

// emailBy returns what finds an address of e-mail by its sign: @, which in a URL may be
// %40. One sign alone, so that what is looked for is near.
func emailBy(sign string) func(s []byte, from int) (first, last int) {
	return func(s []byte, from int) (first, last int) {
		for i := index(s, from, sign); i < len(s); i = index(s, i+1, sign) {
			behind := i + len(sign)
			first, last = local(s, from, i), behind+domain(s[behind:])
			if first < i && last > behind {
				return first, last
			}
		}
		return -1, -1
	}
}

// index returns where text is in s, from a place on; the end of s where it is not.
func index(s []byte, from int, text string) int {
	if i := bytes.Index(s[from:], []byte(text)); i >= 0 {
		return from + i
	}
	return len(s)
}

// local returns where the part before an @ begins: at the @ itself, where there is
// none.
func local(s []byte, from, sign int) int {
	least := max(from, sign-maxLocal)
	if sign > least && s[sign-1] == '"' { // in quotes
		if q := bytes.LastIndexByte(s[least:sign-1], '"'); q >= 0 && q < sign-2-least {
			return least + q
		}
		return sign
	}
	i := sign
	for i > least {
		c := s[i-1]
		switch {
		case c < utf8.RuneSelf && (inWord(c) || bytes.IndexByte([]byte(".+-%'~"), c) >= 0):
			i--
			continue
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeLastRune(s[least:i])
			if n > 0 && (unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) {
				i -= n
				continue
			}
		}
		break
	}
	for i < sign && bytes.IndexByte([]byte(".-'"), s[i]) >= 0 {
		i++
	}
	return i
}

// domain returns the length of the domain that s begins with: labels with dots between,
// of which the last is letters.
func domain(s []byte) int {
	end, labels, label := 0, 0, 0 // what is good so far, and where the present label begins
	for i := 0; i <= min(len(s), maxDomain); {
		r, n := rune(0), 1
		if i < len(s) {
			r, n = utf8.DecodeRune(s[i:])
		}
		if r != 0 && r != utf8.RuneError && (r == '-' || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r)) {
			i += n
			continue
		}
		stop := i
		for stop > label && s[stop-1] == '-' {
			stop--
		}
		if stop == label {
			break
		}
		if labels++; labels > 1 && top(s[label:stop]) {
			end = stop
		}
		if r != '.' {
			break
		}
		i++
		label = i
	}
	return end
}

// top reports whether a label may be a domain's last.
func top(label []byte) bool {
	if bytes.HasPrefix(bytes.ToLower(label), []byte("xn--")) {
		return true
	}
	for _, c := range label {
		if c < utf8.RuneSelf && !isLetter(c) {
			return false
		}
	}
	return len(label) > 1
}

// ipv4 finds an address of four numbers. What has more of them, or stands in a word, is
// a version or a name.
func ipv4(s []byte, from int) (first, last int) {
	for i := from; i < len(s); i++ {
		dot := bytes.IndexByte(s[i:], '.')
		if dot < 0 {
			break
		}
		i += dot
		first = i
		for first > from && i-first < 4 && isDigit(s[first-1]) {
			first--
		}
		if first == i || i-first > 3 {
			continue
		}
		if c := before(s, first); inWord(c) || c == '.' && first > 1 && isDigit(s[first-2]) {
			continue
		}
		if n := quad(s[first:]); n > 0 {
			return first, first + n
		}
	}
	return -1, -1
}

// quad returns the length of the address of four numbers that s begins with.
func quad(s []byte) int {
	i := 0
	for part := range 4 {
		if part > 0 {
			if at(s, i) != '.' {
				return 0
			}
			i++
		}
		n, digits := 0, 0
		for ; digits < 4 && isDigit(at(s, i)); digits++ {
			n = n*10 + int(s[i]-'0')
			i++
		}
		if digits == 0 || digits > 3 || n > 255 {
			return 0
		}
	}
	if inWord(at(s, i)) || at(s, i) == '.' && isDigit(at(s, i+1)) {
		return 0
	}
	return i
}

// maxIPv6 is the length of the longest address.
const maxIPv6 = len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255")

// ipv6 finds an address of version 6, with or without brackets, zone and port; these
// are not meant.
func ipv6(s []byte, from int) (first, last int) {
	for i := from; i < len(s); i++ {
		colon := bytes.IndexByte(s[i:], ':')
		if colon < 0 {
			break
		}
		i += colon
		first = i
		for first > from && i-first < 5 && hexDigit(s[first-1]) < 16 {
			first--
		}
		if i-first > 4 || inWord(before(s, first)) { // a name before the address
			first = i + 1
			if at(s, first) == ':' {
				i++
				continue
			}
		}
		last = max(first, i)
		colons, double := 0, false
		for ; last < len(s) && (s[last] == ':' || s[last] == '.' || hexDigit(s[last]) < 16); last++ {
			if s[last] == ':' {
				colons++
				double = double || at(s, last+1) == ':'
			}
		}
		if n := address(s[first:last], colons, double); n > 0 && (colons > 2 || bytes.ContainsAny(s[first:first+n], "0123456789")) && !inWord(at(s, first+n)) {
			return first, first + n
		}
		i = max(i, last-1)
	}
	return -1, -1
}

// address returns the length of the address that a run of colons and hexadecimal digits
// is, but for what ends a sentence.
func address(s []byte, colons int, double bool) int {
	for len(s) > 0 && (s[len(s)-1] == '.' || s[len(s)-1] == ':' && !bytes.HasSuffix(s, []byte("::"))) {
		if s[len(s)-1] == ':' {
			colons--
		}
		s = s[:len(s)-1]
	}
	if len(s) > maxIPv6 || !double && colons < 6 {
		return 0
	}
	if _, err := netip.ParseAddr(string(s)); err != nil {
		return 0
	}
	return len(s)
}
