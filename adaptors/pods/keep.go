package pods

// count takes note of an instance's open files, and closes those that were
// used least recently where there are too many.
func (r *run) count(t *turn) {
	r.turns.Hold(t, t.in.descriptors())
	r.closeExcess(t)
}

// closeExcess closes files while there are too many, but for those of one
// instance. What has no name can't be opened again, and stays; but without
// descriptors nothing works any more: far beyond the bound it is given up all the
// same, of what is read first.
func (r *run) closeExcess(but *turn) {
	r.turns.Excess(but, 3, func(t *turn, round int) int {
		switch {
		case round == 0:
			t.in.close(false)
		case round == 2 || t.in.isRead():
			t.in.close(true)
			r.enqueue(t)
		}
		return t.in.descriptors()
	})
}
