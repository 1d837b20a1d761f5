package pods

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

var (
	seed      = flag.Uint64("pods.seed", 0, "seed of the random test; 0: a new one")
	histories = flag.Int("pods.histories", 5, "histories of the random test, for each way to watch")
	shrinking = flag.Duration("pods.shrink", 40*time.Second, "how long a history that fails is shrunk")
	steps     = flag.Int("pods.steps", 80, "steps of one history")
)

// TestRandomHistoriesArriveExactlyOnce does at random what a kubelet does to
// logs, with stops, kills and refusals of the agent between, and expects every
// byte at its place, once. A log is deleted only after all of it came, and the
// kubelet keeps as many files as it needs for that: nothing may be lost. A
// history that fails is shrunk: steps are left out as long as the rest still
// fails.
func TestRandomHistoriesArriveExactlyOnce(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		for n := range *histories {
			s := *seed
			if s == 0 {
				s = uint64(time.Now().UnixNano()) + uint64(n)
			}
			t.Run(fmt.Sprintf("%s/%d", watch, n), func(t *testing.T) {
				t.Parallel()
				h := randomHistory(rand.New(rand.NewPCG(s, 1)), *steps)
				failure := live(t, watch, h, patience)
				if failure == "" {
					return
				}
				short, last := shrink(h, func(h []step) string { return live(t, watch, h, 3*time.Second) })
				if last != "" {
					failure = last
				}
				t.Errorf("seed %d (run again with -pods.seed=%d), watch %s: %s\nshrunk from %d steps to %d:\n%s",
					s, s, watch, failure, len(h), len(short), format(short))
			})
			if *seed != 0 {
				break
			}
		}
	}
}

func TestHistoriesThatFailAreShrunk(t *testing.T) {
	h := randomHistory(rand.New(rand.NewPCG(7, 1)), 80)
	h = append(h, step{"rotate", 3, 0})
	h = append(h, randomHistory(rand.New(rand.NewPCG(8, 1)), 40)...)
	h = append(h, step{"kill", 0, 0})
	short, _ := shrink(h, func(h []step) string {
		rotated := slices.IndexFunc(h, func(s step) bool { return s.what == "rotate" })
		if rotated >= 0 && slices.ContainsFunc(h[rotated:], func(s step) bool { return s.what == "kill" }) {
			return "a kill after a rotation"
		}
		return ""
	})
	if len(short) != 2 {
		t.Errorf("got %d steps, want a rotation and a kill:\n%s", len(short), format(short))
	}
}

// step is one thing that happens. A step that makes no sense where it stands,
// such as a start of what runs, does nothing: any part of a history is one.
type step struct {
	what string
	ctr  int // which container, of those there are
	n    int // seed of what else there is to choose
}

func format(h []step) string {
	var b strings.Builder
	for _, s := range h {
		fmt.Fprintf(&b, "\t\t{%q, %d, %d},\n", s.what, s.ctr, s.n)
	}
	return b.String()
}

// weights say how often a step is drawn.
var weights = []struct {
	what string
	n    int
}{
	{"write", 30}, {"rotate", 15}, {"late", 5}, {"compress", 5}, {"half", 5}, {"stop", 4}, {"kill", 4}, {"start", 12},
	{"settle", 5}, {"refuse", 5}, {"begin", 5}, {"delete", 5}, {"resend", 5}, {"breathe", 10},
}

func randomHistory(rnd *rand.Rand, length int) []step {
	total := 0
	for _, w := range weights {
		total += w.n
	}
	h := []step{{"bound", 0, 4 + rnd.IntN(20)}}
	for len(h) < length {
		at := rnd.IntN(total)
		for _, w := range weights {
			if at -= w.n; at < 0 {
				h = append(h, step{w.what, rnd.IntN(12), rnd.IntN(1 << 16)})
				break
			}
		}
	}
	return h
}

// shrink leaves out what is not needed for a failure. Races make failures come
// and go, so every try is made a few times.
func shrink(h []step, run func([]step) string) (short []step, failure string) {
	budget := time.Now().Add(*shrinking)
	fails := func(h []step) bool {
		for range 3 {
			if f := run(h); f != "" {
				failure = f
				return true
			}
		}
		return false
	}
	for size := len(h) / 2; size > 0; size /= 2 {
		for at := 0; at < len(h) && time.Now().Before(budget); {
			rest := slices.Concat(h[:at], h[min(at+size, len(h)):])
			if len(rest) > 0 && fails(rest) {
				h = rest
			} else {
				at += size
			}
		}
	}
	return h, failure
}

// live runs one history and says how it failed.
func live(t *testing.T, watch string, h []step, wait time.Duration) string {
	tr := &trial{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer tr.end()
		w := &world{rig: newRig(tr)}
		w.cfg.Watch, w.wait, w.maxFiles, w.maxOpen = watch, wait, 1000, 10
		for _, s := range h {
			if s.what == "bound" {
				w.maxOpen = s.n
			}
		}
		w.begin(0, 0)
		w.begin(1, 2)
		w.start()
		w.running = true
		for _, s := range h {
			w.step(s)
		}
		w.end()
	}()
	<-done
	return strings.Join(tr.failures, "\n")
}

