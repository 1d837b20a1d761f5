package trial

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/rows"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

func trialOf(t *testing.T, spec string) *Trial {
	t.Helper()
	cfg := demux.DefaultConfig()
	typ, problems := demux.ReadTypeText("spec", spec)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	p, o, err := cfg.Trial(typ, now)
	if err != nil {
		t.Fatal(err)
	}
	return &Trial{Parser: p, Options: o, Host: "h", Source: "/s", Now: now}
}

func jsonOf(t *testing.T, try *Trial, r io.Reader) (string, Counts) {
	t.Helper()
	var out bytes.Buffer
	w := JSONL(&out, rows.Templates{})
	n, err := try.Run(t.Context(), r, w.Row)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), n
}

func TestRecordsOfSeveralLinesStayWholeHoweverTheFileIsRead(t *testing.T) {
	var log strings.Builder
	const records = 40_000
	for i := range records {
		fmt.Fprintf(&log, "2026-11-30 10:00:00,%03d WARN [main] a.B: number %d\n", i%1000, i)
		for j := range i % 4 {
			fmt.Fprintf(&log, "\tat a.B.c(B.java:%d)\n", j)
		}
	}
	if log.Len() < 2*chunkBytes {
		t.Fatalf("the log has %d bytes, want some chunks", log.Len())
	}
	for _, start := range []string{"", `^\d{4}-`} {
		try := trialOf(t, "log4j")
		if start != "" {
			try.Start = regexp.MustCompile(start)
		}
		i := 0
		n, err := try.Run(t.Context(), iotest.HalfReader(strings.NewReader(log.String())), func(r Row) error {
			want := fmt.Sprintf("number %d", i)
			for j := range i % 4 {
				want += fmt.Sprintf("\n\tat a.B.c(B.java:%d)", j)
			}
			if got := string(r.Message().Bytes); got != want {
				return fmt.Errorf("record %d: got %q, want %q", i, got, want)
			}
			i++
			return nil
		})
		if err != nil || n != (Counts{Rows: records}) {
			t.Errorf("record_start %q: got %+v, %v", start, n, err)
		}
	}
}

func TestARecordLargerThanAChunkIsCutWhereAgentsMust(t *testing.T) {
	log := "2026-11-30 10:00:00,000 WARN a.B: x\n" + strings.Repeat("\tat a.B.c(B.java:1)\n", 3*chunkBytes/20) + "2026-11-30 10:00:01,000 WARN a.B: y\n"
	if _, n := jsonOf(t, trialOf(t, "log4j"), strings.NewReader(log)); n.Rows != 2 || n.Failed != 0 {
		t.Errorf("got %+v, want two records", n)
	}
}

func TestColumnsWidenFromChunkToChunk(t *testing.T) {
	var log strings.Builder
	for log.Len() < chunkBytes+100 {
		log.WriteString(`{"ts":"2026-11-30T10:00:00Z","n":1}` + "\n")
	}
	log.WriteString(`{"ts":"2026-11-30T10:00:00Z","n":2.5}` + "\n")
	got, n := jsonOf(t, trialOf(t, "json"), strings.NewReader(log.String()))
	if !strings.Contains(got, `"n":2.5,`) || n.Failed > 0 {
		t.Errorf("got %+v and %q at the end", n, got[len(got)-200:])
	}
}

func TestLimitEndsATrial(t *testing.T) {
	try := trialOf(t, "raw")
	try.Limit = 3
	if got, n := jsonOf(t, try, strings.NewReader(strings.Repeat("x\n", 10))); n.Rows != 3 || strings.Count(got, "\n") != 3 {
		t.Errorf("got %+v and %q, want three rows", n, got)
	}
}

func TestCompressedFilesAreReadAsPlainOnes(t *testing.T) {
	var gz, zst bytes.Buffer
	w := gzip.NewWriter(&gz)
	io.WriteString(w, "one\ntwo\n")
	w.Close()
	z, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(z, "one\ntwo\n")
	z.Close()
	for name, r := range map[string]io.Reader{"gzip": &gz, "zstd": &zst, "plain": strings.NewReader("one\ntwo\n"), "a byte": strings.NewReader("1")} {
		plain, err := Plain(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(plain)
		if err != nil || string(got) != "one\ntwo\n" && name != "a byte" {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
	if _, err := Plain(strings.NewReader("\x1f\x8bx")); err == nil {
		t.Error("broken gzip was taken")
	}
}

func TestAFailureShowsWhereTheParserStopped(t *testing.T) {
	for _, c := range []struct {
		text, why string
		cells     int
		want      []string
	}{
		{`{"a":1} x`, "not JSON: unexpected 'x' at byte 8", 80, []string{`{"a":1} x`, "        ^"}},
		{"äöü x", "unexpected 'x' at byte 7", 80, []string{"äöü x", "    ^"}},
		{"one\ntwo", "unexpected 'w' at byte 5", 80, []string{"two", " ^"}},
		{"one\ntwo", "something is wrong", 80, []string{"one"}},
		{"short", "at byte 99", 80, []string{"short"}},
		{strings.Repeat("a", 100) + "X" + strings.Repeat("b", 100), "at byte 100", 30, []string{"…" + strings.Repeat("a", 19) + "X" + strings.Repeat("b", 8) + "…", strings.Repeat(" ", 20) + "^"}},
	} {
		if got := marked(c.text, stopped(c.why), c.cells); strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%q, %q: got %q, want %q", c.text, c.why, got, c.want)
		}
	}
}
