package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// afterTime is what follows a record's time: the rest of its head, and the message.
type afterTime struct {
	*Head
	bracket bool   // the time stood in brackets
	s       []byte // the record's first line, behind its time: the head is there
	at      int    // what of it is read
	end     int    // where the message's first line ends in it; 0: with it
}

// after reads what follows the time, which stood in brackets or not.
func (r *Reader) after(s []byte, bracket bool) {
	h := afterTime{Head: &r.head, bracket: bracket, s: s}
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		h.s = s[:i]
	}
	switch timeFirst := h.Level == nil; {
	case h.signed():
	case timeFirst && r.dotnet(s, h.s):
		return
	case h.bracket && h.kafkaHead():
	default:
		if !h.tabs() {
			h.words()
		}
		h.names(timeFirst)
	}
	h.Message = s[h.at:]
	if h.at == len(h.s) { // the time stands alone on a line
		h.Message = bytes.TrimPrefix(h.Message, []byte("\n"))
	}
	if h.end > 0 {
		r.buf = append(append(r.buf[:0], h.s[h.at:h.end]...), s[len(h.s):]...)
		h.Message = r.buf
	}
	if h.Level == nil {
		h.Message = h.levelLater(h.Message)
	}
}

// names reads the logger behind level and thread, and what stands before the
// message.
func (h *afterTime) names(timeFirst bool) {
	h.process()
	if thread, class, line, ok := threadClass(h.Thread); ok {
		h.Thread, h.Logger = thread, class
		h.add("line", line)
	}
	if h.Level != nil && h.Thread == nil && h.Logger == nil {
		if h.solr(); h.Logger == nil {
			h.rounded()
		}
	}
	if h.Level != nil && h.Thread == nil && h.Logger == nil {
		h.splunk()
		h.spans()
		h.erlang()
	}
	h.behind()
	if h.Logger == nil && (h.at == len(h.s) || h.s[h.at] != '[') {
		name, line, n := LoggerName(h.s[h.at:])
		if n == 0 && timeFirst && h.Level != nil && h.Thread != nil {
			name, n = methodName(h.s[h.at:])
		}
		if n > 0 {
			h.Logger = name
			h.at += n
		}
		if line != nil {
			h.add("line", line)
		}
		if n > 0 && h.Level == nil {
			h.levelAfter()
		}
	}
	if h.Logger == nil && h.Level != nil && h.Thread != nil {
		h.secondName()
	}
	if rest := h.s[h.at:]; string(rest) == ":" {
		h.at++
	} else if bytes.HasPrefix(rest, []byte("- ")) || bytes.HasPrefix(rest, []byte(": ")) {
		h.at += 2
	}
}

// process reads what stands behind the level in Bunyan's and Pino's output for people,
// "(app/77 on host): ", "(77): " and, without the brackets, "app/77 on host: "; and the
// process, thread and logger of SonarQube, "app[][o.s.a.App] "; and "app[77]: ", as ESXi
// has it.
func (h *afterTime) process() {
	if h.Level == nil || h.at == len(h.s) || h.Logger != nil {
		return
	}
	s := h.s[h.at:min(len(h.s), h.at+256)]
	i := 0
	for i < len(s) && s[i] != ' ' && s[i] != '/' && s[i] != '[' {
		i++
	}
	if i == len(s) || s[i] == ' ' && s[0] != '(' {
		return
	}
	w := words.First(s)
	if s[0] == '(' {
		if in, _, ok := bytes.Cut(s[1:], []byte("): ")); ok && h.named(in) {
			h.at += len(in) + len("(): ")
		}
	} else if bytes.IndexByte(w, '/') > 0 && bytes.HasPrefix(s[len(w):], []byte(" on ")) {
		if in, _, ok := bytes.Cut(s, []byte(": ")); ok && h.named(in) {
			h.at += len(in) + len(": ")
		}
	} else if open := bytes.IndexByte(w, '['); open > 0 && words.IsWord(w[:open]) {
		h.numbered(s, open)
	}
}

// numbered reads what has brackets behind a name, at open.
func (h *afterTime) numbered(s []byte, open int) {
	if name, pid, n := words.Tag(s); n > 0 && words.IsNumber(pid) {
		h.add("pid", pid)
		h.Logger = name
		h.at += n
		h.skip()
		return
	}
	thread, rest, ok := bytes.Cut(s[open+1:], []byte("]["))
	logger, _, more := bytes.Cut(rest, []byte("] "))
	if ok && more && words.IsName(logger) && len(thread) < 100 {
		h.add("process", s[:open])
		h.Thread, h.Logger = thread, logger
		h.at += open + len("[") + len(thread) + len("][") + len(logger) + len("] ")
	}
}

