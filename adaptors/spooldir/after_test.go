package spooldir

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
	"golang.org/x/sys/unix"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

func TestFileIsMovedOnlyOnceItIsSettledAndOverwritesNothing(t *testing.T) {
	w := newWorld(t, soon+"after: move\nmove_to: DIR/in/done")
	done := w.path("done")
	if err := os.Mkdir(done, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"done/a": "older\n", "done/a.1": "older, too\n", "a": "new\n"} {
		w.write(name, text)
	}
	w.begin()
	w.content("new\n")
	w.eventually("its end", func() bool { return w.ends() == 1 })
	if got := names(t, w.dir); !slices.Equal(got, []string{"a", "done"}) {
		t.Errorf("before anything was settled: %q, want the file in its place", got)
	}
	w.rec.Settle(w.a)
	w.eventually("it is moved", func() bool { return slices.Equal(names(t, done), []string{"a", "a.1", "a.2"}) })
	for name, want := range map[string]string{"a": "older\n", "a.1": "older, too\n", "a.2": "new\n"} {
		if got, _ := os.ReadFile(filepath.Join(done, name)); string(got) != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	w.eventually("it is forgotten", func() bool { return len(w.rec.Known()) == 0 })
}

func TestFileIsDeletedOnceItIsSettledAndNotWhileSomebodyWritesToIt(t *testing.T) {
	w := newWorld(t, soon+"after: delete")
	f, err := os.Create(w.path("a"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(f, "one\n")
	w.start()
	w.content("one\n")
	w.write("b", "two\n")
	w.eventually("the other is deleted", func() bool { return slices.Equal(names(t, w.dir), []string{"a"}) })
	fmt.Fprint(f, "late\n") // what a file that is deleted too early would lose
	w.content("one\nlate\ntwo\n")
	if got := names(t, w.dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("while it is open: %q, want it to stay", got)
	}
	_ = f.Close()
	w.eventually("it is deleted, too", func() bool { return len(names(t, w.dir)) == 0 && len(w.rec.Known()) == 0 })
}

func TestHardLinksHaveOneReaderAndAreAllDeleted(t *testing.T) {
	w := newWorld(t, soon+"after: delete")
	w.write("a.tmp", "once\n")
	for _, name := range []string{"a", "b", "c"} {
		if err := os.Link(w.path("a.tmp"), w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	w.eventually("all are deleted", func() bool { return slices.Equal(names(t, w.dir), []string{"a.tmp"}) })
	w.probe()
	if got := w.got(); got != "once\n" {
		t.Errorf("got %q, want it once", got)
	}
}

func TestMoveToAnotherFileSystemIsRefusedAndTheFileKept(t *testing.T) {
	other, err := os.MkdirTemp("/dev/shm", "akupara-test-")
	if err != nil {
		return // there is one file system alone
	}
	defer os.RemoveAll(other)
	w := newWorld(t, soon+"after: move\nmove_to: "+other)
	var a, b unix.Stat_t
	if unix.Stat(w.dir, &a) != nil || unix.Stat(other, &b) != nil || a.Dev == b.Dev {
		return
	}
	w.write("a", "x\n")
	w.start()
	w.eventually("it is said", func() bool { return strings.Contains(w.a.Status().LastErr, "another file system") })
	if got := names(t, w.dir); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%q, want the file kept", got)
	}
}

func TestFilesThatWereKeptAreDeletedWhenThatIsAskedForLater(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "x\n")
	w.start()
	w.content("x\n")
	w.eventually("it is done", func() bool { return done(w) == 1 })
	w.end()
	w.cfg.After = "delete"
	w.start()
	w.eventually("it is deleted", func() bool { return len(names(t, w.dir)) == 0 && len(w.rec.Known()) == 0 })
	if got := w.rec.Content(); got != "x\n" {
		t.Errorf("got %q, want it once", got)
	}
}

// done counts the streams that are stored as done.
func done(w *world) int {
	n := 0
	for _, k := range w.rec.Known() {
		if id, err := decodeIdentity(k.Identity); err == nil && id.Done {
			n++
		}
	}
	return n
}

func TestFileWhoseDeletionACrashBrokeOffIsDeletedAnew(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "x\n")
	w.start()
	w.content("x\n")
	w.eventually("it is done", func() bool { return done(w) == 1 })
	w.end()
	w.rename("a", deleting+"a") // as a kill between the two steps leaves it
	w.cfg.After = "delete"
	w.start()
	w.eventually("it is deleted", func() bool { return len(names(t, w.dir)) == 0 })
	if got := w.rec.Content(); got != "x\n" {
		t.Errorf("got %q, want it once", got)
	}
}

// A run that is killed at its k-th call of the agent, for every k, and one that
// goes on: each file is read once, byte for byte, and is where it should be.
func TestKillAtEveryStepDoublesAndLosesNothing(t *testing.T) {
	for _, after := range []string{"keep", "move", "delete"} {
		t.Run(after, func(t *testing.T) {
			for k := 0; ; k++ {
				if k > 200 {
					t.Fatal("there is no end of steps")
				}
				if finishedBeforeKill(t, after, k) {
					return
				}
			}
		})
	}
}

// finishedBeforeKill reports whether all was done before the k-th step.
func finishedBeforeKill(t *testing.T, after string, k int) bool {
	more := "settle: 10ms\nrescan: 50ms\nafter: " + after + "\n"
	if after == "move" {
		more += "move_to: DIR/done\n"
	}
	w := newWorld(t, more)
	want := map[string]string{}
	for i := range 3 {
		name := fmt.Sprintf("f%d", i)
		want[name] = fmt.Sprintf("first of %d\nsecond of %d\nrest", i, i)
		text := want[name]
		if i == 1 {
			text = packed(t, text)
		}
		w.write(name, text)
	}
	a, err := New(*w.cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.times = testTimes()
	killed := make(chan struct{})
	steps := &steps{k: k, kill: sync.OnceFunc(func() {
		w.rec.Kill()
		close(killed)
	})}
	w.runStepped(a, steps)
	survived := false
	for !survived {
		w.rec.Settle(w.a)
		select {
		case <-killed:
		case <-time.After(5 * time.Millisecond):
			survived = over(w, after)
			continue
		}
		break
	}
	w.end()
	w.start()
	w.eventually(fmt.Sprintf("all is done after a kill at step %d", k), func() bool { return over(w, after) })
	got := map[string]int{}
	for _, id := range w.rec.Streams() {
		got[string(w.rec.Bytes(id))]++
	}
	for name, text := range want {
		if got[text] != 1 {
			t.Errorf("after a kill at step %d: %s came %d times, want once: %v", k, name, got[text], got)
		}
	}
	if len(got) != len(want) {
		t.Errorf("after a kill at step %d: got %v, want %v", k, got, want)
	}
	switch dir := filepath.Join(w.dir, "..", "done"); after {
	case "move":
		if got := names(t, dir); !slices.Equal(got, []string{"f0", "f1", "f2"}) {
			t.Errorf("after a kill at step %d: moved %q, want each once", k, got)
		}
	case "keep":
		if got := names(t, w.dir); len(got) != 3 {
			t.Errorf("after a kill at step %d: %q, want all kept", k, got)
		}
	}
	w.end()
	return survived
}

// over reports whether nothing is left to do with three files.
func over(w *world, after string) bool {
	if after == "keep" {
		return done(w) == 3
	}
	return len(names(w.t, w.dir)) == 0
}

// steps counts what an adaptor asks of its agent.
type steps struct {
	mu   sync.Mutex
	k    int
	kill func()
}

func (s *steps) step() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.k--; s.k < 0 {
		s.kill()
	}
}

// runStepped starts an adaptor whose agent dies at a step.
func (w *world) runStepped(a *Adaptor, s *steps) {
	env := w.rec.Env()
	env.Log = slog.New(slog.DiscardHandler)
	w.a, w.settle = a, func() {}
	w.launch(a, adaptors.Env{
		Name: env.Name, Type: env.Type, Host: env.Host, Log: env.Log,
		Out: steppedOutput{env.Out, s}, Streams: steppedStreams{env.Streams, s},
	})
}

// A model: files come, by renaming and by writing, are appended to, replaced,
// touched, removed once read, while the adaptor is stopped and killed. Every
// line comes once.
func TestRandomHistoriesDoubleAndLoseNothing(t *testing.T) {
	for range 4 {
		seed := uint64(time.Now().UnixNano())
		if fixed, err := strconv.ParseUint(os.Getenv("SPOOL_SEED"), 10, 64); err == nil {
			seed = fixed
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) { history(t, seed, 60) })
	}
}

func history(t *testing.T, seed uint64, length int) {
	random := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t, []string{"watch: auto\n", "watch: poll\n"}[random.IntN(2)]+"settle: 20ms\nrescan: 30ms\n"+
		[]string{"after: keep", "after: delete", "after: move\nmove_to: DIR/done"}[random.IntN(3)])
	want := map[string]int{}
	n := 0
	text := func() string {
		var b strings.Builder
		for range 1 + random.IntN(20) {
			line := fmt.Sprintf("line %d", n)
			n++
			want[line]++
			b.WriteString(line + "\n")
		}
		return b.String()
	}
	w.start()
	for range length {
		name := fmt.Sprintf("f%d", random.IntN(6))
		_, err := os.Stat(w.path(name))
		exists := err == nil
		switch op := random.IntN(10); {
		case op < 3 && !exists:
			w.write(".new", text())
			w.rename(".new", name)
		case op < 5 && !exists:
			w.write(name, text())
		case op == 5 && exists && w.cfg.After == "keep":
			w.append(name, text())
		case op == 6 && exists: // only what was read may go
			w.everything(want)
			w.write(".new", text())
			w.rename(".new", name)
		case op == 7 && exists && w.cfg.After == "keep":
			w.everything(want)
			w.remove(name)
		case op == 8:
			w.end()
			w.start()
		case op == 9:
			switch random.IntN(3) {
			case 0:
				w.rec.Kill()
				w.end()
			case 1:
				w.rec.Lose()
				w.end()
			case 2:
				w.leave()
				w.name = fmt.Sprint("adaptor ", n)
			}
			w.start()
		}
	}
	w.everything(want)
	for line, times := range w.rec.Lines() {
		if want[line] != times {
			t.Fatalf("%q came %d times, want %d", line, times, want[line])
		}
	}
	for _, c := range w.rec.Facts(chunk.Lost) {
		t.Errorf("%v of %s was told as lost: %s", c.Range(), c.Source, c.Reason)
	}
}

