package parse

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var (
	cefParser = simple("cef", "ArcSight's Common Event Format, CEF:0, of security gear; in syslog by `message`", func() format {
		return newEvents("CEF", 7, "rt", "end", "start")
	}).guessed(clue{sure: func(line []byte) bool { return eventHead("CEF", line) }})
	leefParser = simple("leef", "QRadar's Log Event Extended Format, LEEF:1.0 and 2.0; in syslog by `message`", func() format {
		return newEvents("LEEF", 5, "devTime")
	}).guessed(clue{sure: func(line []byte) bool { return eventHead("LEEF", line) }})
)

// eventFormat parses events of security gear: a head with bars between its fields, and
// pairs behind it.
//
//	CEF:0|vendor|product|version|class|name|severity|src=10.0.0.1 msg=some words act=deny
//	LEEF:1.0|vendor|product|version|id|src=10.0.0.1<tab>sev=5
//	LEEF:2.0|vendor|product|version|id|^|src=10.0.0.1^sev=5
//
// (ArcSight, "Common Event Format"; IBM, "LEEF event components".) The time is that
// under the first of the format's keys that holds one, the level follows from the
// severity, 0 to 10 or a word, and the message is msg or else the event's name.
type eventFormat struct {
	*keyed
	name  string
	heads int      // fields of the head
	when  []string // keys of the time
	own   typedColumns
	cells [7][]byte // the head's
	rest  []byte    // what has no key
	buf   []byte
}

// Columns of the heads.
const (
	eventVendor = iota
	eventProduct
	eventVersion
	eventID
	eventName
	eventSeverity
)

func newEvents(name string, heads int, when ...string) *eventFormat {
	columns := []schema.Column{textColumn("device_vendor"), textColumn("device_product"), textColumn("device_version"), textColumn("signature_id")}
	if name == "CEF" {
		columns = append(columns, textColumn("name"), textColumn("event_severity"))
	}
	return &eventFormat{keyed: newKeyed(), name: name, heads: heads, when: when, own: newTyped(columns...)}
}

func (f *eventFormat) begin(r *reader) {
	f.own.begin(r)
	f.keyed.begin(r)
}

// eventHead reports whether a text begins as an event does.
func eventHead(name string, s []byte) bool {
	s, ok := bytes.CutPrefix(s, []byte(name+":"))
	version, _, more := bytes.Cut(s[:min(len(s), 8)], []byte("|"))
	return ok && more && len(version) > 0 && version[0] >= '0' && version[0] <= '9'
}

func (f *eventFormat) record(r *reader, rec []byte) {
	f.reset()
	f.buf, f.rest = f.buf[:0], f.rest[:0]
	if !eventHead(f.name, rec) {
		r.fail(rec, fmt.Sprintf("not %s: it does not start with %s and a version, at byte 0", f.name, f.name))
		return
	}
	at := 0
	for i := range f.heads {
		n := bar(rec[at:])
		if n < 0 {
			r.fail(rec, fmt.Sprintf("not %s: its head ends after %d of %d fields, at byte %d", f.name, i, f.heads, len(rec)))
			return
		}
		f.cells[i] = f.plain(rec[at : at+n])
		at += n + 1
	}
	if f.name == "CEF" {
		f.spaced(rec[at:])
	} else {
		f.parted(rec[at:], bytes.HasPrefix(rec, []byte("LEEF:2")))
	}
	t, stamp := f.taken(&r.zone)
	f.fill(r)
	if stamp != nil {
		r.setTime(t, "time", stamp)
	} else if r.format == f {
		r.noTime()
	}
	for i, v := range f.cells[1:f.heads] {
		f.own.put(i, v)
	}
	attr(r, "extension", f.rest)
	if f.name == "CEF" {
		f.setLevel(r, f.cells[1+eventSeverity])
		if !f.given[roleMessage] {
			r.b.Message(f.cells[1+eventName])
		}
		return
	}
	for i := range f.fields {
		if d := &f.fields[i]; d.node.name == "sev" {
			f.setLevel(r, d.val)
		}
	}
}

// bar returns where the bar stands that ends a field of a head; -1 if there is none.
func bar(s []byte) int {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '|':
			return i
		}
	}
	return -1
}

// plain returns a text without the backslashes that escape something in it.
func (f *eventFormat) plain(s []byte) []byte {
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	from := len(f.buf)
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '\\' && i+1 < len(s) {
			switch s[i+1] {
			case '\\', '|', '=':
				i++
				c = s[i]
			case 'n':
				i++
				c = '\n'
			case 'r':
				i++
				c = '\r'
			}
		}
		f.buf = append(f.buf, c)
	}
	return f.buf[from:len(f.buf):len(f.buf)]
}

