package command

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// sink keeps what is sent.
type sink struct {
	mu     sync.Mutex
	chunks []chunk.Chunk
	got    chan struct{}
}

func newSink() *sink { return &sink{got: make(chan struct{}, 1000)} }

func (s *sink) Send(_ context.Context, c *chunk.Chunk) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := *c
	own.Body = bytes.Clone(c.Body)
	own.Tags = maps.Clone(c.Tags)
	own.Borders = slices.Clone(c.Borders)
	s.chunks = append(s.chunks, own)
	s.got <- struct{}{}
	return nil
}

func (s *sink) wait(t *testing.T, n int) []chunk.Chunk {
	t.Helper()
	for range n {
		select {
		case <-s.got:
		case <-time.After(time.Minute):
			t.Fatalf("fewer than %d chunks came", n)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.chunks
}

func (s *sink) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, c := range s.chunks {
		b.Write(c.Body)
	}
	return b.String()
}

// mustNew returns cfg the defaults that New expects.
func mustNew(t *testing.T, cfg Config) *Adaptor {
	t.Helper()
	def := DefaultConfig()
	cfg.Max = cmp.Or(cfg.Max, def.Max)
	cfg.RecordTimeout = cmp.Or(cfg.RecordTimeout, def.RecordTimeout)
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func run(t *testing.T, cfg Config, out adaptors.Output) (a *Adaptor, stop func() error) {
	t.Helper()
	a = mustNew(t, cfg)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- a.Run(ctx, adaptors.Env{Name: "x", Type: "x", Host: "h", Log: slog.New(slog.DiscardHandler), Out: out})
	}()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-done:
			return err
		case <-time.After(time.Minute):
			return fmt.Errorf("Run did not return")
		}
	})
	t.Cleanup(func() { _ = stop() })
	return a, stop
}

func TestEachRunIsOneRecord(t *testing.T) {
	out := newSink()
	_, stop := run(t, Config{Command: []string{"printf", `a\nb`}, Every: config.Duration(100 * time.Millisecond)}, out)
	for _, c := range out.wait(t, 2)[:2] {
		if got := string(c.Body); got != "a\nb" {
			t.Errorf("body %q, want %q", got, "a\nb")
		}
		if len(c.Borders) != 1 || c.Borders[0] != 3 {
			t.Errorf("borders %v, want [3]", c.Borders)
		}
		if want := `printf a\nb`; c.Source != want {
			t.Errorf("source %q, want %q", c.Source, want)
		}
		if len(c.Tags) != 0 {
			t.Errorf("tags %v, want none", c.Tags)
		}
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v when it was stopped, want nil", err)
	}
}

func TestExitCodeAndStandardErrorAreTold(t *testing.T) {
	out := newSink()
	a, _ := run(t, Config{Command: []string{"sh", "-c", "echo some; echo broken >&2; exit 3"}, Every: config.Duration(time.Hour)}, out)
	c := out.wait(t, 1)[0]
	if c.Tags["exit_code"] != "3" || c.Tags["stderr"] != "broken" {
		t.Errorf("tags %v, want exit_code 3 and stderr broken", c.Tags)
	}
	if got := a.Status().LastErr; !strings.Contains(got, "exit code 3") || !strings.Contains(got, "broken") {
		t.Errorf("last error %q, want the exit code and what was said", got)
	}
}

func TestTheEndOfALongStandardErrorIsKept(t *testing.T) {
	out := newSink()
	a, _ := run(t, Config{Command: []string{"sh", "-c", "echo some; seq 5000 >&2; echo 'what it was' >&2; exit 3"}, Every: config.Duration(time.Hour)}, out)
	said := out.wait(t, 1)[0].Tags["stderr"]
	if !strings.HasSuffix(said, "5000\nwhat it was") || len(said) > maxStderr {
		t.Errorf("stderr %q, want its end, %d bytes at most", said, maxStderr)
	}
	if got := a.Status().LastErr; !strings.HasSuffix(got, "what it was") {
		t.Errorf("last error ends %q, want what the program said last", got[max(0, len(got)-40):])
	}
}

