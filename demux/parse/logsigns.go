package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/rows"
)

// signed reads heads that a sign behind the time tells from others, and reports
// whether it is one.
func (h *logHead) signed(r *reader) bool {
	if h.level != nil || len(h.s) < 3 {
		return false
	}
	switch {
	case h.s[0] == ':':
		return h.jetty()
	case h.s[0] == '|':
		return h.nlog()
	case h.s[0] != ' ':
	case h.bracket && len(h.s) > 4 && h.s[1] == '[' && h.glassfish(r):
		return true
	case h.bracket && len(h.s) > 4 && h.s[2] == ' ' && h.s[3] == '[' && letterLevel(h.s[1:2]): // GlusterFS: "[time] I [MSGID: 1] "
		h.level = h.s[1:2]
		return h.from(h.s[3:])
	case h.s[1] == '|' && h.s[2] == ' ':
		return h.pipes(r)
	case h.s[1] == '{':
		return h.airflow(r)
	case h.s[1] == '[' && h.s[2] == ' ':
		return h.clickhouse(r)
	case bytes.HasPrefix(h.s[2:], []byte(" | ")):
		return h.capnslog()
	default:
		return h.sqlServer() || h.fail2ban(r)
	}
	return false
}

// glassfish reads "[product] [LEVEL] [id] [logger] [tid: _ThreadID=1 _ThreadName=main] "
// and what is in brackets behind it.
func (h *logHead) glassfish(r *reader) bool {
	head, rest, ok := bytes.Cut(h.s[2:], []byte("] [tid: "))
	parts := bytes.SplitN(head, []byte("] ["), 5)
	tid, rest, more := bytes.Cut(rest, []byte("] "))
	if !ok || !more || len(parts) != 4 || !isLevel(parts[1]) {
		return false
	}
	attr(r, "product", parts[0])
	attr(r, "message_id", parts[2])
	h.level, h.logger, h.thread = parts[1], parts[3], tid
	return h.from(rest)
}

// fail2ban reads "fail2ban.filter         [1234]: INFO    ".
func (h *logHead) fail2ban(r *reader) bool {
	const width = 24 // of the name
	if len(h.s) < 1+width+1 || h.s[1+width] != '[' {
		return false
	}
	name := word(h.s[1 : 1+width])
	pid, rest, ok := bytes.Cut(bytes.TrimLeft(h.s[1+len(name):], " "), []byte("]: "))
	level := word(rest[:min(len(rest), 16)])
	if !ok || len(pid) < 2 || pid[0] != '[' || !isNumber(pid[1:]) || !isLevel(level) || !isName(name) || len(level) == len(rest) {
		return false
	}
	h.logger, h.level = name, level
	r.b.Attr("pid", pid[1:])
	return h.from(bytes.TrimLeft(rest[len(level):], " "))
}

// letterLevel reports whether w is a level's letter: a digit, which is one too, is
// anything here.
func letterLevel(w []byte) bool { return w[0] >= 'A' && levelOf(w) != rows.NoLevel }

// clickhouse reads "[ thread ] {query} <Level> logger: message".
func (h *logHead) clickhouse(r *reader) bool {
	thread, rest, ok := bytes.Cut(h.s[3:], []byte(" ] {"))
	query, rest, more := bytes.Cut(rest, []byte("} <"))
	level, rest, last := bytes.Cut(rest, []byte("> "))
	if !ok || !more || !last || !isNumber(thread) || !isLevel(level) {
		return false
	}
	attr(r, "query_id", query)
	h.thread, h.level = thread, level
	if logger, message, ok := bytes.Cut(rest, []byte(": ")); ok && len(logger) < 200 {
		h.logger, rest = logger, message
	}
	return h.from(rest)
}

// capnslog reads "I | package: message", etcd's up to 3.3.
func (h *logHead) capnslog() bool {
	level := h.s[1:2]
	if !letterLevel(level) {
		return false
	}
	rest := h.s[len(" I | "):]
	h.level = level
	if name, message, ok := bytes.Cut(rest, []byte(": ")); ok && isName(name) {
		h.logger, rest = name, message
	}
	return h.from(rest)
}

