package tail

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// replaced parts a stream from its file, whose bytes are others now: it was
// truncated. The stream goes on in a copy, where there is one.
func (r *run) replaced(s *stream) {
	path := s.path
	f := r.letGo(s)
	r.files.live.remove(s)
	r.turns.Forget(s)
	r.files.known[s.key] = nil
	if r.files.epochs[s.key] = s.first.Past; s.out.ID() != "" {
		r.files.epochs[s.key] = s.ident.PastWith()
	}
	if s.out.ID() != "" && s.mayBeCutBack(f, path) {
		r.markCut(s)
		r.files.known[s.key], s.seeking = s, true
	}
	s.path = ""
	s.lostAt = time.Now()
	if s.out.ID() != "" {
		s.reason = "the file was truncated or replaced"
		s.lostTo = max(s.out.Sent(), s.goodSize)
		r.files.lost.add(s)
	}
	r.goOnOpen(f, path, s.origin)
	r.truncated = append(r.truncated, s)
	r.look(path)
}

// findCopy looks for the copy of a truncated file, which may have appeared
// unseen until now.
func (r *run) findCopy(s *stream) {
	if s.out.ID() == "" { // nothing was sent, and nothing of it can be
		if s.goodSize <= s.begin || r.copied(s) {
			s.goodSize = s.begin
			r.forgo(s)
		} else {
			s.reason = "the file was truncated before it could be read"
			r.unfound = append(r.unfound, s)
		}
		return
	}
	r.find.ScanBelow(filepath.Dir(s.ident.Path), r.check)
	if r.files.lost.has(s) && s.ident.HeadLen == ident.MaxHead { // or in another folder
		if r.find.Blind() {
			r.find.Rescan(r.check)
		} else {
			r.drainEvents() // of the copy there is one by now
		}
	}
	for path := range r.files.suspects {
		r.check(path)
	}
	if !r.files.lost.has(s) {
		return
	}
	s.seeking = false
	if s.out.Off() < s.lostTo || s.out.Asked() { // before that is told, it is looked for everywhere
		r.scanNow = true
		r.unfound = append(r.unfound, s)
		return
	}
	r.finishReplaced(s)
}

// endUnfound ends the streams that were replaced with something unread, and of
// which no copy has been found for a while.
func (r *run) endUnfound(now time.Time) {
	r.unfound = slices.DeleteFunc(r.unfound, func(s *stream) bool {
		switch {
		case s.out.ID() == "" && r.copied(s):
			s.goodSize = s.begin
			r.forgo(s)
		case s.out.ID() != "" && !r.files.lost.has(s): // it goes on in a copy
		case now.Sub(s.lostAt) < r.times.copies:
			return false
		default:
			r.finishReplaced(s)
		}
		return true
	})
}

// look has a path looked at, soon.
func (r *run) look(path string) {
	if path != "" {
		r.looks = append(r.looks, path)
	}
}

// goOnOpen follows the new bytes of a file that was truncated and, meanwhile,
// deleted or renamed: nobody else can read them any more. Else it closes the
// file, which its path leads to.
func (r *run) goOnOpen(f *os.File, path, origin string) {
	if f == nil {
		return
	}
	c := candidate{named: cmp.Or(path, origin), f: f}
	defer c.close()
	var err error
	if c.info, err = ident.Fstat(f); err != nil || c.info.Size == 0 || r.files.live.byKey[c.info.Key()] != nil {
		return
	}
	if now, err := ident.Stat(c.named); err == nil && now.Key() == c.info.Key() {
		return // at the next look, if it is a suspect
	}
	if c.head, err = ident.ReadHead(f); err != nil || r.files.trim(&c) != nil || c.end == 0 {
		return
	}
	of, begin, _ := r.files.forkOf(&c)
	r.startFrom(&c, of, begin, false)
}

