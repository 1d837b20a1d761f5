package pods

// mayOpen tells whether one more file may be opened at once: while there are
// far too many, a log waits for its turn.
func (r *run) mayOpen() bool {
	_, hard := r.files.Excess()
	return hard == 0
}

// count takes note of an instance's open files, and closes those that were
// used least recently where there are too many.
func (r *run) count(in *instance) {
	r.recount(in)
	if in.lru != nil {
		r.lru.MoveToBack(in.lru)
	}
	r.files.Hold(r.open)
	r.closeExcess(in)
}

// recount takes note of an instance's open files.
func (r *run) recount(in *instance) {
	n := in.descriptors()
	r.open += n - in.fds
	in.fds = n
	switch {
	case n == 0 && in.lru != nil:
		r.lru.Remove(in.lru)
		in.lru = nil
	case n > 0 && in.lru == nil:
		in.lru = r.lru.PushBack(in)
	}
}

// closeExcess closes files while there are too many, but for those of one
// instance.
func (r *run) closeExcess(but *instance) {
	soft, hard := r.files.Excess()
	if soft == 0 {
		return
	}
	closed := func(in *instance, all bool) int {
		before := in.fds
		in.close(all)
		r.recount(in)
		return before - in.fds
	}
	for e := r.lru.Front(); e != nil && soft > 0; {
		old := e.Value.(*instance)
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
			old := e.Value.(*instance)
			e = e.Next()
			if old != but && !old.busy && (unread || old.isRead()) {
				hard -= closed(old, true)
				r.enqueue(old)
			}
		}
	}
	r.files.Hold(r.open)
}

// isRead tells that all there is of an instance was read and handed over.
func (in *instance) isRead() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.fresh)+len(in.next) == 0 && in.off >= in.size.Load()
}
