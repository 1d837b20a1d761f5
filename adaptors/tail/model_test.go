package tail

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	seed      = flag.Uint64("tail.seed", 0, "seed of the model test; 0: a new one")
	histories = flag.Int("tail.histories", 6, "histories of the model test, for each way to watch")
	waits     = flag.Duration("tail.wait", patience, "how long the model test waits for what must come")
	steps     = flag.Int("tail.steps", 50, "steps of one history")
)

// TestRandomHistoriesMatchTheModel does at random what happens to log files,
// stops, kills and refusals included, and holds what arrives against a model
// (world) of what must. A history that fails is shrunk: steps are left out as
// long as the rest still fails.
func TestRandomHistoriesMatchTheModel(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		for n := range *histories {
			s := *seed
			if s == 0 {
				s = uint64(time.Now().UnixNano()) + uint64(n)
			}
			t.Run(fmt.Sprintf("%s/%d", watch, n), func(t *testing.T) {
				t.Parallel()
				h := randomHistory(rand.New(rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, s)))), *steps)
				failure := run1(t, watch, h, *waits)
				if failure == "" {
					return
				}
				short, last := shrink(t, watch, h)
				if last != "" {
					failure = last
				}
				t.Errorf("seed %d (run again with -tail.seed=%d -tail.histories=1), watch %s: %s\nshrunk from %d steps to %d:\n%s",
					s, s, watch, failure, len(h), len(short), format(short))
			})
			if *seed != 0 {
				break
			}
		}
	}
}

// TestFoundHistories runs again what the model test once failed with.
func TestFoundHistories(t *testing.T) {
	for name, h := range found {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			each(t, func(t *testing.T, watch string) {
				if failure := run1(t, watch, h, *waits); failure != "" {
					t.Error(failure)
				}
			})
		})
	}
}

// step is one thing that happens. A step that makes no sense where it stands,
// such as a start of what runs, does nothing: any part of a history is one.
type step struct {
	what string
	file int // which file, of those there are
	n    int // how much, or which way
}

func (s step) String() string { return fmt.Sprintf("{%q, %d, %d}", s.what, s.file, s.n) }

func format(h []step) string {
	var b strings.Builder
	for _, s := range h {
		fmt.Fprintf(&b, "\t\t%v,\n", s)
	}
	return b.String()
}

// weights say how often a step is drawn.
var weights = []struct {
	what string
	n    int
}{
	{"write", 30}, {"head", 4}, {"half", 4}, {"zeros", 3}, {"trim", 2}, {"rename", 9}, {"late", 5}, {"copytruncate", 8}, {"truncate", 4}, {"cut", 6}, {"rewrite", 3},
	{"delete", 4}, {"gzip", 4}, {"swap", 4}, {"away", 3}, {"back", 3}, {"link", 2}, {"stop", 4}, {"kill", 4}, {"start", 10},
	{"pause", 6}, {"resume", 9}, {"refuse", 4}, {"accept", 6}, {"settle", 6}, {"forget", 3}, {"wait", 8}, {"breathe", 10},
}

func randomHistory(rnd *rand.Rand, length int) []step {
	total := 0
	for _, w := range weights {
		total += w.n
	}
	h := make([]step, length)
	for i := range h {
		at := rnd.IntN(total)
		for _, w := range weights {
			if at -= w.n; at < 0 {
				h[i] = step{w.what, rnd.IntN(12), rnd.IntN(24)}
				break
			}
		}
	}
	return h
}

// shrink leaves out what is not needed for a failure. Races make failures come
// and go, so every try is made a few times.
func shrink(t *testing.T, watch string, h []step) (short []step, failure string) {
	budget := time.Now().Add(40 * time.Second)
	fails := func(h []step) bool {
		for range 3 {
			if f := run1(t, watch, h, 3*time.Second); f != "" {
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

// trial is a testing.TB whose failure is an answer and not the test's.
type trial struct {
	testing.TB
	quiet    bool
	failures []string
	cleanups []func()
}

func (t *trial) Helper()          {}
func (t *trial) Cleanup(f func()) { t.cleanups = append(t.cleanups, f) }
func (t *trial) Failed() bool     { return len(t.failures) > 0 }
func (t *trial) Errorf(format string, args ...any) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}
func (t *trial) Logf(format string, args ...any) {
	if !t.quiet {
		t.TB.Logf(format, args...)
	}
}
func (t *trial) Error(args ...any) { t.failures = append(t.failures, fmt.Sprint(args...)) }
func (t *trial) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}
func (t *trial) Fatal(args ...any) {
	t.Error(args...)
	runtime.Goexit()
}

// run1 runs one history and says how it failed.
func run1(t *testing.T, watch string, h []step, wait time.Duration) string {
	tr := &trial{TB: t, quiet: wait < patience}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			for _, f := range slices.Backward(tr.cleanups) {
				f()
			}
		}()
		w := newWorld(tr, watch)
		w.wait = wait
		defer func() {
			if tr.Failed() {
				tr.Errorf("%s", w.describe())
			}
		}()
		for _, s := range h {
			w.step(s)
		}
		w.end()
	}()
	<-done
	return strings.Join(tr.failures, "\n")
}
