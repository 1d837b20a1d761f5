package tail

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
)

var seed = flag.Uint64("tail.seed", 0, "seed of the random test; 0: a new one")

// TestRandomHistoriesArriveExactlyOnce does at random what happens to log
// files, stops and kills included, and expects every line exactly once. It
// does nothing that destroys bytes nobody could have read: a file is truncated
// or deleted only after all of it came, or after it was copied.
func TestRandomHistoriesArriveExactlyOnce(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			t.Parallel()
			s := *seed
			if s == 0 {
				s = uint64(time.Now().UnixNano())
			}
			t.Logf("run again with -tail.seed=%d", s)
			rnd := rand.New(rand.NewPCG(s, 1))
			for range 4 {
				randomHistory(t, rnd, watch)
			}
		})
	}
}

func randomHistory(t *testing.T, rnd *rand.Rand, watch string) {
	r := newRig(t).with(watch)
	names := []string{"a.log", "b.log", "sub/c.log"}
	rotations := 0
	var history []string
	note := func(format string, args ...any) { history = append(history, fmt.Sprintf(format, args...)) }
	defer func() {
		if t.Failed() {
			t.Logf("history: %q", history)
		}
	}()
	r.mkdir("sub")
	r.start()
	exists := func(name string) bool { _, err := os.Stat(r.path(name)); return err == nil }
	for range 60 {
		name := names[rnd.IntN(len(names))]
		switch op := rnd.IntN(16); {
		case op < 6:
			n := 1 + rnd.IntN(40)
			note("write %s %d", name, n)
			r.write(name, r.lines(n))
		case op < 8 && exists(name):
			rotations++
			note("rename %s .%d", name, rotations)
			r.rename(name, fmt.Sprintf("%s.%d", name, rotations))
			if rnd.IntN(2) == 0 { // a late line of the writer
				r.write(fmt.Sprintf("%s.%d", name, rotations), r.lines(1))
			}
		case op == 8 && exists(name):
			rotations++
			note("copytruncate %s .%d", name, rotations)
			r.copyTruncate(name, fmt.Sprintf("%s.%d", name, rotations))
		case op == 9 && exists(name):
			r.arrived()
			note("delete %s", name)
			r.remove(name)
		case op == 10 && exists(name):
			r.arrived()
			note("truncate %s", name)
			r.ok(os.Truncate(r.path(name), 0))
		case op == 11:
			note("stop and start")
			r.stop()
			if rnd.IntN(2) == 0 {
				n := rnd.IntN(30)
				note("write %s %d", name, n)
				r.write(name, r.lines(n))
			}
			r.start()
		case op == 12:
			note("kill")
			r.kill()
			r.start()
		case op == 13:
			note("settle")
			r.rec.Settle(r.a)
		case op == 14:
			note("refuse for a while")
			var left atomic.Int64
			left.Store(rnd.Int64N(3))
			r.rec.Refuse(func(*chunk.Chunk) error {
				if left.Add(-1) < 0 {
					r.rec.Refuse(nil)
				}
				return errors.New("503")
			})
		case op == 15:
			note("gzip beside")
			r.write(filepath.Join(fmt.Sprintf("%s.%d.gz", name, rotations)), "\x1f\x8bzip\n")
		}
	}
	r.arrived()
	r.calm()
	if t.Failed() {
		t.FailNow()
	}
	r.stop()
}
