package pods

// count takes note of an instance's open files, and closes those that were
// used least recently where there are too many.
func (r *run) count(t *turn) {
	r.recount(t)
	if t.lru != nil {
		r.lru.MoveToBack(t.lru)
	}
	r.files.Hold(r.open)
	r.closeExcess(t)
}

// recount takes note of an instance's open files.
func (r *run) recount(t *turn) {
	n := t.in.descriptors()
	r.open += n - t.fds
	t.fds = n
	switch {
	case n == 0 && t.lru != nil:
		r.lru.Remove(t.lru)
		t.lru = nil
	case n > 0 && t.lru == nil:
		t.lru = r.lru.PushBack(t)
	}
}

// closeExcess closes files while there are too many, but for those of one
// instance.
func (r *run) closeExcess(but *turn) {
	soft, hard := r.files.Excess()
	if soft == 0 {
		return
	}
	closed := func(t *turn, all bool) int {
		before := t.fds
		t.in.close(all)
		r.recount(t)
		return before - t.fds
	}
	for e := r.lru.Front(); e != nil && soft > 0; {
		old := e.Value.(*turn)
		e = e.Next()
		if old != but && !old.busy { // what has no name can't be opened again, and stays
			n := closed(old, false)
			soft, hard = soft-n, hard-n
		}
	}
	// Without descriptors nothing works any more: so far beyond the bound files
	// without a name are given up all the same, those that are read first.
	for _, unread := range [...]bool{false, true} {
		for e := r.lru.Front(); e != nil && hard > 0; {
			old := e.Value.(*turn)
			e = e.Next()
			if old != but && !old.busy && (unread || old.in.isRead()) {
				hard -= closed(old, true)
				r.enqueue(old)
			}
		}
	}
	r.files.Hold(r.open)
}