// copied reports whether a file may be the copy of one that was truncated before
// anything of it was read: it is a stream of its own then.
func (r *run) copied(s *stream) bool {
	r.find.ScanBelow(filepath.Dir(s.origin), r.check)
	for path, h := range r.files.suspects {
		if (related(s.origin, path) || h.of == s && h.exact) && h.size >= s.goodSize {
			return true
		}
	}
	for path, other := range r.files.live.byPath {
		if s.isCopiedTo(path, other) && other.out.Shown().Size >= s.goodSize && (other.Busy() || other.info.Birth >= s.info.Birth) {
			return true
		}
	}
	return false
}

// isCopiedTo reports whether another stream's file may be a copy of the one that
// this stream had and was never opened for: by its name, in another folder by that
// and a full head.
func (s *stream) isCopiedTo(path string, other *stream) bool {
	return related(s.origin, path) || related(filepath.Base(s.origin), filepath.Base(path)) &&
		s.first.HeadLen == ident.MaxHead && other.first.HeadLen == ident.MaxHead && other.first.Head == s.first.Head
}

// finishAllReplaced ends the streams that were replaced and of which no copy
// was found. One may have been renamed since the files were listed.
func (r *run) finishAllReplaced() {
	dirs := map[string]bool{}
	for s := range r.files.lost.all {
		if s.reason != "" {
			dirs[filepath.Dir(s.ident.Path)] = true
		}
	}
	for dir := range dirs {
		r.find.ScanBelow(dir, r.check)
	}
	for s := range r.files.lost.all {
		if s.reason != "" {
			r.finishReplaced(s)
		}
	}
}

// finishReplaced ends a stream whose bytes are nowhere any more.
func (r *run) finishReplaced(s *stream) {
	r.files.past.add(s, time.Now())
	r.files.lost.remove(s)
	r.files.live.finish(s)
	s.gone, s.seeking, s.lostTo = true, false, max(s.lostTo, s.out.Sent(), s.goodSize)
	r.board.Show(s.out, shownPath(s))
	r.turns.enqueue(s)
}

// vanished parts a stream from its file, which is not where it was. It may be
// found again.
func (r *run) vanished(s *stream) {
	if s.gone {
		return
	}
	path := s.path
	r.close(s)
	r.files.live.remove(s)
	r.turns.Forget(s)
	s.path = ""
	if s.out.ID() == "" {
		r.forgo(s)
	} else {
		s.lostAt, s.told = time.Now(), false
		r.files.lost.add(s)
		r.board.Hide(s.out)
	}
	r.look(path)
}

// forgo drops a stream that was never opened.
func (r *run) forgo(s *stream) {
	if s.mustOpen && r.firstStart {
		r.opening--
	}
	s.mustOpen = false
	r.forget(s)
	if s.path = ""; s.goodSize > s.begin { // it may have been renamed, and come again
		s.lostAt = time.Now()
		r.files.limbo[s.key] = s
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
	forget := s.ident.Gone != 0 && now.Sub(time.Unix(s.ident.Gone, 0)) >= r.times.forget
	tell := !s.told && (s.out.Off() < max(s.out.Sent(), s.goodSize) || s.out.Asked())
	if s.ident.Gone != 0 && !forget && !tell {
		return
	}
	if s.released {
		own, err := r.take(s)
		if err != nil || own == nil {
			return // it is tried again, or another adaptor has found it
		}
		s = own
	}
	if s.ident.Gone == 0 {
		id := s.ident
		id.Gone = now.Unix()
		r.remember(s, id)
	}
	reason := "the file was deleted or moved away before all of it was secured"
	switch {
	case forget:
		s.reason = reason
		r.finishReplaced(s)
	case tell:
		r.files.lost.remove(s)
		r.files.live.finish(s)
		r.files.telling[s] = true
		s.telling, s.reason = true, reason
		r.turns.enqueue(s)
	}
}

// tellLimbo tells what is lost with files that were never read, and that were
// not found by another name for a while.
func (r *run) tellLimbo(now time.Time) {
	for _, s := range r.files.limbo {
		if now.Sub(s.lostAt) >= r.times.still {
			r.tellUnread(s)
		}
	}
}

func (r *run) tellUnread(s *stream) {
	delete(r.files.limbo, s.key)
	s.reason = "the file was deleted or moved away before it could be read"
	s.lostTo = s.goodSize
	r.finishReplaced(s)
}
