package parse

import (
	"bytes"
	"time"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// log4jFormat parses what logging frameworks write by default, and Apache's
// error log: a time, then in any usual order a level, a thread in brackets or
// a number, a logger, and the message:
//
//	2015-10-18 18:01:47,978 INFO [main] org.apache.Foo: message
//	2015-07-29 17:41:44,747 - INFO  [thread:Class@774] - message
//	081109 203615 148 INFO dfs.Foo: message
//	17/06/09 20:10:40 INFO executor.Foo: message
//	2024-05-01T10:00:00.123Z [main] WARN  c.e.Foo - message
//	2024-05-01 10:00:00.123  INFO 77 --- [main] c.e.Foo : message
//	[2024-05-01T10:00:00,123][INFO ][o.e.n.Node] [node] message
//	[Sun Dec 04 04:47:44 2005] [notice] message
//
// A line that starts with no time belongs to the record before, where the
// chunk does not say otherwise: stack traces are part of the message.
type log4jFormat struct {
	gen            *rows.Generation
	thread, logger *rows.Column
}

func (f *log4jFormat) begin(r *reader) {
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.thread = r.b.Typed("thread", schema.String)
	f.logger = r.b.Typed("logger", schema.String)
}

func (f *log4jFormat) starts(line []byte) bool {
	if len(line) < 13 || line[0] != '[' && (line[0] < '0' || line[0] > '9') {
		return false
	}
	_, n := logTime(line, nil)
	return n > 0
}

func (f *log4jFormat) record(r *reader, rec []byte) {
	t, n := logTime(rec, &r.zone)
	if n == 0 {
		r.fail(rec, "not log4j: it does not start with a time")
		return
	}
	r.row()
	r.setTime(t, "time", rec[:n])
	f.rest(r, rec[n:])
}

// logTime reads the time at the start of a record, with its brackets.
func logTime(s []byte, z *zone) (instant, int) {
	if z == nil {
		z = &zone{loc: time.UTC} // only asked whether a time is there
	}
	if len(s) > 1 && s[0] == '[' {
		if t, n := apacheTime(s, z); n > 0 {
			return t, n
		}
		if t, n := isoTime(s[1:], z); n > 0 && n+1 < len(s) && s[n+1] == ']' {
			return t, n + 2
		}
		return instant{}, 0
	}
	if t, n := isoTime(s, z); n > 0 {
		return t, n
	}
	var secs int64
	var ok bool
	n := 0
	switch {
	case len(s) >= 13 && s[6] == ' ' && (len(s) == 13 || s[13] == ' '): // yyMMdd HHmmss
		secs, ok = seconds(century(digits(s, 0, 2)), digits(s, 2, 2), digits(s, 4, 2),
			digits(s, 7, 2), digits(s, 9, 2), digits(s, 11, 2))
		n = 13
	case len(s) >= 17 && s[2] == '/' && s[5] == '/' && s[8] == ' ' && s[11] == ':' && s[14] == ':': // yy/MM/dd HH:mm:ss
		secs, ok = seconds(century(digits(s, 0, 2)), digits(s, 3, 2), digits(s, 6, 2),
			digits(s, 9, 2), digits(s, 12, 2), digits(s, 15, 2))
		n = 17
	}
	if !ok {
		return instant{}, 0
	}
	micros, finer, k := fraction(s[n:])
	return instant{micros: z.utc(secs)*1_000_000 + micros, finer: finer, ok: true}, n + k
}

func century(yy int) int {
	if yy < 0 {
		return -1
	}
	if yy < 70 {
		return 2000 + yy
	}
	return 1900 + yy
}

// apacheTime reads "[Sun Dec 04 04:47:44.123456 2005]".
func apacheTime(s []byte, z *zone) (instant, int) {
	if len(s) < 26 || s[4] != ' ' || s[8] != ' ' || s[11] != ' ' || s[14] != ':' || s[17] != ':' {
		return instant{}, 0
	}
	day := digits(s, 9, 2)
	if s[9] == ' ' {
		day = digits(s, 10, 1)
	}
	micros, finer, k := fraction(s[20:])
	n := 20 + k
	if n+6 > len(s) || s[n] != ' ' || s[n+5] != ']' {
		return instant{}, 0
	}
	secs, ok := seconds(digits(s, n+1, 4), month(s[5:]), day, digits(s, 12, 2), digits(s, 15, 2), digits(s, 18, 2))
	if !ok {
		return instant{}, 0
	}
	return instant{micros: z.utc(secs)*1_000_000 + micros, finer: finer, ok: true}, n + 6
}

// rest reads what follows the time.
func (f *log4jFormat) rest(r *reader, s []byte) {
	var level, thread, logger []byte
	first := s // the record's first line: the head is there
	if i := bytes.IndexByte(s, '\n'); i >= 0 {
		first = s[:i]
	}
	at := 0
	skip := func() {
		for at < len(first) && (first[at] == ' ' || first[at] == '\t') {
			at++
		}
	}
	skip()
	if bytes.HasPrefix(first[at:], []byte("- ")) {
		at += 2
		skip()
	}
head:
	for at < len(first) {
		switch {
		case first[at] == '[':
			n := bracket(first[at:])
			if n == 0 {
				break head
			}
			in := bytes.TrimSpace(first[at+1 : at+n-1])
			switch module, lvl, _ := bytes.Cut(in, []byte(":")); {
			case level == nil && isLevel(in):
				level = in
			case level == nil && isLevel(lvl): // Apache 2.4: [module:level]
				logger, level = module, lvl
			case bytes.HasPrefix(in, []byte("client ")):
				r.b.Attr("client", in[len("client "):])
				break head // Apache's; it is part of the text, too
			case thread == nil && logger == nil && level != nil && first[at-1] == ']' && first[0] == '[': // [level][logger]
				logger = in
			case thread == nil:
				thread = in
			default:
				break head
			}
			at += n
		case level == nil || thread == nil && isNumber(word(first[at:])) && bytes.Contains(first[at:], []byte(" --- [")):
			w := word(first[at:])
			switch {
			case level == nil && isLevel(w):
				level = w
			case isNumber(w):
				if level == nil {
					thread = w
				} else {
					r.b.Attr("pid", w)
				}
			default:
				break head
			}
			at += len(w)
			if level != nil && bytes.HasPrefix(first[at:], []byte(" --- ")) {
				at += len(" --- ")
			}
		default:
			break head
		}
		skip()
	}
	if t, class, line, ok := threadClass(thread); ok {
		thread, logger = t, class
		r.b.Attr("line", line)
	}
	if level != nil {
		r.setLevel(level, "level")
	}
	if logger == nil && (at == len(first) || first[at] != '[') {
		var n int
		if logger, n = loggerName(first[at:]); n > 0 {
			at += n
		}
	}
	if bytes.HasPrefix(first[at:], []byte("- ")) {
		at += 2
	} else if bytes.HasPrefix(first[at:], []byte(": ")) {
		at += 2
	}
	if len(thread) > 0 {
		f.thread.String(thread)
	}
	if len(logger) > 0 {
		f.logger.String(logger)
	}
	r.b.Message(s[at:])
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

// threadClass takes ZooKeeper's "thread:Class@line" apart.
func threadClass(s []byte) (thread, class, line []byte, ok bool) {
	at := bytes.LastIndexByte(s, '@')
	colon := bytes.LastIndexByte(s[:max(at, 0)], ':')
	if at < 0 || colon < 0 || !isNumber(s[at+1:]) {
		return nil, nil, nil, false
	}
	return s[:colon], s[colon+1 : at], s[at+1:], true
}

// loggerName reads "name: ", "name - " or "name : " at the start of s.
func loggerName(s []byte) ([]byte, int) {
	n := 0
	for n < len(s) && s[n] > ' ' && s[n] < 0x7f && s[n] != ':' && s[n] != '[' {
		n++
	}
	if n == 0 || n == len(s) {
		return nil, 0
	}
	name := s[:n]
	if s[n] == ':' {
		if n+1 < len(s) && s[n+1] != ' ' {
			return nil, 0
		}
		return name, min(n+2, len(s))
	}
	for n < len(s) && s[n] == ' ' {
		n++
	}
	if n+2 <= len(s) && (s[n] == '-' || s[n] == ':') && s[n+1] == ' ' {
		return name, n + 2
	}
	return nil, 0
}
