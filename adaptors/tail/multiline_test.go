package tail

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// trace is a record of several lines, by each of the rules.
var (
	byStart = []string{"2026-01-01 a failure\n\tat x\nCaused by: y\n\tat y\n", "2026-01-02 fine\n", "2026-01-03 another\n\tat z\n"}
	byEnd   = []string{"BEGIN\nselect 1;\n", "select 2\n\n;\n", "commit;\n"}
	byTab   = []string{"a failure\n\tat x\n  at y\n", "fine\n", "another\r\n\tat z\r\n"}
)

func (r *rig) rule(name string) (records []string) {
	switch name {
	case "start":
		r.cfg.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^\d{4}-`)}
		return byStart
	case "end":
		r.cfg.RecordEnd = config.Regexp{Regexp: regexp.MustCompile(`;$`)}
		return byEnd
	}
	r.cfg.RecordIndented = true
	return byTab
}

func eachRule(t *testing.T, f func(t *testing.T, watch, rule string)) {
	for _, rule := range []string{"start", "end", "indented"} {
		t.Run(rule, func(t *testing.T) {
			each(t, func(t *testing.T, watch string) { f(t, watch, rule) })
		})
	}
}

// TestRecordSplitByAKillArrivesWhole writes a record line by line, and kills and
// starts the tailer between any two of them.
func TestRecordSplitByAKillArrivesWhole(t *testing.T) {
	eachRule(t, func(t *testing.T, watch, rule string) {
		r := newRig(t).with(watch)
		want := r.rule(rule)
		r.cfg.RecordTimeout = config.Duration(time.Hour)
		all := strings.Join(want, "")
		stored := 1 // streams: a file's is stored with its first line
		for line := range strings.Lines(all) {
			r.write("a.log", line[:len(line)/2])
			r.start()
			r.until("the file is not seen", func() bool { return len(r.a.Status().Sources) == 1 && len(r.rec.Known()) == stored })
			stored = 2
			r.write("a.log", line[len(line)/2:])
			r.kill()
		}
		if rule != "end" { // what comes next ends the last one
			r.write("a.log", "2026-\n")
		}
		r.start()
		r.whole(want...)
		r.stop()
	})
}

func TestTimeoutEndsARecordAtALineOnly(t *testing.T) {
	eachRule(t, func(t *testing.T, watch, rule string) {
		r := newRig(t).with(watch)
		want := r.rule(rule)
		r.cfg.RecordTimeout = config.Duration(30 * time.Millisecond)
		first, rest, _ := strings.Cut(want[0], "\n")
		first += "\n"
		r.write("a.log", first+rest[:2])
		r.start()
		r.whole(first)
		r.write("a.log", rest[2:]+want[1])
		r.whole(first, rest, want[1])
		for _, c := range r.rec.Chunks() {
			want := ""
			if c.First == int64(len(first)) {
				want = "last" // of a record whose beginning was sent before
			}
			if c.Kind == chunk.Data && c.Tags["part"] != want {
				t.Errorf("part of %v: got %q, want %q", c.Range(), c.Tags["part"], want)
			}
		}
	})
}

func TestRecordOverTheLimitIsKeptInPiecesThatAreMarked(t *testing.T) {
	eachRule(t, func(t *testing.T, watch, rule string) {
		r := newRig(t).with(watch)
		records := r.rule(rule)
		r.cfg.MaxRecord = 4 << 10
		r.cfg.RecordTimeout = config.Duration(30 * time.Millisecond)
		line, rest, _ := strings.Cut(records[0], "\n")
		long := line + "\n" + strings.Repeat("\tone line of many\n", 1000) + rest
		r.write("a.log", records[1]+long+records[2])
		r.start()
		r.until("not all came", func() bool { return r.rec.Content() == records[1]+long+records[2] })
		r.kill() // and sends all of it again: the pieces are the same
		r.start()
		r.until("not all came again", func() bool { return len(r.rec.Chunks()) > 12 })
		r.kill()
		got, _ := r.texts(r.rec.Streams()[0])
		if n := len(got); n < 5 || got[0] != records[1] || got[n-1] != records[2] || strings.Join(got[1:n-1], "") != long {
			t.Errorf("%d records: got %.40q, want the long one in pieces between its neighbours", n, got)
		}
		parts := map[int64]string{}
		for _, c := range r.rec.Chunks() {
			if before, again := parts[c.First]; again && before != c.Tags["part"] {
				t.Errorf("at %d: part %q, and %q when it was sent again", c.First, before, c.Tags["part"])
			}
			parts[c.First] = c.Tags["part"]
			if c.Tags["part"] != "" && c.Last-c.First > 4<<10 {
				t.Errorf("a part of %d bytes, want at most max_record", c.Last-c.First)
			}
		}
		var order []string
		for _, at := range slices.Sorted(maps.Keys(parts)) {
			order = append(order, parts[at])
		}
		if got := strings.Trim(strings.Join(slices.Compact(order), " "), " "); got != "first middle last" {
			t.Errorf("parts: got %q, want first middle last", got)
		}
	})
}

func TestRulesThatExcludeEachOtherAreAProblem(t *testing.T) {
	for text, want := range map[string]string{
		"{paths: [/a], record_start: a, record_end: b}":                        "record_start and record_end are given",
		"{paths: [/a], record_end: b, record_indented: true}":                  "record_end and record_indented are given",
		"{paths: [/a], record_start: a, record_end: b, record_indented: true}": "record_start, record_end and record_indented are given",
		"{paths: [/a], encoding: klingon}":                                     "allowed are auto, utf-8, utf-16, big5",
		"{paths: [/a], ignore_older: 5}":                                       "the unit is missing",
		"{paths: [/a], record_start: a, encoding: Latin1, ignore_older: 1d}":   "",
	} {
		n, problems := config.Parse("test.yaml", []byte(text))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		cfg := DefaultConfig()
		problems = config.Decode(n, &cfg)
		got := ""
		for _, p := range problems {
			got += p.String()
		}
		if want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: got %q, want %q", text, got, want)
		}
	}
}

func BenchmarkRecordsToOutput(b *testing.B) {
	path := filepath.Join(b.TempDir(), "a.log")
	record := []byte("2026-01-02 03:04:05,678 INFO [main] org.example.Service: a request took 12 ms and was served from the cache\n" +
		"java.lang.IllegalStateException: no\n\tat org.example.Service.run(Service.java:12)\n\tat java.lang.Thread.run(Thread.java:1)\n")
	data := append(bytes.Repeat(record, 64<<20/len(record)), "2026-01-02 \n"...)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.Fatal(err)
	}
	for name, set := range map[string]func(c *Config){
		"lines":    func(*Config) {},
		"start":    func(c *Config) { c.RecordStart = config.Regexp{Regexp: regexp.MustCompile(`^\d{4}-\d\d-\d\d `)} },
		"end":      func(c *Config) { c.RecordEnd = config.Regexp{Regexp: regexp.MustCompile(`Thread.java:1\)$`)} },
		"indented": func(c *Config) { c.RecordIndented = true },
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			var before, after unix.Rusage
			_ = unix.Getrusage(unix.RUSAGE_SELF, &before)
			for b.Loop() {
				cfg := DefaultConfig()
				cfg.Paths = []config.Glob{config.Glob(path)}
				set(&cfg)
				a, err := New(cfg)
				if err != nil {
					b.Fatal(err)
				}
				ctx, cancel := context.WithCancel(context.Background())
				c := &counter{want: int64(len(data)) - 200, cancel: cancel}
				if err := a.Run(ctx, adaptors.Env{Type: "x", Log: slog.New(slog.DiscardHandler), Out: c, Streams: c}); err != nil {
					b.Fatal(err)
				}
			}
			_ = unix.Getrusage(unix.RUSAGE_SELF, &after)
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(float64(len(data)*b.N)/1e6/cpu.Seconds(), "MB/cpu-s")
		})
	}
}
