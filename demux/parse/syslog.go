package parse

import (
	"bytes"
	"regexp"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/syslog"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var syslogParser = simple("syslog", "RFC 3164 and 5424 as really sent, Cisco, Juniper, Fortinet, Palo Alto, F5, NetApp, ESXi, MikroTik and Ubiquiti among them", func() format {
	return &syslogFormat{sd: newStructured()}
}).
	guessed(clue{kin: kinMany, sure: sureSyslog, inner: syslogMessages, strict: true, names: []string{"syslog", "messages", "secure", "maillog", "cron", "auth.log", "kern.log",
		"daemon.log", "user.log", "mail.log", "mail.err", "mail.warn", "cron.log", "debug"}})

// syslogFormat parses the lines of syslog: RFC 5424, whose structured data gives
// columns named sd.ID.NAME; and RFC 3164 as it is really written: with or
// without the priority, with an ISO time instead of its own, with a year or a
// fraction, without host or tag. A time without a year is the last such time
// before the chunk was read.
type syslogFormat struct {
	gen                                 *rows.Generation
	facility, hostname, app, pid, msgid *rows.Column
	repeated, uptime                    *rows.Column // nil before the first value
	inner                               format       // nil: messages as they are
	day                                 times.BSDDay
	sd                                  *structuredData
}

func (f *syslogFormat) begin(r *reader) {
	f.day = times.BSDDay{}
	if f.inner != nil {
		f.inner.begin(r)
	}
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.facility = r.b.Typed("facility", schema.String)
	f.hostname = r.b.Typed("hostname", schema.String)
	f.app = r.b.Typed("app", schema.String)
	f.pid = r.b.Typed("pid", schema.Long)
	f.msgid = r.b.Typed("msgid", schema.String)
	f.repeated, f.uptime = nil, nil
	f.sd.keyed.begin(r)
}

// frame implements framer.
func (f *syslogFormat) frame(inner format) { f.inner = inner }

func (f *syslogFormat) record(r *reader, rec []byte) {
	var l syslog.Line
	if n, ok := l.Read(rec, &f.day, &r.zone); !ok {
		r.fail(rec, "not syslog: it starts with neither a priority nor a time, at byte "+strconv.Itoa(n))
		return
	}
	l.Kernel()
	framed := f.inner != nil && len(bytes.TrimSpace(l.Message)) > 0
	if framed {
		f.framed(r, &l)
	} else {
		r.row()
	}
	if l.Priority >= 0 {
		l.Severity = l.Priority % 8
		f.facility.String([]byte(facilities[l.Priority/8]))
	}
	if !framed || r.b.Level() == rows.NoLevel {
		if l.Severity >= 0 {
			r.b.SetLevel(levels.Severity(l.Severity))
		} else if v := l.LevelSaid(); v != rows.NoLevel {
			r.b.SetLevel(v)
		}
	}
	if len(l.Time) > 0 && !framed {
		r.setTime(l.At, "time", l.Time)
	}
	put(f.hostname, l.Host)
	put(f.app, l.App)
	f.putPID(l.PID)
	put(f.msgid, l.MsgID)
	attr(r, "node", l.Node)
	attr(r, "device_time", l.DeviceTime)
	if l.Priority >= 0 && levels.Of(l.Level) != levels.Severity(l.Severity) {
		attr(r, "level", l.Level)
	}
	if len(l.Structured) > 0 {
		f.sd.put(r, l.Structured)
	}
	f.rare(r, &l)
	if l.HasMessage && !framed {
		r.b.Message(l.Message)
	}
}

// rare puts what few lines have.
func (f *syslogFormat) rare(r *reader, l *syslog.Line) {
	if n := syslog.Repeats(l.Message); n > 0 {
		if f.repeated == nil {
			f.repeated = r.b.Typed("repeated", schema.Long)
		}
		f.repeated.Long(n)
	}
	if len(l.Uptime) > 0 {
		if f.uptime == nil {
			f.uptime = r.b.Typed("uptime", schema.Double)
		}
		v, _ := strconv.ParseFloat(string(l.Uptime), 64)
		f.uptime.Double(v, l.Uptime)
	}
}

// framed adds the row of a message that another format reads. The line's time
// holds where the message has none of its own; where it has, the line's is kept
// in attributes.
func (f *syslogFormat) framed(r *reader, l *syslog.Line) {
	now, before := r.now, r.b.Len()
	if r.believes(l.At) {
		r.now = l.At.Micros
	}
	r.give(f.inner, bytes.TrimLeft(bytes.TrimPrefix(l.Message, []byte("@cee:")), " "))
	if r.b.Len() == before { // the format within takes it for none
		r.row()
		r.b.Message(l.Message)
	}
	if len(l.Time) > 0 && r.b.TS() != l.At.Micros {
		r.b.Attr("syslog.time", l.Time)
	}
	r.now = now
}

func put(c *rows.Column, v []byte) {
	if len(v) > 0 {
		c.String(v)
	}
}

// putPID takes a process id; one that is no number goes to attributes.
func (f *syslogFormat) putPID(v []byte) {
	if len(v) == 0 {
		return
	}
	if n := times.Digits(v, 0, len(v)); n >= 0 && len(v) <= 18 {
		f.pid.Long(int64(n))
		return
	}
	f.pid.String(v)
}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// likeSyslog matches a priority, as in RFC 5424; or RFC 3164 without one, also with an
// ISO time, as rsyslog and systemd write it today, the latter with a weekday, too; or what Cisco's systems write.
var likeSyslog = regexp.MustCompile(`^(<\d{1,3}>|([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d(\.\d+)?|[A-Z][a-z]{2} \d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [A-Z]{3,5}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)) \S+ [^\s:]+:|.{0,160}?[%#][A-Z0-9_]+-([A-Z0-9_]+-){0,2}[0-7]-[A-Z0-9_]+ ?:)`)

// sureSyslog reports whether a line is syslog's: frameworks, too, write an ISO time, but
// a level where the host would be.
func sureSyslog(line []byte) bool {
	if !likeSyslog.Match(line) {
		return false
	}
	if line[0] < '0' || line[0] > '9' {
		return true
	}
	_, rest, _ := bytes.Cut(line, []byte(" "))
	rest = bytes.TrimLeft(rest, " ")
	host := words.First(rest)
	if levels.Is(host) {
		return false
	}
	_, pid, _ := words.Tag(rest[min(len(rest), len(host)+1):])
	return pid != nil || !words.IsCapitals(host)
}

// syslogMessages returns the messages of lines.
func syslogMessages(text []byte) (messages []byte) {
	z := times.AnyZone()
	var day times.BSDDay
	for line := range bytes.Lines(text) {
		var l syslog.Line
		if _, ok := l.Read(trimLine(line), &day, &z); ok && len(bytes.TrimSpace(l.Message)) > 0 {
			messages = append(append(messages, l.Message...), '\n')
		}
	}
	return messages
}
