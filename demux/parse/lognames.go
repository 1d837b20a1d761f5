package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/rows"
)

// tabs reads a head whose parts have tabs between them, and reports whether it is
// one: Trino's time, level, thread, logger, message; and zap's time, level,
// logger, caller, message, where logger and caller may be missing.
func (h *logHead) tabs(r *reader) bool {
	if h.level != nil || len(h.s) < 2 || h.s[0] != '\t' {
		return false
	}
	level, rest, more := bytes.Cut(h.s[1:], []byte("\t"))
	if level = bytes.TrimSpace(level); !more || !isLevel(level) {
		return false
	}
	h.level = level
	h.at = len(h.s) - len(rest)
	one, after, more := bytes.Cut(rest, []byte("\t"))
	if !more {
		return true
	}
	two, _, more := bytes.Cut(after, []byte("\t"))
	if more && isClass(two) {
		h.thread, h.logger = one, two
		h.at += len(one) + len(two) + 2
		return true
	}
	if name, ok := bytes.CutPrefix(one, []byte("envoy ")); ok { // Istio's proxy
		name, place, ok := bytes.Cut(name, []byte(" "))
		if ok && isCaller(place) {
			r.b.Attr("caller", place)
		}
		h.logger = one[:len("envoy ")+len(name)]
		h.at += len(one) + 1
		return true
	}
	if isName(one) && !isCaller(one) {
		h.logger = one
		h.at += len(one) + 1
		one = two
	}
	if more && isCaller(one) {
		r.b.Attr("caller", one)
		h.at += len(one) + 1
	}
	return true
}

// isName reports whether w may be a logger's name: no spaces, and not long.
func isName(w []byte) bool {
	return len(w) > 0 && len(w) <= 200 && !bytes.ContainsAny(w, " {}\"=")
}

// isClass reports whether w looks like a class with its package.
func isClass(w []byte) bool {
	return isName(w) && w[0] >= 'a' && w[0] <= 'z' && bytes.IndexByte(w, '.') > 0 && !bytes.ContainsAny(w, "/:")
}

// isCaller reports whether w is a file and a line: server/http.go:123.
func isCaller(w []byte) bool {
	i := bytes.LastIndexByte(w, ':')
	return isName(w) && i > 0 && isNumber(w[i+1:]) && bytes.IndexByte(w[:i], '.') > 0
}

// methodName reads a class and a method without anything between them and the
// message, as Tomcat writes them: "org.apache.catalina.core.StandardService.start ".
func methodName(s []byte) ([]byte, int) {
	w := word(s)
	if len(w) == len(s) || bytes.Count(w, []byte(".")) < 2 || !isClass(w) {
		return nil, 0
	}
	return w, len(w) + 1
}

// threadClass takes ZooKeeper's "thread:Class@line" apart.
func threadClass(s []byte) (thread, class, line []byte, ok bool) {
	at := bytes.LastIndexByte(s, '@')
	colon := bytes.LastIndexByte(s[:max(at, 0)], ':')
	if at < 0 || colon < 0 || !isNumber(s[at+1:]) {
		return nil, nil, nil, false
	}
	return s[:colon], s[colon+1 : at], s[at+1:], true
}

// loggerName reads "name: ", "name - ", "name -- ", "name : ", "name:line - " or "name [] - "
// at the start of s.
func loggerName(s []byte) (name, line []byte, n int) {
	for n < len(s) && s[n] > ' ' && s[n] < 0x7f && s[n] != '[' {
		if s[n] == ':' {
			if n+2 >= len(s) || s[n+1] != ':' { // Rust's module::path
				break
			}
			n++
		}
		n++
	}
	if n == 0 || n == len(s) {
		return nil, nil, 0
	}
	name = s[:n]
	if s[n] == '[' { // logback's %C[%L]
		k := bytes.Index(s[n:min(len(s), n+16)], []byte("] - "))
		if k < 2 || !isNumber(s[n+1:n+k]) {
			return nil, nil, 0
		}
		return name, s[n+1 : n+k], n + k + len("] - ")
	}
	if s[n] == ':' {
		switch {
		case n+1 == len(s):
			return name, nil, n + 1
		case s[n+1] == ' ':
			return name, nil, n + 2
		}
		line = word(s[n+1:])
		if n += 1 + len(line); !isNumber(line) || !bytes.HasPrefix(s[n:], []byte(" - ")) {
			return nil, nil, 0
		}
		return name, line, n + len(" - ")
	}
	for n < len(s) && s[n] == ' ' {
		n++
	}
	for _, none := range [...]string{"[] - ", "[(null)] - ", "-- "} { // no context: Flink, log4net, logback
		if len(s) >= n+len(none) && string(s[n:n+len(none)]) == none {
			return name, nil, n + len(none)
		}
	}
	if n+2 <= len(s) && (s[n] == '-' || s[n] == ':') && s[n+1] == ' ' {
		return name, nil, n + 2
	}
	return nil, nil, 0
}

// word is what s starts with, up to a space.
func word(s []byte) []byte {
	if i := bytes.IndexByte(s, ' '); i >= 0 {
		return s[:i]
	}
	return s
}

// wordAt is what s starts with, up to a space, a tab or a line's end.
func wordAt(s []byte) []byte {
	if i := bytes.IndexAny(s, " \t\r\n"); i >= 0 {
		return s[:i]
	}
	return s
}

func isNumber(w []byte) bool {
	for _, c := range w {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(w) > 0
}

// isLevel reports whether a word is a level's name, in letters.
func isLevel(w []byte) bool {
	return len(w) >= 3 && w[0] >= 'A' && levelOf(w) != rows.NoLevel
}

// bracket returns the length of the brackets that s starts with, those within
// them included; 0 if they are not closed.
func bracket(s []byte) int {
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