// sqlServer reads "spid12s     message": what wrote it, in twelve bytes.
func (h *logHead) sqlServer() bool {
	const width = 12
	s := h.s[1:]
	if len(s) <= width || s[width-1] != ' ' || s[width-2] != ' ' {
		return false
	}
	w := word(s[:min(len(s), width)])
	if s[width] == ' ' || !isWord(w) || isLevel(w) || len(bytes.TrimLeft(s[len(w):width], " ")) > 0 {
		return false
	}
	h.thread = w
	return h.from(s[width:])
}

// from says that the message begins with what is left of the line.
func (h *logHead) from(left []byte) bool {
	h.at = len(h.s) - len(left)
	return true
}

// jetty reads ":INFO:logger:thread: message", and Python's ":INFO:message".
func (h *logHead) jetty() bool {
	level, rest, ok := bytes.Cut(h.s[1:], []byte(":"))
	if level = bytes.TrimSpace(level); !ok || !isLevel(level) {
		return false
	}
	h.level = level
	if logger, rest, ok := bytes.Cut(rest, []byte(":")); ok && isName(logger) {
		if thread, message, ok := bytes.Cut(rest, []byte(": ")); ok {
			h.logger, h.thread = logger, thread
			return h.from(message)
		}
	}
	return h.from(bytes.TrimLeft(rest, " "))
}

// pipes reads heads with bars between their parts:
//
//	| INFO     | module:function:23 - message          loguru
//	| INFO  | message | logger | thread                ActiveMQ
//	| INFO  | thread | logger | 1 - bundle - 2.0 | message    Karaf
func (h *logHead) pipes(r *reader) bool {
	level, rest, ok := bytes.Cut(h.s[2:], []byte("|"))
	if level = bytes.TrimSpace(level); !ok || !isLevel(level) {
		return false
	}
	h.level = level
	rest = bytes.TrimLeft(rest, " ")
	if name, message, ok := bytes.Cut(rest, []byte(" - ")); ok && isName(name) {
		h.logger = name
		if module, place, ok := bytes.Cut(name, []byte(":")); ok {
			function, line, _ := bytes.Cut(place, []byte(":"))
			h.logger = module
			attr(r, "function", function)
			attr(r, "line", line)
		}
		return h.from(message)
	}
	thread, more, _ := bytes.Cut(rest, []byte(" | "))
	logger, more, _ := bytes.Cut(more, []byte(" | "))
	bundle, message, ok := bytes.Cut(more, []byte(" | "))
	if ok && bytes.Contains(bundle, []byte(" - ")) {
		h.thread, h.logger = bytes.TrimSpace(thread), bytes.TrimSpace(logger)
		attr(r, "bundle", bundle)
		return h.from(message)
	}
	if i := bytes.LastIndex(rest, []byte(" | ")); i > 0 {
		if k := bytes.LastIndex(rest[:i], []byte(" | ")); k > 0 && isName(rest[k+3:i]) {
			h.logger, h.thread = rest[k+3:i], bytes.TrimSpace(rest[i+3:])
			h.end = len(h.s) - len(rest) + k
		}
	}
	return h.from(rest)
}

// nlog reads "|LEVEL|logger|message", and Squid's "| message".
func (h *logHead) nlog() bool {
	if h.s[1] == ' ' {
		return h.from(h.s[2:])
	}
	level, rest, ok := bytes.Cut(h.s[1:], []byte("|"))
	if level = bytes.TrimSpace(level); !ok || !isLevel(level) {
		return false
	}
	logger, message, ok := bytes.Cut(rest, []byte("|"))
	if !ok || !isName(logger) {
		return false
	}
	h.level, h.logger = level, logger
	return h.from(message)
}

// airflow reads "{file.py:123} INFO - message".
func (h *logHead) airflow(r *reader) bool {
	caller, rest, ok := bytes.Cut(h.s[2:], []byte("} "))
	level, message, more := bytes.Cut(rest, []byte(" - "))
	if !ok || !more || !isCaller(caller) || !isLevel(level) {
		return false
	}
	h.level = level
	r.b.Attr("caller", caller)
	return h.from(message)
}

