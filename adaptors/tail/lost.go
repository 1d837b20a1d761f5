package tail

import (
	"slices"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// lostSet holds the stored streams whose file is not found. A file that is new
// is compared with few of them, however many there are.
type lostSet struct {
	all    map[*stream]bool
	byIno  map[uint64][]*stream
	byHead map[uint64][]*stream // those with a full head
	byPath map[string][]*stream // where they were seen first and last
}

func newLostSet() *lostSet {
	return &lostSet{
		all: map[*stream]bool{}, byIno: map[uint64][]*stream{},
		byHead: map[uint64][]*stream{}, byPath: map[string][]*stream{},
	}
}

func (l *lostSet) has(s *stream) bool { return l.all[s] }

// add takes a stream whose identity stays as it is until remove, but for the
// time since when it is gone.
func (l *lostSet) add(s *stream) {
	if l.all[s] {
		return
	}
	l.all[s] = true
	l.byIno[s.ident.Ino] = append(l.byIno[s.ident.Ino], s)
	l.byPath[s.ident.Path] = append(l.byPath[s.ident.Path], s)
	if s.out.Source() != s.ident.Path {
		l.byPath[s.out.Source()] = append(l.byPath[s.out.Source()], s)
	}
	if s.ident.HeadLen == ident.MaxHead {
		l.byHead[s.ident.Head] = append(l.byHead[s.ident.Head], s)
	}
}

func (l *lostSet) remove(s *stream) {
	if !l.all[s] {
		return
	}
	delete(l.all, s)
	without(l.byIno, s.ident.Ino, s)
	without(l.byPath, s.ident.Path, s)
	without(l.byPath, s.out.Source(), s)
	without(l.byHead, s.ident.Head, s)
}

// sameInode returns the streams whose file had this inode.
func (l *lostSet) sameInode(info *ident.Info) []*stream {
	var out []*stream
	for _, s := range l.byIno[info.Ino] {
		if s.ident.SameInode(info) {
			out = append(out, s)
		}
	}
	return out
}

// alike returns the streams that a file may be a copy of: those with its full
// head, and those after whose path a rotation's copy would have its name.
func (l *lostSet) alike(c *candidate) []*stream {
	var out []*stream
	if len(c.head) == ident.MaxHead {
		out = append(out, l.byHead[ident.Sum(c.head)]...)
	}
	originals(c.path, func(path string) bool {
		for _, s := range l.byPath[path] {
			if !slices.Contains(out, s) {
				out = append(out, s)
			}
		}
		return false
	})
	return out
}