// everything waits until all lines have come and are settled.
func (w *world) everything(want map[string]int) {
	w.t.Helper()
	w.eventually("every line", func() bool {
		got := w.rec.Lines()
		for line := range want {
			if got[line] == 0 {
				return false
			}
		}
		return w.a.Status().LagBytes == 0 // one that was moved in the moment of a kill is waited for
	})
}

// steppedOutput and steppedStreams are an agent that dies at a step.
type steppedOutput struct {
	adaptors.Output
	*steps
}

func (o steppedOutput) Send(ctx context.Context, c *chunk.Chunk) error {
	o.step()
	return o.Output.Send(ctx, c)
}

type steppedStreams struct {
	adaptors.Streams
	*steps
}

func (s steppedStreams) Open(ctx context.Context, st adaptors.Stream) (adaptors.Stream, error) {
	s.step()
	return s.Streams.Open(ctx, st)
}

func (s steppedStreams) Update(st adaptors.Stream) error {
	s.step()
	return s.Streams.Update(st)
}

func (s steppedStreams) Sent(id string, end int64, fingerprint uint64) error {
	s.step()
	return s.Streams.Sent(id, end, fingerprint)
}

func (s steppedStreams) Forget(id string) error {
	s.step()
	return s.Streams.Forget(id)
}

