package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
)

// Run sends what is in the spool, and what is appended, until ctx is done.
func (s *Spool) Run(ctx context.Context, out Out) {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		s.mu.Lock()
		for _, q := range s.queues {
			if !q.running {
				q.running = true
				wg.Go(func() {
					sender := sender{s: s, q: q, out: out, cur: cursor{open: s.open}}
					sender.run(ctx)
					sender.cur.close()
				})
			}
		}
		s.mu.Unlock()
		select {
		case <-s.fresh:
		case <-ctx.Done():
			return
		}
	}
}

// sender sends one queue's streams.
type sender struct {
	s   *Spool
	q   *queue
	out Out
	cur cursor
}

func (t *sender) run(ctx context.Context) {
	for pause := time.Duration(0); ; {
		worked, err := t.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if pause == 0 {
				t.s.log.Error("can't read the agent's spool; trying again", "adaptor", t.q.key.Adaptor, "type", t.q.key.Type, "error", err)
			}
			pause = min(max(2*pause, 100*time.Millisecond), 10*time.Second)
		case worked:
			pause = 0
			continue
		default:
			pause = 0
		}
		var again <-chan time.Time
		if pause > 0 {
			again = time.After(pause)
		}
		select {
		case <-t.q.wake:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// step does one thing that is due, oldest stream first.
func (t *sender) step(ctx context.Context) (worked bool, err error) {
	st, job := t.next()
	if st == nil {
		return false, nil
	}
	return true, job(ctx, st)
}

type job func(ctx context.Context, st *stream) error

func (t *sender) next() (*stream, job) {
	s := t.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range t.q.streams {
		if !st.opened {
			if st.first() == st.end && st.active {
				continue // nothing in it yet
			}
			st.opened = true
			st.settled = st.first()
			t.out.Open(t.q.key, st.id, st.settled)
		}
		switch {
		case len(st.tell) > 0:
			r := st.tell[0]
			st.tell = st.tell[1:]
			return st, func(ctx context.Context, st *stream) error { return t.fact(ctx, st, chunk.Dropped, r, fullReason) }
		case len(st.resend) > 0:
			r := st.resend[0]
			st.resend = st.resend[1:]
			return st, func(ctx context.Context, st *stream) error { return t.again(ctx, st, r) }
		case st.sent < st.end:
			return st, t.onward
		case !st.active && !st.endSent:
			return st, t.finish
		}
	}
	return nil, nil
}

const fullReason = "the agent's spool was full"

// onward sends the record at st.sent.
func (t *sender) onward(ctx context.Context, st *stream) error {
	t.s.mu.Lock()
	off, seg, until := st.sent, st.at(st.sent), st.end
	var untold chunk.Ranges
	if seg == nil { // a hole: dropped on purpose, or a file that is gone
		for _, x := range st.segs {
			if x.base > off {
				until = x.base
				break
			}
		}
		untold = st.dropped.Missing(chunk.Range{First: off, Last: until})
		st.sent = until
	}
	t.s.mu.Unlock()
	if seg == nil {
		return t.lost(ctx, st, untold)
	}
	c, err := t.cur.record(seg, off)
	switch {
	case err == nil:
	case errors.Is(err, errDamaged) || errors.Is(err, os.ErrNotExist):
		r, still := t.skip(st, seg, max(off, t.cur.lostTo))
		if !still {
			return nil // drop_oldest took it meanwhile, and tells so
		}
		t.s.quarantine(seg, t.cur.damage.First, t.cur.damage.Last)
		t.s.log.Error("the agent's spool is damaged; the records are lost", "path", seg.path, "bytes", r.Len(), "error", err)
		return t.lost(ctx, st, chunk.Ranges{r})
	default:
		return err
	}
	if _, still := t.skip(st, seg, c.Last); !still {
		return nil
	}
	if c.Kind == chunk.Data {
		t.s.mu.Lock()
		seg.unsent = max(0, seg.unsent-1)
		t.s.mu.Unlock()
	}
	return t.send(ctx, st, &c)
}

// skip moves st.sent, to upTo or, if it is there already, to the
// segment's end. still is false when the segment is gone meanwhile.
func (t *sender) skip(st *stream, seg *segment, upTo int64) (r chunk.Range, still bool) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	if st.at(st.sent) != seg {
		return r, false
	}
	r = chunk.Range{First: st.sent, Last: min(upTo, seg.end)}
	if r.Empty() {
		r.Last = seg.end
	}
	st.sent = r.Last
	return r, true
}

// at is the segment that holds an offset, nil where none does.
func (st *stream) at(off int64) *segment {
	for _, seg := range st.segs {
		if seg.base <= off && off < seg.end {
			return seg
		}
	}
	return nil
}

// again sends the records of r once more, and tells of those that are gone.
func (t *sender) again(ctx context.Context, st *stream, r chunk.Range) error {
	for off := r.First; off < r.Last; {
		t.s.mu.Lock()
		seg, until := st.at(off), r.Last
		for _, x := range st.segs {
			if x.base > off {
				until = min(until, x.base)
				break
			}
		}
		if seg != nil {
			until = min(until, seg.end)
		}
		t.s.mu.Unlock()
		if seg == nil {
			if err := t.fact(ctx, st, chunk.Dropped, chunk.Range{First: off, Last: until}, fullReason); err != nil {
				return err
			}
			off = until
			continue
		}
		c, err := t.cur.record(seg, off)
		switch {
		case err == nil:
			if err := t.send(ctx, st, &c); err != nil {
				return err
			}
			off = c.Last
		case errors.Is(err, os.ErrNotExist), errors.Is(err, errDamaged):
			t.s.quarantine(seg, t.cur.damage.First, t.cur.damage.Last)
			if t.cur.lostTo > off {
				until = min(until, t.cur.lostTo)
			}
			if err := t.lost(ctx, st, chunk.Ranges{{First: off, Last: until}}); err != nil {
				return err
			}
			off = until
		default:
			t.s.Resend(st.id, chunk.Range{First: off, Last: r.Last})
			return err
		}
	}
	return nil
}

func (t *sender) finish(ctx context.Context, st *stream) error {
	t.s.mu.Lock()
	st.ending, st.told = true, false
	t.s.mu.Unlock()
	err := t.fact(ctx, st, chunk.End, chunk.Range{First: st.end, Last: st.end}, "")
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	// What was settled meanwhile may have been the End, or only what is before
	// it: then it is sent once more.
	st.ending, st.endSent = false, err == nil && !(st.told && st.settled >= st.end)
	return err
}

func (t *sender) lost(ctx context.Context, st *stream, rs chunk.Ranges) error {
	for _, r := range rs {
		if err := t.fact(ctx, st, chunk.Lost, r, "the agent's spool was damaged"); err != nil {
			return err
		}
	}
	return nil
}

func (t *sender) fact(ctx context.Context, st *stream, kind chunk.Kind, r chunk.Range, reason string) error {
	t.s.mu.Lock()
	c := chunk.Chunk{Kind: kind, Host: st.host, Source: st.source, First: r.First, Last: r.Last, Time: time.Now(), Reason: reason}
	t.s.mu.Unlock()
	if c.Host == "" {
		c.Host = t.s.cfg.Host
	}
	return t.send(ctx, st, &c)
}

func (t *sender) send(ctx context.Context, st *stream, c *chunk.Chunk) error {
	c.Type, c.Stream = t.q.key.Type, st.id
	t.s.mu.Lock()
	if c.Source != "" {
		st.host, st.source = c.Host, c.Source
	}
	t.s.mu.Unlock()
	if err := t.out.Send(ctx, c); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return fmt.Errorf("send %v of stream %s: %w", c.Range(), st.id, err)
	}
	return nil
}
