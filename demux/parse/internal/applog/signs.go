package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
)

// signed reads heads that a sign behind the time tells from others, and reports
// whether it is one.
func (h *afterTime) signed() bool {
	if h.Level != nil || len(h.s) < 3 {
		return false
	}
	switch {
	case h.s[0] == ':' && h.s[1] == ' ':
		return h.libvirt() || h.jetty()
	case h.s[0] == ',' && h.s[1] == ' ':
		return h.setup()
	case h.s[0] == ':':
		return h.jetty()
	case h.s[0] == '|':
		return h.nlog()
	case h.s[0] != ' ':
	case h.bracket && len(h.s) > 4 && h.s[1] == '[' && h.glassfish():
		return true
	case h.bracket && len(h.s) > 4 && h.s[2] == ' ' && h.s[3] == '[' && letterLevel(h.s[1:2]): // GlusterFS: "[time] I [MSGID: 1] "
		h.Level = h.s[1:2]
		return h.from(h.s[3:])
	case h.s[1] == '|' && h.s[2] == ' ':
		return h.pipes()
	case h.s[1] == '{':
		return h.airflow()
	case h.s[1] == '[' && h.s[2] == ' ':
		return h.clickhouse()
	case bytes.HasPrefix(h.s, []byte(" pid=")) && h.sidekiq():
		return true
	case bytes.HasPrefix(h.s[2:], []byte(" | ")):
		return h.capnslog()
	default:
		return h.sqlServer() || h.fail2ban() || h.ceph() || h.tag()
	}
	return false
}

// glassfish reads "[product] [LEVEL] [id] [logger] [tid: _ThreadID=1 _ThreadName=main] "
// and what is in brackets behind it.
func (h *afterTime) glassfish() bool {
	head, rest, ok := bytes.Cut(h.s[2:], []byte("] [tid: "))
	parts := bytes.SplitN(head, []byte("] ["), 5)
	tid, rest, more := bytes.Cut(rest, []byte("] "))
	if !ok || !more || len(parts) != 4 || !levels.Is(parts[1]) {
		return false
	}
	h.add("product", parts[0])
	h.add("message_id", parts[2])
	h.Level, h.Logger, h.Thread = parts[1], parts[3], tid
	return h.from(rest)
}

// fail2ban reads "fail2ban.filter         [1234]: INFO    ".
func (h *afterTime) fail2ban() bool {
	const width = 24 // of the name
	if len(h.s) < 1+width+1 || h.s[1+width] != '[' {
		return false
	}
	name := words.First(h.s[1 : 1+width])
	pid, rest, ok := bytes.Cut(bytes.TrimLeft(h.s[1+len(name):], " "), []byte("]: "))
	level := words.First(rest[:min(len(rest), 16)])
	if !ok || len(pid) < 2 || pid[0] != '[' || !words.IsNumber(pid[1:]) || !levels.Is(level) || !words.IsName(name) || len(level) == len(rest) {
		return false
	}
	h.Logger, h.Level = name, level
	h.add("pid", pid[1:])
	return h.from(bytes.TrimLeft(rest[len(level):], " "))
}

// letterLevel reports whether w is a level's letter: a digit, which is one too, is
// anything here.
func letterLevel(w []byte) bool { return w[0] >= 'A' && levels.Of(w) != rows.NoLevel }

// clickhouse reads "[ thread ] {query} <Level> logger: message".
func (h *afterTime) clickhouse() bool {
	thread, rest, ok := bytes.Cut(h.s[3:], []byte(" ] {"))
	query, rest, more := bytes.Cut(rest, []byte("} <"))
	level, rest, last := bytes.Cut(rest, []byte("> "))
	if !ok || !more || !last || !words.IsNumber(thread) || !levels.Is(level) {
		return false
	}
	h.add("query_id", query)
	h.Thread, h.Level = thread, level
	if logger, message, ok := bytes.Cut(rest, []byte(": ")); ok && len(logger) < 200 {
		h.Logger, rest = logger, message
	}
	return h.from(rest)
}

