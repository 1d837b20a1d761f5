package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// tabs reads a head whose parts have tabs between them, and reports whether it is
// one: Trino's time, level, thread, logger, message; and zap's time, level,
// logger, caller, message, where logger and caller may be missing.
func (h *afterTime) tabs() bool {
	if h.Level != nil || len(h.s) < 2 || h.s[0] != '\t' {
		return false
	}
	level, rest, more := bytes.Cut(h.s[1:], []byte("\t"))
	if level = bytes.TrimSpace(level); !more || !levels.Is(level) {
		return false
	}
	h.Level = level
	h.at = len(h.s) - len(rest)
	one, after, more := bytes.Cut(rest, []byte("\t"))
	if !more {
		return true
	}
	two, _, more := bytes.Cut(after, []byte("\t"))
	if more && words.IsClass(two) {
		h.Thread, h.Logger = one, two
		h.at += len(one) + len(two) + 2
		return true
	}
	if name, ok := bytes.CutPrefix(one, []byte("envoy ")); ok { // Istio's proxy
		name, place, ok := bytes.Cut(name, []byte(" "))
		if ok && words.IsCaller(place) {
			h.add("caller", place)
		}
		h.Logger = one[:len("envoy ")+len(name)]
		h.at += len(one) + 1
		return true
	}
	if words.IsName(one) && !words.IsCaller(one) {
		h.Logger = one
		h.at += len(one) + 1
		one = two
	}
	if more && words.IsCaller(one) {
		h.add("caller", one)
		h.at += len(one) + 1
	}
	return true
}

// methodName reads a class and a method without anything between them and the
// message, as Tomcat writes them: "org.apache.catalina.core.StandardService.start ".
func methodName(s []byte) ([]byte, int) {
	w := words.First(s)
	if len(w) == len(s) || bytes.Count(w, []byte(".")) < 2 || !words.IsClass(w) {
		return nil, 0
	}
	return w, len(w) + 1
}

// threadClass takes ZooKeeper's "thread:Class@line" apart.
func threadClass(s []byte) (thread, class, line []byte, ok bool) {
	at := bytes.LastIndexByte(s, '@')
	colon := bytes.LastIndexByte(s[:max(at, 0)], ':')
	if at < 0 || colon < 0 || !words.IsNumber(s[at+1:]) {
		return nil, nil, nil, false
	}
	return s[:colon], s[colon+1 : at], s[at+1:], true
}

// LoggerName reads "name: ", "name - ", "name -- ", "name : ", "name:line - " or "name [] - "
// at the start of s.
func LoggerName(s []byte) (name, line []byte, n int) {
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
		if k < 2 || !words.IsNumber(s[n+1:n+k]) {
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
		line = words.First(s[n+1:])
		if n += 1 + len(line); !words.IsNumber(line) || !bytes.HasPrefix(s[n:], []byte(" - ")) {
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
