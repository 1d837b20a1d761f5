package tail

import (
	"io"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// headName is what a copy in another folder is looked up by.
type headName struct {
	head uint64 // of MaxHead bytes; 0: not known to be so long yet
	name string // without its folder
}

// maxElsewhere bounds how many files of the same name and head one that is new
// is compared with.
const maxElsewhere = 64

// elsewhere finds the stream in another folder that the file may be a copy of,
// as rotation into a folder of its own makes.
func (r *run) elsewhere(c *candidate, f io.ReaderAt) (of *stream) {
	if len(c.head) < ident.MaxHead {
		return nil
	}
	left := maxElsewhere
	originals(c.path, func(path string) bool {
		for _, head := range [...]uint64{ident.Sum(c.head), 0} {
			for _, s := range r.byHead[headName{head, filepath.Base(path)}] {
				if left--; left < 0 {
					return true
				}
				if r.live[s] && s.origin != c.path && r.suspect(s, c, f) {
					of = s
					return true
				}
			}
		}
		return false
	})
	return of
}

// index lets copies in other folders find the stream, by its head once that is
// full.
func (r *run) index(s *stream) {
	now := headName{name: filepath.Base(s.origin)}
	if s.ident.HeadLen == ident.MaxHead {
		now.head = s.ident.Head
	}
	if now == s.indexed {
		return
	}
	without(r.byHead, s.indexed, s)
	s.indexed = now
	r.byHead[now] = append(r.byHead[now], s)
}

// goesOn lets a stream whose file was deleted go on in its copy, which holds
// all of it: the file was moved, by a program that copies. While somebody writes
// to the deleted file, or where it holds more, the copy starts at its end.
func (r *run) goesOn(s *stream, c *candidate, f io.ReaderAt) bool {
	if s.busy || s.f == nil || s.path != "" || s.id == "" {
		return false
	}
	info, err := ident.Fstat(s.f)
	if err != nil || info.Links > 0 || !sameAs(s.f, f, min(info.Size, c.info.Size)) {
		return false
	}
	if info.Size > c.info.Size || mayGrow(s) != no {
		if info.Size < c.info.Size || !r.isStill(c) {
			return false
		}
		r.start(c, c.info.Size, true)
		return true
	}
	if same, err := s.sameBytes(f, c.info.Size); err != nil || !same {
		return false
	}
	r.env.Log.Info("a deleted file goes on in a copy of it", "file", s.source, "copy", c.path, "stream", s.id)
	r.close(s)
	r.detach(s)
	delete(r.waiting, s)
	r.found(s, c)
	return true
}

// isStill tells whether a file that is held has not changed since it was looked
// at last: a copy may still be on its way.
func (r *run) isStill(c *candidate) bool {
	h := r.held[c.path]
	return h != nil && h.key == c.info.Key() && h.size == c.info.Size && time.Since(h.since) >= r.times.hold/4
}