// Whoever may write to the folder could send files anywhere otherwise.
func TestFilesAreMovedAndDeletedOnlyWhereThatIsAllowedAlsoWhenALinkIsMadeLater(t *testing.T) {
	for _, after := range []string{"move", "delete"} {
		more := "after: delete"
		if after == "move" {
			more = "after: move\nmove_to: DIR/in/done"
		}
		w := newWorld(t, soon+more)
		w.cfg.SetChangeRoots(adaptors.Roots{filepath.Dir(w.dir)})
		w.write("a", "text\n")
		w.begin()
		w.content("text\n")
		w.eventually("its end", func() bool { return w.ends() == 1 })
		out := t.TempDir()
		if after == "move" { // the folder becomes a link
			err := errors.Join(os.Remove(w.path("done")), os.Symlink(out, w.path("done")))
			if err != nil {
				t.Fatal(err)
			}
		} else { // the folder that is read becomes one, to where the same file lies
			err := errors.Join(os.Link(w.path("a"), filepath.Join(out, "a")), os.Rename(w.dir, w.dir+"-was"), os.Symlink(out, w.dir))
			if err != nil {
				t.Fatal(err)
			}
		}
		w.rec.Settle(w.a)
		w.eventually(after+": it says why not", func() bool { return strings.Contains(w.a.Status().LastErr, "out of the folders") })
		list := names(t, out)
		if after == "move" && len(list) != 0 || after == "delete" && !slices.Equal(list, []string{"a"}) {
			t.Errorf("%s: outside there is %q", after, list)
		}
		w.end()
	}
}
