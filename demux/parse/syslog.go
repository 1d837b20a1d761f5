package parse

import (
	"bytes"
	"strconv"
	"time"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// syslogFormat parses the lines of syslog: RFC 5424, with structured data in
// attributes as "id.name"; and RFC 3164 as it is really written: with or
// without the priority, with an ISO time instead of its own, with a year or a
// fraction, without host or tag. A time without a year is the last such time
// before the chunk was read.
type syslogFormat struct {
	gen                                 *rows.Generation
	facility, hostname, app, pid, msgid *rows.Column
	buf                                 []byte
}

func (f *syslogFormat) begin(r *reader) {
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

func (f *syslogFormat) record(r *reader, rec []byte) {
	s := rec
	pri := -1
	if n := priority(s); n > 0 {
		pri, _ = strconv.Atoi(string(s[1 : n-1]))
		s = s[n:]
		if len(s) > 2 && s[0] == '1' && s[1] == ' ' && f.rfc5424(r, s[2:], pri) {
			return
		}
	}
	t, n := f.time(r, s)
	if n == 0 && pri < 0 {
		r.fail(rec, "not syslog: it starts with neither a priority nor a time")
		return
	}
	r.row()
	f.priority(r, pri)
	if n > 0 {
		r.setTime(t, "time", bytes.TrimSpace(s[:n]))
		s = bytes.TrimLeft(s[n:], " ")
	}
	f.rest(r, s, n > 0)
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

func (f *syslogFormat) priority(r *reader, pri int) {
	if pri < 0 {
		return
	}
	r.b.SetLevel(severity(pri % 8))
	f.facility.String([]byte(facilities[pri/8]))
}

// time reads the time at the start of an RFC 3164 line: ISO, or like
// "Jan _2 15:04:05", with a fraction, and with a year before or after.
func (f *syslogFormat) time(r *reader, s []byte) (instant, int) {
	if t, n := isoTime(s, &r.zone); n > 0 && (n == len(s) || s[n] == ' ' || s[n] == ':') {
		return t, n
	}
	n := 0
	if len(s) > 0 && (s[0] == '*' || s[0] == '.') { // a Cisco clock that is not synchronised
		n = 1
	}
	mon := month(s[n:])
	if mon == 0 || len(s) < n+15 || s[n+3] != ' ' {
		return instant{}, 0
	}
	n += 4
	if s[n] == ' ' {
		n++
	}
	day := 0
	for ; n < len(s) && s[n] >= '0' && s[n] <= '9' && day < 100; n++ {
		day = day*10 + int(s[n]-'0')
	}
	year := 0
	if n < len(s) && s[n] == ' ' {
		n++
		if y := digits(s, n, 4); y > 0 && n+4 < len(s) && s[n+4] == ' ' {
			year, n = y, n+5
		}
	}
	h, m, sec := digits(s, n, 2), digits(s, n+3, 2), digits(s, n+6, 2)
	if h < 0 || m < 0 || sec < 0 || s[n+2] != ':' || s[n+5] != ':' {
		return instant{}, 0
	}
	n += 8
	micros, finer, k := fraction(s[n:])
	n += k
	if y := digits(s, n+1, 4); year == 0 && y > 1969 && n < len(s) && s[n] == ' ' && (n+5 == len(s) || s[n+5] == ' ') {
		year, n = y, n+5
	}
	if n < len(s) && s[n] == ':' && (n+1 == len(s) || s[n+1] == ' ') {
		n++
	}
	var secs int64
	var ok bool
	if year > 0 {
		secs, ok = seconds(year, mon, day, h, m, sec)
		secs = r.zone.utc(secs)
	} else {
		secs, ok = lastSuch(r, mon, day, h, m, sec)
	}
	if !ok {
		return instant{}, 0
	}
	return instant{micros: secs*1_000_000 + micros, finer: finer, ok: true}, n
}

// lastSuch returns the latest time of that month, day and time of day that is
// not more than a day after the chunk was read. A leap day needs some years.
func lastSuch(r *reader, mon, day, h, m, sec int) (int64, bool) {
	limit := r.year.Add(24 * time.Hour).Unix()
	from := r.year.UTC().Year() + 1
	for y := from; y > from-10; y-- {
		if local, ok := seconds(y, mon, day, h, m, sec); ok {
			if secs := r.zone.utc(local); secs <= limit {
				return secs, true
			}
		}
	}
	return 0, false
}

// rest reads host, tag and message of an RFC 3164 line.
func (f *syslogFormat) rest(r *reader, s []byte, hasHost bool) {
	if hasHost && !bytes.HasPrefix(s, []byte("last message repeated ")) {
		if i := bytes.IndexByte(s, ' '); i > 0 && s[i-1] != ':' && bytes.IndexByte(s[:i], '[') < 0 {
			f.hostname.String(s[:i])
			s = bytes.TrimLeft(s[i:], " ")
		}
	}
	if app, pid, n := tag(s); n > 0 {
		f.app.String(app)
		f.putPID(pid)
		s = s[n:]
		if len(s) > 0 && s[0] == ' ' {
			s = s[1:]
		}
	}
	r.b.Message(s)
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

// rfc5424 reads what follows the version. It gives false, and no row, for what
// is not of that form.
func (f *syslogFormat) rfc5424(r *reader, s []byte, pri int) bool {
	var head [5][]byte // time, host, app, process id, message id
	for i := range head {
		n := bytes.IndexByte(s, ' ')
		if n <= 0 {
			return false
		}
		head[i], s = s[:n], s[n+1:]
	}
	t, n := isoTime(head[0], &r.zone)
	nilTime := string(head[0]) == "-"
	sd, ok := structured(s)
	if !ok || !nilTime && n != len(head[0]) {
		return false
	}
	r.row()
	f.priority(r, pri)
	if !nilTime {
		r.setTime(t, "time", head[0])
	}
	for i, c := range []*rows.Column{f.hostname, f.app, nil, f.msgid} {
		v := head[i+1]
		switch {
		case string(v) == "-":
		case c == nil:
			f.putPID(v)
		default:
			c.String(v)
		}
	}
	f.pairs(r, s[:sd])
	if s = s[sd:]; len(s) > 0 {
		r.b.Message(bytes.TrimPrefix(s[1:], []byte("\ufeff")))
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