func TestAProgramThatEndedInTimeIsNotCalledLate(t *testing.T) {
	out := newSink()
	// Its child holds the output open beyond the time-out.
	a, _ := run(t, Config{Command: []string{"sh", "-c", "echo on; sleep 1000 & exit 0"},
		Every: config.Duration(time.Hour), Timeout: config.Duration(time.Second)}, out)
	if c := out.wait(t, 1)[0]; len(c.Tags) > 0 || a.Status().LastErr != "" {
		t.Errorf("tags %v, last error %q; want none: the program ended before its time-out", c.Tags, a.Status().LastErr)
	}
}

func TestLongOutputIsCutAndMarked(t *testing.T) {
	out := newSink()
	run(t, Config{Command: []string{"sh", "-c", "head -c 5000 /dev/zero"}, Every: config.Duration(time.Hour), Max: 2000}, out)
	c := out.wait(t, 1)[0]
	if len(c.Body) != 2000 || c.Tags["truncated"] != "3000 bytes more" {
		t.Errorf("%d bytes, tags %v; want 2000 and 3000 bytes more", len(c.Body), c.Tags)
	}
}

func TestRunThatTakesTooLongIsEndedWithItsChildren(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	out := newSink()
	run(t, Config{Command: []string{"sh", "-c", "echo on; sleep 1000 & echo $! >" + pidFile + "; wait"},
		Every: config.Duration(time.Hour), Timeout: config.Duration(300 * time.Millisecond)}, out)
	c := out.wait(t, 1)[0]
	if c.Tags["timeout"] == "" || string(c.Body) != "on\n" {
		t.Errorf("body %q, tags %v; want on and a timeout", c.Body, c.Tags)
	}
	gone(t, pidFile)
}

// gone waits for the process whose id is in the file to end.
func gone(t *testing.T, pidFile string) {
	t.Helper()
	var pid int
	eventually(t, func() bool {
		b, _ := os.ReadFile(pidFile)
		pid, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return pid > 0
	}, "no process id was written")
	eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return syscall.Kill(pid, 0) != nil || err != nil || strings.Contains(string(stat), ") Z ")
	}, "the process still runs")
}

func eventually(t *testing.T, ok func() bool, otherwise string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(deadline) {
			t.Fatal(otherwise)
		}
		time.Sleep(5 * time.Millisecond) // between two looks at a condition
	}
}

func TestLinesOfAProgramThatRunsForEverComeAtOnceAndWhole(t *testing.T) {
	out := newSink()
	_, stop := run(t, Config{Command: []string{"sh", "-c", `printf 'one\ntwo\nthr'; sleep 0.5; echo ee; sleep 1000`}}, out)
	chunks := out.wait(t, 2)
	if got := string(chunks[0].Body); got != "one\ntwo\n" {
		t.Errorf("first chunk %q, want the two whole lines", got)
	}
	if got := string(chunks[1].Body); got != "three\n" {
		t.Errorf("second chunk %q, want three", got)
	}
	if chunks[0].Borders != nil {
		t.Errorf("borders %v, want none: records are lines", chunks[0].Borders)
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v when it was stopped, want nil", err)
	}
}

