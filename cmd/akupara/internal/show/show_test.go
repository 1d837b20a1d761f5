package show

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/demux/jobs"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with testdata/NAME.golden, and holds every line to the width.
func golden(t *testing.T, name string, cells int, got string) {
	t.Helper()
	for line := range strings.Lines(got) {
		if n := Cells(strings.TrimSuffix(line, "\n")); cells > 0 && n > cells {
			t.Errorf("%s: a line takes %d cells, want %d at most: %q", name, n, cells, line)
		}
	}
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// fleet is what an agent may answer.
func fleet(t *testing.T) []client.Adaptor {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "adaptors.json"))
	if err != nil {
		t.Fatal(err)
	}
	list, err := client.Decode[[]client.Adaptor](data)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestTheListOfAdaptorsFitsItsTerminal(t *testing.T) {
	for _, cells := range []int{0, 160, 120, 80, 60, 40, 20} {
		var b bytes.Buffer
		if err := Adaptors(&b, fleet(t), cells); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("adaptors.%d", cells), cells, b.String())
	}
}

func TestOneAdaptorIsShownWhole(t *testing.T) {
	for i, a := range fleet(t) {
		if a.LastErrorAt != nil {
			*a.LastErrorAt = time.Date(2026, 11, 22, 21, 9, 57, 0, time.Local)
		}
		var b bytes.Buffer
		if err := Adaptor(&b, a, 0); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("adaptor.%d", i), 0, b.String())
	}
}

func TestTheOtherAnswersAreShown(t *testing.T) {
	decode := func(v any, text string) {
		t.Helper()
		if err := json.Unmarshal([]byte(text), v); err != nil {
			t.Fatal(err)
		}
	}
	var streams client.Streams
	decode(&streams, `{"total":5,"streams":[
		{"adaptor":"app","stream":"s1","source":"/srv/app/a.log","begin":0,"read":2048,"settled":1024,"sent":2048,"size":4096,"ended":false,"live":true},
		{"adaptor":"app","stream":"s2","source":"/srv/app/a.log.1","begin":0,"read":10,"settled":10,"sent":10,"size":10,"ended":true,"live":false},
		{"adaptor":"app","stream":"s3","source":"/srv/app/b.log","begin":0,"read":10,"settled":5,"sent":10,"size":10,"ended":false,"live":false}]}`)
	var switches []client.Switch
	decode(&switches, `[
		{"name":"quiet","origin":"rest","dropped_bytes":2048,"dropped_records":17,"off":true,"namespace":["dev","test"],"level":"debug","feature":{"logger":"org.apache.*"}},
		{"name":"none","origin":"config","dropped_bytes":0,"dropped_records":0,"label":{"app":"web"}}]`)
	var drain client.Drain
	decode(&drain, `{"draining":true,"settled":false,"waited_seconds":30,"left_bytes":1048576,"unread_bytes":4096,
		"adaptors":[{"name":"app","left_bytes":1048576,"unread_bytes":4096}]}`)
	var drained client.Drain
	decode(&drained, `{"draining":true,"settled":true,"waited_seconds":1.25,"left_bytes":0,"unread_bytes":0,"adaptors":[]}`)
	var rewound client.Rewound
	decode(&rewound, `{"adaptor":"app","rewound":[{"stream":"s1","path":"/srv/app/a.log","from":1024,"to":0}],
		"left":[{"stream":"s2","path":"/srv/app/a.log.1","reason":"it is settled up to 0 only"}]}`)
	var none client.Rewound
	decode(&none, `{"adaptor":"app","rewound":[],"left":[]}`)
	for _, cells := range []int{0, 60, 30} {
		var b bytes.Buffer
		for _, write := range []func() error{
			func() error { return Streams(&b, streams, 1, cells) }, func() error { return Switches(&b, switches, cells) },
			func() error { return Drained(&b, drain, 0) }, func() error { return Drained(&b, drained, 0) },
			func() error { return Rewound(&b, rewound, cells) }, func() error { return Rewound(&b, none, cells) },
		} {
			if err := write(); err != nil {
				t.Fatal(err)
			}
			b.WriteString("\n")
		}
		golden(t, fmt.Sprintf("others.%d", cells), 0, b.String())
	}
}

