package parse

import (
	"bytes"
	"encoding/json"

	"github.com/akupara/akupara/demux/parse/internal/times"
)

var criParser = outermost(simple("cri", "containers' logs as kubelets and Docker keep them", func() format { return newCRI() }))

// criFormat parses what container runtimes write to a pod's log: TIME OUTPUT
// TAGS MESSAGE, the first of the colon-separated tags P for a part of a line
// and F for its end (kubernetes, design-proposals/node/kubelet-cri-logging);
// and docker's json-file. A record is one line, or the parts of one, among
// which there may be lines of the other output: each output's message is a row
// of its own, whose seq is that of its first line.
//
// ts is the line's time, to microseconds. The message goes on to the format
// within, whose own times are kept in attributes. stdout or stderr is the
// attribute "stream".
type criFormat struct {
	line      func(line []byte) (criFrame, bool) // takes one apart
	key       string                             // of the attribute that has the output
	kind      string                             // what a line without a frame is not
	inner     format
	group     grouper // inner, where its records may be several lines
	multiline bool    // lines of one output in a record are one message
	units     []unit
	lasts     map[string]int // where each output's last message is in units
}

// unit is one message of a record.
type unit struct {
	at     int // offset of its first line in the record
	output []byte
	time   []byte
	text   []byte
	own    []byte // memory for a text of several lines
	open   bool   // its last line was a part
}

func newCRI() *criFormat {
	return &criFormat{
		line: criLine, key: "stream", kind: "a container's log: it does not start with a time, stdout or stderr, and P or F",
		inner: newAuto(), lasts: map[string]int{},
	}
}

// frame implements framer.
func (f *criFormat) frame(inner format) {
	f.inner = inner
	f.group, _ = inner.(grouper)
}

// parts says that the parts of a record are looked into: each has frames.
func (f *criFormat) parts() {}

func (f *criFormat) begin(r *reader) {
	f.multiline = r.multiline || f.group != nil
	f.inner.begin(r)
}

// starts implements grouper: a line continues a record as its message does.
func (f *criFormat) starts(line []byte) bool {
	if f.group == nil {
		return true
	}
	l, ok := f.line(line)
	return !ok || f.group.starts(l.text)
}

func (f *criFormat) record(r *reader, rec []byte) {
	if bytes.IndexByte(rec, '\n') < 0 { // most often
		l, ok := f.line(rec)
		if !ok {
			f.strange(r, rec)
			return
		}
		f.row(r, &unit{output: l.output, time: l.time, text: l.text})
		return
	}
	f.units = f.units[:0]
	if len(f.lasts) > 16 { // clearing costs what the map ever held
		f.lasts = map[string]int{}
	}
	clear(f.lasts)
	for at := 0; at < len(rec); {
		n := bytes.IndexByte(rec[at:], '\n') + 1
		if n == 0 {
			n = len(rec) - at
		}
		f.add(at, trimLine(rec[at:at+n]))
		at += n
	}
	for i := range f.units {
		u := &f.units[i]
		r.further(u.at)
		if u.output == nil {
			f.strange(r, u.text)
		} else {
			f.row(r, u)
		}
	}
}

// add adds a line to the message that it belongs to.
func (f *criFormat) add(at int, line []byte) {
	l, ok := f.line(line)
	last, seen := f.lasts[string(l.output)]
	if ok && seen && (f.units[last].open || f.multiline) {
		u := &f.units[last]
		if len(u.own) == 0 {
			u.own = append(u.own, u.text...)
		}
		if !u.open {
			u.own = append(u.own, '\n')
		}
		u.own = append(u.own, l.text...)
		u.text, u.open = u.own, l.partial
		return
	}
	if !ok && len(line) == 0 {
		return
	}
	if n := len(f.units); n < cap(f.units) { // with its memory
		f.units = f.units[:n+1]
	} else {
		f.units = append(f.units, unit{})
	}
	u := &f.units[len(f.units)-1]
	*u = unit{at: at, text: line, own: u.own[:0]}
	if ok {
		u.output, u.time, u.text, u.open = l.output, l.time, l.text, l.partial
		f.lasts[string(l.output)] = len(f.units) - 1
	}
}

// row adds the row of a message.
func (f *criFormat) row(r *reader, u *unit) {
	r.frame, _ = frameTime(u.time, &r.zone)
	r.framed = true
	defer func() { r.frame, r.framed = times.Instant{}, false }()
	before := r.b.Len()
	text := u.text
	if n := len(text); n > 0 && text[n-1] == '\r' {
		text = text[:n-1]
	}
	switch {
	case r.part != "": // not whole: no format would know it
		r.row()
		r.b.Message(text)
		if r.part != "first" {
			r.b.Fail("the " + r.part + " part of a record, which was too long for one row or still being written after record_timeout")
		}
	case len(bytes.TrimSpace(text)) == 0:
		r.row()
		r.b.Message(text)
	default:
		r.give(f.inner, text)
	}
	if r.b.Len() == before { // the format within takes it for none
		r.row()
		r.b.Message(text)
	}
	attr(r, f.key, u.output)
	if len(u.time) > 0 && !r.believes(r.frame) {
		r.b.Attr("time", u.time)
	}
}

// strange adds the row of a line without a frame.
func (f *criFormat) strange(r *reader, line []byte) {
	if r.part == "middle" || r.part == "last" { // the rest of a line that was cut
		r.fail(line, "the "+r.part+" part of a record, which was too long for one row or still being written after record_timeout")
		return
	}
	r.fail(line, "not "+f.kind)
}

// criFrame is a line of a container's log.
type criFrame struct {
	time, output, text []byte
	partial            bool
}

// criLine takes a line apart, which has no line end.
func criLine(line []byte) (l criFrame, ok bool) {
	if len(line) > 0 && line[0] == '{' {
		return dockerLine(line)
	}
	var tags []byte
	if l.time, line, ok = bytes.Cut(line, []byte(" ")); !ok || len(l.time) < 20 || l.time[4] != '-' || l.time[10] != 'T' {
		return l, false
	}
	if l.output, line, ok = bytes.Cut(line, []byte(" ")); !ok || string(l.output) != "stdout" && string(l.output) != "stderr" {
		return l, false
	}
	tags, l.text, _ = bytes.Cut(line, []byte(" "))
	tag, _, _ := bytes.Cut(tags, []byte(":"))
	l.partial = string(tag) == "P"
	return l, l.partial || string(tag) == "F"
}

// dockerLine reads {"log":"message\n","stream":"stdout","time":"…"}.
func dockerLine(line []byte) (l criFrame, ok bool) {
	var d struct{ Log, Stream, Time *string }
	if !bytes.HasPrefix(line, []byte(`{"log":"`)) || json.Unmarshal(line, &d) != nil || d.Log == nil || d.Stream == nil || d.Time == nil {
		return l, false
	}
	text, whole := bytes.CutSuffix([]byte(*d.Log), []byte("\n"))
	return criFrame{time: []byte(*d.Time), output: []byte(*d.Stream), text: text, partial: !whole}, true
}

// frameTime reads a line's time. What is below microseconds is left out: seq
// keeps the order of lines.
func frameTime(s []byte, z *times.Zone) (times.Instant, bool) {
	t, n := times.ISO(s, z)
	if n == 0 || n != len(s) {
		return times.Instant{}, false
	}
	t.Finer = false
	return t, true
}
