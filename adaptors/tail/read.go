package tail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
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
	if err := r.resend(ctx, s); errors.Is(err, errChanged) {
		return result{how: replaced}, nil
	} else if err != nil {
		return result{}, err
	}
	if err := r.look(s); err != nil {
		return result{}, err
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

// reopen opens the stream's file again and makes sure that it is still the
// same one.
func (s *tracked) reopen(roots adaptors.Roots) (outcome, error) {
	f, err := openIn(s.path, roots)
	if errors.Is(err, fs.ErrNotExist) {
		return vanished, nil
	}
	if err != nil {
		return idle, err
	}
	how, err := s.attach(f)
	if how != idle || err != nil {
		return how, errors.Join(err, f.Close())
	}
	return idle, nil
}

// attach takes an open file if it is the stream's own.
func (s *tracked) attach(f *os.File) (outcome, error) {
	info, err := ident.Fstat(f)
	if err != nil {
		return idle, fmt.Errorf("look at %s: %w", s.path, err)
	}
	if !info.Mode.IsRegular() {
		return vanished, nil
	}
	if s.out.ID() == "" { // nothing else is known of it that could differ
		if info.Key() != s.key {
			return vanished, nil
		}
		s.f, s.info = f, info
		return idle, nil
	}
	if !s.ident.SameInode(&info) {
		return vanished, nil
	}
	same, err := s.sameBytes(f, info.Size)
	if err != nil {
		return idle, fmt.Errorf("compare %s with what was sent of it: %w", s.path, err)
	}
	if !same {
		return replaced, nil
	}
	s.f, s.info = f, info
	return idle, nil
}

// sameBytes reports whether a file holds what was sent of the stream, as far as
// fingerprints tell.
func (s *tracked) sameBytes(f io.ReaderAt, size int64) (bool, error) {
	if size < s.out.Sent() || size < s.out.Off() {
		return false, nil
	}
	head, err := ident.ReadHead(f)
	if err != nil || !s.ident.SameHead(head) && !s.ident.Filled(head) {
		return false, err
	}
	if s.out.Sent() == 0 { // no tail
		return true, nil
	}
	return ident.SameTail(f, s.out.Sent(), s.out.Tail())
}

// openIn is ident.Open for files that lie in the roots: a symlink may have been
// made, or changed, since the path was looked at.
func openIn(path string, roots adaptors.Roots) (*os.File, error) {
	f, err := ident.Open(path, 0)
	if err != nil {
		return nil, err
	}
	if err := roots.HoldsFile(f); err != nil {
		_ = f.Close() // nothing was read
		return nil, err
	}
	return f, nil
}

// open stores the stream, durably, before its first byte is sent.
func (r *reader) open(ctx context.Context, s *tracked) (outcome, error) {
	head, err := ident.ReadHead(s.f)
	if err != nil {
		return idle, fmt.Errorf("read the head of %s: %w", s.path, err)
	}
	if len(head) == 0 {
		return replaced, nil // truncated since
	}
	cutter, err := r.cutterFor(s)
	if err != nil {
		return idle, err
	}
	head = head[:min(int64(len(head)), s.end)]
	if head[0] == 0 && s.begin == 0 {
		if s.zeros != nil && s.zeros.sure == 0 {
			s.decided = false
			return idle, nil // a record may just be coming there
		}
		if s.begin, err = ident.FirstData(s.f, s.end); err != nil {
			return idle, fmt.Errorf("look for the first data of %s: %w", s.path, err)
		}
		s.begin = cutter.Align(s.begin)
	}
	source := cmp.Or(s.path, s.origin) // it may be deleted already
	id := ident.New(source, &s.info, head)
	id.Size, id.Marks = s.end, s.ident.Marks
	if isLink(source) {
		id.Real, _ = filepath.EvalSymlinks(source) // only needed if the link is swapped while nobody looks
	}
	s.setIdent(id)
	before, err := ident.Window(s.f, s.begin)
	if errors.Is(err, io.EOF) {
		return replaced, nil
	}
	if err != nil {
		return idle, fmt.Errorf("read %s before %d: %w", s.path, s.begin, err)
	}
	err = s.out.Open(ctx, adaptors.Stream{Source: source, Identity: id.Encode(), Begin: s.begin, Tail: ident.Sum(before), Fork: s.fork})
	if err != nil {
		return idle, err
	}
	s.goodSize = s.end
	return idle, nil
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

// growHead lets the stored fingerprint of the head grow with the file until
// it is full, in a few steps.
func (r *reader) growHead(s *tracked, end int64) error {
	if !s.ident.Outgrown(int(min(end, ident.MaxHead))) {
		return nil
	}
	head, err := ident.ReadHead(s.f)
	if err != nil {
		return fmt.Errorf("read the head of %s: %w", s.path, err)
	}
	head = head[:min(int64(len(head)), s.end)]
	if len(head) <= s.ident.HeadLen || !s.ident.SameHead(head) {
		return nil // not what it was: the next read finds out
	}
	id := s.ident
	id.SetHead(head)
	id.Size = s.goodSize
	return s.update(id)
}

// markBorder remembers the border of records that was journalled last, for the
// case that the file is cut back to before it. Some such marks are stored.
func (s *tracked) markBorder() error {
	if !s.ident.Marks.Add(s.out.Sent(), s.out.Tail()) {
		return nil
	}
	if n := len(s.ident.Marks); n&(n-1) != 0 {
		return nil
	}
	return s.update(s.ident)
}

func (s *tracked) update(id ident.Identity) error {
	if err := s.out.Update(id.Encode()); err != nil {
		return err
	}
	s.setIdent(id)
	return nil
}
