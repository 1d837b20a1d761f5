package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// exceptions are the columns of an exception in a message with its stack trace.
type exceptions struct {
	class, message *rows.Column
}

func (e *exceptions) begin(r *reader) {
	e.class, e.message = r.b.Typed("exception.class", schema.String), r.b.Typed("exception.message", schema.String)
}

// put puts the exception of a message, if it has one, into the row.
func (e *exceptions) put(message []byte) {
	class, text := exceptionIn(message)
	if class == nil {
		return
	}
	e.class.String(class)
	if len(text) > 0 {
		e.message.String(text)
	}
}

// exceptionIn returns the class and the message of the exception whose stack trace a
// message has: the first that a line behind the first one starts with, or else the
// one that ends the first line, where the trace follows at once.
func exceptionIn(message []byte) (class, text []byte) {
	first := bytes.IndexByte(message, '\n')
	if first < 0 {
		return nil, nil
	}
	if isFrame(message[first+1:]) {
		return thrownIn(message[:first])
	}
	end, traced := 0, false // of what stands before the next trace: looked for once
	for at := first + 1; at < len(message) && !isFrame(message[at:]); at += lineOf(message[at:]) {
		line := bytes.TrimPrefix(message[at:], []byte("\t")) // Tomcat's are indented
		n := className(line)
		if n == 0 {
			continue
		}
		if end <= at {
			end, traced = beforeTrace(message, at)
		}
		if traced || thrown(line[:n]) {
			return line[:n], exceptionText(line[n : len(line)-len(message)+end])
		}
	}
	return nil, nil
}

// thrownIn returns the class and the message of the exception that ends a line.
func thrownIn(line []byte) (class, text []byte) {
	for len(line) > 0 {
		if n := className(line); n > 0 && thrown(line[:n]) {
			return line[:n], exceptionText(line[n:])
		}
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return nil, nil
		}
		line = bytes.TrimLeft(line[i:], " ")
	}
	return nil, nil
}

// beforeTrace returns where the next trace or cause begins behind the line at a place
// of a message, and whether it is a trace.
func beforeTrace(message []byte, at int) (end int, traced bool) {
	for at += lineOf(message[at:]); at < len(message); at += lineOf(message[at:]) {
		if isFrame(message[at:]) {
			return at, true
		}
		if bytes.HasPrefix(bytes.TrimPrefix(message[at:], []byte("\t")), []byte("Caused by: ")) {
			return at, false
		}
	}
	return len(message), false
}

// className returns the length of a class's name at the start of s, if a colon, a
// bracket, the line's end or nothing follows.
func className(s []byte) int {
	n := 0
	for n < len(s) && n < 300 && (times.LetterOrDigit(s[n]) || s[n] == '.' || s[n] == '_' || s[n] == '$' || s[n] == '/') {
		n++
	}
	if n < 3 || s[0] >= '0' && s[0] <= '9' || s[0] == '.' || s[n-1] == '.' {
		return 0
	}
	if n < len(s) {
		switch s[n] {
		case '\n', '\r', '(':
		case ':':
			if n+1 < len(s) && s[n+1] > ' ' {
				return 0
			}
		default:
			return 0
		}
	}
	if !thrown(s[:n]) && bytes.Count(s[:n], []byte{'.'}) < 2 {
		return 0
	}
	return n
}

// thrown reports whether a class's name ends as those of exceptions do.
func thrown(name []byte) bool {
	for _, end := range [...]string{"Exception", "Error", "Throwable", "Failure", "Interrupt"} {
		if bytes.HasSuffix(name, []byte(end)) {
			return true
		}
	}
	return false
}

// exceptionText returns the text between a class's name and its trace.
func exceptionText(s []byte) []byte {
	if len(s) > 0 && s[0] == '(' { // Hadoop's RemoteException(java.io.IOException): text
		if i := bytes.IndexByte(s, ')'); i > 0 {
			s = s[i+1:]
		}
	}
	if s = bytes.TrimSpace(s); len(s) == 0 || s[0] != ':' {
		return nil
	}
	return bytes.TrimSpace(s[1:])
}

// isFrame reports whether s starts with a line of a stack trace.
func isFrame(s []byte) bool {
	t := bytes.TrimLeft(s[:min(len(s), 64)], " \t")
	return len(t) < min(len(s), 64) && (bytes.HasPrefix(t, []byte("at ")) || bytes.HasPrefix(t, []byte("... ")))
}
