package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

// oddHead is the head of a record that begins with neither a time nor a level and a
// time:
//
//	I, [2026-11-28T10:00:00.123456 #1234]  INFO -- app: message     Ruby
//	I1128 10:00:00.123456    1234 server.go:123] message            glog
//	[2026-11-28T10:00:00Z INFO  crate::module] message              Rust's env_logger
//	[2026-11-28 10:00:00,123: INFO/MainProcess] message             Celery
//	info: Category[0]                                               .NET
//	INFO:logger:message                                             Python's basicConfig
//	INFO:     message                                               uvicorn
//
// and those in logconsoles.go. The last three have no time: their rows have that of the
// chunk.
type oddHead struct {
	at                           times.Instant
	time, level, thread, logger  []byte
	program, pid, caller, number []byte
	metadata, elapsed            []byte
	machine, code, report        []byte
	below                        bool // the message stands below the head
	n                            int  // bytes before the message; 0: it is of no such form
}

func readOdd(s []byte, z *times.Zone) (h oddHead) {
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if len(s) < 8 {
		return h
	}
	switch c := s[0]; {
	case c == '[':
		if h.bracketed(s, z); h.n == 0 {
			h.consoles(s, z)
		}
		if h.n == 0 {
			h.tagged(s, z)
		}
		if h.n == 0 {
			h.samba(s, z)
		}
	case c == '=':
		h.erlang(s, z)
	case c == ' ':
		h.zabbix(s, z)
	case c == '<' || c == '#':
		h.weblogic(s, z)
	case c >= '0' && c <= '9':
		if h.clocked(s, z); h.n == 0 {
			h.zabbix(s, z)
		}
	case c >= 'A' && c <= 'X':
		switch {
		case s[1] == ' ' && s[2] == '[':
			h.cups(s, z)
		case s[1] == ',':
			h.ruby(s, z)
		case s[1] >= '0' && s[1] <= '9':
			h.glog(s, z)
		case s[4] == '[':
			h.logrus(s)
		default:
			h.python(s)
		}
	case c >= 'c' && c <= 'w':
		h.dotnet(s)
	}
	return h
}

// ruby reads "I, [TIME #PID]  INFO -- PROGRAM: ".
func (h *oddHead) ruby(s []byte, z *times.Zone) {
	if string(s[1:4]) != ", [" {
		return
	}
	t, n := times.ISO(s[4:], z)
	rest, ok := bytes.CutPrefix(s[4+n:], []byte(" #"))
	if n == 0 || !ok {
		return
	}
	pid, rest, ok := bytes.Cut(rest, []byte("] "))
	level, rest, more := bytes.Cut(bytes.TrimLeft(rest, " "), []byte(" -- "))
	if !ok || !more || !isNumber(pid) || len(level) > 7 {
		return
	}
	h.at, h.time, h.pid, h.level = t, s[4:4+n], pid, level
	name, _, ok := bytes.Cut(rest, []byte(": "))
	if !ok || bytes.IndexByte(name, ' ') >= 0 {
		name = nil
		rest = bytes.TrimPrefix(rest, []byte(": "))
	} else {
		rest = rest[len(name)+2:]
	}
	h.program = name
	h.n = len(s) - len(rest)
}

// glog reads "I1128 10:00:00.123456    1234 server.go:123] ", also with a year
// before the month.
func (h *oddHead) glog(s []byte, z *times.Zone) {
	n := 1
	for n < len(s) && n < 10 && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	d := times.Words{S: s, I: n + 1}
	clock, micros, finer, ok := d.Clock()
	if !ok || s[n] != ' ' || levelOf(s[:1]) == 0 {
		return
	}
	var local int64
	switch n {
	case 5:
		local, ok = times.LastSuch(z, times.Digits(s, 1, 2), times.Digits(s, 3, 2), clock)
	case 9:
		local, ok = times.Seconds(times.Digits(s, 1, 4), times.Digits(s, 5, 2), times.Digits(s, 7, 2), 0, 0, 0)
	default:
		return
	}
	end := bytes.IndexByte(s[d.I:min(len(s), d.I+512)], ']')
	if !ok || end < 0 {
		return
	}
	thread, caller, ok := bytes.Cut(bytes.TrimLeft(s[d.I:d.I+end], " "), []byte(" "))
	if !ok || !isNumber(thread) || !isCaller(caller) {
		return
	}
	h.at = times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}
	h.time, h.level, h.thread, h.caller = s[1:d.I], s[:1], thread, caller
	h.n = d.I + end + 1
	for h.n < len(s) && s[h.n] == ' ' {
		h.n++
	}
}