// sidekiq reads "pid=1 tid=abc class=Job jid=12 INFO: ".
func (h *afterTime) sidekiq() bool {
	rest := h.s[1:]
	var pairs [8]Pair
	for n := 0; ; n++ {
		w := words.First(rest)
		if len(w) == len(rest) {
			return false
		}
		if level, ok := bytes.CutSuffix(w, []byte(":")); ok && levels.Is(level) {
			for _, p := range pairs[:n] {
				if p.Name == "tid" {
					h.Thread = p.Value
					continue
				}
				h.add(p.Name, p.Value)
			}
			h.Level = level
			return h.from(rest[len(w)+1:])
		}
		key, v, ok := bytes.Cut(w, []byte("="))
		if !ok || n == len(pairs) || !words.IsWord(key) {
			return false
		}
		pairs[n] = Pair{string(key), v}
		rest = rest[len(w)+1:]
	}
}

// libvirt reads ": 1234: info : ".
func (h *afterTime) libvirt() bool {
	thread, rest, ok := bytes.Cut(h.s[2:], []byte(": "))
	level, message, more := bytes.Cut(rest, []byte(" : "))
	if !ok || !more || !words.IsNumber(thread) || !levels.Is(level) {
		return false
	}
	h.Thread, h.Level = thread, level
	return h.from(message)
}

// setup reads ", Info                  CBS    ", as Windows' setup has it.
func (h *afterTime) setup() bool {
	level := words.First(h.s[2:])
	rest := bytes.TrimLeft(h.s[2+len(level):], " ")
	if string(level) != "Perf" && !levels.Is(level) || len(h.s)-2-len(level)-len(rest) < 2 {
		return false
	}
	if h.Level = level; string(level) == "Perf" {
		h.Level = []byte("INFO")
		h.add("severity", level)
	}
	if name := words.First(rest); words.IsWord(name) && bytes.HasPrefix(rest[len(name):], []byte("  ")) {
		h.Logger = name
		rest = bytes.TrimLeft(rest[len(name):], " ")
	}
	return h.from(rest)
}

// ceph reads "7f1234567890 -1 ": the thread, and how much it matters.
func (h *afterTime) ceph() bool {
	thread := words.First(h.s[1:])
	rest := bytes.TrimLeft(h.s[1+len(thread):], " ")
	priority := words.First(rest)
	number := bytes.TrimPrefix(priority, []byte("-"))
	if len(thread) < 12 || len(thread) > 16 || thread[0] != '7' || !words.IsHex(thread) || !bytes.ContainsAny(thread, "abcdef") || !words.IsNumber(number) || len(number) > 2 || len(priority) == len(rest) {
		return false
	}
	h.Level = levelAhead(rest[len(priority)+1:]) // of the cluster's log
	switch {
	case h.Level != nil:
	case len(number) < len(priority):
		h.Level = []byte("ERROR")
	case len(number) == 2 || number[0] >= '5':
		h.Level = []byte("DEBUG")
	default:
		h.Level = []byte("INFO")
	}
	h.Thread = thread
	h.add("priority", priority)
	return h.from(rest[len(priority)+1:])
}

// tag reads "dnsmasq[123]: ", and "unbound[123:0] info: ".
func (h *afterTime) tag() bool {
	w := words.First(h.s[1:min(len(h.s), 128)])
	name, in, ok := bytes.Cut(w, []byte("["))
	in, closed := bytes.CutSuffix(bytes.TrimSuffix(in, []byte(":")), []byte("]"))
	rest := h.s[1+len(w):]
	if !ok || !closed || !words.IsWord(name) || levels.Is(name) || len(rest) < 2 {
		return false
	}
	rest = rest[1:]
	pid, thread, threaded := bytes.Cut(in, []byte(":"))
	if !words.IsNumber(pid) || threaded && !words.IsNumber(thread) {
		return false
	}
	level := words.First(rest)
	if name, ok := bytes.CutSuffix(level, []byte(":")); ok && levels.Is(name) && len(level) < len(rest) {
		h.Level, rest = name, rest[len(level)+1:]
	} else if w[len(w)-1] != ':' {
		return false
	}
	h.Logger, h.Thread = name, thread
	h.add("pid", pid)
	return h.from(rest)
}

