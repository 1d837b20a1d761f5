package pods

import (
	"container/heap"
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// begin takes what the checkpoint holds and looks for all logs there are.
func (r *run) begin(ctx context.Context) {
	r.firstStart, r.scanAll = true, true
	for _, k := range r.env.Streams.Known() {
		if k.Source == marker {
			r.firstStart = false
			continue
		}
		in, err := restore(&r.env, r.root, k, r.times)
		if err != nil {
			r.env.Log.Error("a stored stream can't be matched with its log, which is read again from its beginning",
				"log", k.Source, "stream", k.ID, "error", err)
			continue
		}
		r.add(in)
		if !in.out.Ended() && !r.collects(&in.container) {
			in.choice.made, in.choice.excluded = true, true
		}
	}
	r.addForsaken()
	atEnd := r.firstStart && r.cfg.Start == "end"
	r.scan()
	for t := range r.live.all {
		t.in.at.atStart = true
		if atEnd && !t.in.isOpen() {
			t.in.at.atEnd = true
			r.opening[t] = true
		}
		r.enqueue(t)
	}
	r.markStarted(ctx)
}

// markStarted stores that the adaptor was started, once the streams of all
// logs that were there are stored: they are not taken for new ones ever after.
func (r *run) markStarted(ctx context.Context) {
	if !r.firstStart || len(r.opening) > 0 {
		return
	}
	if _, err := r.env.Streams.Open(ctx, adaptors.Stream{Source: marker}); err != nil {
		if ctx.Err() == nil {
			r.env.Log.Warn("can't store that the adaptor was started; trying again", "error", err)
		}
		return
	}
	r.firstStart = false
}

// scan looks through all folders; where all are watched, through those of which
// the list of names has changed. It finds little: what an overflow hid.
func (r *run) scan() {
	all := r.scanAll || r.find.Blind()
	if _, err := ident.Stat(r.root); err != nil {
		// Nothing may be told as deleted because a mount is missing.
		if r.board.Fail(nil, fmt.Errorf("look at the folder of all pods: %w", err)) {
			r.env.Log.Warn("the folder of all pods can't be looked at; trying again", "root", r.root, "error", err)
		}
		r.find.Scan(func(string) {}) // watches what there is of its path
		r.scanAll = true
		return
	}
	r.board.Well(nil)
	seen := map[*turn]*listing{}
	found := func(path string) { r.found(path, seen) }
	changed := map[string]bool(nil)
	if all {
		r.find.Scan(found)
	} else {
		changed = r.find.Rescan(found)
	}
	r.scanAll = false
	r.scanLinked()
	for t := range r.live.all {
		if !all && !changed[t.in.dir] {
			continue
		}
		l := seen[t]
		if l == nil {
			l = &listing{}
		}
		l.tidy()
		if t.in.mail.lastSeen().names != l.names() {
			t.in.mail.dirty.Store(true)
			r.enqueue(t)
		}
	}
}

// found takes a log that a scan found.
func (r *run) found(path string, seen map[*turn]*listing) {
	c, n, ok := r.parse(path)
	if !ok {
		return
	}
	t := r.get(&c)
	if t == nil {
		return
	}
	l := seen[t]
	if l == nil {
		l = &listing{place: place{dir: t.in.dir, log: t.in.logName()}}
		seen[t] = l
	}
	l.add(filepath.Base(path), n.gz)
	if n.rotated == "" {
		r.glance(t, path)
	}
}

// glance queues an instance whose log has grown or is another file, as a scan
// sees it.
func (r *run) glance(t *turn, path string) {
	info, err := ident.Stat(path)
	if err != nil {
		r.follow(t, path) // docker is rotating it
		return
	}
	seen := glimpse{info.Ino, info.Birth, info.Size}
	if seen == t.glimpse {
		return
	}
	if t.glimpse.ino != seen.ino || t.glimpse.birth != seen.birth {
		t.in.mail.dirty.Store(true)
		r.follow(t, path)
	}
	t.glimpse = seen
	t.in.mail.written.Store(true)
	r.enqueue(t)
}

// glimpse is what a scan saw of a log.
type glimpse struct {
	ino   uint64
	birth int64
	size  int64
}

// finishTurn takes an instance back from its reader.
func (r *run) finishTurn(ctx context.Context, res result) {
	t := res.of
	in := t.in
	t.busy = false
	r.count(t)
	if res.instead != nil {
		r.replace(t, res.instead, res.forked)
		if !res.held {
			r.reading--
		}
		return
	}
	if res.held {
		r.noteOpened(ctx, t)
		if t.again {
			t.again = false
			r.enqueue(t)
		}
		return
	}
	r.reading--
	if res.err != nil && ctx.Err() == nil {
		if r.board.Fail(in.out, res.err) {
			r.env.Log.Warn("a container's log can't be read on; trying again", "log", in.source, "stream", in.out.ID(), "error", res.err)
		}
		t.again = false
		r.wakeIn(t, r.times.retry)
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
	if res.wake > 0 {
		r.wakeIn(t, max(res.wake, time.Millisecond))
	}
	switch {
	case !in.isOpen() && in.folder.absent && !in.pending() && (in.choice.holder != "" || !in.unread()):
		r.drop(t) // nothing was ever read of it here
	case res.more || t.again || in.pending() && res.wake == 0:
		t.again = false
		r.enqueue(t)
	default:
		r.settle(t)
	}
}

// noteOpened takes note of what is known of an instance after a turn.
func (r *run) noteOpened(ctx context.Context, t *turn) {
	if r.opening[t] && (t.in.isOpen() || t.in.folder.looked && t.in.choice.excluded || t.in.folder.absent) {
		delete(r.opening, t)
	}
	r.markStarted(ctx)
	if delete(r.undecided, t); !t.in.choice.made && !t.in.out.Ended() {
		r.undecided[t] = true
	}
}

// unread tells that there may be something to read in files that were not
// begun yet.
func (in *instance) unread() bool {
	for _, f := range in.next {
		if f.f != nil {
			_ = f.look() // what can't be looked at counts as it was seen
		}
		if f.size > 0 || f.gz {
			return !in.choice.excluded
		}
	}
	return false
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
		if !t.busy {
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
	if in.descriptors() != t.fds {
		r.count(t)
	}
	if !in.out.Done() || t.queued || in.pending() {
		return
	}
	in.out.Forget()
	r.drop(t)
}

// drop lets go of an instance.
func (r *run) drop(t *turn) {
	t.in.close(true)
	r.count(t)
	if t.heapAt >= 0 {
		heap.Remove(&r.waiting, t.heapAt)
	}
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
