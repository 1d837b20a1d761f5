package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
)

const (
	readBytes = 512 << 10 // of one read, and thereby of most chunks
	turnBytes = 8 << 20   // that one stream may send before others get their turn
)

// outcome says how a stream's turn ended.
type outcome int

const (
	idle     outcome = iota // nothing more for now
	more                    // there is more to read
	replaced                // the file's bytes are no longer the stream's
	vanished                // the path leads to another file, or to none
	unlinked                // the file was deleted, which the run doesn't know yet
	away                    // what is missing of a lost file was told
)

// result is what a reader reports of a turn.
type result struct {
	s    *stream
	how  outcome
	wake time.Duration // look again after so long without an event; 0: no need
	err  error         // try again later
}

// reader gives streams their turns. Several run side by side, each with one
// stream at a time.
type reader struct {
	roots     adaptors.Roots
	env       adaptors.Env
	cutters   cutters
	encoding  charset.Choice
	multiLine bool // records may be several lines
	times     times
	recordT   time.Duration // a still file ends its last multi-line record
	buffers   *sync.Pool    // of *[]byte, readBytes and a window long
	borders   []int64
	origins   *origins
	nameless  bool // in tests: as if no file system told births and generations
}

func (r *reader) turn(ctx context.Context, s *tracked) result {
	res, err := r.tryTurn(ctx, s)
	res.err = err
	if s.inPlace() && (res.wake == 0 || res.wake > r.times.poll) { // no event need tell of what is written
		res.wake = r.times.poll
	}
	return res
}

func (r *reader) tryTurn(ctx context.Context, s *tracked) (result, error) {
	if s.out.ID() != "" {
		if err := s.out.Announce(ctx); err != nil {
			return result{}, err
		}
	}
	if s.telling {
		return result{how: away}, r.reportMissing(ctx, s)
	}
	if s.gone && s.out.ID() == "" { // the run must know the id before a receipt can come
		return result{how: more}, r.openUnread(ctx, s)
	}
	if s.gone {
		return result{}, r.finish(ctx, s)
	}
	if s.f == nil {
		if how, err := s.reopen(r.roots); how != idle || err != nil {
			return result{how: how}, err
		}
	}
	former := s.out.ID() != "" && s.out.Type() != r.env.Type
	if former && s.out.Off() < s.out.Sent() {
		s.out.Await()
	}
	if err := r.resend(ctx, s); errors.Is(err, errChanged) {
		return result{how: replaced}, nil
	} else if err != nil {
		return result{}, err
	}
	if err := r.look(s); err != nil {
		return result{}, err
	}
	if former && s.out.Settled() < s.out.Sent() {
		return result{wake: r.times.poll}, nil // nothing of it may be in both types' tables
	}
	if former {
		if err := s.out.Retype(); err != nil {
			return result{}, err
		}
		s.begin = s.out.Begin()
		return result{how: more}, nil // which announces it
	}
	if s.info.Size < max(s.out.Off(), s.out.Sent()) || s.out.Sent() == s.begin && s.info.Size < s.goodSize {
		return result{how: replaced}, nil // in the second case, before anything was sent of it
	}
	if s.out.ID() == "" {
		if s.isUnread() && s.path != "" {
			return result{}, nil
		}
		if s.isUnread() { // no event tells of what is written to it
			return result{wake: r.times.poll}, nil
		}
		if ripe, wait, err := r.isRipe(s); err != nil || !ripe {
			return result{wake: max(0, wait)}, err
		}
		how, err := r.open(ctx, s)
		if s.out.ID() != "" && how == idle && err == nil {
			how = more // the run must know the id before a receipt can come
		}
		return result{how: how}, err
	}
	how, err := r.read(ctx, s)
	if err != nil || how != idle {
		return result{how: how}, err
	}
	return r.rest(ctx, s)
}

// look takes note of the file's size and links, and of where its data ends. What
// is read after that is before the end, so that no NUL is read that is about to
// be written over.
func (r *reader) look(s *tracked) error {
	info, err := ident.Fstat(s.f)
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.path, err)
	}
	s.info = info
	if _, err := r.cutterFor(s); err != nil {
		return err
	}
	end, err := s.dataEnd(&info)
	if err != nil {
		return err
	}
	now := time.Now()
	if s.zeros != nil {
		s.zeros.note(end, now, r.times.poll)
	}
	if end != s.end {
		s.end, s.grewAt = end, now
	}
	s.out.SetSize(end)
	return nil
}

