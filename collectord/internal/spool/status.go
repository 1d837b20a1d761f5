package spool

import (
	"io/fs"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/store"
)

// Lookup returns how many batches of a segment are durable in the spool; known
// is false when the segment is not, or no longer, in it.
func (s *Spool) Lookup(dataType string, id store.Segment) (blocks int, known bool) {
	s.mu.Lock()
	o, g := s.open[key{dataType, id}], s.sealed[key{dataType, id}]
	s.mu.Unlock()
	switch {
	case o != nil:
		return o.secured().blocks, true
	case g != nil:
		return g.Blocks(), true
	}
	return 0, false
}

// Status is what the spool holds.
type Status struct {
	Open, Sealed int       // segments
	Bytes        int64     // in both
	Oldest       time.Time // when the oldest segment was opened; zero without one
	Quarantined  int64     // bytes in quarantine
	Types        int       // that have a place
	Refused      []string  // data types that found none within RefusedFor, sorted
}

// Status looks at the spool now.
func (s *Spool) Status() Status {
	s.mu.Lock()
	now := time.Now()
	st := Status{Open: len(s.open), Sealed: len(s.sealed), Bytes: s.bytes,
		Types: len(s.routes) + s.places.kept(now), Refused: s.places.list(now)}
	oldest := func(n Name) {
		if st.Oldest.IsZero() || n.Opened.Before(st.Oldest) {
			st.Oldest = n.Opened
		}
	}
	for _, o := range s.open {
		oldest(o.Name)
	}
	for _, g := range s.sealed {
		oldest(g.Name)
	}
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
