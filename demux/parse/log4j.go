package parse

import (
	"bytes"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var log4jParser = define("log4j", "the usual layouts of log4j, logback, Spring Boot, JBoss, Quarkus, Tomcat, Jetty, Flink, Kafka, Cassandra, Solr, Trino, zap, Python, Ruby, Rust, .NET, PHP, Erlang, nginx and Apache's error log, ClickHouse, Oracle, SQL Server and whatever else begins lines with a time, or those that `pattern` gives as their configs have them; stack traces stay whole",
	noPattern, newLog4jBy).
	guessed(clue{kin: kinMany, sure: sureLog4j, likely: likelyLog4j, start: applog.Start, names: []string{"*error.log", "error_log"}}) // of Apache, nginx and their like

// log4jFormat parses what logging frameworks write by default, and Apache's error log:
// the forms that the room applog lists. A line that starts none belongs to the record
// before, where the chunk does not say otherwise: stack traces are part of the message.
type log4jFormat struct {
	heads          *applog.Reader
	gen            *rows.Generation
	thread, logger *rows.Column
	exceptions     exceptions
}

func newLog4j() *log4jFormat { return &log4jFormat{heads: applog.NewReader()} }

// timeFormats implements timed.
func (f *log4jFormat) timeFormats(t times.Formats) { f.heads.Times = t }

func (f *log4jFormat) begin(r *reader) {
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.thread = r.b.Typed("thread", schema.String)
	f.logger = r.b.Typed("logger", schema.String)
	f.exceptions.begin(r)
}

// starts implements grouper.
func (f *log4jFormat) starts(line []byte) bool { return f.heads.Starts(line) }

func (f *log4jFormat) record(r *reader, rec []byte) {
	h, why := f.heads.Read(rec, &r.zone)
	if h == nil {
		r.fail(rec, notA("log4j", why))
		return
	}
	r.row()
	if h.Time != nil {
		r.setTime(h.At, "time", h.Time)
	}
	r.setLevel(h.Level, "level")
	put(f.thread, h.Thread)
	put(f.logger, h.Logger)
	for _, p := range h.Others {
		r.b.Attr(p.Name, p.Value)
	}
	r.b.Message(h.Message)
	f.exceptions.put(h.Message)
}

func attr(r *reader, key string, v []byte) {
	if len(v) > 0 {
		r.b.Attr(key, v)
	}
}

// likelyLog4j reports whether a line begins with a time, or as records do that have none.
func likelyLog4j(line []byte) bool { return applog.NewReader().Likely(line) }

// sureLog4j reports whether a line is one of a logging framework, which what the JVM
// writes of its collector with the same decorations is not.
func sureLog4j(line []byte) bool {
	return applog.Sure(line) && (line[0] != '[' || !bytes.Contains(line[:min(len(line), 80)], []byte("s][")) || !sureGC.Match(line))
}
