package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/rows"
)

// logHead is what stands between a record's time and its message.
type logHead struct {
	level, thread, logger []byte

	s  []byte // the record's first line, behind its time: the head is there
	at int    // what of it is read
}

// head reads what follows the time; h has what stood before it.
func (f *log4jFormat) head(r *reader, s []byte, h logHead) {
	h.s = s
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		h.s = s[:i]
	}
	timeFirst := h.level == nil
	if !h.tabs(r) {
		h.words(r)
	}
	if thread, class, line, ok := threadClass(h.thread); ok {
		h.thread, h.logger = thread, class
		r.b.Attr("line", line)
	}
	if h.logger == nil && (h.at == len(h.s) || h.s[h.at] != '[') {
		name, line, n := loggerName(h.s[h.at:])
		if n == 0 && timeFirst && h.level != nil && h.thread != nil {
			name, n = methodName(h.s[h.at:])
		}
		if n > 0 {
			h.logger = name
			h.at += n
		}
		if line != nil {
			r.b.Attr("line", line)
		}
	}
	if rest := h.s[h.at:]; bytes.HasPrefix(rest, []byte("- ")) || bytes.HasPrefix(rest, []byte(": ")) {
		h.at += 2
	}
	message := s[h.at:]
	if h.level == nil { // java.util.logging: the level begins the second line
		if i := bytes.IndexByte(message, '\n'); i >= 0 {
			if w := word(message[i+1:]); len(w) > 1 && w[len(w)-1] == ':' && isLevel(w[:len(w)-1]) {
				h.level = w[:len(w)-1]
				if h.logger == nil && i > 0 {
					h.logger = message[:i]
					message = bytes.TrimPrefix(message[i+1+len(w):], []byte(" "))
				}
			}
		}
	}
	if h.level != nil {
		r.setLevel(h.level, "level")
	}
	if len(h.thread) > 0 {
		f.thread.String(h.thread)
	}
	if len(h.logger) > 0 {
		f.logger.String(h.logger)
	}
	r.b.Message(message)
}

func (h *logHead) skip() {
	for h.at < len(h.s) && (h.s[h.at] == ' ' || h.s[h.at] == '\t') {
		h.at++
	}
}

// words reads level, thread, logger and process id, in any usual order.
func (h *logHead) words(r *reader) {
	h.skip()
	if bytes.HasPrefix(h.s[h.at:], []byte("- ")) {
		h.at += 2
		h.skip()
	}
	for h.at < len(h.s) && (h.bracketed(r) || h.word(r)) {
		h.skip()
	}
}

// bracketed reads what stands in brackets, and reports whether it belongs to the
// head.
func (h *logHead) bracketed(r *reader) bool {
	s := h.s[h.at:]
	if s[0] != '[' {
		return false
	}
	n := bracket(s)
	if n == 0 {
		return false
	}
	in := bytes.TrimSpace(s[1 : n-1])
	module, lvl, _ := bytes.Cut(in, []byte(":"))
	switch {
	case h.level == nil && isLevel(in):
		h.level = in
	case h.level == nil && isLevel(lvl): // Apache 2.4: [module:level]
		h.logger, h.level = module, lvl
	case bytes.HasPrefix(in, []byte("client ")):
		r.b.Attr("client", in[len("client "):])
		return false // Apache's; it is part of the text, too
	case h.logger == nil && h.thread == nil && h.level != nil && roundAfter(s[n:]) > 0: // JBoss: [logger] (thread)
		k := roundAfter(s[n:])
		h.logger, h.thread = in, bytes.TrimSpace(s[n : n+k])[1:]
		h.thread = h.thread[:len(h.thread)-1]
		n += k
	case h.level != nil && h.thread == nil && bytes.IndexByte(in, ',') >= 0 && processAfter(s[n:]): // Spring Cloud Sleuth
		h.sleuth(r, in)
	case h.thread == nil && h.logger == nil && h.level != nil && h.at > 0 && h.s[h.at-1] == ']' && h.s[0] == '[': // [level][logger]
		h.logger = in
	case h.thread == nil:
		h.thread = in
	default:
		return false
	}
	h.at += n
	return true
}