func TestAReloadSaysWhatChanged(t *testing.T) {
	c := client.Config{Generation: 3, Hash: strings.Repeat("ab", 32), Source: "/etc/akupara.yaml",
		AppliedAt: time.Date(2026, 11, 22, 21, 9, 57, 0, time.Local),
		Changed:   &client.Changed{Added: []string{"a", "b"}, Changed: []string{"c"}}}
	var b bytes.Buffer
	if err := Reloaded(&b, c); err != nil {
		t.Fatal(err)
	}
	const want = "generation 3, hash abababababab, applied 2026-11-22 21:09:57, from /etc/akupara.yaml\nadded    a, b\nchanged  c\n"
	if b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	b.Reset()
	c.Changed = &client.Changed{}
	if err := Reloaded(&b, c); err != nil || !strings.HasSuffix(b.String(), "\nnothing changed in the section agent\n") {
		t.Errorf("got %q %v, want that nothing changed", b.String(), err)
	}
}

func TestWhatComesFromOutsideDoesNotSteerTheTerminal(t *testing.T) {
	evil := "a\x1b[2Jb\nc\r\td\x00\u202ee\u009bf"
	got := Clean(evil)
	if strings.ContainsAny(got, "\x1b\n\r\t\x00\u202e\u009b") || !strings.HasPrefix(got, "a\uFFFD[2Jb c") {
		t.Errorf("got %q, want one line without control characters", got)
	}
	if got := Clean(strings.Repeat("é", 1<<20)); len(got) > most+10 {
		t.Errorf("got %d bytes, want %d or so at most", len(got), most)
	}
	var b bytes.Buffer
	if err := Adaptor(&b, client.Adaptor{Name: evil, LastError: evil, Entry: json.RawMessage(`{"x":"\u001b[2J"}`),
		Position: []client.Position{{Path: evil}}, Skipped: []client.Skipped{{Path: evil, Reason: evil}}}, 80); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(b.String(), "\x1b\x00\u202e") {
		t.Errorf("an adaptor's text steers the terminal: %q", b.String())
	}
}

func TestSizesAndTimesAreShort(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB",
		1023.99 * 1024: "1.0 MiB", 5.5 * (1 << 40): "5.5 TiB", 0.4: "0 B"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%v): got %q, want %q", n, got, want)
		}
	}
	for s, want := range map[float64]string{0: "0s", 0.26: "0.3s", 9.94: "9.9s", 59.9: "59s", 61: "1m1s", 3700: "1h1m", 90000: "1d1h", -1: "0s", 1e300: "11574d1h"} {
		if got := Seconds(s); got != want {
			t.Errorf("Seconds(%v): got %q, want %q", s, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0", 0.5: "0.5", 99.4: "99.4", 100.4: "100", 12345: "12.3k", 2.5e6: "2.5M"} {
		if got := Number(n); got != want {
			t.Errorf("Number(%v): got %q, want %q", n, got, want)
		}
	}
}

func TestCutCountsCellsAndNotBytes(t *testing.T) {
	for _, c := range []struct {
		in    string
		cells int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 6, "日本語"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"},
		{"é́é", 2, "é́é"}, {"abc", 1, "…"}, {"abc", 0, ""}, {"", 0, ""},
	} {
		if got := Cut(c.in, c.cells); got != c.want {
			t.Errorf("Cut(%q, %d): got %q, want %q", c.in, c.cells, got, c.want)
		}
	}
}

func FuzzTable(f *testing.F) {
	f.Add("name", "日本語\x1b[0m", 10)
	f.Add("", "\xff\n", 1)
	f.Fuzz(func(t *testing.T, a, b string, cells int) {
		cells = max(1, cells%200)
		table := Table{Columns: []Column{{Name: "x"}, {Name: "y", Flex: 1, Drop: 1}, {Name: "z", Right: true, Drop: 2}},
			Rows: [][]string{{a, b, a}, {b}, {}}}
		var out strings.Builder
		if err := table.Write(&out, cells); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		if len(lines) != 5 {
			t.Errorf("got %d lines, want 5: %q", len(lines), out.String())
		}
		for _, l := range lines {
			if Cells(l) > cells {
				t.Errorf("a line takes %d cells, want %d at most: %q", Cells(l), cells, l)
			}
		}
	})
}

// A job's own schedule is told beside those of tables that have theirs.
func TestJobsTellTheScheduleOfTheOtherTables(t *testing.T) {
	list := []jobs.Status{{Name: "retain", Schedule: "@daily", Tables: []jobs.Table{{Type: "app", State: jobs.Idle, Schedule: "@hourly"}}}}
	for dataType, want := range map[string]string{"": "retain app idle never never @hourly retain idle never @daily", "app": "retain app idle never never @hourly"} {
		var out strings.Builder
		if err := Jobs(&out, list, nil, dataType, time.Now(), 200); err != nil {
			t.Fatal(err)
		}
		_, rows, _ := strings.Cut(out.String(), "─\n")
		if got := strings.Join(strings.Fields(rows), " "); got != want {
			t.Errorf("of %q: got %q, want %q", dataType, got, want)
		}
	}
}