// named reads "app/77 on host", of which the number alone must be there.
func (h *afterTime) named(s []byte) bool {
	s, host, _ := bytes.Cut(s, []byte(" on "))
	slash := bytes.LastIndexByte(s, '/')
	if bare := slash < 0 && host == nil; bare && len(s) == len("404") {
		return false // a status, rather
	}
	if !words.IsNumber(s[slash+1:]) || bytes.IndexByte(s, ' ') >= 0 || bytes.IndexByte(host, ' ') >= 0 {
		return false
	}
	h.add("program", s[:max(slash, 0)])
	h.add("pid", s[slash+1:])
	h.add("machine", host)
	return true
}

// secondName reads a logger that a user stands before, "admin org.example.Foo - ", as
// Nexus writes it.
func (h *afterTime) secondName() {
	s := h.s[h.at:]
	user := words.First(s[:min(len(s), 64)])
	if len(user) == 0 || len(user)+1 >= len(s) {
		return
	}
	name := words.First(s[len(user)+1:])
	if !words.IsClass(name) || !bytes.HasPrefix(s[len(user)+1+len(name):], []byte(" - ")) {
		return
	}
	h.add("user", user)
	h.Logger = name
	h.at += len(user) + 1 + len(name) + len(" - ")
}

// spans reads what Rust's tracing has of spans before the logger, "request{id=1}:db{x=2}: ".
func (h *afterTime) spans() {
	s := h.s[h.at:min(len(h.s), h.at+512)]
	n := 0
	for n < len(s) && (words.IsWord(s[n:n+1]) || s[n] == '-') {
		n++
	}
	if n == 0 || n == len(s) || s[n] != '{' {
		return
	}
	end := bytes.Index(s, []byte("}: "))
	if end < 0 || bytes.Contains(s[:end], []byte(": ")) {
		return
	}
	h.add("span", s[:end+1])
	h.at += end + len("}: ")
}

// erlang reads the process of Erlang's programs, "<0.229.0> ".
func (h *afterTime) erlang() {
	s := h.s[h.at:]
	end := bytes.IndexByte(s[:min(len(s), 32)], '>')
	if end < 4 || s[0] != '<' || end+1 >= len(s) || s[end+1] != ' ' {
		return
	}
	for _, c := range s[1:end] {
		if (c < '0' || c > '9') && c != '.' {
			return
		}
	}
	h.Thread = s[1:end]
	h.at += end + 2
}

// splunk reads "Component [1234 thread] - ".
func (h *afterTime) splunk() {
	s := h.s[h.at:]
	w := words.First(s)
	if len(w) < 3 || len(w) == len(s) || !words.IsName(w) || len(s) < len(w)+3 || s[len(w)+1] != '[' {
		return
	}
	n := words.Brackets(s[len(w)+1 : min(len(s), len(w)+200)])
	if n == 0 || !bytes.HasPrefix(s[len(w)+1+n:], []byte(" - ")) {
		return
	}
	h.Logger, h.Thread = w, s[len(w)+2:len(w)+n]
	h.at += len(w) + 1 + n + len(" - ")
}

// rounded reads "(thread) [logger] ", as Home Assistant has it.
func (h *afterTime) rounded() {
	s := h.s[h.at:]
	if len(s) < 6 || s[0] != '(' {
		return
	}
	thread, rest, ok := bytes.Cut(s[1:], []byte(") ["))
	logger, message, more := bytes.Cut(rest, []byte("] "))
	if ok && more && words.IsName(logger) && len(thread) < 100 {
		h.Thread, h.Logger = thread, logger
		h.at = len(h.s) - len(message)
	}
}

// levelLater finds the level in a message: java.util.logging begins the second line
// with it. It returns the message without that head.
func (h *afterTime) levelLater(message []byte) []byte {
	if h.Level = phpLevel(message); h.Level != nil {
		return message
	}
	i := bytes.IndexByte(message, '\n')
	if i < 0 {
		h.Level = levelAhead(message)
		return message
	}
	if w := words.First(message[i+1:]); len(w) > 1 && w[len(w)-1] == ':' && levels.Is(w[:len(w)-1]) {
		h.Level = w[:len(w)-1]
		if h.Logger == nil && i > 0 {
			h.Logger = message[:i]
			message = bytes.TrimPrefix(message[i+1+len(w):], []byte(" "))
		}
		return message
	}
	h.Level = levelAhead(message[:i])
	return message
}

