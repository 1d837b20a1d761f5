package tail

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// maxCompared bounds the unread bytes of a file that are compared with those of
// the one that took its place.
const maxCompared = 8 << 20

// replacementOf finds the live stream whose file was at the candidate's path
// and was replaced by it: rsync, an editor or sed -i wrote a file anew that
// begins with all that the old one held. The stream goes on in it. A file that
// is so far the beginning of the old one is waited for: it may be on its way.
//
// In a rotation the new file is a new one, even if it begins with the same
// lines; so what became of the old one decides, not the bytes alone.
func (k *catalog) replacementOf(c *candidate) (v verdict, ok bool) {
	for _, s := range k.before(c) {
		if s.Busy() { // being read right now: look afterwards, unless it is another one for sure
			if id, known := s.identNow(); !known || len(c.head) < id.HeadLen || id.SameHead(c.head) {
				return verdict{is: maybeCopy, of: s, place: true}, true
			}
			continue
		}
		if k.mountedAnew(s, c) {
			return verdict{is: continues, of: s, anew: true}, true
		}
		if s.f == nil {
			continue
		}
		info, err := ident.Fstat(s.f)
		if err != nil {
			continue
		}
		end, err := s.dataEnd(&info)
		if err != nil || !sameAs(s.f, c.f, min(end, c.end)) {
			continue
		}
		took := k.tookPlaceOf(s, &info, c)
		switch {
		case took == no:
		case took == yes && c.end >= end && s.isIn(c, end):
			return verdict{is: continues, of: s, begin: end}, true
		case !k.waitedFor(c) && (took == unknown || c.end < end):
			return verdict{is: maybeCopy, of: s, place: true}, true
		}
	}
	return verdict{}, false
}

// mountedAnew reports whether the stream's file is the candidate, which is on a
// device of another number: a network file system or the like went away and came
// back. Where it numbers its inodes anew, too, a full head is asked for.
func (k *catalog) mountedAnew(s *stream, c *candidate) bool {
	if s.out.ID() == "" || c.info.Dev == s.key.Dev || !s.ident.SameInode(&c.info) && s.ident.HeadLen < ident.MaxHead {
		return false
	}
	same, err := s.sameBytes(c.f, c.info.Size)
	return err == nil && same
}

// before returns the live streams whose file was at the candidate's path until
// now, as far as is known.
func (k *catalog) before(c *candidate) []*stream {
	var out []*stream
	if h := k.suspects[c.path]; h != nil && h.place && k.live.has(h.of) {
		out = append(out, h.of)
	}
	for _, s := range k.live.byOrigin[c.path] {
		if s.path == "" || s.Busy() || isBackup(c.path, s.path) {
			out = append(out, s)
		}
	}
	if c.was != nil && k.live.has(c.was) {
		out = append(out, c.was)
	}
	out = slices.DeleteFunc(out, func(s *stream) bool { return s.aside })
	return slices.Compact(out)
}

// tookPlaceOf decides whether the stream's file, which is open, lay where the
// candidate is now, and was replaced rather than rotated or deleted: it was
// renamed to a backup's name, or unlinked by the rename of the candidate. That
// is known if the candidate was made before, or, where the folder is watched,
// if no event told of the old file's end; where neither tells, files of a KiB
// or more are taken for replaced if the times allow it. Short ones with the same
// bytes are common. unknown: events may be on their way.
func (k *catalog) tookPlaceOf(s *stream, old *ident.Info, c *candidate) answer {
	now, err := filepath.EvalSymlinks(c.path)
	if err != nil {
		return no
	}
	long := len(c.head) == ident.MaxHead
	was, deleted := strings.CutSuffix(nameOf(s.f), " (deleted)")
	switch {
	case isBackup(now, was) && long:
		return yes
	case deleted && was == now && old.Links > 0 && hasBackup(now, old) && (long || c.info.Birth != 0 && c.info.Birth < old.Changed):
		return yes // the backup is a hard link, and the path leads elsewhere since
	case !deleted || was != now || old.Links > 0 || s.leftPath:
		return no
	case c.info.Birth != 0 && c.info.Birth < old.Changed:
		return yes
	case k.watched && old.Changed > k.overflow:
		// Events come in their order: one of a deletion would have come before.
		if h := k.suspects[c.path]; s.overPath && h.is(c) && h.of == s && time.Since(h.since) >= k.times.copies/20 {
			return yes
		}
		return unknown
	case long && c.info.Birth <= old.Changed:
		return yes
	}
	return no
}

// hasBackup reports whether the file that was at a path has a backup's name beside
// it: rsync --backup makes a hard link.
func hasBackup(path string, file *ident.Info) bool {
	beside, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return false
	}
	return slices.ContainsFunc(beside, func(e os.DirEntry) bool {
		name := filepath.Join(filepath.Dir(path), e.Name())
		if !isBackup(path, name) {
			return false
		}
		info, err := ident.Stat(name)
		return err == nil && info.Key() == file.Key()
	})
}

// nameOf is the path of an open file, as the kernel knows it; empty: unknown.
func nameOf(f *os.File) string {
	path, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		return ""
	}
	return path
}

// isIn reports whether the candidate begins with all of the stream's file, which
// is open and whose data ends there: also with what is not read yet.
func (s *stream) isIn(c *candidate, end int64) bool {
	if s.out.ID() != "" {
		if same, err := s.sameBytes(c.f, c.info.Size); err != nil || !same || end < s.out.Sent() {
			return false
		}
	}
	from := max(s.out.Sent(), s.begin)
	if end-from > maxCompared {
		from = end - maxCompared
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for from < end {
		n := min(end-from, int64(len(a)))
		if _, err := s.f.ReadAt(a[:n], from); err != nil && err != io.EOF {
			return false
		}
		if _, err := c.f.ReadAt(b[:n], from); err != nil && err != io.EOF {
			return false
		}
		if !bytes.Equal(a[:n], b[:n]) {
			return false
		}
		from += n
	}
	return true
}
