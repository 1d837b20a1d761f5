package parse

import "bytes"

// logHead is what stands between a record's time and its message.
type logHead struct {
	level, thread, logger []byte

	bracket bool // the time stood in brackets

	s   []byte // the record's first line, behind its time: the head is there
	at  int    // what of it is read
	end int    // where the message's first line ends in it; 0: with it
}

// head reads what follows the time; h has what stood before it.
func (f *log4jFormat) head(r *reader, s []byte, h logHead) {
	h.s = s
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		h.s = s[:i]
	}
	switch timeFirst := h.level == nil; {
	case h.signed(r):
	case timeFirst && f.dotnet(r, s, h.s):
		return
	case h.bracket && h.kafkaHead(r):
	default:
		if !h.tabs(r) {
			h.words(r)
		}
		h.names(r, timeFirst)
	}
	message := s[h.at:]
	if h.at == len(h.s) { // the time stands alone on a line
		message = bytes.TrimPrefix(message, []byte("\n"))
	}
	if h.end > 0 {
		f.buf = append(append(f.buf[:0], h.s[h.at:h.end]...), s[len(h.s):]...)
		message = f.buf
	}
	if h.level == nil {
		message = h.levelLater(message)
	}
	if h.level != nil {
		r.setLevel(h.level, "level")
	}
	put(f.thread, h.thread)
	put(f.logger, h.logger)
	r.b.Message(message)
	f.exceptions.put(message)
}