// capnslog reads "I | package: message", etcd's up to 3.3.
func (h *afterTime) capnslog() bool {
	level := h.s[1:2]
	if !letterLevel(level) {
		return false
	}
	rest := h.s[len(" I | "):]
	h.Level = level
	if name, message, ok := bytes.Cut(rest, []byte(": ")); ok && words.IsName(name) {
		h.Logger, rest = name, message
	}
	return h.from(rest)
}

// sqlServer reads "spid12s     message": what wrote it, in twelve bytes.
func (h *afterTime) sqlServer() bool {
	const width = 12
	s := h.s[1:]
	if len(s) <= width || s[width-1] != ' ' || s[width-2] != ' ' {
		return false
	}
	w := words.First(s[:min(len(s), width)])
	if s[width] == ' ' || !words.IsWord(w) || levels.Is(w) || len(bytes.TrimLeft(s[len(w):width], " ")) > 0 {
		return false
	}
	h.Thread = w
	return h.from(s[width:])
}

// from says that the message begins with what is left of the line.
func (h *afterTime) from(left []byte) bool {
	h.at = len(h.s) - len(left)
	return true
}

// jetty reads ":INFO:logger:thread: message", and Python's ":INFO:message".
func (h *afterTime) jetty() bool {
	level, rest, ok := bytes.Cut(h.s[1:], []byte(":"))
	if level = bytes.TrimSpace(level); !ok || !levels.Is(level) {
		return false
	}
	h.Level = level
	if logger, rest, ok := bytes.Cut(rest, []byte(":")); ok && words.IsName(logger) {
		if thread, message, ok := bytes.Cut(rest, []byte(": ")); ok {
			h.Logger, h.Thread = logger, thread
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
func (h *afterTime) pipes() bool {
	level, rest, ok := bytes.Cut(h.s[2:], []byte("|"))
	if level = bytes.TrimSpace(level); !ok || !levels.Is(level) {
		return false
	}
	h.Level = level
	rest = bytes.TrimLeft(rest, " ")
	if name, message, ok := bytes.Cut(rest, []byte(" - ")); ok && words.IsName(name) {
		h.Logger = name
		if module, place, ok := bytes.Cut(name, []byte(":")); ok {
			function, line, _ := bytes.Cut(place, []byte(":"))
			h.Logger = module
			h.add("function", function)
			h.add("line", line)
		}
		return h.from(message)
	}
	thread, more, _ := bytes.Cut(rest, []byte(" | "))
	logger, more, _ := bytes.Cut(more, []byte(" | "))
	bundle, message, ok := bytes.Cut(more, []byte(" | "))
	if ok && bytes.Contains(bundle, []byte(" - ")) {
		h.Thread, h.Logger = bytes.TrimSpace(thread), bytes.TrimSpace(logger)
		h.add("bundle", bundle)
		return h.from(message)
	}
	if i := bytes.LastIndex(rest, []byte(" | ")); i > 0 {
		if k := bytes.LastIndex(rest[:i], []byte(" | ")); k > 0 && words.IsName(rest[k+3:i]) {
			h.Logger, h.Thread = rest[k+3:i], bytes.TrimSpace(rest[i+3:])
			h.end = len(h.s) - len(rest) + k
		}
	}
	return h.from(rest)
}

// nlog reads "|LEVEL|logger|message", and Squid's "| message".
func (h *afterTime) nlog() bool {
	if h.s[1] == ' ' {
		return h.from(h.s[2:])
	}
	level, rest, ok := bytes.Cut(h.s[1:], []byte("|"))
	if level = bytes.TrimSpace(level); !ok || !levels.Is(level) {
		return false
	}
	logger, message, ok := bytes.Cut(rest, []byte("|"))
	if !ok || !words.IsName(logger) {
		return false
	}
	h.Level, h.Logger = level, logger
	return h.from(message)
}

// airflow reads "{file.py:123} INFO - message".
func (h *afterTime) airflow() bool {
	caller, rest, ok := bytes.Cut(h.s[2:], []byte("} "))
	level, message, more := bytes.Cut(rest, []byte(" - "))
	if !ok || !more || !words.IsCaller(caller) || !levels.Is(level) {
		return false
	}
	h.Level = level
	h.add("caller", caller)
	return h.from(message)
}

// kafkaHead reads "INFO message (logger)".
func (h *afterTime) kafkaHead() bool {
	s := bytes.TrimLeft(h.s, " ")
	w := words.First(s)
	if !levels.Is(w) || len(s) == len(h.s) {
		return false
	}
	h.at = min(len(h.s)-len(s)+len(w)+1, len(h.s))
	if !h.kafka() {
		h.at = 0
		return false
	}
	h.Level = w
	return true
}

// kafka takes the logger off the end of a message as Kafka writes it, in round
// brackets: "started (kafka.server.KafkaServer)".
func (h *afterTime) kafka() bool {
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
	if len(line) > 0 && !words.IsNumber(line) || !words.IsClass(name) && !bytes.HasPrefix(name, []byte("state.change.")) {
		return false
	}
	h.Logger = name
	h.add("line", line)
	h.end = h.at + open
	return true
}

// solr reads "(thread) [context] logger " behind the level.
func (h *afterTime) solr() {
	s := h.s[h.at:]
	if len(s) < 4 || s[0] != '(' {
		return
	}
	end := bytes.Index(s, []byte(") ["))
	if end < 0 {
		return
	}
	n := words.Brackets(s[end+2:])
	if n == 0 || end+2+n == len(s) || s[end+2+n] != ' ' {
		return
	}
	logger := words.First(s[end+2+n+1:])
	if !words.IsName(logger) || bytes.IndexByte(logger, '.') < 0 {
		return
	}
	h.Thread, h.Logger = s[1:end], logger
	h.add("context", bytes.TrimSpace(s[end+3:end+2+n-1]))
	h.at = min(len(h.s), h.at+end+2+n+1+len(logger)+1)
}

// behind reads what stands between a level and the message in nginx's error log,
// "1234#5678: ", and in Go's, "main.go:23: ".
func (h *afterTime) behind() {
	s := h.s[h.at:]
	w := words.First(s[:min(len(s), 256)])
	if len(w) < 4 || w[len(w)-1] != ':' {
		return
	}
	w = w[:len(w)-1]
	pid, tid, ok := bytes.Cut(w, []byte("#"))
	switch {
	case ok && h.Level != nil && h.Thread == nil && words.IsNumber(pid) && words.IsNumber(tid):
		h.add("pid", pid)
		h.Thread = tid
	case !ok && h.Level == nil && h.Thread == nil && words.IsCaller(w):
		h.add("caller", w)
	default:
		return
	}
	h.at += len(w) + 1
	h.skip()
}

// levelAfter finds the level behind or in a logger's name: Python's "name - LEVEL -
// message", BIND's "category: level: message", and Monolog's "channel.LEVEL: message".
func (h *afterTime) levelAfter() {
	if i := bytes.LastIndexByte(h.Logger, '.'); i > 0 && levels.Is(h.Logger[i+1:]) && words.IsUpper(h.Logger[i+1:]) {
		h.Logger, h.Level = h.Logger[:i], h.Logger[i+1:]
		return
	}
	rest := h.s[h.at:]
	w := words.First(rest[:min(len(rest), 16)])
	if levels.Is(w) && bytes.HasPrefix(rest[len(w):], []byte(" - ")) {
		h.Level = w
		h.at += len(w) + len(" - ")
	} else if name, ok := bytes.CutSuffix(w, []byte(":")); ok && levels.Is(name) && len(w) < len(rest) {
		h.Level = name
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
	if levels.Is(w) {
		return w
	}
	return nil
}