// read sends what the file holds past off, up to the last record's border.
func (r *reader) read(ctx context.Context, s *tracked) (outcome, error) {
	lent := r.buffers.Get().(*[]byte)
	defer r.buffers.Put(lent)
	buf := *lent
	for turn := 0; turn < turnBytes; {
		if s.out.Off() >= s.end {
			return s.verify()
		}
		n, eof, how, err := r.readOnce(ctx, s, buf, cut.None)
		if how != idle || err != nil {
			return how, err
		}
		if n == 0 && !eof { // one record, longer than the buffer
			if want := r.enough(); len(buf) < want {
				buf = make([]byte, want)
				continue
			}
		}
		if eof {
			return idle, nil
		}
		turn += n
	}
	return more, nil
}

// verify makes sure that a file that did not grow was not written anew.
func (s *tracked) verify() (outcome, error) {
	if s.out.Sent() == 0 {
		return idle, nil
	}
	same, err := ident.SameTail(s.f, s.out.Sent(), s.out.Tail())
	if err != nil {
		return idle, fmt.Errorf("read %s before %d: %w", s.path, s.out.Sent(), err)
	}
	if !same {
		return replaced, nil
	}
	return idle, nil
}

// readOnce reads once, together with the bytes before off, which show whether
// the file is still what it was, and sends what is cut off. eof says that the
// end of the data was seen.
func (r *reader) readOnce(ctx context.Context, s *tracked, buf []byte, flush cut.Flush) (sent int, eof bool, how outcome, err error) {
	before := int(min(s.out.Off(), ident.MaxTail))
	at := s.out.Off() - int64(before)
	n, err := s.f.ReadAt(buf[:max(0, min(int64(len(buf)), s.end-at))], at)
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, false, idle, fmt.Errorf("read %s at %d: %w", s.path, s.out.Off(), err)
	}
	eof = errors.Is(err, io.EOF) || at+int64(n) >= s.end
	if n < before || s.out.Off() == s.out.Sent() && s.out.Sent() > 0 && ident.Sum(buf[:before]) != s.out.Tail() ||
		s.out.Sent() == 0 && !s.ident.SameHead(buf[:n]) { // written anew before the first byte was sent
		return 0, eof, replaced, nil
	}
	if s.out.Off() < s.out.Sent() { // these bytes were sent before: they must be the same ones
		same, err := s.sameSent()
		if err != nil || !same {
			return 0, eof, replaced, err
		}
	}
	s.goodSize = s.end
	cutter, err := r.cutterFor(s)
	if err != nil {
		return 0, eof, idle, err
	}
	if s.zeros != nil {
		if sure := before + s.zeros.certain(buf[before:n], s.out.Off(), s.width()); sure < n {
			n, eof = sure, true
		}
	}
	for at := before; ; {
		from, err := r.from(s, cutter, s.out.Off(), buf[:at])
		if err != nil {
			return sent, eof, idle, err
		}
		c := cutter.Next(buf[at:n], from, flush, r.borders)
		if c.Borders != nil {
			r.borders = c.Borders[:0]
		}
		if c.N == 0 {
			return sent, eof, idle, nil
		}
		end := at + c.N
		if err := r.send(ctx, s, buf[:end], c); err != nil {
			return sent, eof, idle, err
		}
		sent += c.N
		at = end
	}
}

// send hands over one chunk: the last c.N bytes of buf, which also holds what
// comes before them.
func (r *reader) send(ctx context.Context, s *tracked, buf []byte, c cut.Cut) error {
	first, sent := s.out.Off(), s.out.Sent()
	end := first + int64(c.N)
	if end > sent {
		if err := r.growHead(s, end); err != nil {
			return err
		}
	}
	ch := chunk.Chunk{
		First: first, Last: end, Tags: c.Part.Tags(), Borders: c.Borders, Body: buf[len(buf)-c.N:], Encoding: s.encoding,
	}
	err := s.out.Data(ctx, ch, ident.Sum(buf[len(buf)-int(min(end, ident.MaxTail)):]))
	if s.out.Sent() > sent { // journalled, also if it was not taken
		s.mark()
		if c.Part == cut.Whole || c.Part == cut.Last {
			err = errors.Join(err, s.markBorder())
		}
	}
	return err
}