// word reads a level or a process id, and reports whether one stood there.
func (h *logHead) word(r *reader) bool {
	rest := h.s[h.at:]
	w := word(rest)
	switch {
	case h.level == nil && isLevel(w):
		h.level = w
	case h.level == nil && isLevel(bytes.TrimSuffix(w, []byte(":"))): // PostgreSQL: "LOG:  message"
		h.level = w[:len(w)-1]
	case isNumber(w) && h.level == nil && h.thread == nil:
		h.thread = w
	case isNumber(w) && (h.level == nil || h.thread == nil && bytes.Contains(rest, []byte(" --- ["))):
		r.b.Attr("pid", w)
	default:
		return false
	}
	h.at += len(w)
	if h.level != nil && bytes.HasPrefix(h.s[h.at:], []byte(" --- ")) {
		h.at += len(" --- ")
		h.spring(r)
	}
	return true
}

// spring reads what Spring Boot writes in brackets before the logger: from 3.2 on
// the application's name where it has one, the thread, and with tracing the ids.
func (h *logHead) spring(r *reader) {
	var in [3][]byte
	k := 0
	for h.skip(); k < len(in) && h.at < len(h.s) && h.s[h.at] == '['; h.skip() {
		n := bracket(h.s[h.at:])
		if n == 0 {
			break
		}
		in[k] = bytes.TrimSpace(h.s[h.at+1 : h.at+n-1])
		k++
		h.at += n
	}
	switch {
	case k == 0:
		return
	case k == 1:
		h.thread = in[0]
		return
	case k == 2 && isCorrelation(in[1]):
		h.thread = in[0]
	default:
		r.b.Attr("application", in[0])
		h.thread = in[1]
	}
	if last := in[k-1]; k == 3 || isCorrelation(last) {
		trace, span, _ := bytes.Cut(last, []byte("-"))
		if len(bytes.TrimSpace(trace)) > 0 {
			r.b.Attr("trace_id", trace)
			r.b.Attr("span_id", span)
		}
	}
}

// isCorrelation reports whether w is a trace's and a span's id, or the room that
// Spring Boot leaves for them.
func isCorrelation(w []byte) bool {
	dash := 0
	for _, c := range w {
		switch {
		case c == '-':
			dash++
		case c >= '0' && c <= '9', c >= 'a' && c <= 'f', c == ' ':
		default:
			return false
		}
	}
	return len(w) == 0 || dash == 1 && len(w) >= 16
}

// sleuth puts "application,trace,span,exported" into attributes.
func (h *logHead) sleuth(r *reader, in []byte) {
	for _, key := range [...]string{"application", "trace_id", "span_id", "exported"} {
		v, rest, more := bytes.Cut(in, []byte(","))
		if len(v) > 0 {
			r.b.Attr(key, v)
		}
		if in = rest; !more {
			return
		}
	}
	r.b.Attr("exported", in)
}

// processAfter reports whether a process id and " --- " follow.
func processAfter(s []byte) bool {
	s = bytes.TrimLeft(s, " ")
	w := word(s)
	return isNumber(w) && bytes.HasPrefix(s[len(w):], []byte(" --- "))
}

// roundAfter returns where a thread in round brackets ends that s starts with, a
// space before it included; 0 if there is none.
func roundAfter(s []byte) int {
	if len(s) < 3 || s[0] != ' ' || s[1] != '(' {
		return 0
	}
	depth := 0
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

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

// loggerName reads "name: ", "name - ", "name : ", "name:line - " or "name [] - "
// at the start of s.
func loggerName(s []byte) (name, line []byte, n int) {
	for n < len(s) && s[n] > ' ' && s[n] < 0x7f && s[n] != ':' && s[n] != '[' {
		n++
	}
	if n == 0 || n == len(s) {
		return nil, nil, 0
	}
	name = s[:n]
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
	if bytes.HasPrefix(s[n:], []byte("[] - ")) { // Flink: no context
		return name, nil, n + len("[] - ")
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
