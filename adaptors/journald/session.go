package journald

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
)

// mail takes receipts, and sends again what nobody is known to hold.
func (r *run) mail(ctx context.Context) error {
	for id, l := range r.Take() {
		if s := r.byID[id]; s != nil {
			s.out.Take(l)
		}
	}
	for id, s := range r.byID {
		if err := s.out.Resend(ctx, func(ctx context.Context, rg chunk.Range) error { return r.replay(ctx, s, rg) }); err != nil {
			return err // it is tried again with the next session
		}
		if s.out.Done() {
			s.out.Forget()
			delete(r.byID, id)
			r.board.Hide(s.out)
		}
	}
	return nil
}

// session runs journalctl from where the live stream ends, until it ends: at the
// journal's end, or never if it is to follow.
func (r *run) session(ctx context.Context, follow bool) error {
	if err := r.mail(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	begin := r.end
	if r.behind != nil {
		begin = *r.behind
	}
	args := from(r.cfg.args(), begin)
	if follow {
		args = append(args, "--follow")
		if r.cfg.Directory != "" {
			args = append(args, "--merge") // of all boots: several machines' journals may lie there
		}
	}
	got, done := make(chan entry, 64), make(chan error, 1)
	seen := false
	reading.Go(func() {
		err := entries(ctx, r.cfg.Journalctl, args, int(r.cfg.MaxField), func(e entry) error {
			select {
			case got <- e:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		close(got)
		done <- err
	})
	take := since(begin, func(e entry) error { return r.take(ctx, e) })
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		if len(r.body) > 0 {
			timer.Reset(max(time.Until(r.since.Add(r.times.age)), 0))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-r.Wake():
			if err := r.mail(ctx); err != nil {
				return err
			}
		case <-timer.C:
			if err := r.flush(ctx); err != nil {
				return err
			}
		case e, ok := <-got:
			if !ok {
				err := <-done
				if err == nil && !seen && begin.Cursor != "" {
					err = errVacuumed{cursor: begin.Cursor}
				}
				return errors.Join(r.flush(ctx), err)
			}
			seen = true
			if err := take(e); err != nil {
				return err
			}
		}
	}
}

// take adds an entry to the live stream.
func (r *run) take(ctx context.Context, e entry) error {
	here := pair{Cursor: e.cursor, At: true}
	switch old := r.live; {
	case old == nil:
		if err := r.open(ctx, 1, here, ""); err != nil {
			return err
		}
	case r.behind != nil:
		if old.wasRead(e, *r.behind) {
			return nil
		}
		if err := r.follow(ctx, old, here); err != nil {
			return err
		}
		r.behind = nil
		if err := old.out.End(ctx, reasonLostEnd); err != nil {
			return err
		}
	}
	r.doubt(e)
	if len(r.body) == 0 {
		r.since = time.Now()
	}
	r.body = append(r.body, e.line...)
	r.end = pair{Off: r.end.Off + int64(len(e.line)), Cursor: e.cursor, Sum: sum(r.end.Sum, e.line)}
	if len(r.body) >= chunkBytes {
		return r.flush(ctx)
	}
	return nil
}

// doubt notes where the entries end that were there when the agent began without
// knowing what was sent before.
func (r *run) doubt(e entry) {
	id := &r.live.ident
	if id.Before > 0 && e.micros() > id.Before {
		id.Before, id.DoubtEnd = 0, r.end.Off
		r.live.out.Doubt(id.DoubtEnd)
	}
}

// flush sends what was taken; first it stores where it can be found again.
func (r *run) flush(ctx context.Context) error {
	if len(r.body) == 0 {
		return nil
	}
	s := r.live
	s.ident.add(r.end, s.out.Settled())
	if err := s.out.Update(s.ident.encode()); err != nil {
		return err
	}
	c := chunk.Chunk{First: r.end.Off - int64(len(r.body)), Last: r.end.Off, Body: r.body}
	err := s.out.Data(ctx, c, r.end.Sum)
	if err == nil {
		r.body = r.body[:0]
		if cap(r.body) > 4*chunkBytes {
			r.body = nil
		}
	}
	return err
}
