package applog

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
)

// oddHead is the head of a record that begins with neither a time nor a level and a
// time, as oddForms lists them. Some have no time at all.
type oddHead struct {
	*Head
	program, pid, caller, number []byte
	metadata, elapsed            []byte
	machine, code, report        []byte
	component                    []byte // stands before each line of the message below
	below                        bool   // the message stands below the head
	n                            int    // bytes before the message; 0: it is of no such form
}

// odd reads the head of an odd form.
func (r *Reader) odd(s []byte, z *times.Zone) oddHead {
	h := oddHead{Head: &r.head}
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	}
	if len(s) < 8 {
		return h
	}
	for _, read := range oddReaders[s[0]] {
		if read(&h, s, z); h.n > 0 {
			return h
		}
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
	if !ok || !more || !words.IsNumber(pid) || len(level) > 7 {
		return
	}
	h.At, h.Time, h.pid, h.Level = t, s[4:4+n], pid, level
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

// bracketed reads heads of env_logger and Celery.
func (h *oddHead) bracketed(s []byte, z *times.Zone) {
	t, n := plainLogTime(s[1:], z)
	end := words.Brackets(s[:min(len(s), 512)])
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
	if !levels.Is(in[:k]) {
		return
	}
	h.Level = in[:k]
	switch name := bytes.TrimSpace(in[k:]); {
	case celery && len(name) > 1 && name[0] == '/':
		h.Thread = name[1:]
	case bytes.IndexByte(name, ' ') < 0:
		h.Logger = name
	default:
		return
	}
	h.At, h.Time, h.n = t, s[1:1+n], end
	if h.n < len(s) && s[h.n] == ' ' {
		h.n++
	}
}

// python reads "LEVEL:name:", and "LEVEL:" with as many spaces behind as uvicorn
// writes: a single one, as java.util.logging has it, begins no record.
func (h *oddHead) python(s []byte, _ *times.Zone) {
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
			h.Level, h.n = s[:n], n+1+spaces
		}
		return
	}
	name, _, ok := bytes.Cut(rest[:min(len(rest), 200)], []byte(":"))
	if ok && words.IsName(name) {
		h.Level, h.Logger, h.n = s[:n], name, n+1+len(name)+1
	}
}

// dotnet reads "info: Category[0]", which stands alone on a line or before the
// message.
func (h *oddHead) dotnet(s []byte, _ *times.Zone) {
	switch string(s[:min(len(s), 6)]) {
	case "trce: ", "dbug: ", "info: ", "warn: ", "fail: ", "crit: ":
	default:
		return
	}
	w := words.First(s[6:])
	open := bytes.LastIndexByte(w, '[')
	if open <= 0 || w[len(w)-1] != ']' || !words.IsNumber(w[open+1:len(w)-1]) {
		return
	}
	h.Level, h.Logger, h.number = s[:4], w[:open], w[open+1:len(w)-1]
	h.n = 6 + len(w)
}

// dotnet reads .NET's head behind a time; first is the record's first line behind that.
// It reports whether it is one.
func (r *Reader) dotnet(s, first []byte) bool {
	if len(first) < 9 || first[0] != ' ' || first[1] < 'c' {
		return false
	}
	h := oddHead{Head: &r.head}
	if h.dotnet(first[1:], nil); h.n == 0 {
		return false
	}
	r.oddMessage(s[1+h.n:], &h)
	return true
}

// oddMessage gives the head what is odd in it, and the message.
func (r *Reader) oddMessage(message []byte, h *oddHead) {
	h.add("program", h.program)
	h.add("pid", h.pid)
	h.add("caller", h.caller)
	h.add("event_id", h.number)
	h.add("metadata", h.metadata)
	h.add("elapsed_s", h.elapsed)
	h.add("machine", h.machine)
	h.add("report", h.report)
	if h.report != nil {
		message = bytes.Trim(message, "\r\n")
	}
	if h.code != nil {
		h.add("message_id", h.code)
		message = bytes.TrimSuffix(bytes.TrimRight(message, " \r\n"), []byte(">"))
	}
	switch {
	case h.number != nil:
		message = r.dedent(message, "      ")
	case h.component != nil:
		message = r.unmarked(message, h.component[0])
		switch {
		case bytes.Contains(message, []byte("*** ERROR")):
			h.Level = []byte("ERROR")
		case bytes.Contains(message, []byte("*** WARNING")):
			h.Level = []byte("WARN")
		}
	case h.below:
		message = r.dedent(message, "  ")
	}
	h.Message = message
}

// unmarked takes the byte off that stands before each line of a message, and the spaces
// behind it.
func (r *Reader) unmarked(s []byte, mark byte) []byte {
	r.buf = r.buf[:0]
	for line := range bytes.Lines(bytes.TrimLeft(s, "\r\n")) {
		if line[0] == mark && len(line) > 1 && line[1] <= ' ' {
			line = bytes.TrimLeft(line[1:], " ")
		}
		r.buf = append(r.buf, line...)
	}
	return bytes.TrimSuffix(bytes.TrimRight(r.buf, " \r\n"), []byte("\n"+string(mark)))
}

// dedent takes the spaces off the lines of a message that .NET or Samba wrote below its head.
func (r *Reader) dedent(s []byte, indent string) []byte {
	s = bytes.TrimPrefix(bytes.TrimLeft(s, " \r"), []byte("\n"))
	if bytes.IndexByte(s, '\n') < 0 {
		return bytes.TrimPrefix(s, []byte(indent))
	}
	r.buf = r.buf[:0]
	for len(s) > 0 {
		line := s
		if i := bytes.IndexByte(s, '\n'); i >= 0 {
			line = s[:i+1]
		}
		r.buf = append(r.buf, bytes.TrimPrefix(line, []byte(indent))...)
		s = s[len(line):]
	}
	return r.buf
}
