package pods

// next is whose turn it is; nil: nobody's.
func (r *run) next() *turn {
	for {
		t, ok := r.turns.First(toRead)
		if !ok || !t.Busy() {
			return t
		}
		r.turns.Skip(toRead) // an opener has it
		r.turns.Enqueue(t, toRead)
	}
}

// nextUnseen is whose files are to be taken hold of; nil: readers have time for
// them, or there is none.
func (r *run) nextUnseen() *turn {
	for {
		t, ok := r.turns.First(toOpen)
		if !ok {
			return nil
		}
		if !t.Busy() && t.in.unknown() && !t.in.out.Ended() && !t.in.choice.excluded {
			if r.reading < readers || !r.mayOpen() {
				return nil
			}
			return t
		}
		r.turns.Skip(toOpen)
	}
}

// enqueue gives an instance a turn, as soon as a reader is free.
func (r *run) enqueue(t *turn) {
	if !r.live.all[t] {
		return
	}
	r.turns.Enqueue(t, toRead)
	if t.in.unknown() {
		r.turns.Enqueue(t, toOpen)
	}
}
