package parse

import (
	"fmt"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/rows"
)

// What a syslog adaptor sends: messages behind each other without line ends,
// told apart by the chunk's borders, some with newlines inside.
func TestSyslogRecordsMayHoldNewlinesAndNoLineEnd(t *testing.T) {
	messages := []string{
		"<35>Oct 11 22:14:15 host su[7]: failed\n\tat one\n\tat two",
		"<34>1 2026-02-03T04:05:06Z host app 7 ID [x@1 k=\"a\nb\"] first\nsecond\n",
		"<13>no time\nat all",
		"<14>1 2026-02-03T04:05:07Z host app - - -",
		"<30>Oct 11 22:14:15 app[1]: local, without a host",
	}
	c := body(strings.Join(messages, ""))
	end := int64(0)
	for _, m := range messages {
		end += int64(len(m))
		c.Borders = append(c.Borders, end)
	}
	got := parsed(t, "syslog", Options{}, c, nil)
	want := []map[string]string{
		{"message": "failed\n\tat one\n\tat two", "app": "su", "pid": "7", "hostname": "host", "facility": "auth"},
		{"message": "first\nsecond", "app": "app", "sd.x@1.k": "a\nb", "ts": "2026-02-03T04:05:06Z"},
		{"message": "no time\nat all", "facility": "user"},
		{"message": "", "app": "app", "ts": "2026-02-03T04:05:07Z"},
		{"message": "local, without a host", "app": "app", "hostname": ""},
	}
	if len(got) != len(want) {
		t.Fatalf("got %d rows, want %d: %v", len(got), len(want), got)
	}
	for i, w := range want {
		for k, v := range w {
			if got[i][k] != v {
				t.Errorf("%s of message %d: got %q, want %q", k, i, got[i][k], v)
			}
		}
		if e := got[i]["parse_error"]; e != "" {
			t.Errorf("message %d: parse_error %q, want none", i, e)
		}
	}
}

// Structured data becomes columns as long as a table may have more; what is beyond
// them is in attributes by the same name.
func TestStructuredDataBeyondATablesColumnsIsKept(t *testing.T) {
	const most = 30
	b := rows.NewBuilder(rows.Options{MaxColumns: most})
	var line strings.Builder
	line.WriteString("<13>1 2026-02-28T10:00:00Z h app - - [x@1")
	for i := range 100 {
		fmt.Fprintf(&line, ` k%d="v%d"`, i, i)
	}
	line.WriteString("] message\n")
	if err := mustNew(t, "syslog", Options{}).Parse(t.Context(), body(line.String()), nil, b); err != nil {
		t.Fatal(err)
	}
	got := table(t, b)[0]
	columns := 0
	for i := range 100 {
		key, want := fmt.Sprintf("sd.x@1.k%d", i), fmt.Sprintf("v%d", i)
		if got[key] == want {
			columns++
		} else if !strings.Contains(got["attributes"], key+"="+want+" ") {
			t.Errorf("%s: got %q, want %s there or in attributes", key, got[key], want)
		}
	}
	if columns == 0 || columns > most {
		t.Errorf("got %d columns, want some and at most %d", columns, most)
	}
}

// What a syslog line frames is read by another parser, behind CEE's cookie, too.
func TestSyslogFramesJSONAndPairs(t *testing.T) {
	for spec, line := range map[string]string{
		"{parser: syslog, message: json}":   `<13>Feb 28 10:00:00 h app: @cee: {"msg":"x","n":7}`,
		"{parser: syslog, message: logfmt}": `<13>1 2026-02-28T10:00:00Z h app - - [a@1 k="v"] msg=x n=7`,
	} {
		got := parsed(t, spec, Options{}, body(line), nil)
		if len(got) != 1 || got[0]["message"] != "x" || got[0]["n"] != "7" || got[0]["app"] != "app" || got[0]["ts"] != "2026-02-28T10:00:00Z" || got[0]["parse_error"] != "" {
			t.Errorf("%s: got %v", spec, got)
		}
	}
}

// A day's year is remembered, and still the one that fits in each chunk and zone.
func TestSyslogDaysAreThoseOfEachChunk(t *testing.T) {
	p := mustNew(t, "syslog", Options{})
	for year := 2024; year < 2028; year++ {
		b := rows.NewBuilder(rows.Options{})
		c := body("Feb 28 10:00:00 h a: x\nMar  2 11:59:59 h a: x\nMar  2 12:00:01 h a: x\nMar  2 11:59:59 h a: x\n")
		c.Time = readTime.AddDate(year-2026, 0, 0)
		if err := p.Parse(t.Context(), c, nil, b); err != nil {
			t.Fatal(err)
		}
		for i, want := range []string{"%d-02-28T10:00:00Z", "%d-03-02T11:59:59Z", "%d-03-02T12:00:01Z", "%d-03-02T11:59:59Z"} {
			y := year
			if i == 2 { // more than a day after the chunk was read
				y--
			}
			if got := table(t, b)[i]["ts"]; got != fmt.Sprintf(want, y) {
				t.Errorf("line %d of %d: got %s", i, year, got)
			}
		}
	}
}