// bracketed reads heads of env_logger and Celery.
func (h *oddHead) bracketed(s []byte, z *times.Zone) {
	t, n := plainLogTime(s[1:], z)
	end := bracket(s[:min(len(s), 512)])
	if n == 0 || end < n+4 {
		return
	}
	in := s[n+1 : end-1]
	celery := bytes.HasPrefix(in, []byte(": "))
	if !celery && in[0] != ' ' {
		return
	}
	in = bytes.TrimLeft(in, ": ")
	k := 0
	for k < len(in) && times.LetterOrDigit(in[k]) {
		k++
	}
	if !isLevel(in[:k]) {
		return
	}
	h.level = in[:k]
	switch name := bytes.TrimSpace(in[k:]); {
	case celery && len(name) > 1 && name[0] == '/':
		h.thread = name[1:]
	case bytes.IndexByte(name, ' ') < 0:
		h.logger = name
	default:
		return
	}
	h.at, h.time, h.n = t, s[1:1+n], end
	if h.n < len(s) && s[h.n] == ' ' {
		h.n++
	}
}

// python reads "LEVEL:name:", and "LEVEL:" with as many spaces behind as uvicorn
// writes: a single one, as java.util.logging has it, begins no record.
func (h *oddHead) python(s []byte) {
	const longest = len("CRITICAL")
	n := bytes.IndexByte(s[:min(len(s), longest+1)], ':')
	if n < 4 || n+1 == len(s) {
		return
	}
	switch string(s[:n]) {
	case "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL":
	default:
		return
	}
	rest := s[n+1:]
	if rest[0] == ' ' {
		spaces := len(rest) - len(bytes.TrimLeft(rest, " "))
		if spaces == 1+longest-n && spaces > 1 {
			h.level, h.n = s[:n], n+1+spaces
		}
		return
	}
	name, _, ok := bytes.Cut(rest[:min(len(rest), 200)], []byte(":"))
	if ok && isName(name) {
		h.level, h.logger, h.n = s[:n], name, n+1+len(name)+1
	}
}

// dotnet reads "info: Category[0]", which stands alone on a line or before the
// message.
func (h *oddHead) dotnet(s []byte) {
	switch string(s[:min(len(s), 6)]) {
	case "trce: ", "dbug: ", "info: ", "warn: ", "fail: ", "crit: ":
	default:
		return
	}
	w := word(s[6:])
	open := bytes.LastIndexByte(w, '[')
	if open <= 0 || w[len(w)-1] != ']' || !isNumber(w[open+1:len(w)-1]) {
		return
	}
	h.level, h.logger, h.number = s[:4], w[:open], w[open+1:len(w)-1]
	h.n = 6 + len(w)
}

// dotnet fills the row of a record whose time .NET's head follows; first is the
// record's first line. It reports whether it is one.
func (f *log4jFormat) dotnet(r *reader, s, first []byte) bool {
	if len(first) < 9 || first[0] != ' ' || first[1] < 'c' {
		return false
	}
	var h oddHead
	if h.dotnet(first[1:]); h.n == 0 {
		return false
	}
	f.oddHead(r, s[1+h.n:], &h)
	return true
}

// odd adds the row of such a record.
func (f *log4jFormat) odd(r *reader, rec []byte, h *oddHead) {
	r.row()
	if h.time != nil {
		r.setTime(h.at, "time", h.time)
	}
	f.oddHead(r, rec[h.n:], h)
}

// oddHead gives the row what the head has beside the time, and the message.
func (f *log4jFormat) oddHead(r *reader, message []byte, h *oddHead) {
	r.setLevel(h.level, "level")
	put(f.thread, h.thread)
	put(f.logger, h.logger)
	attr(r, "program", h.program)
	attr(r, "pid", h.pid)
	attr(r, "caller", h.caller)
	attr(r, "event_id", h.number)
	attr(r, "metadata", h.metadata)
	attr(r, "elapsed_s", h.elapsed)
	attr(r, "machine", h.machine)
	attr(r, "report", h.report)
	if h.report != nil {
		message = bytes.Trim(message, "\r\n")
	}
	if h.code != nil {
		r.b.Attr("message_id", h.code)
		message = bytes.TrimSuffix(bytes.TrimRight(message, " \r\n"), []byte(">"))
	}
	switch {
	case h.number != nil:
		message = f.dedent(message, "      ")
	case h.below:
		message = f.dedent(message, "  ")
	}
	r.b.Message(message)
	f.exceptions.put(message)
}

func attr(r *reader, key string, v []byte) {
	if len(v) > 0 {
		r.b.Attr(key, v)
	}
}

// dedent takes the spaces off the lines of a message that .NET or Samba wrote below its head.
func (f *log4jFormat) dedent(s []byte, indent string) []byte {
	s = bytes.TrimPrefix(bytes.TrimLeft(s, " \r"), []byte("\n"))
	if bytes.IndexByte(s, '\n') < 0 {
		return bytes.TrimPrefix(s, []byte(indent))
	}
	f.buf = f.buf[:0]
	for len(s) > 0 {
		line := s
		if i := bytes.IndexByte(s, '\n'); i >= 0 {
			line = s[:i+1]
		}
		f.buf = append(f.buf, bytes.TrimPrefix(line, []byte(indent))...)
		s = s[len(line):]
	}
	return f.buf
}
