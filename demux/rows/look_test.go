package rows

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

// Rows with gaps, with columns that widen, and with several origins.
func TestALookGivesWhatTheFilesHold(t *testing.T) {
	b := NewBuilder(Options{Declared: []schema.Column{{Name: "size", Type: schema.Long}, {Name: "when", Type: schema.Date}}})
	for i := range 200 {
		if i%50 == 0 {
			b.Origin(fmt.Sprint("h", i/50), "/s", "st", nil)
		}
		b.Row(int64(i), int64(i))
		if i%3 > 0 {
			b.Message(fmt.Append(nil, "m", i))
		}
		if i%7 == 0 {
			b.Column("size").String([]byte("12"))
			b.Attr("k", []byte("v"))
			b.Attr("k", []byte("w"))
		}
		if i > 100 && i%2 == 0 {
			b.Column("late").Long(int64(i))
		}
		if i == 151 {
			b.Column("late").String([]byte("text"))
			b.Fail("wrong")
		}
		if i%11 == 0 {
			b.SetLevel(Error)
			b.Column("when").String([]byte("2026-11-30"))
			b.Column("ok").Bool(i%2 == 0)
			b.Column("half").Double(float64(i)/2, nil)
		}
	}
	_, mem := writeAll(t, b, plan(b), Layout{})
	want := read(t, mem[0])
	text := func(v Value) string {
		switch v.Type {
		case schema.String:
			return string(v.Bytes)
		case schema.Long, schema.Date:
			return strconv.FormatInt(v.Long(), 10)
		case schema.Double:
			return strconv.FormatFloat(v.Double(), 'g', -1, 64)
		case schema.Boolean:
			return strconv.FormatBool(v.Bool())
		}
		return "<null>"
	}
	l, n := b.Look(), 0
	for ; l.Next(); n++ {
		host, source, stream := l.Origin()
		got := map[string]string{
			"ts": strconv.FormatInt(l.TS(), 10), "seq": strconv.FormatInt(l.Seq(), 10),
			"host": string(host), "source": string(source), "stream": string(stream),
			"level": l.Level().String(), "message": text(l.Message()), "parse_error": text(l.ParseError()), "attributes": "",
		}
		if l.Level() == NoLevel {
			got["level"] = "<null>"
		}
		l.Own(func(name string, v Value) { got[name] = text(v) })
		l.Attributes(func(k, v []byte) { got["attributes"] += string(k) + "=" + string(v) + " " })
		for k, v := range want[n] {
			if got[k] != v && k != "tags" {
				t.Errorf("row %d, %s: got %q, the file has %q", n, k, got[k], v)
			}
		}
	}
	if n != b.Len() || n != len(want) {
		t.Errorf("got %d rows of %d", n, b.Len())
	}
	if begun := b.Begun(); len(begun) != 3 {
		t.Errorf("got %v, want the columns that nobody declared", begun)
	}
}
