package pods

import (
	"container/heap"
	"time"
)

// queue is a heap of the instances that wait for their time (container/heap).
type queue []*instance

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].wakeAt.Before(q[j].wakeAt) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapAt, q[j].heapAt = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	in := x.(*instance)
	in.heapAt = len(*q)
	*q = append(*q, in)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	in := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	in.heapAt = -1
	return in
}

// due is how long it is until the first one's time.
func (q queue) due(now time.Time) time.Duration {
	if len(q) == 0 {
		return time.Hour
	}
	return q[0].wakeAt.Sub(now)
}

// next is whose turn it is; nil: nobody's.
func (r *run) next() *instance {
	for len(r.ready) > 0 {
		in := r.ready[0]
		if !in.busy {
			return in
		}
		in.queued, in.again = false, true // an opener has it
		r.ready[0] = nil
		r.ready = r.ready[1:]
	}
	return nil
}

// nextUnseen is whose files are to be taken hold of; nil: readers have time for
// them, or there is none.
func (r *run) nextUnseen() *instance {
	for len(r.unseen) > 0 {
		in := r.unseen[0]
		if r.live[in] && !in.busy && in.unknown() && !in.ended && !in.excluded {
			if r.reading < readers || !r.mayOpen() {
				return nil
			}
			return in
		}
		in.toLook = false
		r.unseen[0] = nil
		r.unseen = r.unseen[1:]
	}
	return nil
}

// enqueue gives an instance a turn, as soon as a reader is free.
func (r *run) enqueue(in *instance) {
	if in.busy {
		in.again = true
		return
	}
	if !r.live[in] {
		return
	}
	if !in.queued {
		in.queued = true
		r.ready = append(r.ready, in)
	}
	if !in.toLook && in.unknown() {
		in.toLook = true
		r.unseen = append(r.unseen, in)
	}
}

// wakeIn lets an instance have a turn after some time.
func (r *run) wakeIn(in *instance, after time.Duration) {
	in.wakeAt = time.Now().Add(after)
	if in.heapAt >= 0 {
		heap.Fix(&r.waiting, in.heapAt)
		return
	}
	heap.Push(&r.waiting, in)
}
