package pods

import (
	"fmt"
	"time"
)

// replace lets another instance of the same container go on in place of one.
// forked says that this one's stream is still to be ended.
func (r *run) replace(t *turn, in *instance, forked bool) {
	old := t.in
	in.mail.arrive(old.takeNew()...)
	r.live.remove(t)
	if r.board.Hide(old.out); forked {
		r.enqueue(r.add(old))
	} else {
		old.close(true)
	}
	t.in = in
	r.live.add(t)
	r.live.byKey[in.key()] = t
	r.board.Show(in.out, r.pathOf(in))
	r.count(t)
	r.noteRefused(t)
	r.enqueue(t)
}

// noteRefused notes whether another adaptor collects an instance.
func (r *run) noteRefused(t *turn) {
	holder := t.in.choice.holder
	switch {
	case holder != "":
		r.refused[t] = true
		r.board.Skip(r.pathOf(t.in), fmt.Sprintf("adaptor %q of the same type reads it", holder))
		t.in.close(true)
		r.count(t)
	case r.refused[t]:
		delete(r.refused, t)
		r.board.Skip(r.pathOf(t.in), "")
	}
}

// lookAtRefused gives those a turn that other adaptors collected until now, and
// returns when to look again.
func (r *run) lookAtRefused() time.Duration {
	if len(r.refused) == 0 {
		return time.Hour
	}
	if v := r.env.Claims.Version(); v != r.claims {
		r.claims = v
		for t := range r.refused {
			r.enqueue(t)
		}
	}
	return r.times.poll
}