// spaced takes pairs with spaces between, and within the values, too: a value goes on
// up to the next key.
func (f *eventFormat) spaced(s []byte) {
	key, val := nextKey(s, 0)
	rest := len(s)
	if val > 0 {
		rest = key
	}
	f.apart(bytes.TrimSpace(s[:rest]))
	for val > 0 {
		next, nextVal := nextKey(s, val)
		end := len(s)
		if nextVal > 0 {
			end = next
		}
		f.pair(bytes.TrimRight(s[key:val-1], " "), bytes.TrimRight(s[val:end], " "))
		key, val = next, nextVal
	}
}

// nextKey returns where the next key in s begins, and where its value does; 0 if there
// is none.
func nextKey(s []byte, from int) (key, val int) {
	start := from
	for i := from; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
			start = -1
		case c == ' ':
			start = i + 1
		case c == '=' && start >= 0 && start < i:
			return start, i + 1
		case !isKey(c) && c != '[' && c != ']':
			start = -1
		}
	}
	return 0, 0
}

// parted takes pairs with tabs between, or what the head's last field says.
func (f *eventFormat) parted(s []byte, chosen bool) {
	sep := []byte("\t")
	if n := bar(s[:min(len(s), 8)]); chosen && n >= 0 {
		if c, ok := delimiter(s[:n]); ok {
			sep, s = []byte{c}, s[n+1:]
		} else if n == 0 {
			s = s[1:]
		}
	}
	for len(s) > 0 {
		end := nextPart(s, sep)
		pair := s[:end]
		s = bytes.TrimPrefix(s[end:], sep)
		if key, v, ok := bytes.Cut(pair, []byte("=")); ok && len(bytes.TrimSpace(key)) > 0 {
			f.pair(bytes.TrimSpace(key), v)
		} else {
			f.apart(bytes.TrimSpace(pair))
		}
	}
}

// nextPart returns where a pair ends: at the next separator that a pair follows, as what
// has no equals sign belongs to the value before it.
func nextPart(s, sep []byte) int {
	for at := 0; ; {
		i := bytes.Index(s[at:], sep)
		if i < 0 {
			return len(s)
		}
		at += i
		next, _, _ := bytes.Cut(s[at+len(sep):], sep)
		if len(next) == 0 || bytes.IndexByte(next, '=') > 0 {
			return at
		}
		at += len(sep)
	}
}

// apart keeps what has no key, nor a value before it.
func (f *eventFormat) apart(s []byte) {
	if len(s) > 0 && len(f.rest) > 0 {
		f.rest = append(f.rest, ' ')
	}
	f.rest = append(f.rest, s...)
}

// delimiter reads what parts pairs: a character, or x or 0x and its code.
func delimiter(s []byte) (byte, bool) {
	if len(s) == 1 {
		return s[0], true
	}
	code, err := strconv.ParseUint(string(bytes.TrimLeft(s, "0xX")), 16, 8)
	return byte(code), err == nil
}

func (f *eventFormat) pair(key, v []byte) {
	v = f.plain(v)
	k, num := bareValue(v)
	f.add(f.child(f.root, key, len(f.fields)), k, v, num)
}

// taken takes the time from the fields.
func (f *eventFormat) taken(z *times.Zone) (times.Instant, []byte) {
	for _, key := range f.when {
		for i := range f.fields {
			d := &f.fields[i]
			if d.node.name != key {
				continue
			}
			if t := f.whole(d.val, z); t.OK {
				stamp := d.val
				f.fields = append(f.fields[:i], f.fields[i+1:]...)
				return t, stamp
			}
		}
	}
	return times.Instant{}, nil
}

// setLevel gives the row the level of a severity: 0 to 3 is low, 4 to 6 medium, 7 and 8
// high, 9 and 10 very high.
func (f *eventFormat) setLevel(r *reader, severity []byte) {
	if r.b.Level() != rows.NoLevel {
		return
	}
	switch n := times.Digits(severity, 0, len(severity)); {
	case len(severity) == 0:
	case n > 8:
		r.b.SetLevel(rows.Fatal)
	case n > 6, bytes.EqualFold(severity, []byte("high")):
		r.b.SetLevel(rows.Error)
	case n > 3, bytes.EqualFold(severity, []byte("medium")):
		r.b.SetLevel(rows.Warn)
	case n >= 0, bytes.EqualFold(severity, []byte("low")):
		r.b.SetLevel(rows.Info)
	case bytes.EqualFold(severity, []byte("very-high")):
		r.b.SetLevel(rows.Fatal)
	}
}
