package spooldir

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// mail takes receipts and requests to send again.
func (r *run) mail() {
	for id, l := range r.Take() {
		s := r.streams[id]
		if s == nil {
			continue // forgotten, or of an earlier life
		}
		s.out.Take(l)
		if len(l.Resend) > 0 {
			r.board.Show(s.out, s.shownPath())
		}
	}
}

// work does what can be done now, and returns when there may be more.
func (r *run) work(ctx context.Context) (wake time.Time) {
	now := time.Now()
	later := func(at time.Time) { wake = earlier(wake, at) }
	for _, s := range r.active() {
		if ctx.Err() != nil {
			return wake
		}
		if s.retry.After(now) {
			later(s.retry)
			continue
		}
		at, err := r.tend(ctx, s)
		if err != nil {
			s.retry = r.failed(ctx, s.out, err)
			later(s.retry)
			continue
		}
		r.board.Well(s.out)
		if !at.IsZero() {
			later(at)
		}
	}
	for _, e := range r.ready(now, later) {
		r.mail()
		if ctx.Err() != nil {
			return wake
		}
		if err := r.file(ctx, e); err != nil {
			e.retry = r.failed(ctx, e.shown(), err)
		} else {
			r.board.Well(e.shown())
		}
		later(time.Now()) // what it led to is looked at next
	}
	return wake
}

// failed shows an error, and returns when to try again.
func (r *run) failed(ctx context.Context, of *replay.Stream, err error) time.Time {
	if ctx.Err() == nil && r.board.Fail(of, err) {
		r.env.Log.Warn("a file could not be dealt with; trying again", "error", err)
	}
	return time.Now().Add(r.times.retry)
}

// active returns the streams that need more than their file, in a firm order.
func (r *run) active() []*stream {
	var out []*stream
	for _, s := range r.streams {
		if !s.ident.Done || s.path == "" || s.out.Asked() || r.cfg.After != "keep" {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b *stream) int { return cmp.Compare(a.out.ID(), b.out.ID()) })
	return out
}

// ready returns the files that are complete and have work to do, the oldest
// first.
func (r *run) ready(now time.Time, later func(time.Time)) []*entry {
	var out []*entry
	for e := range r.todo {
		if s := e.st; s != nil && s.path == e.path && s.ident.sameAtASight(&e.info) && (s.out.Ended() || s.gone) {
			delete(r.todo, e)
			continue
		}
		if e.retry.After(now) {
			later(e.retry)
			continue
		}
		if ok, at := e.complete(now, r.cfg.Settle.Std()); !ok {
			later(at)
			continue
		}
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b *entry) int {
		return cmp.Or(cmp.Compare(a.info.Modified, b.info.Modified), cmp.Compare(a.path, b.path))
	})
	return out
}

// errNotNow says that a file has changed since it was looked at: it is complete
// some time later.
var errNotNow = errors.New("the file has changed since")

// file finds out whose file an entry is and reads it to its end.
func (r *run) file(ctx context.Context, e *entry) error {
	err := r.tryFile(ctx, e)
	var held adaptors.HeldError
	switch {
	case errors.Is(err, errNotNow) || errors.Is(err, fs.ErrNotExist):
		r.look(happening{path: e.path})
		return nil
	case errors.As(err, &held): // which reads the file, or is about to release the stream
		r.refuse(e, held.Adaptor)
		return nil
	}
	return err
}

