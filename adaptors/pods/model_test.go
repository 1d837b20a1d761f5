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

var seed = flag.Uint64("pods.seed", 0, "seed of the random test; 0: a new one")

// TestRandomHistoriesArriveExactlyOnce does at random what a kubelet does to
// logs, with stops, kills and refusals of the agent between, and expects every
// byte at its place, once. A log is deleted only after all of it came, and the
// kubelet keeps as many files as it needs for that: nothing may be lost.
func TestRandomHistoriesArriveExactlyOnce(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			t.Parallel()
			s := *seed
			if s == 0 {
				s = uint64(time.Now().UnixNano())
			}
			t.Logf("run again with -pods.seed=%d", s)
			rnd := rand.New(rand.NewPCG(s, 1))
			for range 5 {
				randomHistory(t, rnd, watch)
			}
		})
	}
}

func randomHistory(t *testing.T, rnd *rand.Rand, watch string) {
	r := newRig(t)
	r.cfg.Watch = watch
	r.maxFiles = 1000
	r.maxOpen = 4 + rnd.IntN(20)
	var history []string
	note := func(format string, args ...any) { history = append(history, fmt.Sprintf(format, args...)) }
	defer func() {
		if t.Failed() {
			t.Logf("history: %q", history)
		}
	}()
	var cs []*ctr
	pods := 0
	begin := func() {
		pods++
		cs = append(cs, r.run(fmt.Sprintf("ns_pod_uid-%d", pods), "c", rnd.IntN(2)))
	}
	begin()
	begin()
	running := true
	r.start()
	for range 80 {
		i := rnd.IntN(len(cs))
		c := cs[i]
		switch op := rnd.IntN(20); {
		case op < 6:
			n := 1 + rnd.IntN(40)
			note("%d: write %d", i, n)
			for range n {
				c.line([]string{"stdout", "stderr"}[rnd.IntN(2)], []string{"F", "F", "F", "P"}[rnd.IntN(4)], strings.Repeat("x", rnd.IntN(200)))
			}
		case op < 9:
			note("%d: rotate", i)
			c.rotate()
		case op == 9:
			note("%d: rename, a late line, reopen", i)
			c.tidy()
			c.rename()
			c.write(1)
			c.reopen()
		case op == 10:
			note("%d: compress at once", i)
			c.rotate()
			for _, path := range c.rotated() {
				if !strings.HasSuffix(path, ".gz") {
					r.compress(path)
				}
			}
		case op == 11:
			note("%d: half a line", i)
			c.raw("2026-03-01T10:00:00.5Z stdout F half")
			if rnd.IntN(2) == 0 {
				c.raw(" and half\n")
			}
		case op == 12 && running:
			note("stop")
			r.stop()
			running = false
		case op == 13 && running:
			note("kill")
			r.kill()
			running = false
		case op == 14 && running:
			note("settle")
			r.rec.Settle(r.a)
		case op == 15 && running:
			note("refuse for a while")
			var left atomic.Int64
			left.Store(rnd.Int64N(3))
			r.rec.Refuse(func(*chunk.Chunk) error {
				if left.Add(-1) < 0 {
					r.rec.Refuse(nil)
				}
				return errors.New("503")
			})
		case op == 16 && len(cs) < 6:
			note("a new pod")
			begin()
		case op == 17 && running && len(cs) > 1:
			note("%d: delete", i)
			c.line("stdout", "F", "the last") // nothing is unfinished
			c.line("stderr", "F", "words")
			r.arrived(c)
			r.remove(c.pod)
			cs = append(cs[:i], cs[i+1:]...)
		case op == 18 && running:
			for _, id := range r.rec.Streams() {
				if n := r.rec.Contiguous(id, 0); n > 0 && rnd.IntN(3) == 0 {
					rg := chunk.Range{First: rnd.Int64N(n)}
					rg.Last = rg.First + 1 + rnd.Int64N(n-rg.First)
					note("send %s %v again", id, rg)
					r.a.Resend(id, rg) // it has it: the same bytes must come
				}
			}
		case !running:
			note("start")
			r.start()
			running = true
		}
	}
	if !running {
		r.start()
	}
	for _, c := range cs { // whatever is unfinished ends here
		c.raw("\n")
		c.line("stdout", "F", "the last")
		c.line("stderr", "F", "words")
	}
	r.arrived()
	for _, l := range r.rec.Facts(chunk.Lost) {
		have := r.rec.Contiguous(l.Stream, 0)
		if slices.ContainsFunc(cs, func(c *ctr) bool { return c.path == l.Source }) && !strings.HasSuffix(l.Reason, "was deleted before it was secured") || have < l.Last {
			t.Errorf("told as lost: %+v", l)
		}
	}
	for _, c := range cs {
		r.remove(c.pod)
	}
	r.until("not everything ended", func() bool {
		r.rec.Settle(r.a)
		return len(r.rec.Known()) == 1
	})
	for _, c := range r.all {
		if got, want := r.got(c.path), c.wrote.String(); got != want && got != want+"\x00" {
			t.Errorf("%s: got %d bytes, want %d; they differ at %d:\n%s", c.path, len(got), len(want), differ(got, want), around(got, want))
		}
	}
	if t.Failed() {
		t.FailNow()
	}
	r.stop()
	_ = os.RemoveAll(r.root)
}