// levelAhead finds a level among the first words of a line: in capitals with a colon or
// an angle bracket behind it, or in brackets.
func levelAhead(s []byte) []byte {
	s = s[:min(len(s), 128)]
	for range 8 {
		s = bytes.TrimLeft(s, " \t")
		w := words.UpToBlank(s)
		s = s[len(w):]
		if len(w) < 4 {
			if len(w) == 0 {
				return nil
			}
			continue
		}
		name := bytes.TrimRight(w, ":>|")
		if len(name) < len(w) && (aloneLevels[string(name)] || string(name) == "ERR" || string(name) == "CRIT") {
			if words.IsNumber(bytes.TrimRight(words.UpToBlank(bytes.TrimLeft(s, " ")), ",;.")) { // "ERROR: 0" counts
				continue
			}
			return name
		}
		if c := w[0]; c != '[' && c != '<' {
			continue
		}
		if name = bytes.TrimRight(w[1:], "]>:"); len(name)+1 < len(w) && levels.Is(name) {
			return name
		}
	}
	return nil
}

func (h *afterTime) skip() {
	for h.at < len(h.s) && (h.s[h.at] == ' ' || h.s[h.at] == '\t') {
		h.at++
	}
}

// words reads level, thread, logger and process id, in any usual order.
func (h *afterTime) words() {
	h.skip()
	if bytes.HasPrefix(h.s[h.at:], []byte("- ")) {
		h.at += 2
		h.skip()
	}
	for h.at < len(h.s) && (h.bracketed() || h.word()) {
		h.skip()
	}
}

// bracketed reads what stands in brackets, and reports whether it belongs to the
// head.
func (h *afterTime) bracketed() bool {
	s := h.s[h.at:]
	if s[0] != '[' {
		return false
	}
	n := words.Brackets(s)
	if n == 0 {
		return false
	}
	in := bytes.TrimSpace(s[1 : n-1])
	module, lvl, _ := bytes.Cut(in, []byte(":"))
	switch {
	case h.Level == nil && levels.Is(in):
		h.Level = in
	case h.Level == nil && h.Thread == nil && bytes.IndexByte(in, '/') > 0 && aloneLevels[string(in[bytes.LastIndexByte(in, '/')+1:])]: // Minecraft: [thread/LEVEL]
		i := bytes.LastIndexByte(in, '/')
		h.Thread, h.Level = in[:i], in[i+1:]
	case h.Level == nil && levels.Is(lvl): // Apache 2.4: [module:level]
		h.Logger, h.Level = module, lvl
	case bytes.HasPrefix(in, []byte("myid:")) && h.Thread == nil: // ZooKeeper
		h.add("myid", in[len("myid:"):])
		h.at += n
		if h.skip(); bytes.HasPrefix(h.s[h.at:], []byte("- ")) {
			h.at += 2
		}
		return true
	case bytes.HasPrefix(in, []byte("client ")):
		h.add("client", in[len("client "):])
		return false // Apache's; it is part of the text, too
	case h.Logger == nil && h.Thread == nil && h.Level != nil && roundAfter(s[n:]) > 0: // JBoss: [logger] (thread)
		k := roundAfter(s[n:])
		h.Logger, h.Thread = in, bytes.TrimSpace(s[n : n+k])[1:]
		h.Thread = h.Thread[:len(h.Thread)-1]
		n += k
	case h.Level != nil && h.Logger == nil && h.at > 0 && h.s[h.at-1] == ']' && h.s[0] == '[': // [level][logger]
		h.Logger = in
	case h.Level != nil && h.Thread != nil && h.Logger == nil && words.IsClass(in):
		h.Logger = in
	case h.Level != nil && h.Thread != nil && words.IsCaller(in):
		h.add("caller", in)
	case h.Level != nil && h.Thread == nil && bytes.IndexByte(in, ',') >= 0 && processAfter(s[n:]): // Spring Cloud Sleuth
		h.sleuth(in)
	case h.Thread == nil:
		h.Thread = in
	default:
		return false
	}
	h.at += n
	return true
}

// word reads a level or a process id, and reports whether one stood there.
func (h *afterTime) word() bool {
	rest := h.s[h.at:]
	w := words.First(rest)
	if i := bytes.IndexByte(w, '\t'); i >= 0 {
		w = w[:i]
	}
	switch {
	case h.Level == nil && levels.Is(w):
		h.Level = w
	case h.Level == nil && levels.Is(bytes.TrimRight(w, ":>")): // PostgreSQL's "LOG:  message", log4perl's "INFO> "
		h.Level = bytes.TrimRight(w, ":>")
	case h.Level == nil && h.padded(w):
		return true
	case h.Level == nil && h.asterisk(w):
	case h.Level == nil && esxiLevel(w) != nil:
		h.Level = esxiLevel(w)
	case words.IsNumber(w) && h.Level == nil && h.Thread == nil:
		h.Thread = w
	case words.IsNumber(w) && (h.Level == nil || h.Thread == nil && bytes.Contains(rest, []byte(" --- ["))):
		h.add("pid", w)
	default:
		return false
	}
	h.at += len(w)
	if h.Level != nil && bytes.HasPrefix(h.s[h.at:], []byte(" --- ")) {
		h.at += len(" --- ")
		h.spring()
	}
	return true
}

