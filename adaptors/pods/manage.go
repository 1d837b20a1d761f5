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
		in, err := restore(r.root, k, r.times)
		if err != nil {
			r.env.Log.Error("a stored stream can't be matched with its log, which is read again from its beginning",
				"log", k.Source, "stream", k.ID, "err", err)
			continue
		}
		r.opened(in)
		if twin := r.byKey[in.key()]; twin != nil && !twin.ended { // its successor follows
			r.live[in] = true
			r.board.show(in)
		} else {
			r.add(in)
		}
		if !in.ended && !r.collects(&in.container) {
			in.decided, in.excluded = true, true
		}
	}
	atEnd := r.firstStart && r.cfg.Start == "end"
	r.scan()
	for in := range r.live {
		if atEnd && in.id == "" {
			in.atEnd = true
			r.opening[in] = true
		}
		r.enqueue(in)
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
			r.env.Log.Warn("can't store that the adaptor was started; trying again", "err", err)
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
		if r.board.fail(nil, fmt.Errorf("look at the folder of all pods: %w", err)) {
			r.env.Log.Warn("the folder of all pods can't be looked at; trying again", "root", r.root, "err", err)
		}
		r.find.Scan(func(string) {}) // watches what there is of its path
		r.scanAll = true
		return
	}
	r.board.well(nil)
	seen := map[*instance]*listing{}
	found := func(path string) { r.found(path, seen) }
	changed := map[string]bool(nil)
	if all {
		r.find.Scan(found)
	} else {
		changed = r.find.Rescan(found)
	}
	r.scanAll = false
	r.scanLinked()
	for in := range r.live {
		if !all && !changed[in.dir] {
			continue
		}
		l := seen[in]
		if l == nil {
			l = &listing{}
		}
		l.tidy()
		if in.lastSeen().names != l.names() {
			in.dirty.Store(true)
			r.enqueue(in)
		}
	}
}

// found takes a log that a scan found.
func (r *run) found(path string, seen map[*instance]*listing) {
	c, n, ok := r.parse(path)
	if !ok {
		return
	}
	in := r.get(&c)
	if in == nil {
		return
	}
	l := seen[in]
	if l == nil {
		l = &listing{place: place{dir: in.dir, log: in.logName()}}
		seen[in] = l
	}
	l.add(filepath.Base(path), n.gz)
	if n.rotated == "" {
		r.glance(in, path)
	}
}

// glance queues an instance whose log has grown or is another file, as a scan
// sees it.
func (r *run) glance(in *instance, path string) {
	info, err := ident.Stat(path)
	if err != nil {
		r.follow(in, path) // docker is rotating it
		return
	}
	seen := glimpse{info.Ino, info.Birth, info.Size}
	if seen == in.glimpse {
		return
	}
	if in.glimpse.ino != seen.ino || in.glimpse.birth != seen.birth {
		in.dirty.Store(true)
		r.follow(in, path)
	}
	in.glimpse = seen
	in.written.Store(true)
	r.enqueue(in)
}

// glimpse is what a scan saw of a log.
type glimpse struct {
	ino   uint64
	birth int64
	size  int64
}

// finishTurn takes an instance back from its reader.
func (r *run) finishTurn(ctx context.Context, res result) {
	in := res.in
	in.busy = false
	r.count(in)
	if res.held {
		r.noteOpened(ctx, in)
		if in.again {
			in.again = false
			r.enqueue(in)
		}
		return
	}
	r.reading--
	if res.err != nil && ctx.Err() == nil {
		if r.board.fail(in, res.err) {
			r.env.Log.Warn("a container's log can't be read on; trying again", "log", in.source, "stream", in.id, "err", res.err)
		}
		in.again = false
		r.wakeIn(in, r.times.retry)
		return
	}
	r.board.well(in)
	r.noteOpened(ctx, in)
	if in.excluded {
		r.board.skip(in, "it is not collected, by its labels or the rules")
		in.close(true)
		r.count(in)
	}
	if res.wake > 0 {
		r.wakeIn(in, max(res.wake, time.Millisecond))
	}
	switch {
	case in.id == "" && in.absent && !in.pending() && !in.unread():
		r.drop(in) // nothing was ever read of it
	case res.more || in.again || in.pending() && res.wake == 0:
		in.again = false
		r.enqueue(in)
	default:
		r.settle(in)
	}
}

// noteOpened takes note of what is known of an instance after a turn.
func (r *run) noteOpened(ctx context.Context, in *instance) {
	if r.opening[in] && (in.id != "" || in.looked && in.excluded || in.absent) {
		delete(r.opening, in)
	}
	r.markStarted(ctx)
	if delete(r.undecided, in); !in.decided && !in.ended {
		r.undecided[in] = true
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
			return !in.excluded
		}
	}
	return false
}

// readMail takes receipts and requests to send again.
func (r *run) readMail() {
	for id, l := range r.box.Take() {
		r.idsMu.Lock()
		in := r.byID[id]
		r.idsMu.Unlock()
		if in == nil {
			continue // forgotten, or of an earlier life
		}
		if l.Settled > in.settled.Load() {
			in.settled.Store(l.Settled)
		}
		if l.Receipts > 0 && in.endSent.Load() {
			in.endMoved = true
		}
		if len(l.Resend) > 0 {
			in.addResend(l.Resend)
			r.enqueue(in)
		}
		if !in.busy {
			r.settle(in)
		}
	}
}

// settle lets go of what is secured: files, and a stream that is finished.
func (r *run) settle(in *instance) {
	in.closeSettled()
	if in.looked {
		in.forget(in.settled.Load(), in.times.unseen, !in.place.link, &in.before)
	}
	if in.descriptors() != in.fds {
		r.count(in)
	}
	if !in.finished() || in.queued || in.pending() {
		return
	}
	if in.id != "" {
		if !in.endMoved || in.settled.Load() < in.off {
			return
		}
		if err := r.env.Streams.Forget(in.id); err != nil {
			r.env.Log.Warn("can't forget a finished stream; trying at the next start", "stream", in.id, "err", err)
		}
	}
	r.drop(in)
}

// drop lets go of an instance.
func (r *run) drop(in *instance) {
	in.close(true)
	r.count(in)
	if in.heapAt >= 0 {
		heap.Remove(&r.waiting, in.heapAt)
	}
	if r.byKey[in.key()] == in {
		delete(r.byKey, in.key())
		delete(r.byPath, filepath.Join(r.root, in.key()))
	}
	delete(r.live, in)
	r.unfollow(in)
	delete(r.undecided, in)
	delete(r.opening, in)
	r.idsMu.Lock()
	delete(r.byID, in.id)
	r.idsMu.Unlock()
	r.board.hide(in)
}
