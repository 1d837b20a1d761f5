package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// rest decides about a file that was read to its end: whether its last record
// is taken as it is, and whether the file is finished.
func (r *reader) rest(ctx context.Context, s *tracked) (result, error) {
	still := time.Since(s.grewAt)
	pending := s.out.Off() < s.end
	deleted := s.info.Links == 0
	if deleted && s.path != "" {
		return result{how: unlinked}, nil
	}
	if pending {
		flush, after := cut.None, time.Duration(0)
		switch {
		case deleted || s.moved() && s.out.ID() != "" || rotatedName(s.path):
			flush, after = cut.Always, r.times.still
		}
		if r.multiLine && (flush == cut.None || still < after) {
			if still >= r.recordT {
				flush, after = cut.Lines, 0
			} else if flush == cut.None || r.recordT < after {
				flush, after = cut.Lines, r.recordT
			}
		}
		if flush == cut.None {
			return result{}, nil // an unterminated line: wait for the rest
		}
		if still < after {
			return result{wake: after - still}, nil
		}
		how, err := r.flush(ctx, s, flush)
		if how != idle || err != nil {
			return result{how: how}, err
		}
		if s.out.Off() < s.end {
			if s.moved() || deleted {
				return result{wake: max(r.times.still-still, 10*time.Millisecond)}, nil
			}
			return result{}, nil
		}
	}
	if !deleted {
		if s.path == "" { // no event tells of what is written to it
			return result{wake: r.times.poll}, nil
		}
		return result{}, nil
	}
	if s.awaited {
		return result{wake: r.times.poll}, nil
	}
	wait := r.times.linger
	switch mayGrow(s.f) {
	case no:
		wait = 0
	case unknown:
		wait = r.times.still
	}
	if still < wait {
		return result{wake: min(wait-still, r.times.still, r.times.poll)}, nil
	}
	// Bytes that came between the look and the lease are still to be read.
	if err := r.look(s); err != nil {
		return result{}, err
	}
	if s.end != s.out.Off() || s.zeros != nil && s.end < s.info.Size && s.zeros.scanned < s.info.Size {
		return result{how: more}, nil
	}
	return result{}, r.end(ctx, s, "the file was deleted")
}

// flush sends what is left, as far as the flush goes.
func (r *reader) flush(ctx context.Context, s *tracked, flush cut.Flush) (outcome, error) {
	buf := make([]byte, s.end-s.out.Off()+ident.MaxTail)
	_, _, how, err := r.readOnce(ctx, s, buf, flush)
	return how, err
}

type answer int

const (
	unknown answer = iota
	no
	yes
)

// mayGrow reports whether anybody has the file open for writing: the kernel
// refuses a read lease then. A lease needs the file's owner or CAP_LEASE; it
// is given back at once.
func mayGrow(f *os.File) answer {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return no
	case unix.EAGAIN:
		return yes
	}
	return unknown
}

// end ends the stream where it is. The file stays open, so that what nobody
// holds can be sent again, until all is settled.
func (r *reader) end(ctx context.Context, s *tracked, reason string) error {
	if err := s.out.End(ctx, reason); err != nil {
		return err
	}
	s.gone, s.lostTo, s.reason = true, s.out.Off(), reason
	return nil
}

// finish ends a stream whose file can't be read any further: what was there and
// is not settled is lost, unless a collector holds it.
func (r *reader) finish(ctx context.Context, s *tracked) error {
	lost := chunk.Range{First: s.out.Off(), Last: s.lostTo}
	if s.out.Ended() {
		lost.Last = min(lost.Last, s.out.Sent())
	}
	if lost.First < lost.Last {
		if err := s.out.Lost(ctx, lost, s.reason); err != nil {
			return err
		}
	}
	if err := r.resend(ctx, s); err != nil {
		return err
	}
	return r.end(ctx, s, s.reason)
}

// openUnread stores a stream of whose file nothing can be read any more, so
// that its loss can be reported.
func (r *reader) openUnread(ctx context.Context, s *tracked) error {
	id := ident.New(s.origin, &s.info, nil)
	s.setIdent(id)
	return s.out.Open(ctx, adaptors.Stream{Source: s.origin, Identity: id.Encode(), Begin: s.begin})
}

// reportMissing reports what is missing of a stream whose file is away and may
// come back.
func (r *reader) reportMissing(ctx context.Context, s *tracked) error {
	if err := r.resend(ctx, s); err != nil {
		return err
	}
	s.lostTo = max(s.out.Sent(), s.goodSize)
	return s.out.Missing(ctx, s.lostTo, s.reason)
}

// errChanged says that a file's bytes are no longer those of its stream.
var errChanged = errors.New("the file was truncated or replaced")

// resend sends again what was asked for, as far as it was sent before. After
// errChanged it is still asked for: there may be a copy of the file.
func (r *reader) resend(ctx context.Context, s *tracked) error {
	return s.out.Resend(ctx, func(ctx context.Context, rg chunk.Range) error { return r.again(ctx, s, rg) })
}

// again sends a range again, or reports it as lost.
func (r *reader) again(ctx context.Context, s *tracked, rg chunk.Range) error {
	lent := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(lent)
	buf := *lent
	for !rg.Empty() && s.f != nil {
		before := int(min(rg.First, ident.MaxTail))
		want := before + int(min(rg.Len(), int64(len(buf)-before)))
		n, err := s.f.ReadAt(buf[:want], rg.First-int64(before))
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read %s at %d again: %w", s.path, rg.First, err)
		}
		// Compared after the read: a truncation that was not noticed yet must
		// not send new bytes as old ones.
		if same, err := s.sameSent(); n < want || err != nil || !same {
			if !s.gone && err == nil {
				return errChanged
			}
			break
		}
		flush := cut.None
		if rg.Len() == int64(want-before) {
			flush = cut.Always // its end was a border when it was sent first
		}
		cutter, err := r.cutterFor(s)
		if err != nil {
			return err
		}
		from, err := r.from(s, cutter, rg.First, buf[:before])
		if err != nil {
			return err
		}
		c := cutter.Next(buf[before:want], from, flush, nil)
		if c.N == 0 {
			if limit := r.enough(); len(buf) < limit {
				buf = make([]byte, limit)
				continue
			}
			c = cut.Cut{N: want - before}
		}
		ch := chunk.Chunk{
			First: rg.First, Last: rg.First + int64(c.N), Tags: c.Part.Tags(), Borders: c.Borders,
			Body: buf[before : before+c.N], Encoding: s.encoding,
		}
		if err := s.out.Data(ctx, ch, 0); err != nil { // journalled before
			return err
		}
		rg.First += int64(c.N)
	}
	return s.out.Lost(ctx, rg, "the source destroyed it before it was secured")
}

// sameSent reports whether the open file still holds what was sent of it.
func (s *tracked) sameSent() (bool, error) {
	info, err := ident.Fstat(s.f)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", s.path, err)
	}
	same, err := s.sameBytes(s.f, info.Size)
	if err != nil {
		return false, fmt.Errorf("compare %s with what was sent of it: %w", s.path, err)
	}
	return same, nil
}
