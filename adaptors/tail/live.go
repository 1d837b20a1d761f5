package tail

import (
	"path/filepath"
	"slices"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// liveSet holds the streams that have a file, or that are being finished. All
// lookups but all know only those that have a file.
type liveSet struct {
	all      map[*stream]bool
	byKey    map[ident.Key]*stream
	byPath   map[string]*stream   // where the file is now
	byOrigin map[string][]*stream // copies are named after it
	byHead   map[headName][]*stream
}

func newLiveSet() *liveSet {
	return &liveSet{
		all: map[*stream]bool{}, byKey: map[ident.Key]*stream{}, byPath: map[string]*stream{},
		byOrigin: map[string][]*stream{}, byHead: map[headName][]*stream{},
	}
}

func (l *liveSet) has(s *stream) bool { return l.all[s] }

// finish adds a stream that has no file any more.
func (l *liveSet) finish(s *stream) { l.all[s] = true }

// add adds a stream with its file.
func (l *liveSet) add(s *stream) {
	l.all[s] = true
	l.byKey[s.key] = s
	l.byOrigin[s.origin] = append(l.byOrigin[s.origin], s)
	l.index(s)
}

// index lets copies in other folders find the stream, by its head once that is
// full.
func (l *liveSet) index(s *stream) {
	now := headName{name: filepath.Base(s.origin)}
	if s.ident.HeadLen == ident.MaxHead {
		now.head = s.ident.Head
	}
	if now == s.indexed || l.byKey[s.key] != s {
		return
	}
	without(l.byHead, s.indexed, s)
	s.indexed = now
	l.byHead[now] = append(l.byHead[now], s)
}

// move notes that the stream's file is at a path now; empty: nowhere that
// matches. The stream may be busy, and s.path be the old one for a while.
func (l *liveSet) move(s *stream, path string) {
	if s.path != path && l.byPath[s.path] == s {
		delete(l.byPath, s.path)
	}
	if path != "" {
		l.byPath[path] = s
	}
}

// part takes the file away from a stream, which may remain to be finished.
func (l *liveSet) part(s *stream) {
	if l.byKey[s.key] == s {
		delete(l.byKey, s.key)
	}
	if l.byPath[s.path] == s {
		delete(l.byPath, s.path)
	}
	without(l.byOrigin, s.origin, s)
	without(l.byHead, s.indexed, s)
	s.indexed = headName{}
}

func (l *liveSet) remove(s *stream) {
	l.part(s)
	delete(l.all, s)
}

func without[K comparable](m map[K][]*stream, k K, s *stream) {
	if rest := slices.DeleteFunc(m[k], func(o *stream) bool { return o == s }); len(rest) > 0 {
		m[k] = rest
	} else {
		delete(m, k)
	}
}
