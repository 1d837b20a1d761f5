package pods

import (
	"context"
	"time"
)

// finishTurn takes an instance back from its reader.
func (r *run) finishTurn(ctx context.Context, res result) {
	t := res.of
	in := t.in
	again := r.turns.Back(t)
	r.count(t)
	if res.instead != nil {
		r.replace(t, res.instead, res.forked)
		if !res.ahead {
			r.reading--
		}
		return
	}
	if res.ahead {
		r.noteOpened(ctx, t)
		if again {
			r.enqueue(t)
		}
		return
	}
	r.reading--
	if res.err != nil && ctx.Err() == nil {
		if r.board.Fail(in.out, res.err) {
			r.env.Log.Warn("a container's log can't be read on; trying again", "log", in.source, "stream", in.out.ID(), "error", res.err)
		}
		r.turns.Wait(t, r.times.retry)
		return
	}
	r.board.Well(in.out)
	r.noteOpened(ctx, t)
	if in.choice.excluded {
		r.board.Skip(r.pathOf(in), "it is not collected, by its labels or the rules")
		in.close(true)
		r.count(t)
	}
	r.noteRefused(t)
	r.noteNowhere(t)
	if res.wake > 0 {
		r.turns.Wait(t, max(res.wake, time.Millisecond))
	}
	switch {
	case !in.isOpen() && in.folder.absent && !in.pending() && (in.choice.holder != "" || !in.unread()):
		r.drop(t) // nothing was ever read of it here
	case res.more || again || in.pending() && res.wake == 0:
		r.enqueue(t)
	default:
		r.settle(t)
	}
}

// noteOpened takes note of what is known of an instance after a turn.
func (r *run) noteOpened(ctx context.Context, t *turn) {
	if r.opening[t] && (t.in.isOpen() || t.in.folder.looked && t.in.choice.excluded || t.in.folder.absent || t.in.choice.holder != "") {
		delete(r.opening, t)
	}
	r.markStarted(ctx)
	if delete(r.undecided, t); !t.in.choice.made && !t.in.out.Ended() {
		r.undecided[t] = true
	}
}

// readMail takes receipts and requests to send again.
func (r *run) readMail() {
	for id, l := range r.box.Take() {
		t := r.live.of(id)
		if t == nil {
			continue // forgotten, or of an earlier life
		}
		t.in.out.Take(l)
		if len(l.Resend) > 0 {
			r.enqueue(t)
		}
		if !t.Busy() {
			r.settle(t)
		}
	}
}

// settle lets go of what is secured: files, and a stream that is finished.
func (r *run) settle(t *turn) {
	in := t.in
	in.closeSettled()
	if in.folder.looked {
		in.forget(in.out.Settled(), in.times.unseen, !in.folder.place.link, &in.folder.before)
	}
	if in.descriptors() != t.Files() {
		r.count(t)
	}
	if !in.out.Done() || t.Queued(toRead) || in.pending() {
		return
	}
	in.out.Forget()
	r.drop(t)
}

// drop lets go of an instance.
func (r *run) drop(t *turn) {
	t.in.close(true)
	r.turns.Remove(t)
	r.live.remove(t)
	r.unfollow(t)
	delete(r.undecided, t)
	delete(r.opening, t)
	delete(r.refused, t)
	if t.in.choice.owned {
		r.owners.drop(t.in)
	}
	r.board.Hide(t.in.out)
	r.board.Skip(r.pathOf(t.in), "")
}
