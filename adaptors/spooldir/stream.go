package spooldir

import (
	"cmp"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// entry is a name in a folder, as last seen.
type entry struct {
	path    string
	info    ident.Info
	since   time.Time // when it was first seen like this
	early   bool      // it was there at the first look
	arrived bool      // it appeared by a rename, and has not changed since
	retry   time.Time // not to be looked at before
	refused uint64    // version of the claims when it was left to another adaptor

	// Either whose file it is, or a stream that is not opened yet, and may never
	// be; nil: nothing is to be shown of the file.
	st  *stream
	out *replay.Stream
}

// shown is what a status has of the file.
func (e *entry) shown() *replay.Stream {
	if e.st != nil {
		return e.st.out
	}
	return e.out
}

// complete reports whether the file is all there; else it returns when it may be.
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
	out   *replay.Stream
	ident identity
	path  string // where the file is; empty: not found
	retry time.Time

	missing time.Time // since when the file is not found
	gone    bool      // it can't be read any more, as reason says
	reason  string

	released bool // others may have it: nothing of it may be sent or stored before it is taken back
}

func restore(env *adaptors.Env, k adaptors.Stream, id identity) *stream {
	s := &stream{out: replay.Restore(env, k), ident: id}
	s.out.Why = beginsLater
	if k.Settled < k.Sent { // it was set back
		s.out.Reopen()
	}
	s.ident.Done = id.Done && s.out.Ended()
	s.measure()
	return s
}

// beginsLater is why a stream does not begin with its file.
const beginsLater = "what comes before was read as another stream"

// measure sets the size that is shown.
func (s *stream) measure() {
	if s.ident.Packed {
		s.out.SetSize(s.out.Sent())
		return
	}
	s.out.SetSize(s.ident.Size)
}

// shownPath is where people look for the file.
func (s *stream) shownPath() string { return cmp.Or(s.path, s.out.Source()) }