func (r *run) tryFile(ctx context.Context, e *entry) error {
	f, err := ident.Open(e.path, unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := ident.Fstat(f)
	if err != nil {
		return fmt.Errorf("look at %s: %w", e.path, err)
	}
	if info.Key() != e.info.Key() || info.Size != e.info.Size || info.Modified != e.info.Modified {
		return errNotNow
	}
	if err := r.cfg.roots.HoldsFile(f); err != nil {
		delete(r.todo, e)
		r.note(e.path, err.Error())
		return nil
	}
	if e.st == nil || !e.st.ident.sameAtASight(&info) {
		if err := r.identify(ctx, e, f); err != nil {
			return err
		}
	}
	if s := e.st; s != nil && !s.out.Ended() && !s.gone {
		return r.read(ctx, s, f)
	}
	delete(r.todo, e)
	return nil
}

// identify finds the stream of a file that is new, or has changed.
func (r *run) identify(ctx context.Context, e *entry, f *os.File) error {
	s, how, err := r.match(e, f)
	if err != nil {
		return err
	}
	if s != nil && r.elsewhere(s, e) { // a hard link: it has one reader
		delete(r.todo, e)
		r.hideWaiting(e)
		return nil
	}
	for _, old := range slices.Clone(r.byInode[e.info.Ino]) { // the bytes that were in this file are no more
		if old == s || old.gone || !old.ident.SameInode(&e.info) || old != e.st && old.path != "" {
			continue
		}
		if old, err = r.own(old); err == nil {
			r.lose(old, "the file was replaced before it was secured")
		}
	}
	e.st = nil
	r.showWaiting(e)
	switch {
	case how == same:
		s.ident.Modified = e.info.Modified
		r.give(e, s)
		r.update(s)
		return nil
	case how == grown && !s.out.Ended():
		return r.extend(e, s, f)
	case how == grown && !s.ident.Packed && s.ident.Trouble == "":
		r.env.Log.Info("a file grew after it was read; the rest is read, too", "file", e.path, "from", s.ident.Size)
		s.out.Reopen()
		s.ident.Done = false
		return r.extend(e, s, f)
	case s != nil && s.out.Ended():
		s.ident.Trouble = "changed in place after it was read, at " + time.Unix(0, e.info.Modified).UTC().Format(time.RFC3339) + "; the change is not read"
		if how == grown {
			s.ident.Trouble = "grew after it was read; what was appended is not read"
		}
		r.env.Log.Warn("a file was changed after it was read", "file", e.path, "stream", s.out.ID(), "what", s.ident.Trouble)
		return r.extend(e, s, f)
	case s != nil:
		r.lose(s, "the file was written anew before it was read whole")
	}
	return r.begin(ctx, e, f)
}

// match finds the stored stream that a file is, or was, and how it has changed:
// one of the run's own, or else of other adaptors.
func (r *run) match(e *entry, f *os.File) (found *stream, how likeness, err error) {
	own := slices.Clone(r.byInode[e.info.Ino])
	for _, s := range r.streams {
		if s.path == "" && s.ident.Path == e.path && s.ident.Ino != e.info.Ino {
			own = append(own, s)
		}
	}
	if found, how, err = e.best(own, f); found == nil && err == nil {
		found, how, err = e.best(r.foreign(e), f)
	}
	if err != nil || found == nil {
		return nil, other, err
	}
	if !found.released {
		return found, how, nil
	}
	if found, err = r.take(found); err != nil {
		return nil, other, err
	}
	how, err = found.ident.compare(e.path, f, &e.info) // it may have gone on
	return found, how, err
}

// own takes a stream back that was released.
func (r *run) own(s *stream) (*stream, error) {
	if !s.released {
		return s, nil
	}
	return r.take(s)
}

// best finds the stream that a file is most likely to have. Of several, as after
// a kill of a version that began a stream for the rest of a file, it is the one
// that knows most of it.
func (e *entry) best(candidates []*stream, f *os.File) (found *stream, how likeness, err error) {
	for _, s := range candidates {
		if s.gone {
			continue
		}
		h, err := s.ident.compare(e.path, f, &e.info)
		if err != nil {
			return nil, other, err
		}
		if h != other && (found == nil || better(h, s, how, found)) {
			found, how = s, h
		}
	}
	return found, how, nil
}

func better(h likeness, s *stream, than likeness, found *stream) bool {
	if (h == changed) != (than == changed) {
		return than == changed
	}
	return s.ident.Size > found.ident.Size || s.ident.Size == found.ident.Size && s.out.Begin() > found.out.Begin()
}

// extend notes what the file is like now.
func (r *run) extend(e *entry, s *stream, f *os.File) error {
	id, err := newIdentity(e.path, f, &e.info)
	if err != nil {
		return err
	}
	id.Trouble, id.Done, id.Packed, id.Anew = s.ident.Trouble, s.ident.Done, s.ident.Packed, s.ident.Anew
	before := s.ident
	r.unlist(s)
	s.ident = id
	r.byInode[id.Ino] = append(r.byInode[id.Ino], s)
	if err := s.out.Update(id.encode()); err != nil {
		s.ident = before
		return err
	}
	s.measure()
	r.give(e, s)
	return nil
}
