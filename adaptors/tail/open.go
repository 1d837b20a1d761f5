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

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

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
	if head = head[:min(int64(len(head)), s.end)]; len(head) == 0 {
		return replaced, nil // truncated since
	}
	if s.begin > 0 && !s.first.SameHead(head) { // written anew since: begin is not for these bytes
		return replaced, nil
	}
	cutter, err := r.cutterFor(s)
	if err != nil {
		return idle, err
	}
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
	s.info.AskGeneration(s.f)
	id := ident.New(source, &s.info, head)
	id.Size, id.Marks, id.Past = s.end, s.ident.Marks, s.first.Past
	if isLink(source) {
		id.Real, _ = filepath.EvalSymlinks(source) // only needed if the link is swapped while nobody looks
	}
	st := adaptors.Stream{Source: source, Begin: s.begin, Fork: s.fork, Doubt: s.doubt}
	r.name(s, &id, head, &st)
	s.setIdent(id)
	before, err := ident.Window(s.f, s.begin)
	if errors.Is(err, io.EOF) {
		return replaced, nil
	}
	if err != nil {
		return idle, fmt.Errorf("read %s before %d: %w", s.path, s.begin, err)
	}
	st.Identity, st.Tail = id.Encode(), ident.Sum(before)
	if err := s.out.Open(ctx, st); err != nil {
		return idle, err
	}
	s.goodSize = s.end
	return idle, nil
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
