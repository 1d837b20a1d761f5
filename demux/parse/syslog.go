package parse

import (
	"bytes"
	"strconv"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var syslogParser = simple("syslog", "RFC 3164 and 5424 as really sent, Cisco's IOS and ASA", func() format { return &syslogFormat{} })

// syslogFormat parses the lines of syslog: RFC 5424, with structured data in
// attributes as "id.name"; and RFC 3164 as it is really written: with or
// without the priority, with an ISO time instead of its own, with a year or a
// fraction, without host or tag. A time without a year is the last such time
// before the chunk was read.
type syslogFormat struct {
	gen                                 *rows.Generation
	facility, hostname, app, pid, msgid *rows.Column
	inner                               format // nil: messages as they are
	buf                                 []byte
}

func (f *syslogFormat) begin(r *reader) {
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
}

// syslogLine is a line taken apart. What it does not have is nil; "-" of RFC 5424
// is left as nil, too.
type syslogLine struct {
	pri                   int // -1: none
	at                    instant
	time                  []byte // as it is written
	host, app, pid, msgid []byte
	structured            []byte // with its brackets
	message               []byte
	hasMessage            bool
}

// frame implements framer.
func (f *syslogFormat) frame(inner format) { f.inner = inner }

func (f *syslogFormat) record(r *reader, rec []byte) {
	l := syslogLine{pri: -1}
	if !l.read(rec, &r.zone) {
		r.fail(rec, "not syslog: it starts with neither a priority nor a time")
		return
	}
	framed := f.inner != nil && len(bytes.TrimSpace(l.message)) > 0
	if framed {
		f.framed(r, &l)
	} else {
		r.row()
	}
	if l.pri >= 0 {
		if !framed || r.b.Level() == rows.NoLevel {
			r.b.SetLevel(severity(l.pri % 8))
		}
		f.facility.String([]byte(facilities[l.pri/8]))
	}
	if len(l.time) > 0 && !framed {
		r.setTime(l.at, "time", l.time)
	}
	put(f.hostname, l.host)
	put(f.app, l.app)
	f.putPID(l.pid)
	put(f.msgid, l.msgid)
	f.pairs(r, l.structured)
	if l.hasMessage && !framed {
		r.b.Message(l.message)
	}
}

// framed adds the row of a message that another format reads. The line's time
// holds where the message has none of its own; where it has, the line's is kept
// in attributes.
func (f *syslogFormat) framed(r *reader, l *syslogLine) {
	now, before := r.now, r.b.Len()
	if r.believes(l.at) {
		r.now = l.at.micros
	}
	f.inner.record(r, l.message)
	if r.b.Len() == before { // the format within takes it for none
		r.row()
		r.b.Message(l.message)
	}
	if len(l.time) > 0 && r.b.TS() != l.at.micros {
		r.b.Attr("syslog.time", l.time)
	}
	r.now = now
}

func put(c *rows.Column, v []byte) {
	if len(v) > 0 {
		c.String(v)
	}
}

// read takes a line apart. It reports false for one that is not syslog's.
func (l *syslogLine) read(s []byte, z *zone) bool {
	if n := priority(s); n > 0 {
		l.pri, _ = strconv.Atoi(string(s[1 : n-1]))
		s = s[n:]
		if len(s) > 2 && s[0] == '1' && s[1] == ' ' && l.rfc5424(s[2:], z) {
			return true
		}
	}
	t, n := headTime(s, z)
	hostNext := true
	if n == 0 {
		if origin, k := cisco(s); k > 0 {
			l.host, s, hostNext = origin, s[k:], false
			t, n = headTime(s, z)
		}
	}
	if n == 0 && l.pri < 0 {
		return false
	}
	if n > 0 {
		l.at, l.time = t, bytes.TrimSpace(s[:n])
		s = bytes.TrimLeft(s[n:], " ")
		if len(s) > 0 && s[0] == ':' { // Cisco: the message follows
			s, hostNext = bytes.TrimLeft(s, " :"), false
		}
	}
	l.rest(s, n > 0 && hostNext)
	return true
}

// priority returns the length of "<PRI>" at the start of s, 0 if there is none.
func priority(s []byte) int {
	if len(s) < 3 || s[0] != '<' {
		return 0
	}
	i, n := 1, 0
	for ; i < len(s) && i < 4 && s[i] >= '0' && s[i] <= '9'; i++ {
		n = n*10 + int(s[i]-'0')
	}
	if i == 1 || i == len(s) || s[i] != '>' || n > 191 {
		return 0
	}
	return i + 1
}

var facilities = [...]string{
	"kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp",
	"ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
}

// headTime reads the time at the start of an RFC 3164 line: ISO, or like
// "Jan _2 15:04:05", with a fraction, a year before or after, and a zone.
func headTime(s []byte, z *zone) (instant, int) {
	n := 0
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') { // a Cisco clock that is not synchronised
		n = 1
	}
	t, k := isoTime(s[n:], z)
	if k == 0 {
		t, k = dateTime(s[n:], z)
	}
	if n += k; k == 0 || n < len(s) && s[n] != ' ' && s[n] != ':' {
		return instant{}, 0
	}
	return t, n
}

