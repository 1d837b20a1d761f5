package tail

import (
	"time"

	"github.com/akupara/akupara/adaptors/internal/turns"
)

// The lanes that turns are given in: readers of one wait for the output.
const (
	toRead  = iota
	toStore // of streams that are not stored yet
	numLanes
)

// queue says whose turn it is.
type queue struct {
	*turns.Queue[*stream]
	times times
	live  *liveSet
	due   []*stream    // whose turn comes soon, by the time they are due
	work  chan *stream // by lane
	opens chan *stream
}

func newQueue(t times, live *liveSet) *queue {
	return &queue{times: t, live: live, work: make(chan *stream), opens: make(chan *stream)}
}

// first returns the stream whose turn is next in a lane, and the channel to
// give it to; nil where there is none.
func (q *queue) first(lane int, to chan *stream) (chan *stream, *stream) {
	for {
		s, ok := q.First(lane)
		switch {
		case !ok:
			return nil, nil
		case q.live.has(s):
			return to, s
		}
		q.Skip(lane) // dropped since it was queued
	}
}

// enqueue gives a stream a turn, as soon as a reader is free.
func (q *queue) enqueue(s *stream) {
	switch {
	case s.Busy():
		q.Enqueue(s, toRead) // has another one afterwards
	case s.queued() || !q.live.has(s):
	case s.out.ID() == "":
		q.Enqueue(s, toStore)
	default:
		q.Enqueue(s, toRead)
	}
}

func (s *stream) queued() bool { return s.Queued(toRead) || s.Queued(toStore) }

// grown gives a stream a turn because its file has grown: at once where it was
// still, so that a line that comes alone does not wait; else a moment later, so
// that a file that grows all the time is read in larger pieces. The more such
// files there are, the longer is the moment: each turn has its price.
func (q *queue) grown(s *stream) {
	gather := min(q.times.gather, q.times.throttle+time.Duration(len(q.due))*time.Millisecond/2)
	switch now := time.Now(); {
	case s.Busy():
		s.grew = true
	case s.due || s.queued():
	case now.Sub(s.turned) >= gather:
		q.enqueue(s)
	default:
		s.due, s.dueAt = true, now.Add(gather)
		q.due = append(q.due, s)
	}
}

// wakeUp queues the streams whose time has come, and returns how long it is to
// the next.
func (q *queue) wakeUp(now time.Time) time.Duration {
	next := time.Hour
	for len(q.due) > 0 {
		s := q.due[0]
		if d := s.dueAt.Sub(now); d > 0 {
			next = max(d, q.times.throttle) // several have their turns together
			break
		}
		q.due = q.due[1:]
		s.due = false
		q.enqueue(s)
	}
	return min(next, q.Wake(now, q.enqueue))
}
