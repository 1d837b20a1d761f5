package journald

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/akupara/akupara/chunk"
)

// errVacuumed says that the entry of a cursor is not in the journal any more.
type errVacuumed struct {
	cursor string
	next   string // the first entry that is
}

func (e errVacuumed) Error() string {
	return "the journal does not hold the entry " + e.cursor + " any more"
}

// errEmpty says that the journal holds nothing at all: it may not be mounted.
var errEmpty = errors.New("journalctl gives no entries: is the journal there, and may it be read?")

// errOther says that the journal gives other entries than before.
var errOther = errors.New("the journal gives other entries than before")

// since makes an each that starts at a pair: it makes sure that the first entry
// is the pair's, and leaves it out where it stands before.
func since(p pair, each func(entry) error) func(entry) error {
	first := p.Cursor != ""
	return func(e entry) error {
		if first {
			first = false
			if !sameEntry(p.Cursor, e.cursor) {
				return errVacuumed{p.Cursor, e.cursor}
			}
			if !p.At {
				return nil
			}
		}
		return each(e)
	}
}

// from are the arguments that start at a pair.
func from(args []string, p pair) []string {
	out := append([]string{"--no-tail"}, args...)
	if p.Cursor != "" {
		out = append(out, "--cursor="+p.Cursor)
	}
	return out
}

// holds tells whether the entry of a pair is in the journal.
func (r *run) holds(ctx context.Context, s *stream, p pair) (bool, error) {
	found := false
	args := append([]string{"--cursor=" + p.Cursor, "--lines=1"}, s.ident.Args...)
	err := entries(ctx, r.cfg.Journalctl, args, s.ident.MaxField, func(e entry) error {
		found = sameEntry(p.Cursor, e.cursor)
		return errEnough
	})
	return found, err
}

// replay produces the bytes [rg.First, rg.Last) of a stream again. What the
// journal has forgotten of them is told as lost.
func (r *run) replay(ctx context.Context, s *stream, rg chunk.Range) error {
	at := s.ident.before(rg.First)
	for !rg.Empty() {
		next, err := r.produce(ctx, s, s.ident.Pairs[at], rg)
		rg.First = next
		var vacuumed errVacuumed
		switch {
		case err == nil && rg.Empty():
			return nil
		case err == nil:
			err = errVacuumed{cursor: s.ident.Pairs[at].Cursor}
		case !errors.As(err, &vacuumed) && !errors.Is(err, errOther):
			return err
		}
		// Of the rest, what stands behind an entry that is still there.
		lost := chunk.Range{First: rg.First, Last: rg.Last}
		for at++; at < len(s.ident.Pairs) && s.ident.Pairs[at].Off < rg.Last; at++ {
			if s.ident.Pairs[at].Off < rg.First || errors.Is(err, errOther) {
				continue
			}
			there, err := r.holds(ctx, s, s.ident.Pairs[at])
			if err != nil {
				return err
			}
			if there {
				lost.Last = s.ident.Pairs[at].Off
				break
			}
		}
		if err := r.lost(ctx, s, lost, err.Error()); err != nil {
			return err
		}
		rg.First = lost.Last
	}
	return nil
}

func (r *run) lost(ctx context.Context, s *stream, rg chunk.Range, reason string) error {
	if rg.Empty() {
		return nil
	}
	if err := r.journal(s, rg.Last, s.ident.last().Sum); err != nil {
		return err
	}
	c := r.chunk(s, rg)
	c.Kind, c.Reason = chunk.Lost, reason
	r.env.Log.Error("entries of the journal are lost", "stream", s.id, "first", rg.First, "last", rg.Last, "why", reason)
	r.note(s.source, fmt.Sprintf("bytes %v of stream %s are lost: %s", rg, s.id, reason))
	return r.send(ctx, s, &c)
}

// produce sends what it can of [rg.First, rg.Last), starting at a pair, and
// tells how far it came. Chunks end at pairs, and are sent only when the bytes
// up to there have the checksum that they had before.
func (r *run) produce(ctx context.Context, s *stream, p pair, rg chunk.Range) (done int64, err error) {
	done = rg.First
	off, check := p.Off, p.Sum
	var held []byte // from done on
	next := s.ident.before(p.Off) + 1
	empty := true
	flush := func() error {
		if len(held) == 0 {
			return nil
		}
		err := r.bytes(ctx, s, done, held, check)
		done += int64(len(held))
		held = held[:0]
		return err
	}
	each := since(p, func(e entry) error {
		end := off + int64(len(e.line))
		if first, last := max(off, done), min(end, rg.Last); first < last {
			held = append(held, e.line[first-off:last-off]...)
		}
		off, check = end, sum(check, e.line)
		verified := false
		for ; next < len(s.ident.Pairs) && s.ident.Pairs[next].Off <= off; next++ {
			if q := s.ident.Pairs[next]; q.Off != off || q.Sum != check {
				return errOther
			}
			verified = true
		}
		if verified || len(held) > 16*chunkBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		if off >= rg.Last && verified {
			return errEnough
		}
		return nil
	})
	err = entries(ctx, r.cfg.Journalctl, from(s.ident.Args, p), s.ident.MaxField, func(e entry) error {
		empty = false
		return each(e)
	})
	if err == nil && empty {
		err = errEmpty
	}
	return done, err
}

// bytes sends a piece of a stream, whose checksum up to its end is given.
func (r *run) bytes(ctx context.Context, s *stream, first int64, body []byte, check uint64) error {
	last := first + int64(len(body))
	if err := r.journal(s, last, check); err != nil {
		return err
	}
	c := r.chunk(s, chunk.Range{First: first, Last: last})
	c.Body = body
	return r.send(ctx, s, &c)
}

// journal notes that the stream is sent up to end.
func (r *run) journal(s *stream, end int64, check uint64) error {
	if end <= s.sent {
		return nil
	}
	if err := r.env.Streams.Sent(s.id, end, check); err != nil {
		return fmt.Errorf("journal what is sent: %w", err)
	}
	s.sent = end
	return nil
}

func (r *run) chunk(s *stream, rg chunk.Range) chunk.Chunk {
	return chunk.Chunk{
		Type: r.env.Type, Host: r.env.Host, Source: s.source, Stream: s.id, First: rg.First, Last: rg.Last, Time: time.Now(),
	}
}

// send hands a chunk over, and tries again until it is taken or ctx is done.
func (r *run) send(ctx context.Context, s *stream, c *chunk.Chunk) error {
	for {
		err := r.env.Out.Send(ctx, c)
		if err == nil {
			s.read.Store(max(s.read.Load(), c.Last))
			r.fail("")
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, chunk.ErrInvalid) {
			return fmt.Errorf("send %v of the journal: %w", c.Range(), err)
		}
		if r.fail(fmt.Sprintf("send %v of the journal: %v", c.Range(), err)) {
			r.env.Log.Warn("entries could not be handed over, trying again", "err", err)
		}
		if err := pause(ctx, r.times.retry); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
