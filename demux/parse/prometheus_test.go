package parse

import (
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
)

func FuzzPrometheus(f *testing.F) {
	fuzz(f, "prometheus", `a{b="\`, "# TYPE\n", "{\"\"} 1 1e400\n", "a{b=\"\xff\"}0x1p-2 9999999999999999999\n")
}
func FuzzHeartbeat(f *testing.F) { fuzz(f, "heartbeat", `{"up":1,"latency_ms":"x","status":1.5}`) }
func FuzzProcess(f *testing.F)   { fuzz(f, "process", `{"pid":-1,"cpu":1e400,"name":["x"]}`) }

func TestTypesOfMetricsHoldForTheirChunk(t *testing.T) {
	b := rows.NewBuilder(rows.Options{})
	p := mustNew(t, "prometheus", Options{})
	if err := p.Parse(t.Context(), body("# TYPE a counter\na 1\n# TYPE a gauge\na 2\n"), nil, b); err != nil {
		t.Fatal(err)
	}
	if err := p.Parse(t.Context(), body("b 3\na 4\n"), nil, b); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range table(t, b) {
		got = append(got, r["metric"]+" "+r["metric_type"]+" "+r["value"])
	}
	if have, want := strings.Join(got, ", "), "b  3, a  4, a counter 1, a gauge 2"; have != want {
		t.Errorf("got %q, want %q", have, want)
	}
}

// A filter or coverage may cut a scrape anywhere: every sample is a row, once.
func TestEveryCutOfAScrapeKeepsEverySample(t *testing.T) {
	const text = "# TYPE a counter\na{x=\"y\"} 1\n# HELP b is\nb 2\n"
	for cut := int64(1); cut < int64(len(text)); cut++ {
		b := rows.NewBuilder(rows.Options{})
		p := mustNew(t, "prometheus", Options{})
		if err := p.Parse(t.Context(), body(text), chunk.Ranges{{First: 0, Last: cut}}, b); err != nil {
			t.Fatal(err)
		}
		if err := p.Parse(t.Context(), body(text), chunk.Ranges{{First: cut, Last: int64(len(text))}}, b); err != nil {
			t.Fatal(err)
		}
		whole := 0
		for _, r := range table(t, b) {
			if r["parse_error"] == "" {
				whole++
			}
		}
		if whole < 1 || whole > 2 {
			t.Fatalf("cut at %d: %d whole samples, want at least the one that is not cut", cut, whole)
		}
	}
}

func TestSamplesOfProcessesAndHeartbeatsHaveTypedColumns(t *testing.T) {
	const (
		beat = `{"ts":"2026-03-01T11:00:00.5Z","name":"web","kind":"http","target":"http://h/","up":true,"latency_ms":3,"status":200}` + "\n"
		proc = `{"ts":"2026-03-01T11:00:00.5Z","pid":7,"ppid":1,"name":"java","state":"S","cpu":10,"cpu_seconds":2,"rss":4096,"vms":8192,"threads":3}` + "\n"
	)
	for _, c := range []struct {
		typ, line, want string
		columns         int
	}{
		{"heartbeat", beat, "web http http://h/ true 3 200", 11},
		{"process", proc, "7 1 java S 10 2 4096 8192 3", 15},
	} {
		if got := DefaultFor(c.typ); got != c.typ {
			t.Errorf("%s: its parser is %s, want its own", c.typ, got)
		}
		b := rows.NewBuilder(rows.Options{})
		if err := mustNew(t, c.typ, Options{}).Parse(t.Context(), body(c.line), nil, b); err != nil {
			t.Fatal(err)
		}
		if got := len(b.Columns()); got != c.columns {
			t.Errorf("%s: %d columns, want %d", c.typ, got, c.columns)
		}
		r := table(t, b)[0]
		if r["ts"] != "2026-03-01T11:00:00.5Z" || r["attributes"] != "" {
			t.Errorf("%s: got %v", c.typ, r)
		}
		rest := c.want
		for _, word := range strings.Fields(c.want) {
			found := false
			for _, v := range r {
				found = found || v == word
			}
			if !found {
				t.Errorf("%s: %q of %q is in no column of %v", c.typ, word, rest, r)
			}
		}
	}
}
