package parse

import (
	"bytes"
	"regexp"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/applog"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var combinedParser = define("combined", "access logs of Apache and nginx: the common and the combined format, or any that `pattern` gives as `LogFormat` or `log_format` has it",
	noPattern, newCombined).
	guessed(clue{sure: surelyCombined, names: []string{"*access.log", "access_log"}})

// combinedFormat parses the access logs of Apache and nginx: the common and
// the combined log format, a virtual host before them. What follows is kept in
// attributes as "extra", a request line that is none as "request". A line of
// Apache's error log among them is read as log4jFormat reads it, thread and
// module going to attributes.
type combinedFormat struct {
	gen                                                  *rows.Generation
	client, ident, user, method, path, protocol, referer *rows.Column
	status, size, agent                                  *rows.Column
	buf                                                  []byte
	times                                                times.Formats
	last                                                 lastTime
}

// lastTime is the time of the record before: those of a second follow each other.
type lastTime struct {
	text [32]byte
	len  int // of text; 0: none
	time times.Instant
}

// timeFormats implements timed.
func (f *combinedFormat) timeFormats(t times.Formats) { f.times = t }

func (f *combinedFormat) begin(r *reader) {
	f.last.len = 0 // what it means may follow from when the chunk was read
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	text := func(name string) *rows.Column { return r.b.Typed(name, schema.String) }
	f.client, f.ident, f.user = text("client"), text("ident"), text("user")
	f.method, f.path, f.protocol = text("method"), text("path"), text("protocol")
	f.status, f.size = r.b.Typed("status", schema.Long), r.b.Typed("size", schema.Long)
	f.referer, f.agent = text("referer"), text("user_agent")
}

// access are the parts of a line, as written.
type access struct {
	vhost, client, ident, user  []byte
	time, request, status, size []byte
	hasReferer                  bool
	referer, agent, extra       []byte
}

func (f *combinedFormat) record(r *reader, rec []byte) {
	if rec[0] == '[' {
		if t, n := applog.Time(rec, &r.zone); n > 0 {
			f.errorLine(r, rec, t, n)
			return
		}
	}
	a, why := splitAccess(rec)
	t := times.Instant{}
	if why == "" {
		if t = f.time(a.time, &r.zone); !t.OK {
			why = "what stands in [] is no time"
			if f.times != nil {
				why = "the time in [] is not as time_format says: " + f.times.Why(a.time, &r.zone)
			}
		}
	}
	if why != "" {
		r.fail(rec, "not an access log line: "+why)
		return
	}
	r.row()
	r.setTime(t, "time", a.time)
	if a.vhost != nil {
		r.b.Attr("vhost", a.vhost)
	}
	f.text(f.client, a.client)
	f.text(f.ident, a.ident)
	f.text(f.user, a.user)
	f.request(r, a.request)
	f.number(f.status, a.status)
	f.number(f.size, a.size)
	if a.hasReferer {
		f.text(f.referer, a.referer)
		f.text(f.agent, a.agent)
	}
	if len(a.extra) > 0 {
		r.b.Attr("extra", a.extra)
	}
}

// text takes a value; "-" is null.
func (f *combinedFormat) text(c *rows.Column, v []byte) {
	if len(v) == 0 || len(v) == 1 && v[0] == '-' {
		return
	}
	if bytes.IndexByte(v, '\\') >= 0 {
		f.buf = f.buf[:0]
		for i := 0; i < len(v); i++ {
			if v[i] == '\\' && i+1 < len(v) && (v[i+1] == '"' || v[i+1] == '\\') {
				i++
			}
			f.buf = append(f.buf, v[i])
		}
		v = f.buf
	}
	c.String(v)
}

func (f *combinedFormat) number(c *rows.Column, v []byte) {
	if len(v) == 1 && v[0] == '-' {
		return
	}
	if n, ok := smallNumber(v); ok {
		c.Long(n)
		return
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		c.Long(n)
		return
	}
	c.String(v) // no number: it goes to attributes
}

// smallNumber reads digits, so few that they fit a long.
func smallNumber(v []byte) (n int64, ok bool) {
	if len(v) == 0 || len(v) > 18 {
		return 0, false
	}
	for _, b := range v {
		if b -= '0'; b > 9 {
			return 0, false
		}
		n = n*10 + int64(b)
	}
	return n, true
}

// request takes "METHOD path protocol" apart.
func (f *combinedFormat) request(r *reader, v []byte) {
	if len(v) == 0 || string(v) == "-" {
		return
	}
	sp, last := bytes.IndexByte(v, ' '), bytes.LastIndexByte(v, ' ')
	if sp <= 0 {
		r.b.Attr("request", v)
		return
	}
	for _, c := range v[:sp] {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			r.b.Attr("request", v)
			return
		}
	}
	f.text(f.method, v[:sp])
	if last > sp && bytes.HasPrefix(v[last+1:], []byte("HTTP/")) {
		f.text(f.protocol, v[last+1:])
	} else {
		last = len(v)
	}
	f.text(f.path, v[sp+1:last])
}

