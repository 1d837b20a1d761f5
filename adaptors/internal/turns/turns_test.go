package turns_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/turns"
)

type log struct {
	turns.Turn
	name string
}

func (l *log) String() string { return l.name }

func logs(n int) (out []*log) {
	for i := range n {
		out = append(out, &log{name: fmt.Sprint(i)})
	}
	return out
}

func newQueue(most int) *turns.Queue[*log] {
	return turns.New[*log](2, adaptors.NewDescriptors(most).Join())
}

// given takes all turns that a lane has.
func given(q *turns.Queue[*log], lane int) string {
	var out []string
	for {
		l, ok := q.First(lane)
		if !ok {
			return strings.Join(out, " ")
		}
		q.Give(lane)
		out = append(out, l.name)
	}
}

func expect(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestTurnsAreGivenInOrderOnceInEachLane(t *testing.T) {
	q, l := newQueue(100), logs(4)
	for _, x := range []*log{l[2], l[0], l[2], l[3]} {
		q.Enqueue(x, 0)
	}
	q.Enqueue(l[1], 1)
	expect(t, "first lane", given(q, 0), "2 0 3")
	expect(t, "second lane", given(q, 1), "1")
	expect(t, "first lane, empty", given(q, 0), "")
}

func TestWhoIsBusyHasAnotherTurnAfterwards(t *testing.T) {
	q, l := newQueue(100), logs(2)
	q.Enqueue(l[0], 0)
	given(q, 0)
	if q.Enqueue(l[0], 0); !l[0].Busy() || l[0].Queued(0) {
		t.Errorf("busy %v, queued %v; want that it is busy alone", l[0].Busy(), l[0].Queued(0))
	}
	expect(t, "while it is busy", given(q, 0), "")
	if !q.Back(l[0]) || l[0].Busy() {
		t.Error("it was not to have another turn, or is still busy")
	}
	q.Enqueue(l[0], 0)
	expect(t, "afterwards", given(q, 0), "0")
	if q.Back(l[0]) {
		t.Error("it was to have a third turn")
	}
}

func TestWhoIsInTwoLanesIsSkippedInOneWhileTheOtherHasIt(t *testing.T) {
	q, l := newQueue(100), logs(2)
	q.Enqueue(l[0], 0)
	q.Enqueue(l[0], 1)
	q.Enqueue(l[1], 1)
	expect(t, "first lane", given(q, 0), "0")
	x, ok := q.First(1)
	if !ok || x != l[0] || !x.Busy() || !x.Queued(1) {
		t.Fatalf("got %v, want the one that is busy", x)
	}
	q.Skip(1)
	expect(t, "second lane", given(q, 1), "1")
}

func TestWhoIsRemovedHasNoTurnAndCanComeBack(t *testing.T) {
	q, l := newQueue(100), logs(3)
	for _, x := range l {
		q.Enqueue(x, 0)
		q.Wait(x, 0)
		q.Hold(x, 1)
	}
	q.Remove(l[0])
	q.Remove(l[1])
	for x := range q.Open() {
		expect(t, "who has files open", x.name, "2")
	}
	q.Enqueue(l[1], 0)
	expect(t, "turns", given(q, 0), "1 2")
	q.Wake(time.Now().Add(time.Hour), func(x *log) { expect(t, "who waits", x.name, "2") })
}

func TestWhoWaitsIsWokenAtItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, l := newQueue(100), logs(4)
		q.Wait(l[0], 3*time.Second)
		q.Wait(l[1], time.Second)
		q.Wait(l[2], 2*time.Second)
		q.Wait(l[3], time.Second/2)
		q.Wait(l[1], 4*time.Second) // later than it was to be
		q.Forget(l[3])
		q.Forget(l[3])
		var woken []string
		wake := func() time.Duration {
			return q.Wake(time.Now(), func(x *log) { woken = append(woken, x.name) })
		}
		for next := wake(); next < time.Hour; next = wake() {
			woken = append(woken, next.String())
			time.Sleep(next)
		}
		expect(t, "woken", strings.Join(woken, " "), "2s 2 1s 0 1s 1")
	})
}

func TestTheHeapHoldsWhateverIsDoneToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := rand.Uint64()
		r := rand.New(rand.NewPCG(seed, 0))
		q, l := newQueue(100), logs(50)
		due := map[*log]time.Time{}
		for range 5000 {
			x := l[r.IntN(len(l))]
			switch r.IntN(4) {
			case 0, 1:
				d := time.Duration(r.IntN(1000)) * time.Millisecond
				q.Wait(x, d)
				due[x] = time.Now().Add(d)
			case 2:
				q.Forget(x)
				delete(due, x)
			case 3:
				time.Sleep(time.Duration(r.IntN(50)) * time.Millisecond)
				q.Wake(time.Now(), func(x *log) {
					if at, waits := due[x]; !waits || at.After(time.Now()) {
						t.Fatalf("seed %d: %v was woken, which waits (%v) until %v", seed, x, waits, at)
					}
					delete(due, x)
				})
				for x, at := range due {
					if !at.After(time.Now()) {
						t.Fatalf("seed %d: %v was not woken", seed, x)
					}
				}
			}
		}
	})
}

func TestFilesThatWereUsedLeastRecentlyAreClosed(t *testing.T) {
	q, l := newQueue(4), logs(6)
	for _, x := range l {
		q.Hold(x, 1)
	}
	q.Hold(l[0], 1) // just now
	q.Enqueue(l[1], 0)
	given(q, 0) // busy
	var closed []string
	q.Excess(l[2], 1, func(x *log, round int) int {
		closed = append(closed, fmt.Sprint(x.name, "/", round))
		if x == l[3] {
			return 1 // it can't be opened again
		}
		return 0
	})
	// Of 6 two are too many; 1 is busy, 2 is the one that needs its file.
	expect(t, "closed", strings.Join(closed, " "), "3/0 4/0 5/0")
}

func TestFilesThatCannotBeOpenedAgainAreClosedWhereFarTooManyAreOpen(t *testing.T) {
	q, l := newQueue(4), logs(4)
	for _, x := range l {
		q.Hold(x, 3) // 12 files: 8 too many, and 6 far too many
	}
	var closed []string
	q.Excess(nil, 3, func(x *log, round int) int {
		closed = append(closed, fmt.Sprint(x.name, "/", round))
		switch {
		case round == 0:
			return 2 // one of each has a name
		case x != l[1]: // it is not read yet
			return 2
		}
		return 0
	})
	// The first round leaves 8, two of them far too many.
	expect(t, "closed", strings.Join(closed, " "), "0/0 1/0 2/0 3/0 0/1 1/1")
}
