package spooldir

import (
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// entry is a name in a folder, as last seen.
type entry struct {
	path    string
	info    ident.Info
	since   time.Time // when it was first seen like this
	arrived bool      // it appeared by a rename, and has not changed since
	st      *stream   // whose file it is; nil: not known yet
	retry   time.Time // not to be looked at before
}

// complete tells that the file is all there; else when it may be.
func (e *entry) complete(now time.Time, settle time.Duration) (bool, time.Time) {
	modified := time.Unix(0, e.info.Modified)
	at := e.since.Add(settle) // also where the file's time lies ahead
	if !modified.After(now) && modified.Add(settle).Before(at) {
		at = modified.Add(settle)
	}
	return e.arrived || !at.After(now), at
}

// stream is one file, or what was appended to one that was read before. Its
// states: it is read; it ended, its End sent; it is done, its End settled. One
// that is done is kept so that its file is known.
type stream struct {
	id     string
	source string // the path the file had at first
	ident  identity
	path   string // where the file is; empty: not found

	begin     int64
	beginSent bool
	off       int64 // read and handed over
	sent      int64 // journalled
	tail      uint64
	ended     bool // stored as ended
	endSent   bool
	endMoved  bool // a receipt came after the End
	resend    []chunk.Range
	retry     time.Time

	missing time.Time // since when the file is not found
	gone    bool      // it can't be read any more, as reason says
	reason  string
	leave   bool // its file belongs to a younger stream, too: it is left alone

	size, read, settled atomic.Int64
}

func restore(k adaptors.Stream, id identity) *stream {
	s := &stream{
		id: k.ID, source: k.Source, ident: id, begin: k.Begin, beginSent: k.Begin == 0 || k.Settled > k.Begin,
		off: k.Settled, sent: max(k.Sent, k.Begin), tail: k.Tail, ended: k.Ended && k.Settled >= k.Sent,
	}
	s.ident.Done = id.Done && s.ended // else it was set back
	s.settled.Store(k.Settled)
	s.read.Store(k.Settled)
	s.measure()
	return s
}

// measure sets the size that is shown.
func (s *stream) measure() {
	if s.ident.Packed {
		s.size.Store(s.sent)
		return
	}
	s.size.Store(s.ident.Size)
}

func (s *stream) stored() adaptors.Stream {
	return adaptors.Stream{
		ID: s.id, Source: s.source, Identity: s.ident.encode(), Begin: s.begin,
		Settled: s.settled.Load(), Sent: s.sent, Tail: s.tail, Ended: s.ended,
	}
}

// secured tells that all of the stream, its End too, is settled.
func (s *stream) secured() bool {
	return s.ended && s.endSent && s.endMoved && s.settled.Load() >= s.off && len(s.resend) == 0
}
