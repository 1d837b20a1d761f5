package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var log4jParser = define("log4j", "the usual layouts of log4j, logback, Spring Boot, JBoss, Quarkus, Tomcat, Jetty, Flink, Kafka, Cassandra, Solr, Trino, zap, Python, Ruby, Rust, .NET, PHP, Erlang, nginx and Apache's error log, ClickHouse, Oracle, SQL Server and whatever else begins lines with a time, or those that `pattern` gives as their configs have them; stack traces stay whole",
	func() log4jOptions { return log4jOptions{} }, newLog4jBy).
	guessed(clue{kin: kinMany, sure: sureLog4j, likely: likelyLog4j, start: log4jStart, names: []string{"*error.log", "error_log"}}) // of Apache, nginx and their like

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
//	2026-11-28 10:00:00,123 INFO  [org.jboss.as.server] (main) message
//	2026-11-28 10:00:00,123 INFO  org.apache.flink.Foo    [] - message
//	28-Nov-2026 10:00:00.123 INFO [main] org.apache.catalina.Foo.bar message
//	INFO  [main] 2026-11-28 10:00:00,123 Foo.java:155 - message
//	10:00:00.123 [main] INFO  c.e.Foo - message
//
// or with tabs between these parts; and those that readOdd and signed read. Colours
// of a terminal are taken off. A line that starts with no time belongs to
// the record before, where the chunk does not say otherwise: stack traces are
// part of the message.
type log4jFormat struct {
	gen            *rows.Generation
	thread, logger *rows.Column
	buf            []byte     // of a message whose lines were indented
	plain          []byte     // of a record without its colours
	seen           times.Zone // for times of which it matters only that they are there
	times          times.Formats
	exceptions     exceptions
}

// timeFormats implements timed.
func (f *log4jFormat) timeFormats(t times.Formats) { f.times = t }

func newLog4j() *log4jFormat { return &log4jFormat{seen: times.AnyZone()} }

func (f *log4jFormat) begin(r *reader) {
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.thread = r.b.Typed("thread", schema.String)
	f.logger = r.b.Typed("logger", schema.String)
	f.exceptions.begin(r)
}

// starts implements grouper: a record begins with its time, or with its level
// and its time soon after.
func (f *log4jFormat) starts(line []byte) bool {
	line = f.colourless(line[:min(len(line), maxHead)], line)
	if f.times == nil && (len(line) < 8 || !startsHead[line[0]]) {
		return false
	}
	if len(line) > 0 && line[0] == ' ' && f.times == nil {
		if c := bytes.TrimLeft(line, " "); len(c) == 0 || c[0] < '0' || c[0] > '9' {
			return false
		}
		line = line[indented(line, &f.seen):]
	}
	if _, n := f.time(line, &f.seen); n > 0 {
		return true
	}
	return f.levelFirst(line, &f.seen).n > 0 || f.times == nil && readOdd(line, &f.seen).n > 0
}

func (f *log4jFormat) record(r *reader, whole []byte) {
	rec := f.colourless(whole, whole)
	if len(rec) > 0 && rec[0] == ' ' && f.times == nil {
		rec = rec[indented(rec, &r.zone):]
	}
	t, n := f.time(rec, &r.zone)
	if n > 0 {
		r.row()
		r.setTime(t, "time", rec[:n])
		f.head(r, rec[n:], logHead{bracket: rec[0] == '['})
		return
	}
	l := f.levelFirst(rec, &r.zone)
	if l.n == 0 {
		if h := readOdd(rec, &r.zone); f.times == nil && h.n > 0 {
			f.odd(r, rec, &h)
			return
		}
		if f.times != nil {
			r.fail(whole, "not log4j: it does not start with a time as time_format says: "+f.times.Why(rec[:min(len(rec), maxHead)], &r.zone))
			return
		}
		r.fail(whole, "not log4j: it starts with neither a time nor a level and a time")
		return
	}
	r.row()
	r.setTime(l.at, "time", l.time)
	f.head(r, rec[l.n:], logHead{level: l.level, thread: l.thread})
}

// startsHead are the bytes with which heads of the usual forms start.
var startsHead = func() (t [256]bool) {
	for c := range t {
		t[c] = times.LetterOrDigit(byte(c)) || bytes.IndexByte([]byte("[<#= "), byte(c)) >= 0
	}
	return t
}()