// padded reads "INFO[      main] ", w being what stands before the first space.
func (h *afterTime) padded(w []byte) bool {
	level, in, ok := bytes.Cut(w, []byte("["))
	if !ok || !levels.Is(level) || bytes.IndexByte(in, ']') >= 0 {
		return false
	}
	s := h.s[h.at+len(level):]
	n := words.Brackets(s[:min(len(s), 256)])
	if n == 0 {
		return false
	}
	h.Level, h.Thread = level, bytes.TrimSpace(s[1:n-1])
	h.at += len(level) + n
	return true
}

// asterisk reads "NOTICE[1234]" and "NOTICE[1234][C-00000001]", also with a colon behind.
func (h *afterTime) asterisk(w []byte) bool {
	level, rest, ok := bytes.Cut(w, []byte("["))
	in, closed := bytes.CutSuffix(bytes.TrimSuffix(rest, []byte(":")), []byte("]"))
	if !ok || !closed || !levels.Is(level) {
		return false
	}
	thread, call, _ := bytes.Cut(in, []byte("]["))
	h.Level, h.Thread = level, thread
	h.add("call", call)
	return true
}

// esxiLevel returns the level that ESXi writes with syslog's priority: "In(166)".
func esxiLevel(w []byte) []byte {
	if len(w) < 5 || w[2] != '(' || w[len(w)-1] != ')' || !words.IsNumber(w[3:len(w)-1]) {
		return nil
	}
	return esxiLevels[string(w[:2])]
}

var esxiLevels = map[string][]byte{
	"Db": []byte("DEBUG"), "In": []byte("INFO"), "No": []byte("NOTICE"), "Wa": []byte("WARN"), "Er": []byte("ERROR"),
	"Cr": []byte("CRITICAL"), "Al": []byte("ALERT"), "Em": []byte("EMERG"),
}

// spring reads what Spring Boot writes in brackets before the logger: from 3.2 on
// the application's name where it has one, the thread, and with tracing the ids.
func (h *afterTime) spring() {
	var in [3][]byte
	k := 0
	for h.skip(); k < len(in) && h.at < len(h.s) && h.s[h.at] == '['; h.skip() {
		n := words.Brackets(h.s[h.at:])
		if n == 0 || h.at+n < len(h.s) && h.s[h.at+n] != ' ' { // a logger begins so
			break
		}
		in[k] = bytes.TrimSpace(h.s[h.at+1 : h.at+n-1])
		k++
		h.at += n
	}
	h.springLogger()
	switch {
	case k == 0:
		return
	case k == 1:
		h.Thread = in[0]
		return
	case k == 2 && isCorrelation(in[1]):
		h.Thread = in[0]
	default:
		h.add("application", in[0])
		h.Thread = in[1]
	}
	if last := in[k-1]; k == 3 || isCorrelation(last) {
		trace, span, _ := bytes.Cut(last, []byte("-"))
		if len(bytes.TrimSpace(trace)) > 0 {
			h.add("trace_id", trace)
			h.add("span_id", span)
		}
	}
}

// springLogger reads the logger up to the colon that stands alone behind it. Its name
// may have brackets: "o.a.c.c.C.[Tomcat].[localhost].[/]       : ".
func (h *afterTime) springLogger() {
	h.skip()
	s := h.s[h.at:]
	w := words.First(s)
	rest := bytes.TrimLeft(s[len(w):], " ")
	if words.IsName(w) && len(s) > len(w) && (bytes.HasPrefix(rest, []byte(": ")) || string(rest) == ":") {
		h.Logger = w
		h.at = len(h.s) - len(rest)
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
func (h *afterTime) sleuth(in []byte) {
	for _, key := range [...]string{"application", "trace_id", "span_id", "exported"} {
		v, rest, more := bytes.Cut(in, []byte(","))
		if len(v) > 0 {
			h.add(key, v)
		}
		if in = rest; !more {
			return
		}
	}
	h.add("exported", in)
}

// processAfter reports whether a process id and " --- " follow.
func processAfter(s []byte) bool {
	s = bytes.TrimLeft(s, " ")
	w := words.First(s)
	return words.IsNumber(w) && bytes.HasPrefix(s[len(w):], []byte(" --- "))
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