// world is a node and what happens on it.
type world struct {
	*rig
	cs      []*ctr
	pods    int
	running bool
}

// begin starts a container whose log the kubelet rotates, or docker, which
// compresses it or not.
func (w *world) begin(restart, how int) {
	w.pods++
	pod := fmt.Sprintf("ns_pod_uid-%d", w.pods)
	if how < 2 {
		w.cs = append(w.cs, w.run(pod, "c", restart))
	} else {
		w.cs = append(w.cs, w.runDocker(pod, "c", restart, 1+restart, how == 3))
	}
}

func (w *world) step(s step) {
	rnd := rand.New(rand.NewPCG(uint64(s.n), uint64(s.ctr)))
	i := s.ctr % len(w.cs)
	switch c := w.cs[i]; s.what {
	case "write":
		for range 1 + rnd.IntN(40) {
			c.line([]string{"stdout", "stderr"}[rnd.IntN(2)], []string{"F", "F", "F", "P"}[rnd.IntN(4)], strings.Repeat("x", rnd.IntN(200)))
		}
	case "rotate":
		c.rotate()
	case "late":
		if c.json != "" { // docker closes a log before it is renamed
			c.rotate()
			return
		}
		c.tidy()
		c.rename()
		c.write(1)
		c.reopen()
	case "compress":
		c.rotate()
		for _, path := range c.rotated() {
			if c.json == "" && !strings.HasSuffix(path, ".gz") {
				w.compress(path)
			}
		}
	case "half":
		c.raw(strings.TrimSuffix(w.frame("stdout", "F", "half"), "\n"))
		if rnd.IntN(2) == 0 {
			c.raw(" and half\n")
		}
	case "begin":
		if len(w.cs) < 6 {
			w.begin(rnd.IntN(2), rnd.IntN(4))
		}
	case "breathe":
		bound := time.After(time.Duration(rnd.IntN(40)) * time.Millisecond)
		for n := rnd.IntN(4); n > 0; n-- {
			select {
			case <-w.rec.Changed():
			case <-bound:
				n = 0
			}
		}
	case "start":
		if !w.running {
			if rnd.IntN(3) == 0 { // the adaptor is renamed
				w.rec.Stop(w.name)
				w.name = []string{"test", "other"}[rnd.IntN(2)]
			}
			w.start()
			w.running = true
		}
	default:
		if w.running {
			w.disturb(s.what, i, rnd)
		}
	}
}

// disturb does what makes sense while the agent runs.
func (w *world) disturb(what string, i int, rnd *rand.Rand) {
	switch what {
	case "stop":
		w.stop()
		w.running = false
	case "kill":
		w.kill()
		w.running = false
	case "settle":
		w.rec.SettleOf(w.name, w.a)
	case "refuse":
		var left atomic.Int64
		left.Store(rnd.Int64N(3))
		w.rec.Refuse(func(*chunk.Chunk) error {
			if left.Add(-1) < 0 {
				w.rec.Refuse(nil)
			}
			return errors.New("503")
		})
	case "delete":
		if len(w.cs) < 2 {
			return
		}
		c := w.cs[i]
		c.line("stdout", "F", "the last") // nothing is unfinished
		c.line("stderr", "F", "words")
		w.arrived(c)
		w.remove(c.pod)
		w.cs = slices.Delete(w.cs, i, i+1)
	case "resend":
		for _, id := range w.rec.Streams() {
			if n := w.rec.Contiguous(id, 0); n > 0 && rnd.IntN(3) == 0 {
				rg := chunk.Range{First: rnd.Int64N(n)}
				rg.Last = rg.First + 1 + rnd.Int64N(n-rg.First)
				w.a.Resend(id, rg) // it has it: the same bytes must come
			}
		}
	}
}

// end lets everything come, and holds it against what was written.
func (w *world) end() {
	if !w.running {
		w.start()
	}
	for _, c := range w.cs { // whatever is unfinished ends here
		c.raw("\n")
		c.line("stdout", "F", "the last")
		c.line("stderr", "F", "words")
	}
	w.arrived()
	for _, l := range w.rec.Facts(chunk.Lost) {
		have := w.rec.Contiguous(l.Stream, 0)
		if slices.ContainsFunc(w.cs, func(c *ctr) bool { return c.path == l.Source }) && !strings.HasSuffix(l.Reason, "was deleted before it was secured") || have < l.Last {
			w.t.Errorf("told as lost: %+v", l)
		}
	}
	for _, c := range w.cs {
		w.remove(c.pod)
	}
	w.until("not everything ended", func() bool {
		w.rec.SettleOf(w.name, w.a)
		return !slices.ContainsFunc(w.rec.Known(), func(s adaptorsStream) bool { return s.Source != marker })
	})
	for _, c := range w.all {
		if got, want := w.got(c.path), c.wrote.String(); got != want && got != want+"\x00" {
			w.t.Errorf("%s: got %d bytes, want %d; they differ at %d:\n%s\n%s", c.path, len(got), len(want), differ(got, want), around(got, want), w.came(c.path))
		}
	}
	w.stop()
	_, _ = os.RemoveAll(w.root), os.RemoveAll(w.root+"-docker")
}
