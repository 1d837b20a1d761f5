package tail

import "time"

// queue says whose turn it is.
type queue struct {
	times   times
	live    *liveSet
	ready   []*stream // whose turn it is
	fresh   []*stream // the same of those that are not stored yet
	due     []*stream // whose turn comes soon, by the time they are due
	waiting map[*stream]bool
	work    chan *stream
	opens   chan *stream // streams to be stored
}

func newQueue(t times, live *liveSet) *queue {
	return &queue{times: t, live: live, waiting: map[*stream]bool{}, work: make(chan *stream), opens: make(chan *stream)}
}

// first returns the stream whose turn is next in a list, and the channel to
// give it to; nil where there is none.
func (q *queue) first(list *[]*stream, to chan *stream) (chan *stream, *stream) {
	for l := *list; len(l) > 0; l = l[1:] {
		if *list = l; q.live.has(l[0]) {
			return to, l[0]
		}
		l[0].queued = false // dropped since it was queued
		*list = l[1:]
	}
	return nil, nil
}

// taken takes the first stream off a list: a reader has it.
func (q *queue) taken(list *[]*stream) {
	s := (*list)[0]
	*list = (*list)[1:]
	s.queued, s.busy = false, true
}

// enqueue gives a stream a turn, as soon as a reader is free.
func (q *queue) enqueue(s *stream) {
	if s.busy {
		s.again = true
	} else if !s.queued && q.live.has(s) {
		s.queued = true
		if s.out.ID() == "" {
			q.fresh = append(q.fresh, s)
		} else {
			q.ready = append(q.ready, s)
		}
	}
}

// grown gives a stream a turn because its file has grown: at once where it was
// still, so that a line that comes alone does not wait; else a moment later, so
// that a file that grows all the time is read in larger pieces. The more such
// files there are, the longer is the moment: each turn has its price.
func (q *queue) grown(s *stream) {
	gather := min(q.times.gather, q.times.throttle+time.Duration(len(q.due))*time.Millisecond/2)
	switch now := time.Now(); {
	case s.busy:
		s.grew = true
	case s.due || s.queued:
	case now.Sub(s.turned) >= gather:
		q.enqueue(s)
	default:
		s.due, s.dueAt = true, now.Add(gather)
		q.due = append(q.due, s)
	}
}

// wait gives a stream a turn after a while.
func (q *queue) wait(s *stream, d time.Duration) {
	s.wakeAt = time.Now().Add(d)
	q.waiting[s] = true
}

func (q *queue) cancel(s *stream) { delete(q.waiting, s) }

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
	for s := range q.waiting {
		if d := s.wakeAt.Sub(now); d > 0 {
			next = min(next, d)
			continue
		}
		delete(q.waiting, s)
		q.enqueue(s)
	}
	return next
}
