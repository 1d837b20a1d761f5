package upload

import (
	"slices"
	"time"

	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/daemon"
)

// lane holds the segments of one data type that wait. A failure makes the
// whole lane wait: most failures are the store's, and other types go on.
type lane struct {
	waiting   []*spool.Sealed
	running   int
	failures  int // since the last success
	backoff   daemon.Backoff
	notBefore time.Time
	served    uint64 // when it was last picked, in picks
}

// queue picks whose turn it is. It is not safe for concurrent use.
type queue struct {
	lanes map[string]*lane
	picks uint64
	// perLane bounds what one type takes of the workers, so that a type whose
	// uploads hang leaves room for the others.
	perLane int
}

func newQueue(workers int) *queue {
	return &queue{lanes: map[string]*lane{}, perLane: max(1, workers-1)}
}

func (q *queue) add(seg *spool.Sealed) {
	l := q.lanes[seg.Type]
	if l == nil {
		l = &lane{}
		q.lanes[seg.Type] = l
	}
	l.waiting = append(l.waiting, seg)
}

// pick takes the oldest segment of the type that waited longest for its turn,
// nil when there is none. wait is then how long until one is due, 0 when
// nothing waits for the clock.
func (q *queue) pick(now time.Time) (seg *spool.Sealed, wait time.Duration) {
	var best *lane
	for _, l := range q.lanes {
		switch {
		case len(l.waiting) == 0 || l.running >= q.perLane:
		case now.Before(l.notBefore):
			if d := l.notBefore.Sub(now); wait == 0 || d < wait {
				wait = d
			}
		case best == nil || l.served < best.served:
			best = l
		}
	}
	if best == nil {
		return nil, wait
	}
	q.picks++
	best.served = q.picks
	best.running++
	seg = best.waiting[0]
	best.waiting = slices.Delete(best.waiting, 0, 1)
	return seg, 0
}

// done ends what pick began. A segment that failed goes to the end of its
// lane: another may have better luck.
func (q *queue) done(seg *spool.Sealed, failed bool, now time.Time) *lane {
	l := q.lanes[seg.Type]
	l.running--
	if !failed {
		l.failures = 0
		l.backoff.Reset()
		l.notBefore = time.Time{}
		if l.running == 0 && len(l.waiting) == 0 {
			delete(q.lanes, seg.Type)
		}
		return l
	}
	l.failures++
	l.waiting = append(l.waiting, seg)
	l.notBefore = now.Add(l.backoff.Next())
	return l
}

// hurry makes every lane due now.
func (q *queue) hurry() {
	for _, l := range q.lanes {
		l.notBefore = time.Time{}
	}
}

// giveUp leaves the type's segments to the next start.
func (q *queue) giveUp(dataType string) {
	if l := q.lanes[dataType]; l != nil {
		l.waiting = nil
	}
}

// len is the number of segments that wait or run.
func (q *queue) len() int {
	n := 0
	for _, l := range q.lanes {
		n += len(l.waiting) + l.running
	}
	return n
}