// names reads the logger behind level and thread, and what stands before the
// message.
func (h *logHead) names(r *reader, timeFirst bool) {
	h.process(r)
	if thread, class, line, ok := threadClass(h.thread); ok {
		h.thread, h.logger = thread, class
		r.b.Attr("line", line)
	}
	if h.level != nil && h.thread == nil && h.logger == nil {
		if h.solr(r); h.logger == nil {
			h.rounded()
		}
	}
	h.behind(r)
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
		if n > 0 && h.level == nil {
			h.levelAfter()
		}
	}
	if h.logger == nil && h.level != nil && h.thread != nil {
		h.secondName(r)
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
func (h *logHead) process(r *reader) {
	if h.level == nil || h.at == len(h.s) || h.logger != nil {
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
	w := word(s)
	if s[0] == '(' {
		if in, _, ok := bytes.Cut(s[1:], []byte("): ")); ok && h.named(r, in) {
			h.at += len(in) + len("(): ")
		}
	} else if bytes.IndexByte(w, '/') > 0 && bytes.HasPrefix(s[len(w):], []byte(" on ")) {
		if in, _, ok := bytes.Cut(s, []byte(": ")); ok && h.named(r, in) {
			h.at += len(in) + len(": ")
		}
	} else if open := bytes.IndexByte(w, '['); open > 0 && isWord(w[:open]) {
		h.numbered(r, s, open)
	}
}

// numbered reads what has brackets behind a name, at open.
func (h *logHead) numbered(r *reader, s []byte, open int) {
	if name, pid, n := tag(s); n > 0 && isNumber(pid) {
		r.b.Attr("pid", pid)
		h.logger = name
		h.at += n
		h.skip()
		return
	}
	thread, rest, ok := bytes.Cut(s[open+1:], []byte("]["))
	logger, _, more := bytes.Cut(rest, []byte("] "))
	if ok && more && isName(logger) && len(thread) < 100 {
		r.b.Attr("process", s[:open])
		h.thread, h.logger = thread, logger
		h.at += open + len("[") + len(thread) + len("][") + len(logger) + len("] ")
	}
}

// named reads "app/77 on host", of which the number alone must be there.
func (h *logHead) named(r *reader, s []byte) bool {
	s, host, _ := bytes.Cut(s, []byte(" on "))
	slash := bytes.LastIndexByte(s, '/')
	if bare := slash < 0 && host == nil; bare && len(s) == len("404") {
		return false // a status, rather
	}
	if !isNumber(s[slash+1:]) || bytes.IndexByte(s, ' ') >= 0 || bytes.IndexByte(host, ' ') >= 0 {
		return false
	}
	attr(r, "program", s[:max(slash, 0)])
	attr(r, "pid", s[slash+1:])
	attr(r, "machine", host)
	return true
}

// secondName reads a logger that a user stands before, "admin org.example.Foo - ", as
// Nexus writes it.
func (h *logHead) secondName(r *reader) {
	s := h.s[h.at:]
	user := word(s[:min(len(s), 64)])
	if len(user) == 0 || len(user)+1 >= len(s) {
		return
	}
	name := word(s[len(user)+1:])
	if !isClass(name) || !bytes.HasPrefix(s[len(user)+1+len(name):], []byte(" - ")) {
		return
	}
	r.b.Attr("user", user)
	h.logger = name
	h.at += len(user) + 1 + len(name) + len(" - ")
}

// rounded reads "(thread) [logger] ", as Home Assistant has it.
func (h *logHead) rounded() {
	s := h.s[h.at:]
	if len(s) < 6 || s[0] != '(' {
		return
	}
	thread, rest, ok := bytes.Cut(s[1:], []byte(") ["))
	logger, message, more := bytes.Cut(rest, []byte("] "))
	if ok && more && isName(logger) && len(thread) < 100 {
		h.thread, h.logger = thread, logger
		h.at = len(h.s) - len(message)
	}
}

// levelLater finds the level in a message: java.util.logging begins the second line
// with it. It returns the message without that head.
func (h *logHead) levelLater(message []byte) []byte {
	if h.level = phpLevel(message); h.level != nil {
		return message
	}
	i := bytes.IndexByte(message, '\n')
	if i < 0 {
		h.level = levelAhead(message)
		return message
	}
	if w := word(message[i+1:]); len(w) > 1 && w[len(w)-1] == ':' && isLevel(w[:len(w)-1]) {
		h.level = w[:len(w)-1]
		if h.logger == nil && i > 0 {
			h.logger = message[:i]
			message = bytes.TrimPrefix(message[i+1+len(w):], []byte(" "))
		}
		return message
	}
	h.level = levelAhead(message[:i])
	return message
}

// levelAhead finds a level among the first words of a line: in capitals with a colon or
// an angle bracket behind it, or in brackets.
func levelAhead(s []byte) []byte {
	s = s[:min(len(s), 128)]
	for range 8 {
		s = bytes.TrimLeft(s, " \t")
		w := wordAt(s)
		s = s[len(w):]
		if len(w) < 4 {
			if len(w) == 0 {
				return nil
			}
			continue
		}
		name := bytes.TrimRight(w, ":>|")
		if len(name) < len(w) && (aloneLevels[string(name)] || string(name) == "ERR" || string(name) == "CRIT") {
			if isNumber(bytes.TrimRight(wordAt(bytes.TrimLeft(s, " ")), ",;.")) { // "ERROR: 0" counts
				continue
			}
			return name
		}
		if c := w[0]; c != '[' && c != '<' {
			continue
		}
		if name = bytes.TrimRight(w[1:], "]>:"); len(name)+1 < len(w) && isLevel(name) {
			return name
		}
	}
	return nil
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
	case h.level == nil && h.thread == nil && bytes.IndexByte(in, '/') > 0 && aloneLevels[string(in[bytes.LastIndexByte(in, '/')+1:])]: // Minecraft: [thread/LEVEL]
		i := bytes.LastIndexByte(in, '/')
		h.thread, h.level = in[:i], in[i+1:]
	case h.level == nil && isLevel(lvl): // Apache 2.4: [module:level]
		h.logger, h.level = module, lvl
	case bytes.HasPrefix(in, []byte("myid:")) && h.thread == nil: // ZooKeeper
		r.b.Attr("myid", in[len("myid:"):])
		h.at += n
		if h.skip(); bytes.HasPrefix(h.s[h.at:], []byte("- ")) {
			h.at += 2
		}
		return true
	case bytes.HasPrefix(in, []byte("client ")):
		r.b.Attr("client", in[len("client "):])
		return false // Apache's; it is part of the text, too
	case h.logger == nil && h.thread == nil && h.level != nil && roundAfter(s[n:]) > 0: // JBoss: [logger] (thread)
		k := roundAfter(s[n:])
		h.logger, h.thread = in, bytes.TrimSpace(s[n : n+k])[1:]
		h.thread = h.thread[:len(h.thread)-1]
		n += k
	case h.level != nil && h.logger == nil && h.at > 0 && h.s[h.at-1] == ']' && h.s[0] == '[': // [level][logger]
		h.logger = in
	case h.level != nil && h.thread != nil && h.logger == nil && isClass(in):
		h.logger = in
	case h.level != nil && h.thread != nil && isCaller(in):
		r.b.Attr("caller", in)
	case h.level != nil && h.thread == nil && bytes.IndexByte(in, ',') >= 0 && processAfter(s[n:]): // Spring Cloud Sleuth
		h.sleuth(r, in)
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
	if i := bytes.IndexByte(w, '\t'); i >= 0 {
		w = w[:i]
	}
	switch {
	case h.level == nil && isLevel(w):
		h.level = w
	case h.level == nil && isLevel(bytes.TrimRight(w, ":>")): // PostgreSQL's "LOG:  message", log4perl's "INFO> "
		h.level = bytes.TrimRight(w, ":>")
	case h.level == nil && h.asterisk(r, w):
	case h.level == nil && esxiLevel(w) != nil:
		h.level = esxiLevel(w)
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

// asterisk reads "NOTICE[1234]" and "NOTICE[1234][C-00000001]", also with a colon behind.
func (h *logHead) asterisk(r *reader, w []byte) bool {
	level, rest, ok := bytes.Cut(w, []byte("["))
	in, closed := bytes.CutSuffix(bytes.TrimSuffix(rest, []byte(":")), []byte("]"))
	if !ok || !closed || !isLevel(level) {
		return false
	}
	thread, call, _ := bytes.Cut(in, []byte("]["))
	h.level, h.thread = level, thread
	attr(r, "call", call)
	return true
}

// esxiLevel returns the level that ESXi writes with syslog's priority: "In(166)".
func esxiLevel(w []byte) []byte {
	if len(w) < 5 || w[2] != '(' || w[len(w)-1] != ')' || !isNumber(w[3:len(w)-1]) {
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
func (h *logHead) spring(r *reader) {
	var in [3][]byte
	k := 0
	for h.skip(); k < len(in) && h.at < len(h.s) && h.s[h.at] == '['; h.skip() {
		n := bracket(h.s[h.at:])
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

// springLogger reads the logger up to the colon that stands alone behind it. Its name
// may have brackets: "o.a.c.c.C.[Tomcat].[localhost].[/]       : ".
func (h *logHead) springLogger() {
	h.skip()
	s := h.s[h.at:]
	w := word(s)
	rest := bytes.TrimLeft(s[len(w):], " ")
	if isName(w) && len(s) > len(w) && (bytes.HasPrefix(rest, []byte(": ")) || string(rest) == ":") {
		h.logger = w
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
