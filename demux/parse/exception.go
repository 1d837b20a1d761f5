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
	rest := message[first+1:]
	if !isFrame(rest) {
		for len(rest) > 0 {
			line := bytes.TrimPrefix(rest, []byte("\t")) // Tomcat's are indented
			if n := className(line); n > 0 {
				if text, traced := exceptionText(line[n:]); traced || thrown(line[:n]) {
					return line[:n], text
				}
			}
			if isFrame(rest) {
				return nil, nil
			}
			i := bytes.IndexByte(rest, '\n')
			if i < 0 {
				return nil, nil
			}
			rest = rest[i+1:]
		}
		return nil, nil
	}
	for line := message[:first]; len(line) > 0; {
		if n := className(line); n > 0 && thrown(line[:n]) {
			text, _ = exceptionText(message[len(message[:first])-len(line)+n:])
			return line[:n], text
		}
		i := bytes.IndexByte(line, ' ')
		if i < 0 {
			return nil, nil
		}
		line = bytes.TrimLeft(line[i:], " ")
	}
	return nil, nil
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

// exceptionText returns what stands between a class's name and the first line of its
// trace, and whether there is a trace.
func exceptionText(s []byte) (text []byte, traced bool) {
	if len(s) > 0 && s[0] == '(' { // Hadoop's RemoteException(java.io.IOException): text
		if i := bytes.IndexByte(s, ')'); i > 0 {
			s = s[i+1:]
		}
	}
	end := len(s)
	for at := 0; at < len(s); {
		i := bytes.IndexByte(s[at:], '\n')
		if i < 0 {
			break
		}
		next := at + i + 1
		if isFrame(s[next:]) {
			end, traced = next-1, true
			break
		}
		if bytes.HasPrefix(bytes.TrimPrefix(s[next:], []byte("\t")), []byte("Caused by: ")) {
			end = next - 1
			break
		}
		at = next
	}
	text = bytes.TrimSpace(s[:end])
	if len(text) == 0 || text[0] != ':' {
		return nil, traced
	}
	return bytes.TrimSpace(text[1:]), traced
}

// isFrame reports whether s starts with a line of a stack trace.
func isFrame(s []byte) bool {
	t := bytes.TrimLeft(s[:min(len(s), 64)], " \t")
	return len(t) < min(len(s), 64) && (bytes.HasPrefix(t, []byte("at ")) || bytes.HasPrefix(t, []byte("... ")))
}