// indented returns how many spaces stand before a head that has the level in brackets
// behind its time: some of Go's programs indent their logs. Other lines that begin
// with spaces belong to the record before them.
func indented(s []byte, z *times.Zone) int {
	n := 0
	for n < len(s) && n < 8 && s[n] == ' ' {
		n++
	}
	if n == 0 || n == len(s) || s[n] < '0' || s[n] > '9' {
		return 0
	}
	_, k := times.ISO(s[n:], z)
	if rest := s[n+k:]; k == 0 || len(rest) < 7 || rest[0] != ' ' || rest[1] != '[' || rest[2] < 'A' || rest[2] > 'Z' {
		return 0
	}
	return n
}

// maxHead bounds the bytes of a line in which its first colour is looked for.
const maxHead = 64

// colourless returns a text without the sequences ESC [ … m that colour it on a
// terminal, if it has one where it is looked for.
func (f *log4jFormat) colourless(where, s []byte) []byte {
	const escape = 0x1b
	if bytes.IndexByte(where, escape) < 0 {
		return s
	}
	f.plain = f.plain[:0]
	for len(s) > 0 {
		i := bytes.IndexByte(s, escape)
		if i < 0 {
			break
		}
		f.plain = append(f.plain, s[:i]...)
		s = s[i:]
		n := 1
		if len(s) > 1 && s[1] == '[' {
			for n = 2; n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == ';'); n++ {
			}
			if n < len(s) && s[n] == 'm' {
				s = s[n+1:]
				continue
			}
		}
		f.plain = append(f.plain, s[:n]...)
		s = s[n:]
	}
	f.plain = append(f.plain, s...)
	return f.plain
}

// leading is a record's level, a thread in brackets, and its time, in this order.
type leading struct {
	level, thread, time []byte
	at                  times.Instant
	n                   int // bytes up to the end of the time; 0: it is of no such form
}

// levelFirst reads "INFO  [main] 2026-11-28 10:00:00,123" and
// "[INFO] [2026-11-28 10:00:00,123]" at the start of s.
func (f *log4jFormat) levelFirst(s []byte, z *times.Zone) (l leading) {
	n := 0
	if len(s) > 0 && s[0] == '[' {
		if n = bytes.IndexByte(s[:min(len(s), 16)], ']') + 1; n == 0 {
			return l
		}
		l.level = bytes.TrimSpace(s[1 : n-1])
	} else {
		for n < len(s) && n < 16 && times.LetterOrDigit(s[n]) {
			n++
		}
		l.level = s[:n]
	}
	if !isLevel(l.level) || n == len(s) || s[n] != ' ' && s[n] != '\t' && s[n] != '[' {
		return leading{}
	}
	for range 2 {
		for n < len(s) && (s[n] == ' ' || s[n] == '\t') {
			n++
		}
		if n == len(s) || s[n] != '[' && (s[n] < '0' || s[n] > '9') {
			return leading{}
		}
		if t, k := f.time(s[n:], z); k > 0 {
			l.at, l.time, l.n = t, s[n:n+k], n+k
			return l
		}
		k := bracket(s[n:min(len(s), n+256)])
		if k == 0 {
			return leading{}
		}
		l.thread = s[n+1 : n+k-1]
		n += k
	}
	return leading{}
}

// time reads the time at the start of a record, with its brackets.
func (f *log4jFormat) time(s []byte, z *times.Zone) (times.Instant, int) {
	if f.times == nil {
		return logTime(s, z)
	}
	t, n := f.times.Read(s, z)
	if n == 0 && len(s) > 1 && s[0] == '[' {
		if t, n = f.times.Read(s[1:], z); n > 0 && n+1 < len(s) && s[n+1] == ']' {
			return t, n + 2
		}
		return times.Instant{}, 0
	}
	return t, n
}

// logTime is time for the usual forms.
func logTime(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) > 1 && s[0] == '[' {
		t, n := plainLogTime(s[1:], z)
		if n == 0 {
			t, n = bracketedClock(s[1:], z)
		}
		if n == 0 {
			t, n = bracketedOdd(s[1:], z)
		}
		if n > 0 && n+1 < len(s) && s[n+1] == ']' {
			return t, n + 2
		}
		return times.Instant{}, 0
	}
	return plainLogTime(s, z)
}

