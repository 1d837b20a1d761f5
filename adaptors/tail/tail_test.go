package tail

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// rig is a tailer on a folder of real files, and the agent's side of it.
type rig struct {
	t    testing.TB
	dir  string
	name string // of the adaptor; empty: test
	cfg  Config
	rec  *adaptortest.Recorder
	a    *Adaptor
	stop func()
	want map[string]int // lines
	n    int
	nap  sync.RWMutex  // held while the tailer is stopped as by SIGSTOP
	idle bool          // it is
	wait time.Duration // for any condition; 0: patience
	log  *slog.Logger  // nil: the test's own with -v

	descriptors *adaptors.Descriptors
}

// testTimes are short, but for those that only few tests wait for.
func testTimes() times {
	return times{
		still: 100 * time.Millisecond, linger: 250 * time.Millisecond, copies: 250 * time.Millisecond,
		missing: time.Hour, forget: 24 * time.Hour, retry: 20 * time.Millisecond, poll: 20 * time.Millisecond,
		throttle: time.Millisecond,
		gather:   2 * time.Millisecond,
	}
}

// newRig prepares; patterns are relative to the rig's folder.
func newRig(t testing.TB, patterns ...string) *rig {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, cfg: DefaultConfig(), rec: adaptortest.NewRecorder(), want: map[string]int{}}
	if len(patterns) == 0 {
		patterns = []string{"**/*.log*"}
	}
	for _, p := range patterns {
		r.cfg.Paths = append(r.cfg.Paths, config.Glob(filepath.Join(dir, p)))
	}
	r.cfg.Rescan = config.Duration(150 * time.Millisecond)
	t.Cleanup(func() {
		if r.stop != nil {
			r.stop()
		}
		for _, p := range r.rec.Problems() {
			t.Error(p)
		}
	})
	return r
}

// each runs a test with inotify and with polling.
func each(t *testing.T, f func(t *testing.T, watch string)) {
	t.Parallel()
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			t.Parallel()
			f(t, watch)
		})
	}
}

// start runs the tailer.
func (r *rig) start() {
	r.t.Helper()
	r.startWith(testTimes())
}

// startHolding is start where a copy is made and its original truncated, with
// more than a moment between them on a busy machine.
func (r *rig) startHolding() {
	r.t.Helper()
	t := testTimes()
	t.copies = 5 * time.Second
	r.startWith(t)
}