func TestLinesOfAProgramThatRunsForEverMayBelongTogether(t *testing.T) {
	out := newSink()
	_, stop := run(t, Config{
		Command: []string{"sh", "-c", `printf 'one\n\tat x\n'; sleep 0.5; printf '\tat y\ntwo\n'; sleep 1000`},
		Config:  cut.Config{RecordIndented: true, RecordTimeout: config.Duration(3 * time.Second)},
	}, out)
	var got []string
	for _, c := range out.wait(t, 2) {
		for first, last := range c.Records() {
			got = append(got, string(c.Body[first:last]))
		}
		if c.Borders == nil {
			t.Errorf("the chunk %q has no borders", c.Body)
		}
	}
	if want := []string{"one\n\tat x\n\tat y\n", "two\n"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := stop(); err != nil {
		t.Errorf("Run returned %v when it was stopped, want nil", err)
	}
}

func TestRecordOfAProgramThatIsTooLongComesInParts(t *testing.T) {
	out := &sink{got: make(chan struct{}, 1000)}
	a := mustNew(t, Config{Max: 1 << 10, Command: []string{"sh", "-c", `echo before; head -c 3000 /dev/zero | tr '\0' x; echo; echo after`}})
	_ = a.Run(context.Background(), adaptors.Env{Out: out, Log: slog.New(slog.DiscardHandler)})
	var parts []string
	for _, c := range out.chunks {
		parts = append(parts, c.Tags["part"])
	}
	if want := []string{"", "first", "middle", "last", ""}; !slices.Equal(parts, want) {
		t.Errorf("parts: got %q, want %q", parts, want)
	}
	if got, want := out.text(), "before\n"+strings.Repeat("x", 3000)+"\nafter\n"; got != want {
		t.Errorf("got %d bytes, want %d", len(got), len(want))
	}
}

func TestProgramThatShouldRunForEverAndEndsIsAnError(t *testing.T) {
	out := newSink()
	a := mustNew(t, Config{Command: []string{"sh", "-c", "echo last; printf half; echo why >&2; exit 4"}})
	err := a.Run(context.Background(), adaptors.Env{Out: out, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "exit code 4") || !strings.Contains(err.Error(), "why") {
		t.Errorf("error %v, want the exit code and what was said", err)
	}
	if got := out.text(); got != "last\nhalf" {
		t.Errorf("got %q, want all that was said", got)
	}
}

func TestNothingIsLostOfManyLines(t *testing.T) {
	out := &sink{got: make(chan struct{}, 100000)}
	a := mustNew(t, Config{Command: []string{"sh", "-c", "seq 1 200000"}})
	_ = a.Run(context.Background(), adaptors.Env{Out: out, Log: slog.New(slog.DiscardHandler)})
	var want strings.Builder
	for i := range 200000 {
		fmt.Fprintln(&want, i+1)
	}
	if got := out.text(); got != want.String() {
		t.Errorf("got %d bytes, want %d", len(got), want.Len())
	}
	for _, c := range out.chunks {
		if c.Body[len(c.Body)-1] != '\n' {
			t.Fatalf("a chunk of %d bytes ends within a line", len(c.Body))
		}
	}
}

func TestStopEndsTheProgramAndWhatItStarted(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	out := newSink()
	_, stop := run(t, Config{Command: []string{"sh", "-c", "sleep 1000 & echo $! >" + pidFile + "; echo on; wait"}}, out)
	out.wait(t, 1)
	if err := stop(); err != nil {
		t.Errorf("Run returned %v when it was stopped, want nil", err)
	}
	gone(t, pidFile)
}

func TestMissingProgramIsAnError(t *testing.T) {
	for _, every := range []config.Duration{0, config.Duration(time.Minute)} {
		a := mustNew(t, Config{Command: []string{"/nonexistent/program"}, Every: every})
		err := a.Run(context.Background(), adaptors.Env{Out: newSink(), Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), "/nonexistent/program") {
			t.Errorf("every %v: error %v, want one that names the program", every, err)
		}
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{command: []}":                                         "names no program",
		"{command: [df], every: 1ms}":                           "at least 100ms",
		"{command: [df], timeout: 1s}":                          "runs for ever",
		"{command: [df], max_output: 1}":                        "from 1KiB to 16MiB",
		"{every: 60s}":                                          `"command" is missing`,
		"{command: df}":                                         "is not a list",
		"{command: [df], every: 1s, record_end: a}":             "each run is one record",
		"{command: [df], record_end: a, record_indented: true}": "record_end and record_indented are given",
	} {
		n, problems := config.Parse("f", []byte(text))
		cfg := DefaultConfig()
		problems = append(problems, config.Decode(n, &cfg)...)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestTheExampleInTheReadmeRuns(t *testing.T) {
	cfg, ok := adaptortest.Example(t, Kind(), "[df, -Pk]", "[echo, it runs]").(*Config)
	if !ok || cfg.Every.Std() != time.Minute {
		t.Fatalf("got %+v, want a run each minute", cfg)
	}
	out := newSink()
	run(t, *cfg, out)
	if got := string(out.wait(t, 1)[0].Body); got != "it runs\n" {
		t.Errorf("got %q, want what the program says", got)
	}
}
