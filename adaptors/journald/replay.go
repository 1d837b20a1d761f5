package journald

import (
	"context"
	"errors"
	"fmt"

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

// holds reports whether the entry of a pair is in the journal.
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
	r.note(s.out.Source(), fmt.Sprintf("bytes %v of stream %s are lost: %s", rg, s.out.ID(), reason))
	return s.out.Lost(ctx, rg, reason)
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
		c := chunk.Chunk{First: done, Last: done + int64(len(held)), Body: held}
		err := s.out.Data(ctx, c, check)
		done = c.Last
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
