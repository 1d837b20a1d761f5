package parse

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

var journaldParser = simple("journald", "entries of systemd's journal as the adaptor of that name sends them", func() format { return newJournald() }).
	guessed(clue{sure: func(line []byte) bool { return bytes.Contains(line, []byte(`"__REALTIME_TIMESTAMP"`)) }})

// journaldFormat parses entries of the systemd journal, one JSON object a line,
// as journalctl -o json gives them (systemd.journal-fields(7)) and the kind
// journald sends them. What has no column of its own goes to attributes under
// its field's name. A field that is an array of numbers is bytes.
type journaldFormat struct {
	json                            *jsonFormat // scans alone
	gen                             *rows.Generation
	unit, identifier, hostname, pid *rows.Column
	buf                             []byte
}

func newJournald() *journaldFormat { return &journaldFormat{json: newJSON()} }

func (f *journaldFormat) begin(r *reader) {
	if f.gen == r.b.Generation() {
		return
	}
	f.gen = r.b.Generation()
	f.unit = r.b.Typed("unit", schema.String)
	f.identifier = r.b.Typed("identifier", schema.String)
	f.hostname = r.b.Typed("hostname", schema.String)
	f.pid = r.b.Typed("pid", schema.Long)
}

func (f *journaldFormat) record(r *reader, rec []byte) {
	j := f.json
	if err := j.read(rec); err != nil {
		r.fail(rec, fmt.Sprintf("not JSON: %v", err))
		return
	}
	r.row()
	pid := false
	for i := range j.fields {
		d := &j.fields[i]
		v := d.val
		if d.kind == kindText {
			v = f.bytes(v)
		}
		switch d.node.name {
		case "__REALTIME_TIMESTAMP":
			t := times.Instant{}
			if n, err := strconv.ParseInt(string(v), 10, 64); err == nil {
				t = times.Instant{Micros: n, OK: true}
			}
			r.setTime(t, d.node.name, v)
		case "MESSAGE":
			r.b.Message(v)
		case "PRIORITY":
			if len(v) == 1 && v[0] >= '0' && v[0] <= '7' {
				r.b.SetLevel(levels.Severity(int(v[0] - '0')))
				continue
			}
			r.b.Attr(d.node.name, v)
		case "_SYSTEMD_UNIT":
			f.unit.String(v)
		case "SYSLOG_IDENTIFIER":
			f.identifier.String(v)
		case "_HOSTNAME":
			f.hostname.String(v)
		case "_PID": // the kernel's word; SYSLOG_PID is the sender's
			if n, err := strconv.ParseInt(string(v), 10, 64); err == nil && !pid {
				f.pid.Long(n)
				pid = true
				continue
			}
			r.b.Attr(d.node.name, v)
		default:
			r.b.Attr(d.node.name, v)
		}
	}
}

// bytes returns what an array of numbers stands for; any other array is its text.
func (f *journaldFormat) bytes(v []byte) []byte {
	f.buf = f.buf[:0]
	n, digits := 0, 0
	for i, c := range v {
		switch {
		case i == 0 && c == '[', c == ' ':
		case c >= '0' && c <= '9' && digits < 3:
			n, digits = n*10+int(c-'0'), digits+1
		case (c == ',' || c == ']') && digits > 0 && n < 256:
			f.buf = append(f.buf, byte(n))
			n, digits = 0, 0
		default:
			return v
		}
	}
	if len(v) < 2 || v[len(v)-1] != ']' {
		return v
	}
	return f.buf
}
