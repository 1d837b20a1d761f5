package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// rest decides about a file that was read to its end: whether its last record
// is taken as it is, and whether the file is finished.
func (r *reader) rest(ctx context.Context, s *stream) (result, error) {
	still := time.Since(s.grewAt)
	pending := s.off < s.end
	deleted := s.info.Links == 0
	if deleted && s.path != "" {
		return result{how: unlinked}, nil
	}
	if pending {
		flush, after := cut.None, time.Duration(0)
		switch {
		case deleted || s.moved() && s.id != "" || rotatedName(s.path):
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
		if s.off < s.end {
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
	switch mayGrow(s) {
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
	if s.end != s.off {
		return result{how: more}, nil
	}
	return result{}, r.end(ctx, s, "the file was deleted")
}

// flush sends what is left, as far as the flush goes.
func (r *reader) flush(ctx context.Context, s *stream, flush cut.Flush) (outcome, error) {
	buf := make([]byte, s.end-s.off+ident.MaxTail)
	_, _, how, err := r.readOnce(ctx, s, buf, flush)
	return how, err
}

type answer int

const (
	unknown answer = iota
	no
	yes
)

// mayGrow tells whether anybody has the file open for writing: the kernel
// refuses a read lease then. A lease needs the file's owner or CAP_LEASE; it
// is given back at once.
func mayGrow(s *stream) answer {
	_, err := unix.FcntlInt(s.f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		_, _ = unix.FcntlInt(s.f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return no
	case unix.EAGAIN:
		return yes
	}
	return unknown
}

// end tells that the stream is finished at off. The file stays open, so that
// what nobody holds can be sent again, until all is settled.
func (r *reader) end(ctx context.Context, s *stream, reason string) error {
	if !s.ended {
		s.ended = true
		if err := r.env.Streams.Update(s.stored()); err != nil {
			s.ended = false
			return fmt.Errorf("store the end of %s: %w", s.source, err)
		}
	}
	if s.endSent.Load() {
		return nil
	}
	if err := r.fact(ctx, s, chunk.End, chunk.Range{First: s.off, Last: s.off}, reason); err != nil {
		return err
	}
	s.gone, s.lostTo, s.reason = true, s.off, reason
	s.endSent.Store(true)
	return nil
}

// finish tells the end of a stream whose file can't be read any further: what
// was there and is not settled is lost, unless a collector holds it.
func (r *reader) finish(ctx context.Context, s *stream) error {
	if s.off < s.lostTo {
		if err := r.lose(ctx, s); err != nil {
			return err
		}
	}
	if err := r.resend(ctx, s); err != nil {
		return err
	}
	return r.end(ctx, s, s.reason)
}

// openUnread stores a stream of whose file nothing can be read any more, so
// that its loss can be told.
func (r *reader) openUnread(ctx context.Context, s *stream) error {
	s.source = s.origin
	s.setIdent(ident.New(s.source, &s.info, nil))
	s.off, s.sent, s.tail = s.begin, s.begin, 0
	opened := s.stored()
	opened.Type = r.env.Type
	st, err := r.env.Streams.Open(ctx, opened)
	if err != nil {
		return fmt.Errorf("open a stream for %s: %w", s.source, err)
	}
	s.setID(st.ID)
	s.beginSent = s.begin == 0
	return nil
}

// tellLost tells what is missing of a stream whose file is away and may come
// back.
func (r *reader) tellLost(ctx context.Context, s *stream) error {
	if err := r.resend(ctx, s); err != nil {
		return err
	}
	off := s.off
	defer func() { s.off = off }() // should it come back, it is read from there
	if s.lostTo = max(s.sent, s.goodSize); off < s.lostTo {
		return r.lose(ctx, s)
	}
	return nil
}

// lose tells that the bytes from off to lostTo are lost.
func (r *reader) lose(ctx context.Context, s *stream) error {
	if s.lostTo > s.sent && s.gone {
		if err := r.env.Streams.Sent(s.id, s.lostTo, 0); err != nil {
			return fmt.Errorf("journal what is lost of %s: %w", s.source, err)
		}
		s.sent, s.tail = s.lostTo, 0
	}
	lost := chunk.Range{First: s.off, Last: s.lostTo}
	if err := r.fact(ctx, s, chunk.Lost, lost, s.reason); err != nil {
		return err
	}
	r.env.Log.Warn("bytes of a file were destroyed before they could be read", "file", s.source, "stream", s.id,
		"first", lost.First, "last", lost.Last, "why", s.reason)
	s.off = s.lostTo
	s.read.Store(s.off)
	return nil
}

// errChanged says that a file's bytes are no longer those of its stream.
var errChanged = errors.New("the file was truncated or replaced")

// resend sends again what was asked for, as far as it was sent before. After
// errChanged it is still asked for: there may be a copy of the file.
func (r *reader) resend(ctx context.Context, s *stream) error {
	asked := s.takeResend()
	for i, rg := range asked {
		if err := r.resendOne(ctx, s, rg); err != nil {
			s.addResend(asked[i:])
			return err
		}
	}
	return nil
}

func (r *reader) resendOne(ctx context.Context, s *stream, rg chunk.Range) error {
	if rg.Empty() {
		if rg.First == s.begin && s.begin > 0 {
			s.beginSent = false
			if err := r.facts(ctx, s); err != nil {
				return err
			}
		}
		if s.endSent.Load() && rg.First == s.off {
			return r.fact(ctx, s, chunk.End, chunk.Range{First: s.off, Last: s.off}, s.reason)
		}
		return nil
	}
	rg = rg.Intersect(chunk.Range{First: s.begin, Last: s.off}) // the rest is read anyway
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
		ch := r.chunk(s, chunk.Range{First: rg.First, Last: rg.First + int64(c.N)})
		ch.Tags, ch.Borders, ch.Body, ch.Encoding = c.Part.Tags(), c.Borders, buf[before:before+c.N], s.encoding
		if err := r.env.Out.Send(ctx, &ch); err != nil {
			return fmt.Errorf("send %v of %s again: %w", ch.Range(), s.source, err)
		}
		rg.First += int64(c.N)
	}
	if rg.Empty() {
		return nil
	}
	return r.fact(ctx, s, chunk.Lost, rg, "the source destroyed it before it was secured")
}

// sameSent tells whether the open file still holds what was sent of it.
func (s *stream) sameSent() (bool, error) {
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
