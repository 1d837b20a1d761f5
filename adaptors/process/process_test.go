package process

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

const patience = time.Minute

func TestConformance(t *testing.T) {
	adaptortest.Test(t, adaptortest.Kind{New: func(t *testing.T) adaptors.Adaptor {
		cfg := DefaultConfig()
		cfg.Every = config.Duration(500 * time.Millisecond)
		a, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}})
}

// child starts a program that runs until the test's end.
func child(t *testing.T, name string, arg ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, arg...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

// shell returns a copy of the shell under a name of its own.
func shell(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	b, err := os.ReadFile("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// until takes samples until one holds what is wanted.
func until(t *testing.T, s *sampler, what string, is func(rows []row) bool) []row {
	t.Helper()
	var rows []row
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); ; {
		var err error
		if rows, err = s.sample(time.Now()); err != nil {
			t.Fatal(err)
		}
		if is(rows) {
			return rows
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s; last sample %+v", what, rows)
		}
	}
}

func TestExampleInTheReadmeTellsOfTheProcessesThatMatch(t *testing.T) {
	busy := child(t, shell(t, "aku-busy"), "-c", "while :; do :; done", "-", "an argument")
	idle := child(t, shell(t, "aku-idle"), "-c", "read x", "-")
	_ = idle
	cfg := adaptortest.Example(t, Kind(), "^(java|postgres|nginx)$", "^aku-(busy|idle)$").(*Config)
	cfg.Every = config.Duration(500 * time.Millisecond)
	a, err := New(*cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var r map[string]any
	out := outFunc(func(c *chunk.Chunk) {
		if c.Type != Type || c.Source != "/proc" || c.Borders != nil {
			t.Errorf("a chunk of type %q from %q with borders %v", c.Type, c.Source, c.Borders)
		}
		for line := range bytes.Lines(c.Body) {
			var one map[string]any
			if err := json.Unmarshal(line, &one); err != nil {
				t.Fatalf("%v in %q", err, line)
			}
			if !strings.HasPrefix(one["name"].(string), "aku-") {
				t.Errorf("process %v does not match", one["name"])
			}
			if ts, err := time.Parse(timeFormat, one["ts"].(string)); err != nil || !ts.Equal(c.Time) {
				t.Errorf("ts %v, want the chunk's time %v", one["ts"], c.Time)
			}
			if one["name"] == "aku-busy" && one["cpu"].(float64) > 5 {
				r = one
				cancel()
			}
		}
	})
	if err := a.Run(ctx, adaptors.Env{Log: slog.New(slog.DiscardHandler), Out: out}); err != nil {
		t.Fatal(err)
	}
	if r == nil {
		t.Fatalf("the busy process was not told of; status %+v", a.Status())
	}
	for _, key := range []string{"ts", "pid", "ppid", "name", "cmdline", "user", "state", "cpu", "cpu_seconds", "rss", "vms", "threads", "fds", "started"} {
		if r[key] == nil {
			t.Errorf("key %q is missing in %v", key, r)
		}
	}
	if r["pid"] != float64(busy.Process.Pid) || r["ppid"] != float64(os.Getpid()) || r["threads"] != 1.0 ||
		!strings.HasSuffix(r["cmdline"].(string), " - an argument") || r["cpu"].(float64) > 150 {
		t.Errorf("got %v, want what the process %d is", r, busy.Process.Pid)
	}
	started, err := time.Parse(startFormat, r["started"].(string))
	if age := time.Since(started); err != nil || age < -2*time.Second || age > 2*patience {
		t.Errorf("started %v ago: %v", age, err)
	}
}

type outFunc func(c *chunk.Chunk)

func (f outFunc) Send(ctx context.Context, c *chunk.Chunk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	f(c)
	return nil
}

func TestOnlyTheFirstByProcessorTimeAndByMemoryAreToldOf(t *testing.T) {
	s := &sampler{cfg: &Config{Top: 2}}
	add := func(pid int, used, rss uint64) {
		p := process{used: used}
		p.PID, p.RSS = pid, rss
		s.seen = append(s.seen, p)
	}
	add(1, 0, 100)
	add(2, 50, 1)
	add(3, 0, 3)
	add(4, 70, 90)
	add(5, 10, 99)
	add(6, 0, 2)
	var got []int
	for _, p := range s.top() {
		got = append(got, p.PID)
	}
	if want := []int{4, 2, 5, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v: two by time, then two more by memory", got, want)
	}
	s.cfg.Top = 100
	if n := len(s.top()); n != 6 {
		t.Errorf("with a top of 100: got %d, want all 6", n)
	}
}

// fake makes a process file system with one process.
func fake(t *testing.T, dir string, pid int, name string, ticks, start int) {
	t.Helper()
	own := filepath.Join(dir, fmt.Sprint(pid))
	if err := os.MkdirAll(own, 0o700); err != nil {
		t.Fatal(err)
	}
	stat := fmt.Sprintf("%d (%s) R 1 1 1 0 -1 0 0 0 0 0 %d 0 0 0 20 0 3 0 %d 8192 5 0\n", pid, name, ticks, start)
	for file, content := range map[string]string{
		filepath.Join(own, "stat"):    stat,
		filepath.Join(own, "cmdline"): name + "\x00--secret\x00",
		filepath.Join(own, "status"):  "Name:\tx\nUid:\t7\t1000\t7\t7\n",
		filepath.Join(own, "io"):      "rchar: 1\nwchar: 2\nread_bytes: 4096\nwrite_bytes: 8192\n",
		filepath.Join(dir, "stat"):    "cpu 1 2 3\nbtime 1767225600\n",
		filepath.Join(dir, "passwd"):  "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:/bin/sh\nbad\nlater:x:1000:1:::\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessorTimeIsThatSinceTheSampleBefore(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Proc, cfg.Passwd = dir, filepath.Join(dir, "passwd")
	s := newSampler(&cfg)
	at := time.Date(2026, 1, 1, 1, 0, 0, 0, time.UTC)
	fake(t, dir, 10, "a", 500, 1234)
	if rows, err := s.sample(at); err != nil || rows != nil {
		t.Fatalf("the first sample: %v, %v; want none", rows, err)
	}
	fake(t, dir, 10, "a", 800, 1234)
	rows, err := s.sample(at.Add(2 * time.Second))
	if err != nil || len(rows) != 1 {
		t.Fatalf("got %v, %v; want one process", rows, err)
	}
	r := rows[0]
	if r.CPU != 150 || r.CPUTime != 8 || r.User != "app" || r.Cmdline != "a --secret" || *r.Read != 4096 || *r.Written != 8192 ||
		r.Started != "2026-01-01T00:00:12.34Z" || r.VMS != 8192 || r.RSS != uint64(5*os.Getpagesize()) || r.Threads != 3 || r.State != "R" || r.FDs != nil {
		t.Errorf("got %+v", r)
	}
	// Another process got the same id: its time is all its own.
	fake(t, dir, 10, "b", 100, 99999)
	cfg.Cmdline = 0
	rows, err = s.sample(at.Add(4 * time.Second))
	if err != nil || len(rows) != 1 || rows[0].CPU != 50 || rows[0].Cmdline != "" {
		t.Errorf("got %+v, %v; want 50%% of a processor and no command line", rows, err)
	}
	// A counter that goes back is no time.
	fake(t, dir, 10, "b", 90, 99999)
	rows, err = s.sample(at.Add(6 * time.Second))
	if err != nil || len(rows) != 1 || rows[0].CPU != 0 {
		t.Errorf("got %+v, %v; want 0%%", rows, err)
	}
}

func TestWhatCanNotBeReadIsToldAndTheRestGoesOn(t *testing.T) {
	dir := t.TempDir()
	cfg := DefaultConfig()
	cfg.Proc = dir
	s := newSampler(&cfg)
	if _, err := s.sample(time.Now()); err == nil {
		t.Error("an empty folder was taken for a process file system")
	}
	fake(t, dir, 10, "a", 500, 1)
	fake(t, dir, 11, "b", 500, 1)
	if err := os.WriteFile(filepath.Join(dir, "11", "stat"), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, _ = s.sample(time.Now().Add(-time.Second))
	rows, err := s.sample(time.Now())
	if len(rows) != 1 || err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("got %+v, %v; want one process and an error about the other", rows, err)
	}
}

func TestMemoryOfAProcessIsSeen(t *testing.T) {
	held := make([]byte, 64<<20)
	for i := 0; i < len(held); i += 4096 {
		held[i] = 1
	}
	cfg := DefaultConfig()
	cfg.Match.Regexp = regexp.MustCompile("^process.test$") // others may have more
	s := newSampler(&cfg)
	rows := until(t, s, "this process is not among the largest", func(rows []row) bool {
		return slices.ContainsFunc(rows, func(r row) bool { return r.PID == os.Getpid() })
	})
	i := slices.IndexFunc(rows, func(r row) bool { return r.PID == os.Getpid() })
	if r := rows[i]; r.RSS < 64<<20 || r.FDs == nil || *r.FDs < 3 {
		t.Errorf("got %+v, want at least 64 MiB and some open files", r)
	}
	if held[4096] != 1 {
		t.Error("unreachable")
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{every: 1ms}":    "at least 500ms",
		"{top: 0}":        "from 1 to 1000",
		"{cmdline: 1MiB}": "at most 16KiB",
		"{match: '('}":    "is not a regular expression",
		"{proc: x}":       "starts with /",
		"{passwd: ''}":    "starts with /",
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestUnusualFilesNeedLeave(t *testing.T) {
	cfg := DefaultConfig()
	if got := cfg.Needs(); got != nil {
		t.Errorf("needs %v, want none for the usual files", got)
	}
	cfg.Passwd = "/etc/shadow"
	if got, want := cfg.Needs(), []adaptors.Need{{What: adaptors.File, Value: "/etc/shadow"}}; !slices.Equal(got, want) {
		t.Errorf("needs %v, want %v", got, want)
	}
	cfg.SetRoots(adaptors.Roots{"/var/log"})
	if rows, err := newSampler(&cfg).sample(time.Now()); !errors.Is(err, adaptors.ErrOutside) {
		t.Errorf("got %v, %v; want that it lies outside", rows, err)
	}
}

func FuzzParseNames(f *testing.F) {
	f.Add([]byte("root:x:0:0::/:/bin/sh\n\xff:x:1:\n#:::\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for uid, name := range parseNames(b) {
			if uid < 0 || name == "" {
				t.Errorf("%q: user %d is %q", b, uid, name)
			}
		}
	})
}

// BenchmarkSample tells what a sample of this machine's processes costs, as
// processor time for 500 processes.
func BenchmarkSample(b *testing.B) {
	cfg := DefaultConfig()
	s := newSampler(&cfg)
	_, _ = s.sample(time.Now())
	before, n := used(b), 0
	for b.Loop() {
		if _, err := s.sample(time.Now()); err != nil {
			b.Fatal(err)
		}
		n += len(s.pids)
	}
	b.ReportMetric(float64((used(b)-before).Microseconds())/1000/float64(n)*500, "cpu-ms/500processes")
	b.ReportMetric(float64(len(s.pids)), "processes")
}

func used(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