// bracketedClock reads a time of day in brackets with a level, or what is in brackets,
// behind it.
func bracketedClock(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) < 12 || s[2] != ':' {
		return times.Instant{}, 0
	}
	t, n := times.Clock(s, z)
	if n == 0 || n+2 >= len(s) || s[n] != ']' || s[n+1] != ' ' || s[n+2] != '[' && !isLevel(wordAt(s[n+2:])) {
		return times.Instant{}, 0
	}
	return t, n
}

// bracketedOdd reads times that stand in brackets alone: Nagios' seconds since 1970, and
// the month and the day that Ethereum's and Grafana's old logs have, "11-28|10:00:00.123".
func bracketedOdd(s []byte, z *times.Zone) (times.Instant, int) {
	if len(s) < 14 {
		return times.Instant{}, 0
	}
	if s[10] == ']' && s[0] == '1' && isNumber(s[:10]) {
		return times.Epoch(s[:10]), 10
	}
	if s[2] != '-' || s[5] != '|' {
		return times.Instant{}, 0
	}
	d := times.Words{S: s, I: len("11-28|")}
	clock, micros, finer, ok := d.Clock()
	if !ok {
		return times.Instant{}, 0
	}
	local, ok := times.LastSuch(z, times.Digits(s, 0, 2), times.Digits(s, 3, 2), clock)
	if !ok {
		return times.Instant{}, 0
	}
	return times.Instant{Micros: z.UTC(local+clock)*1_000_000 + micros, Finer: finer, OK: true}, d.I
}

func plainLogTime(s []byte, z *times.Zone) (t times.Instant, n int) {
	if len(s) < 12 {
		return t, 0
	}
	if t, n = times.ISO(s, z); n > 0 {
		return t, n
	}
	if len(s) >= 20 && s[10] == ',' && s[11] == ' ' && s[4] == '-' { // Airflow's 2026-03-01, 10:00:00 UTC
		var plain [40]byte
		k := copy(plain[10:], s[11:])
		copy(plain[:10], s)
		if t, n = times.ISO(plain[:10+k], z); n > 0 {
			return t, n + 1
		}
		return t, 0
	}
	if s[0] < '0' || s[0] > '9' {
		if s[0] < 'A' || s[0] > 'W' { // the first letters of weekdays and months
			return t, 0
		}
		return times.DateTime(s, z)
	}
	var secs int64
	var ok bool
	switch {
	case len(s) >= 13 && s[6] == ' ' && (len(s) == 13 || s[13] == ' '): // yyMMdd HHmmss
		secs, ok = times.Seconds(times.Century(times.Digits(s, 0, 2)), times.Digits(s, 2, 2), times.Digits(s, 4, 2),
			times.Digits(s, 7, 2), times.Digits(s, 9, 2), times.Digits(s, 11, 2))
		n = 13
	case len(s) >= 17 && s[2] == '/' && s[5] == '/' && s[8] == ' ' && s[11] == ':' && s[14] == ':': // yy/MM/dd HH:mm:ss
		secs, ok = times.Seconds(times.Century(times.Digits(s, 0, 2)), times.Digits(s, 3, 2), times.Digits(s, 6, 2),
			times.Digits(s, 9, 2), times.Digits(s, 12, 2), times.Digits(s, 15, 2))
		n = 17
	case s[2] == ':' && s[5] == ':': // a time of day alone, a level or a thread after it
		if t, n = times.Clock(s, z); n == 0 || n == len(s) || s[n] != ' ' && s[n] != '\t' {
			return t, 0
		}
		if rest := bytes.TrimLeft(s[n:], " \t"); len(rest) == 0 || rest[0] != '[' && !isLevel(word(rest)) {
			return t, 0
		}
		return t, n
	default:
		return times.DateTime(s, z)
	}
	if !ok {
		return t, 0
	}
	micros, finer, k := times.Fraction(s[n:])
	return times.Instant{Micros: z.UTC(secs)*1_000_000 + micros, Finer: finer, OK: true}, n + k
}