func (r *rig) startWith(times times) {
	r.t.Helper()
	a, err := New(r.cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	a.times, a.gate = times, r.mayWork
	r.startAdaptor(a)
}

// mayWork waits while the tailer is stopped.
func (r *rig) mayWork() {
	r.nap.RLock()
	defer r.nap.RUnlock()
}

func (r *rig) startAdaptor(a *Adaptor) {
	r.t.Helper()
	r.a = a
	if r.cfg.Watch == "auto" { // whose instances all of a user's processes share
		r.until("the kernel has no inotify instance left", func() bool {
			fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
			return err == nil && unix.Close(fd) == nil
		})
	}
	env := r.rec.EnvOf(cmp.Or(r.name, "test"))
	env.Log = slog.New(slog.DiscardHandler)
	if testing.Verbose() {
		env.Log = slog.New(slog.NewTextHandler(testWriter{r.t}, nil))
	}
	env.Descriptors = r.descriptors
	if r.log != nil {
		env.Log = r.log
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, env) }()
	r.stop = func() {
		cancel()
		r.resume()
		if err := <-done; err != nil {
			r.t.Errorf("Run ended with %v, want nil", err)
		}
		r.stop = nil
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// pause stops the tailer as SIGSTOP does: what happens meanwhile it sees all at
// once.
func (r *rig) pause() {
	if !r.idle {
		r.nap.Lock()
		r.idle = true
	}
}

func (r *rig) resume() {
	if r.idle {
		r.idle = false
		r.nap.Unlock()
	}
}

// kill ends the tailer as SIGKILL does: nothing it does afterwards counts.
func (r *rig) kill() {
	r.t.Helper()
	r.rec.Kill()
	r.stop()
}

func (r *rig) path(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// lines makes n lines that no other call makes, and expects them to arrive.
func (r *rig) lines(n int) string {
	var b strings.Builder
	for range n {
		r.n++
		line := fmt.Sprintf("line %d of this test, neither long nor short", r.n)
		r.want[line]++
		b.WriteString(line + "\n")
	}
	return b.String()
}

// expect expects the lines of a text to arrive.
func (r *rig) expect(text string) string {
	for line := range strings.Lines(text) {
		r.want[strings.TrimSuffix(line, "\n")]++
	}
	return text
}

// write appends to a file, which is made where it is missing.
func (r *rig) write(name, text string) {
	r.t.Helper()
	f, err := os.OpenFile(r.path(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	r.ok(err)
	_, err = f.WriteString(text)
	r.ok(err)
	r.ok(f.Close())
}

func (r *rig) rename(from, to string) {
	r.t.Helper()
	r.ok(os.Rename(r.path(from), r.path(to)))
}

func (r *rig) remove(name string) {
	r.t.Helper()
	r.ok(os.Remove(r.path(name)))
}

func (r *rig) mkdir(name string) {
	r.t.Helper()
	r.ok(os.MkdirAll(r.path(name), 0o755))
}

// copyTruncate does what logrotate's copytruncate does.
func (r *rig) copyTruncate(from, to string) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(from))
	r.ok(err)
	r.ok(os.WriteFile(r.path(to), b, 0o644))
	r.ok(os.Truncate(r.path(from), 0))
}

const patience = 60 * time.Second

// until waits for a condition, which is looked at when something arrives and
// now and then.
func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	patience := cmp.Or(r.wait, patience)
	deadline := time.After(patience)
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for {
		changed := r.rec.Changed()
		if is() {
			return
		}
		select {
		case <-changed:
		case <-look.C:
		case <-deadline:
			r.t.Fatalf("after %v: %s: %v\nstreams: %s\nstatus: %+v", patience, what, r.diff(), r.known(), r.a.Status())
		}
	}
}

func (r *rig) known() string {
	var b strings.Builder
	for _, s := range r.rec.Known() {
		fmt.Fprintf(&b, "%s %s begin %d settled %d sent %d ended %v %s\n", s.ID, s.Source, s.Begin, s.Settled, s.Sent, s.Ended, s.Identity)
	}
	return b.String()
}

// diff tells which lines are missing, and which came too often or from nowhere.
func (r *rig) diff() []string {
	var out []string
	got := r.rec.Lines()
	for line, n := range r.want {
		if got[line] != n {
			out = append(out, fmt.Sprintf("%q came %d times, want %d", line, got[line], n))
		}
	}
	for line, n := range got {
		if r.want[line] == 0 {
			out = append(out, fmt.Sprintf("%q came %d times, want 0", line, n))
		}
	}
	slices.Sort(out)
	if len(out) > 10 {
		out = append(out[:10], fmt.Sprintf("and %d more", len(out)-10))
	}
	return out
}

// arrived waits until every expected line has come, once.
func (r *rig) arrived() {
	r.t.Helper()
	r.until("not every line came exactly once", func() bool { return maps.Equal(r.rec.Lines(), r.want) })
}

// calm makes sure that nothing else comes for a while: longer than any of the
// rig's waits.
func (r *rig) calm() {
	r.t.Helper()
	quiet := time.NewTimer(450 * time.Millisecond)
	defer quiet.Stop()
	<-quiet.C
	if !maps.Equal(r.rec.Lines(), r.want) {
		r.t.Fatalf("after all had come, more came: %v", r.diff())
	}
}

// exactly waits for all lines, for the silence after them, and checks that a
// start after a stop brings nothing twice.
func (r *rig) exactly() {
	r.t.Helper()
	r.arrived()
	r.calm()
	if lost := r.rec.Facts(chunk.Lost); len(lost) > 0 {
		r.t.Errorf("bytes were reported lost: %v", lost)
	}
}

func (r *rig) noSkips() {
	r.t.Helper()
	if s := r.a.Status(); len(s.Skipped) > 0 {
		r.t.Errorf("skipped: %v, want none", s.Skipped)
	}
}

func skippedReason(s adaptors.Status, path string) string {
	for _, k := range s.Skipped {
		if k.Path == path {
			return k.Reason
		}
	}
	return ""
}
