package spool

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/store"
)

// Lookup tells how many batches of a segment are durable in the spool; known
// is false when the segment is not, or no longer, in it.
func (s *Spool) Lookup(dataType string, id store.Segment) (blocks int, known bool) {
	s.mu.Lock()
	g := s.segments[key{dataType, id}]
	s.mu.Unlock()
	if g == nil {
		return 0, false
	}
	return g.Blocks(), true
}

func (s *Spool) all() []*Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*Segment, 0, len(s.segments))
	for _, g := range s.segments {
		all = append(all, g)
	}
	return all
}

// Status is what the spool holds.
type Status struct {
	Open, Sealed int       // segments
	Bytes        int64     // in both
	Oldest       time.Time // when the oldest segment was opened; zero without one
	Quarantined  int64     // bytes in quarantine
}

// Status looks at the spool now.
func (s *Spool) Status() Status {
	var st Status
	for _, g := range s.all() {
		if g.Sealed() {
			st.Sealed++
		} else {
			st.Open++
		}
		if st.Oldest.IsZero() || g.Opened.Before(st.Oldest) {
			st.Oldest = g.Opened
		}
	}
	s.mu.Lock()
	st.Bytes = s.bytes
	s.mu.Unlock()
	_ = filepath.WalkDir(s.quarantineRoot(), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				st.Quarantined += info.Size()
			}
		}
		return nil // what can't be looked at is not counted
	})
	return st
}
