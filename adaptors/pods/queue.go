package pods

import (
	"container/heap"
	"time"
)

// next is whose turn it is; nil: nobody's.
func (r *run) next() *turn {
	for len(r.ready) > 0 {
		t := r.ready[0]
		if !t.busy {
			return t
		}
		t.queued, t.again = false, true // an opener has it
		r.ready[0] = nil
		r.ready = r.ready[1:]
	}
	return nil
}

// nextUnseen is whose files are to be taken hold of; nil: readers have time for
// them, or there is none.
func (r *run) nextUnseen() *turn {
	for len(r.unseen) > 0 {
		t := r.unseen[0]
		if r.live.all[t] && !t.busy && t.in.unknown() && !t.in.out.Ended() && !t.in.choice.excluded {
			if r.reading < readers || !r.mayOpen() {
				return nil
			}
			return t
		}
		t.toLook = false
		r.unseen[0] = nil
		r.unseen = r.unseen[1:]
	}
	return nil
}

// enqueue gives an instance a turn, as soon as a reader is free.
func (r *run) enqueue(t *turn) {
	if t.busy {
		t.again = true
		return
	}
	if !r.live.all[t] {
		return
	}
	if !t.queued {
		t.queued = true
		r.ready = append(r.ready, t)
	}
	if !t.toLook && t.in.unknown() {
		t.toLook = true
		r.unseen = append(r.unseen, t)
	}
}

// wakeIn lets an instance have a turn after some time.
func (r *run) wakeIn(t *turn, after time.Duration) {
	t.wakeAt = time.Now().Add(after)
	if t.heapAt >= 0 {
		heap.Fix(&r.waiting, t.heapAt)
		return
	}
	heap.Push(&r.waiting, t)
}