// rest reads host, tag and message of an RFC 3164 line.
func (l *syslogLine) rest(s []byte, hasHost bool) {
	if hasHost && !bytes.HasPrefix(s, []byte("last message repeated ")) {
		if i := bytes.IndexByte(s, ' '); i > 0 && s[i-1] != ':' && bytes.IndexByte(s[:i], '[') < 0 {
			l.host = s[:i]
			s = bytes.TrimPrefix(bytes.TrimLeft(s[i:], " "), []byte(": ")) // Cisco's ASA
		}
	}
	if app, pid, n := tag(s); n > 0 {
		l.app, l.pid = app, pid
		s = s[n:]
		if len(s) > 0 && s[0] == ' ' {
			s = s[1:]
		}
	}
	l.message, l.hasMessage = s, true
}

// tag reads "app[pid]: ", "app: " or "app version: " at the start of s.
func tag(s []byte) (app, pid []byte, n int) {
	const longest = 128
	if bytes.HasPrefix(s, []byte("-- ")) { // login's
		n = len("-- ")
	}
	for n < len(s) && n < longest && s[n] > ' ' && s[n] != ':' && s[n] != '[' {
		n++
	}
	if n == 0 || n == len(s) {
		return nil, nil, 0
	}
	app = s[:n]
	if s[n] == ' ' { // "syslogd 1.4.1: restart."
		i := n + 1
		for i < len(s) && i < longest && (s[i] >= '0' && s[i] <= '9' || s[i] == '.') {
			i++
		}
		if i == n+1 || i == len(s) || s[i] != ':' {
			return nil, nil, 0
		}
		return s[:i], nil, i + 1
	}
	if s[n] == '[' {
		end := bytes.IndexByte(s[n:], ']')
		if end < 0 || end > longest {
			return nil, nil, 0
		}
		pid = s[n+1 : n+end]
		n += end + 1
	}
	if n < len(s) && s[n] == ':' && (n+1 == len(s) || s[n+1] == ' ') {
		return app, pid, n + 1
	}
	if pid != nil {
		return app, pid, n
	}
	return nil, nil, 0
}

// putPID takes a process id; one that is no number goes to attributes.
func (f *syslogFormat) putPID(v []byte) {
	if len(v) == 0 {
		return
	}
	if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
		f.pid.Long(n)
		return
	}
	f.pid.String(v)
}

// rfc5424 reads what follows the version. It reports false for what is not of
// that form.
func (l *syslogLine) rfc5424(s []byte, z *zone) bool {
	var head [5][]byte // time, host, app, process id, message id
	for i := range head {
		n := bytes.IndexByte(s, ' ')
		if n <= 0 {
			return false
		}
		if head[i], s = s[:n], s[n+1:]; string(head[i]) == "-" {
			head[i] = nil
		}
	}
	t, n := isoTime(head[0], z)
	sd, ok := structured(s)
	if !ok || n != len(head[0]) {
		return false
	}
	l.at, l.time, l.host, l.app, l.pid, l.msgid = t, head[0], head[1], head[2], head[3], head[4]
	l.structured = s[:sd]
	if s = s[sd:]; len(s) > 0 {
		l.message, l.hasMessage = bytes.TrimPrefix(s[1:], []byte("\ufeff")), true
	}
	return true
}

// structured returns the length of the structured data at the start of s.
func structured(s []byte) (n int, ok bool) {
	if len(s) > 0 && s[0] == '-' {
		return 1, len(s) == 1 || s[1] == ' '
	}
	quoted := false
	for n < len(s) && s[n] == '[' {
		for n++; ; n++ {
			if n >= len(s) {
				return 0, false
			}
			if c := s[n]; c == '\\' && quoted {
				n++
			} else if c == '"' {
				quoted = !quoted
			} else if c == ']' && !quoted {
				n++
				break
			}
		}
	}
	return n, n > 0 && (n == len(s) || s[n] == ' ')
}

// maxID is the longest id of structured data that stands before its names; RFC
// 5424 allows 32 bytes.
const maxID = 256

// pairs puts structured data, which is known to be whole, into attributes.
func (f *syslogFormat) pairs(r *reader, s []byte) {
	for len(s) > 1 && s[0] == '[' {
		s = s[1:]
		i := bytes.IndexAny(s, " ]")
		id, prefix := string(s[:i]), string(s[:i])+"."
		if s = s[i:]; s[0] == ']' {
			r.b.Attr(id, nil)
		} else if len(id) > maxID { // each name would repeat it
			r.b.Attr(id, nil)
			id, prefix = "", ""
		}
		for len(s) > 0 && s[0] != ']' {
			s = bytes.TrimLeft(s, " ")
			eq := bytes.IndexAny(s, " ]=")
			if eq < 0 || s[eq] != '=' || eq+1 >= len(s) || s[eq+1] != '"' {
				i := bytes.IndexAny(s, " ]")
				if i <= 0 {
					break
				}
				r.b.Attr(id, s[:i]) // a name without a value
				s = s[i:]
				continue
			}
			key := prefix + string(s[:eq])
			f.buf = f.buf[:0]
			for s = s[eq+2:]; len(s) > 0 && s[0] != '"'; s = s[1:] {
				if s[0] == '\\' && len(s) > 1 && (s[1] == '"' || s[1] == '\\' || s[1] == ']') {
					s = s[1:]
				}
				f.buf = append(f.buf, s[0])
			}
			r.b.Attr(key, f.buf)
			if len(s) > 0 {
				s = s[1:]
			}
		}
		if len(s) > 0 {
			s = s[1:]
		}
	}
}
