// Package turns says whose turn it is to be read, who waits for its time, and
// whose files are open within the bound. One goroutine, the run's, uses it.
package turns

import (
	"container/heap"
	"container/list"
	"iter"
	"time"

	"github.com/akupara/akupara/adaptors"
)

// Turn is what a queue knows of one that has turns, which embeds it. The zero
// value has none.
type Turn struct {
	busy  bool
	again bool  // it was queued while it was busy
	lanes uint8 // bits of those that it is queued in

	wakeAt time.Time
	at     int // in the heap of those that wait, from 1 on; 0: not there

	files int // that it has open
	used  *list.Element
}

// Turns is for the queue: whoever embeds a Turn has it.
func (t *Turn) Turns() *Turn { return t }

// Busy reports whether a reader has it.
func (t *Turn) Busy() bool { return t.busy }

// Queued reports whether it is to have a turn as soon as a reader of the lane is
// free.
func (t *Turn) Queued(lane int) bool { return t.lanes&(1<<lane) != 0 }

// Files is how many files it has open.
func (t *Turn) Files() int { return t.files }

// Taker has turns.
type Taker interface {
	comparable
	Turns() *Turn
}

// Queue gives turns, in up to eight lanes: each has readers of its own.
type Queue[T Taker] struct {
	lanes   [][]T
	waiting waiting[T]
	used    *list.List // of T, those with open files; least recently used first
	open    int        // files
	holder  *adaptors.Holder
}

// New makes a queue of so many lanes. holder bounds the files that are open.
func New[T Taker](lanes int, holder *adaptors.Holder) *Queue[T] {
	return &Queue[T]{lanes: make([][]T, lanes), used: list.New(), holder: holder}
}

// Enqueue gives a turn as soon as a reader of the lane is free; one that is busy
// has it afterwards.
func (q *Queue[T]) Enqueue(t T, lane int) {
	switch s := t.Turns(); {
	case s.busy:
		s.again = true
	case !s.Queued(lane):
		s.lanes |= 1 << lane
		q.lanes[lane] = append(q.lanes[lane], t)
	}
}

// First returns whose turn is next in a lane, if anybody's: it may be busy by
// another one.
func (q *Queue[T]) First(lane int) (t T, ok bool) {
	for l := q.lanes[lane]; len(l) > 0; l = q.lanes[lane] {
		if t = l[0]; t.Turns().Queued(lane) {
			return t, true
		}
		q.Skip(lane) // it was removed since
	}
	return *new(T), false
}

// Skip takes the first off a lane: it has no turn there.
func (q *Queue[T]) Skip(lane int) {
	q.lanes[lane][0].Turns().lanes &^= 1 << lane
	q.lanes[lane][0] = *new(T)
	q.lanes[lane] = q.lanes[lane][1:]
}

// Give takes the first off a lane: a reader has it.
func (q *Queue[T]) Give(lane int) {
	q.lanes[lane][0].Turns().busy = true
	q.Skip(lane)
}

// Back takes one back from its reader, and reports whether it was to have
// another turn.
func (q *Queue[T]) Back(t T) (again bool) {
	s := t.Turns()
	again = s.again
	s.busy, s.again = false, false
	return again
}

// Remove lets go of one that is not busy: it has no turn any more, and waits for
// none. Its files are to be closed.
func (q *Queue[T]) Remove(t T) {
	t.Turns().lanes = 0
	q.Forget(t)
	q.Hold(t, 0)
}

// Wait lets one have its time after d, instead of when it was to have it before.
func (q *Queue[T]) Wait(t T, d time.Duration) {
	s := t.Turns()
	s.wakeAt = time.Now().Add(d)
	if s.at > 0 {
		heap.Fix(&q.waiting, s.at-1)
		return
	}
	heap.Push(&q.waiting, t)
}

// Forget lets one wait no more.
func (q *Queue[T]) Forget(t T) {
	if at := t.Turns().at; at > 0 {
		heap.Remove(&q.waiting, at-1)
	}
}

// Wake calls f with all whose time has come, and returns how long it is until
// the next one's; an hour if nobody waits.
func (q *Queue[T]) Wake(now time.Time, f func(T)) time.Duration {
	for len(q.waiting) > 0 {
		if d := q.waiting[0].Turns().wakeAt.Sub(now); d > 0 {
			return d
		}
		f(heap.Pop(&q.waiting).(T))
	}
	return time.Hour
}

// Hold says how many files one has open, and that it has used them just now.
func (q *Queue[T]) Hold(t T, files int) {
	s := t.Turns()
	q.open += files - s.files
	s.files = files
	switch {
	case files == 0 && s.used != nil:
		q.used.Remove(s.used)
		s.used = nil
	case files > 0 && s.used == nil:
		s.used = q.used.PushBack(t)
	case files > 0:
		q.used.MoveToBack(s.used)
	}
	q.holder.Hold(q.open)
}

// Open is all that have files open.
func (q *Queue[T]) Open() iter.Seq[T] {
	return func(yield func(T) bool) {
		for e := q.used.Front(); e != nil && yield(e.Value.(T)); e = e.Next() {
		}
	}
}

// Excess closes files while too many are open: of those that are not busy, but
// for one, the least recently used first. shut closes what is open of one and
// returns how many files that has open then. It is asked in rounds: in the first
// for what can be opened again, and in the others, where far too many are open,
// for what can't.
func (q *Queue[T]) Excess(but T, rounds int, shut func(t T, round int) (files int)) {
	soft, hard := q.holder.Excess()
	for round := 0; round < rounds; round++ {
		for e := q.used.Front(); e != nil && soft > 0; {
			t := e.Value.(T)
			e = e.Next()
			if s := t.Turns(); t != but && !s.busy {
				before := s.files
				q.closed(t, shut(t, round))
				soft, hard = soft-before+s.files, hard-before+s.files
			}
		}
		soft = hard
	}
	q.holder.Hold(q.open)
}

// closed notes that some of one's files are closed.
func (q *Queue[T]) closed(t T, files int) {
	s := t.Turns()
	q.open += files - s.files
	if s.files = files; files == 0 && s.used != nil {
		q.used.Remove(s.used)
		s.used = nil
	}
}

// waiting is a heap (container/heap).
type waiting[T Taker] []T

func (w waiting[T]) Len() int           { return len(w) }
func (w waiting[T]) Less(i, j int) bool { return w[i].Turns().wakeAt.Before(w[j].Turns().wakeAt) }
func (w waiting[T]) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].Turns().at, w[j].Turns().at = i+1, j+1
}

// Push implements heap.Interface.
func (w *waiting[T]) Push(x any) {
	t := x.(T)
	*w = append(*w, t)
	t.Turns().at = len(*w)
}

// Pop implements heap.Interface.
func (w *waiting[T]) Pop() any {
	old := *w
	t := old[len(old)-1]
	old[len(old)-1] = *new(T)
	*w = old[:len(old)-1]
	t.Turns().at = 0
	return t
}