// kafkaHead reads "INFO message (logger)".
func (h *logHead) kafkaHead(r *reader) bool {
	s := bytes.TrimLeft(h.s, " ")
	w := word(s)
	if !isLevel(w) || len(s) == len(h.s) {
		return false
	}
	h.at = min(len(h.s)-len(s)+len(w)+1, len(h.s))
	if !h.kafka(r) {
		h.at = 0
		return false
	}
	h.level = w
	return true
}

// kafka takes the logger off the end of a message as Kafka writes it, in round
// brackets: "started (kafka.server.KafkaServer)".
func (h *logHead) kafka(r *reader) bool {
	first := h.s[h.at:]
	end := len(first)
	if end < 4 || first[end-1] != ')' {
		return false
	}
	open := bytes.LastIndex(first[:end], []byte(" ("))
	if open < 0 {
		return false
	}
	name, line, _ := bytes.Cut(first[open+2:end-1], []byte(":"))
	if len(line) > 0 && !isNumber(line) || !isClass(name) && !bytes.HasPrefix(name, []byte("state.change.")) {
		return false
	}
	h.logger = name
	attr(r, "line", line)
	h.end = h.at + open
	return true
}

// solr reads "(thread) [context] logger " behind the level.
func (h *logHead) solr(r *reader) {
	s := h.s[h.at:]
	if len(s) < 4 || s[0] != '(' {
		return
	}
	end := bytes.Index(s, []byte(") ["))
	if end < 0 {
		return
	}
	n := bracket(s[end+2:])
	if n == 0 || end+2+n == len(s) || s[end+2+n] != ' ' {
		return
	}
	logger := word(s[end+2+n+1:])
	if !isName(logger) || bytes.IndexByte(logger, '.') < 0 {
		return
	}
	h.thread, h.logger = s[1:end], logger
	attr(r, "context", bytes.TrimSpace(s[end+3:end+2+n-1]))
	h.at = min(len(h.s), h.at+end+2+n+1+len(logger)+1)
}

// behind reads what stands between a level and the message in nginx's error log,
// "1234#5678: ", and in Go's, "main.go:23: ".
func (h *logHead) behind(r *reader) {
	s := h.s[h.at:]
	w := word(s[:min(len(s), 256)])
	if len(w) < 4 || w[len(w)-1] != ':' {
		return
	}
	w = w[:len(w)-1]
	pid, tid, ok := bytes.Cut(w, []byte("#"))
	switch {
	case ok && h.level != nil && h.thread == nil && isNumber(pid) && isNumber(tid):
		r.b.Attr("pid", pid)
		h.thread = tid
	case !ok && h.level == nil && h.thread == nil && isCaller(w):
		r.b.Attr("caller", w)
	default:
		return
	}
	h.at += len(w) + 1
	h.skip()
}

// levelAfter finds the level behind or in a logger's name: Python's "name - LEVEL -
// message", BIND's "category: level: message", and Monolog's "channel.LEVEL: message".
func (h *logHead) levelAfter() {
	if i := bytes.LastIndexByte(h.logger, '.'); i > 0 && isLevel(h.logger[i+1:]) && isUpper(h.logger[i+1:]) {
		h.logger, h.level = h.logger[:i], h.logger[i+1:]
		return
	}
	rest := h.s[h.at:]
	w := word(rest[:min(len(rest), 16)])
	if isLevel(w) && bytes.HasPrefix(rest[len(w):], []byte(" - ")) {
		h.level = w
		h.at += len(w) + len(" - ")
	} else if name, ok := bytes.CutSuffix(w, []byte(":")); ok && isLevel(name) && len(w) < len(rest) {
		h.level = name
		h.at += len(w) + 1
	}
}

// phpLevel finds the level that PHP writes into its message: "PHP Warning:  ".
func phpLevel(s []byte) []byte {
	s, ok := bytes.CutPrefix(s, []byte("PHP "))
	if !ok {
		return nil
	}
	w, _, ok := bytes.Cut(s[:min(len(s), 32)], []byte(":"))
	if !ok {
		return nil
	}
	switch string(w) {
	case "Fatal error", "Parse error", "Recoverable fatal error":
		return []byte("ERROR")
	case "Deprecated":
		return []byte("WARN")
	}
	if isLevel(w) {
		return w
	}
	return nil
}

func isUpper(w []byte) bool {
	for _, c := range w {
		if c >= 'a' && c <= 'z' {
			return false
		}
	}
	return true
}
