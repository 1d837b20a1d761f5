package tail

import (
	"bytes"
	"cmp"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// held is a file that is so far the same as another one that is being
// followed.
type held struct {
	key   ident.Key
	of    *stream // that it was the beginning of, byte for byte; nil: not known
	size  int64
	since time.Time // still since then
	next  time.Time // look again
}

// copyOf finds the lost stream whose bytes the file holds. covered says that
// it holds only bytes that were sent: the copy was made before the last of
// them were written to the original, and nothing of it is to be read.
func (r *run) copyOf(c *candidate, f io.ReaderAt) (s *stream, covered bool) {
	for _, s := range r.lost.alike(c) {
		if s.sent == 0 || !s.ident.SameHead(c.head) || s.ident.Birth != 0 && c.info.Birth != 0 && c.info.Birth < s.ident.Birth {
			continue
		}
		near := related(s.ident.Path, c.path) || related(s.source, c.path)
		if !near && s.ident.HeadLen < ident.MaxHead {
			continue
		}
		near = near || related(filepath.Base(s.source), filepath.Base(c.path))
		same, err := s.sameBytes(f, c.info.Size)
		if err != nil {
			continue
		}
		if same {
			return s, false
		}
		if near && s.reason != "" && c.info.Size < s.sent && (r.heldFor(c, s) || s.endsAsSent(f, c.info.Size)) {
			return s, true
		}
	}
	return nil, false
}

// heldFor tells that a file was seen to be a copy of the stream's while that
// was whole.
func (r *run) heldFor(c *candidate, s *stream) bool {
	h := r.held[c.path]
	return h != nil && h.key == c.info.Key() && h.of == s
}

// hold tells whether the file may be a copy on its way, and must wait.
func (r *run) hold(c *candidate, f io.ReaderAt) bool {
	var of *stream
	originals(c.path, func(path string) bool {
		for _, s := range r.byOrigin[path] {
			if r.suspect(s, c, f) {
				of = s
				return true
			}
		}
		return false
	})
	h := r.held[c.path]
	if of == nil {
		of = r.elsewhere(c, f)
	}
	if of == nil {
		delete(r.held, c.path)
		return false
	}
	if r.goesOn(of, c, f) {
		return true
	}
	now := time.Now()
	if h == nil || h.key != c.info.Key() || h.size != c.info.Size {
		h = &held{key: c.info.Key(), size: c.info.Size, since: now}
		r.held[c.path] = h
	}
	// In this order: the original must still be the stream's, and not what was
	// written anew in its place.
	if h.of == nil && !of.busy && of.path != "" && samePrefix(of.path, f, c.info.Size) && of.isWhole() {
		h.of = of
	}
	if now.Sub(h.since) >= r.times.hold && !of.busy {
		delete(r.held, c.path)
		return false
	}
	h.next = now.Add(max(r.times.hold/20, time.Millisecond))
	return true
}

// isWhole tells whether the stream's path leads to its own file, with its bytes.
func (s *stream) isWhole() bool {
	f, err := ident.Open(s.path, 0)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	info, err := ident.Fstat(f)
	if err != nil || s.id == "" || !s.ident.SameInode(&info) {
		return false
	}
	same, err := s.sameBytes(f, info.Size)
	return err == nil && same
}

// suspect tells whether the file may be a copy of the stream's.
func (r *run) suspect(s *stream, c *candidate, f io.ReaderAt) bool {
	if s.busy { // being read right now: compare afterwards, unless it is another one for sure
		id, known := s.identNow()
		return !known || id.SameHead(c.head)
	}
	if s.ident.Birth != 0 && c.info.Birth != 0 && c.info.Birth < s.ident.Birth {
		return false
	}
	if !s.mayBe(c, f) && (s.path == "" || !samePrefix(s.path, f, c.info.Size)) {
		return false
	}
	r.enqueue(s) // it may be truncated already
	return true
}

// mayBe tells whether a file that is new may hold the stream's bytes, by what
// is known of them.
func (s *stream) mayBe(c *candidate, f io.ReaderAt) bool {
	if s.id == "" || !s.ident.SameHead(c.head) {
		return false
	}
	if c.info.Size < s.sent {
		return s.ident.HeadLen == ident.MaxHead
	}
	same, err := s.sameBytes(f, c.info.Size)
	return err == nil && same
}

// samePrefix tells whether the file at path starts with all that f holds, as
// far as a look at f's first and last KiB tells.
func samePrefix(path string, f io.ReaderAt, size int64) bool {
	original, err := ident.Open(path, 0)
	if err != nil {
		return false
	}
	defer func() { _ = original.Close() }()
	return sameAs(original, f, size)
}

// sameAs tells whether the original starts with all that f holds, as samePrefix
// does.
func sameAs(original, f io.ReaderAt, size int64) bool {
	for _, at := range [...]int64{0, max(0, size-ident.MaxHead)} {
		a, b := make([]byte, min(size, ident.MaxHead)), make([]byte, min(size, ident.MaxHead))
		if _, err := original.ReadAt(a, at); err != nil && err != io.EOF {
			return false
		}
		if _, err := f.ReadAt(b, at); err != nil && err != io.EOF {
			return false
		}
		if !bytes.Equal(a, b) {
			return false
		}
	}
	return true
}

// replaced parts a stream from its file, whose bytes are others now: it was
// truncated. The stream goes on in a copy, where there is one.
func (r *run) replaced(s *stream) {
	path, key := s.path, s.key
	f := r.letGo(s)
	r.detach(s)
	delete(r.live, s)
	delete(r.waiting, s)
	defer func() { r.goOnOpen(f, path, s.origin) }()
	if s.id == "" { // nothing was sent, and nothing of it can be
		s.path = ""
		r.known[key] = true
		if r.copied(s) {
			s.goodSize = s.begin
		}
		if r.forgo(s); r.limbo[key] == s {
			delete(r.limbo, key)
			s.reason = "the file was truncated before it could be read"
			r.finishReplaced(s)
		}
		r.checkIf(path)
		return
	}
	s.path, s.lostAt = "", time.Now()
	s.reason = "the file was truncated or replaced"
	s.lostTo = max(s.sent, s.goodSize)
	r.lost.add(s)
	r.known[key] = true
	// The copy may have appeared unseen until now.
	r.find.ScanBelow(filepath.Dir(s.ident.Path), r.check)
	if r.lost.has(s) && s.ident.HeadLen == ident.MaxHead { // or in another folder
		if r.find.Blind() {
			r.find.Rescan(r.check)
		} else {
			r.drainEvents() // of the copy there is one by now
		}
	}
	for held := range r.held {
		r.check(held)
	}
	if r.lost.has(s) {
		r.finishReplaced(s)
	}
	r.checkIf(path)
}

func (r *run) checkIf(path string) {
	if path != "" {
		r.check(path)
	}
}

// goOnOpen follows the new bytes of a file that was truncated and, meanwhile,
// deleted or renamed: nobody else can read them any more. Else it closes the
// file, which its path leads to.
func (r *run) goOnOpen(f *os.File, path, origin string) {
	if f == nil {
		return
	}
	c := candidate{path: cmp.Or(path, origin), f: f}
	defer c.close()
	var err error
	if c.info, err = ident.Fstat(f); err != nil || c.info.Size == 0 || r.byKey[c.info.Key()] != nil {
		return
	}
	if now, err := ident.Stat(c.path); err == nil && now.Key() == c.info.Key() {
		return // at the next look, if it is held
	}
	if c.head, err = ident.ReadHead(f); err != nil || len(c.head) == 0 {
		return
	}
	other := r.byPath[c.path]
	s := r.start(&c, 0, false)
	r.setPath(s, "")
	if other != nil {
		r.byPath[c.path] = other
	}
}

// copied tells whether a file may be the copy of one that was truncated before
// anything of it was read: it is a stream of its own then.
func (r *run) copied(s *stream) bool {
	r.find.ScanBelow(filepath.Dir(s.origin), r.check)
	for path, h := range r.held {
		if related(s.origin, path) && h.size >= s.goodSize {
			return true
		}
	}
	for path, other := range r.byPath {
		if related(s.origin, path) && other.size.Load() >= s.goodSize && (other.busy || other.info.Birth >= s.info.Birth) {
			return true
		}
	}
	return false
}

// finishAllReplaced ends the streams that were replaced and of which no copy
// was found. One may have been renamed since the files were listed.
func (r *run) finishAllReplaced() {
	dirs := map[string]bool{}
	for s := range r.lost.all {
		if s.reason != "" {
			dirs[filepath.Dir(s.ident.Path)] = true
		}
	}
	for dir := range dirs {
		r.find.ScanBelow(dir, r.check)
	}
	for s := range r.lost.all {
		if s.reason != "" {
			r.finishReplaced(s)
		}
	}
}

// finishReplaced ends a stream whose bytes are nowhere any more.
func (r *run) finishReplaced(s *stream) {
	r.lost.remove(s)
	r.live[s] = true
	s.gone, s.lostTo = true, max(s.lostTo, s.sent, s.goodSize)
	r.board.show(s, shownPath(s))
	r.enqueue(s)
}

// vanished parts a stream from its file, which is not where it was. It may be
// found again.
func (r *run) vanished(s *stream) {
	if s.gone {
		return
	}
	path := s.path
	r.close(s)
	r.detach(s)
	delete(r.live, s)
	delete(r.waiting, s)
	s.path = ""
	if s.id == "" {
		r.forgo(s)
	} else {
		s.lostAt, s.told = time.Now(), false
		r.lost.add(s)
		r.board.hide(s)
	}
	r.checkIf(path)
}

// forgo drops a stream that was never opened.
func (r *run) forgo(s *stream) {
	if s.mustOpen && r.firstStart {
		r.opening--
	}
	s.mustOpen = false
	r.drop(s)
	if s.path = ""; s.goodSize > s.begin { // it may have been renamed, and come again
		s.lostAt = time.Now()
		r.limbo[s.key] = s
	}
}

// missing decides about a stream whose file was not found for some time. What
// was sent and is not settled counts as lost after a while: nobody can send it
// again. The stream itself is remembered for days, so that a file that comes
// back (a mount, a restored folder) is not read twice.
func (r *run) missing(s *stream, now time.Time) {
	if now.Sub(s.lostAt) < r.times.missing {
		return
	}
	if s.ident.Gone == 0 {
		id := s.ident
		id.Gone = now.Unix()
		r.remember(s, id)
	}
	reason := "the file was deleted or moved away before all of it was secured"
	switch {
	case now.Sub(time.Unix(s.ident.Gone, 0)) >= r.times.forget:
		s.reason = reason
		r.finishReplaced(s)
	case !s.told && (s.off < max(s.sent, s.goodSize) || s.hasResend()):
		r.lost.remove(s)
		r.live[s], r.telling[s] = true, true
		s.telling, s.reason = true, reason
		r.enqueue(s)
	}
}