// splitAccess takes a line apart, or says why it can't.
func splitAccess(s []byte) (a access, why string) {
	open := bytes.Index(s, []byte(" ["))
	if open < 0 {
		return a, "there is no [time]"
	}
	first, rest := plainField(s[:open])
	second, third := plainField(rest)
	if third, fourth := plainField(third); len(third) == 1 && third[0] == '-' && len(fourth) > 0 { // vhost client - user
		a.vhost, a.client, a.ident, a.user = first, second, third, fourth
	} else {
		a.client, a.ident, a.user = first, second, bytes.TrimSpace(rest[len(second):]) // the user may have spaces
	}
	if len(a.user) == 0 {
		return a, "there are no client, ident and user before the time"
	}
	s = s[open+2:]
	end := bytes.IndexByte(s, ']')
	if end < 0 {
		return a, "its [time] has no end"
	}
	a.time, s = s[:end], blanksOff(s[end+1:])
	var ok bool
	if a.request, s, ok = quotedField(s); !ok {
		return a, "there is no request in quotes"
	}
	a.status, s = plainField(s)
	a.size, s = plainField(s)
	if len(a.status) != 3 && string(a.status) != "-" || len(a.size) == 0 {
		return a, "there are no status and size after the request"
	}
	if ref, rest, ok := quotedField(s); ok {
		if agent, rest, ok := quotedField(rest); ok {
			a.hasReferer, a.referer, a.agent, s = true, ref, agent, rest
		}
	}
	a.extra = s
	return a, ""
}

func plainField(s []byte) (field, rest []byte) {
	i := bytes.IndexByte(s, ' ')
	if i < 0 {
		return s, nil
	}
	return s[:i], blanksOff(s[i+1:])
}

// quotedField reads a field in quotes; a quote within it has a backslash.
func quotedField(s []byte) (field, rest []byte, ok bool) {
	if len(s) == 0 || s[0] != '"' {
		return nil, s, false
	}
	from := 1
	for {
		n := bytes.IndexByte(s[from:], '"')
		if n < 0 {
			return nil, s, false
		}
		i := from + n
		if s[i-1] != '\\' || !isEscaped(s[1:i]) {
			return s[1:i], blanksOff(s[i+1:]), true
		}
		from = i + 1
	}
}

// isEscaped reports whether what follows has a backslash before it: one of an odd
// number of them.
func isEscaped(s []byte) bool {
	n := len(s)
	for n > 0 && s[n-1] == '\\' {
		n--
	}
	return (len(s)-n)%2 == 1
}

// blanksOff takes off the blanks that s begins with.
func blanksOff(s []byte) []byte {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	return s
}

// time reads what stands in [].
func (f *combinedFormat) time(s []byte, z *times.Zone) times.Instant {
	if f.times != nil {
		return f.times.Whole(s, z)
	}
	if l := &f.last; len(s) > 0 && string(s) == string(l.text[:l.len]) {
		return l.time
	}
	t := accessTime(s, z)
	if l := &f.last; len(s) <= len(l.text) {
		l.len, l.time = copy(l.text[:], s), t
	}
	return t
}

// accessTime reads "10/Oct/2000:13:55:36 -0700".
func accessTime(s []byte, z *times.Zone) times.Instant {
	if len(s) < 20 || s[2] != '/' || s[6] != '/' || s[11] != ':' || s[14] != ':' || s[17] != ':' {
		if t, n := times.ISO(s, z); n == len(s) {
			return t
		}
		return times.Instant{}
	}
	local, ok := times.Seconds(times.Digits(s, 7, 4), times.Month(s[3:]), times.Digits(s, 0, 2), times.Digits(s, 12, 2), times.Digits(s, 15, 2), times.Digits(s, 18, 2))
	micros, finer, n := times.Fraction(s[20:])
	utc, k, known := z.From(s[20+n:], local)
	if !ok || 20+n+k != len(s) {
		return times.Instant{}
	}
	return times.Instant{Micros: utc*1_000_000 + micros, Finer: finer || !known, OK: true}
}

// errorLine reads a line of Apache's error log.
func (f *combinedFormat) errorLine(r *reader, rec []byte, t times.Instant, n int) {
	r.row()
	r.setTime(t, "time", rec[:n])
	s := bytes.TrimLeft(rec[n:], " ")
	for len(s) > 0 && s[0] == '[' {
		k := words.Brackets(s)
		if k == 0 {
			break
		}
		in := s[1 : k-1]
		module, lvl, _ := bytes.Cut(in, []byte(":"))
		switch {
		case levels.Is(in):
			r.setLevel(in, "level")
		case levels.Is(lvl):
			r.setLevel(lvl, "level")
			r.b.Attr("logger", module)
		case bytes.HasPrefix(in, []byte("client ")):
			f.client.String(in[len("client "):])
			r.b.Message(s) // the client is part of the text, too
			return
		default:
			r.b.Attr("thread", in)
		}
		s = bytes.TrimLeft(s[k:], " ")
	}
	r.b.Message(s)
}

// surelyCombined reports whether a line is of an access log, whose virtual host is no
// time, as stamped has it.
func surelyCombined(line []byte) bool {
	_, stamped := stampedLine(line)
	return !stamped && sureCombined.Match(line)
}

// Apache's common and combined log format, which nginx writes, too; perhaps with the
// virtual host before it.
var sureCombined = regexp.MustCompile(`^(\S+ )?\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "`)
