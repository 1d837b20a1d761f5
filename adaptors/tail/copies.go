package tail

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// maxElsewhere bounds how many files of the same name and head one that is new
// is compared with.
const maxElsewhere = 64

// copyOf finds the lost stream whose bytes the file holds. all says that it
// holds only bytes that were sent: the copy was made before the last of them
// were written to the original, and nothing of it is to be read.
func (k *catalog) copyOf(c *candidate) (s *stream, all bool) {
	for _, s := range append(k.lost.alike(c), k.others.alike(c)...) {
		if s.holder != "" {
			continue
		}
		if s.out.Sent() == 0 && (s.ident.HeadLen == 0 || c.end < s.goodSize) { // nothing but its head is known
			continue
		}
		if !s.ident.SameHead(c.head) || s.ident.Birth != 0 && c.info.Birth != 0 && c.info.Birth < s.ident.Birth {
			continue
		}
		if s.reason != "" && s.ident.SameInode(&c.info) { // written anew with the same bytes, not copied
			continue
		}
		if s.ident.HeadLen < ident.MaxHead && !related(s.ident.Path, c.path) && !related(s.out.Source(), c.path) {
			continue
		}
		same, err := s.sameBytes(c.f, c.info.Size)
		if err != nil {
			continue
		}
		if same {
			return s, false
		}
		if s.isNear(c) && s.reason != "" && c.info.Size < s.out.Sent() && (k.heldFor(c, s) || s.endsAsSent(c.f, c.end)) {
			return s, true
		}
	}
	return nil, false
}

// isNear reports whether the file has a name that rotation gives a copy, be it in
// another folder.
func (s *stream) isNear(c *candidate) bool {
	return related(s.ident.Path, c.path) || related(filepath.Base(s.out.Source()), filepath.Base(c.path))
}

// heldFor reports whether a file was seen to be a copy of the stream's while
// that was whole.
func (k *catalog) heldFor(c *candidate, s *stream) bool {
	h := k.suspects[c.path]
	return h != nil && h.key == c.info.Key() && h.of == s && h.exact
}

// copyOfLive finds the stream of whose file this is a copy: one on its way, or
// one that is all that is left of a deleted file.
func (k *catalog) copyOfLive(c *candidate) (v verdict, ok bool) {
	of := k.original(c)
	if of == nil {
		return verdict{}, false
	}
	if v, ok := k.movedByCopy(of, c); ok {
		return v, true
	}
	h := k.suspects[c.path]
	// While the original is not where it was, or not what it was, that decides,
	// as soon as it is noticed.
	if k.waitedFor(c) && !of.Busy() && (of.path == "" || of.isWhole()) {
		return verdict{}, false
	}
	// In this order: the original must still be the stream's, and not what was
	// written anew in its place.
	exact := (!h.is(c) || !h.exact) && !of.Busy() && of.path != "" && samePrefix(of.path, c.f, c.info.Size) && of.isWhole()
	return verdict{is: maybeCopy, of: of, exact: exact}, true
}

// original finds the live stream of whose file this may be a copy: by its name
// in the same folder, or, as rotation into a folder of its own makes them, by
// its name and full head in another one.
func (k *catalog) original(c *candidate) (of *stream) {
	originals(c.path, func(path string) bool {
		for _, s := range k.live.byOrigin[path] {
			if s.mayHaveCopy(c) {
				of = s
				return true
			}
		}
		return false
	})
	if of != nil || len(c.head) < ident.MaxHead {
		return of
	}
	left := maxElsewhere
	originals(c.path, func(path string) bool {
		for _, head := range [...]uint64{ident.Sum(c.head), 0} {
			for _, s := range k.live.byHead[headName{head, filepath.Base(path)}] {
				if left--; left < 0 {
					return true
				}
				if k.live.has(s) && s.origin != c.path && s.mayHaveCopy(c) {
					of = s
					return true
				}
			}
		}
		return false
	})
	return of
}

// movedByCopy reports what the copy of a deleted file is: where it holds all of
// it, the file was moved by a program that copies, and the stream goes on in
// the copy. If the deleted file may still be written to, or is longer than the
// copy, nothing of the copy is read: its stream begins at its end.
func (k *catalog) movedByCopy(s *stream, c *candidate) (v verdict, ok bool) {
	if s.Busy() || s.f == nil || s.path != "" || s.out.ID() == "" {
		return v, false
	}
	info, err := ident.Fstat(s.f)
	if err != nil || info.Links > 0 || !sameAs(s.f, c.f, min(info.Size, c.info.Size)) {
		return v, false
	}
	if info.Size > c.info.Size || mayGrow(s.f) != no {
		still := k.suspects[c.path].is(c) && time.Since(k.suspects[c.path].since) >= k.times.copies/4 // else it may be on its way
		return verdict{is: covered, of: s, begin: c.end}, info.Size >= c.info.Size && still
	}
	same, err := s.sameBytes(c.f, c.info.Size)
	return verdict{is: continues, of: s, begin: max(s.out.Sent(), s.end)}, err == nil && same
}

// isWhole reports whether the stream's path leads to its own file, with its
// bytes.
func (s *stream) isWhole() bool {
	f, err := ident.Open(s.path, 0)
	if err != nil {
		return errors.Is(err, fs.ErrPermission) // nothing tells that it is not
	}
	defer func() { _ = f.Close() }()
	info, err := ident.Fstat(f)
	if err != nil || info.Key() != s.key {
		return false
	}
	if s.out.ID() == "" {
		return info.Size >= s.goodSize
	}
	same, err := s.sameBytes(f, info.Size)
	return err == nil && same
}

// mayHaveCopy reports whether the file may be a copy of the stream's.
func (s *stream) mayHaveCopy(c *candidate) bool {
	if s.Busy() { // being read right now: compare afterwards, unless it is another one for sure
		id, known := s.identNow()
		return !known || id.Shared(c.head) > 0
	}
	if s.ident.Birth != 0 && c.info.Birth != 0 && c.info.Birth < s.ident.Birth {
		return false
	}
	return s.mayBe(c) || s.path != "" && samePrefix(s.path, c.f, c.info.Size)
}

// mayBe reports whether a file that is new may hold the stream's bytes, by what
// is known of them.
func (s *stream) mayBe(c *candidate) bool {
	if s.out.ID() == "" {
		return false
	}
	if c.info.Size < s.out.Sent() && tellsApart(c.head[:s.ident.Shared(c.head)]) {
		return true
	}
	if !s.ident.SameHead(c.head) {
		return false
	}
	if c.info.Size < s.out.Sent() {
		return s.ident.HeadLen == ident.MaxHead
	}
	same, err := s.sameBytes(c.f, c.info.Size)
	return err == nil && same
}

// samePrefix reports whether the file at path starts with all that f holds, as
// far as a look at f's first and last KiB tells.
func samePrefix(path string, f io.ReaderAt, size int64) bool {
	original, err := ident.Open(path, 0)
	if err != nil {
		return false
	}
	defer func() { _ = original.Close() }()
	return sameAs(original, f, size)
}

// sameAs reports whether the original starts with all that f holds, as
// samePrefix does.
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
