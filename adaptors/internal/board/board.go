// Package board holds what the status of an adaptor shows.
package board

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

const (
	maxListed = 1000            // streams, and things that are skipped, in a status
	maxNotes  = 10 * maxListed  // that are kept
	warnings  = 5 * time.Second // between two of what fails, at least: a full disk makes all files fail at once, and the log may be on it
)

// Board is safe for concurrent use; the zero value is ready.
type Board struct {
	mu      sync.Mutex
	streams map[*replay.Stream]string // and their paths
	skipped map[string]string         // path to reason
	lastErr string
	errOf   *replay.Stream
	warned  time.Time
	warning string // what was warned of last; empty: it is over
}

// Clear takes everything down.
func (b *Board) Clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams, b.skipped, b.lastErr, b.errOf, b.warning = nil, nil, "", nil, ""
}

// Show lists a stream, which need not be open, with a path.
func (b *Board) Show(s *replay.Stream, path string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.streams == nil {
		b.streams = map[*replay.Stream]string{}
	}
	b.streams[s] = path
}

// Hide takes a stream down, and the last error if it is the stream's.
func (b *Board) Hide(s *replay.Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.streams, s)
	b.well(s)
}

// Skip notes why a path is not read; an empty reason takes the note down. news
// reports whether the reason is another than before.
func (b *Board) Skip(path, reason string) (news bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if reason == "" {
		delete(b.skipped, path)
		return false
	}
	if b.skipped[path] == reason || len(b.skipped) >= maxNotes {
		return false
	}
	if b.skipped == nil {
		b.skipped = map[string]string{}
	}
	b.skipped[path] = reason
	return true
}

// Unskip takes down the notes of the paths that are away.
func (b *Board) Unskip(away func(path string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for path := range b.skipped {
		if away(path) {
			delete(b.skipped, path)
		}
	}
}

// Fail shows an error; s is nil where it is no stream's. warn reports whether it
// is to be logged: it is another than the last that was, and that is a while ago.
func (b *Board) Fail(s *replay.Stream, err error) (warn bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastErr, b.errOf = err.Error(), s
	now := time.Now()
	if b.lastErr == b.warning || now.Sub(b.warned) < warnings {
		return false
	}
	b.warned, b.warning = now, b.lastErr
	return true
}

// Well takes the last error down if it is the stream's.
func (b *Board) Well(s *replay.Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.well(s)
}

func (b *Board) well(s *replay.Stream) {
	if b.errOf == s {
		b.lastErr, b.errOf, b.warning = "", nil, ""
	}
}

// Lag is what Status tells in LagBytes and LastErr, for less: where there are
// many streams it is asked for every few seconds.
func (b *Board) Lag() (bytes int64, lastErr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.streams {
		src := s.Shown()
		bytes += max(0, src.Size-src.Settled)
	}
	return bytes, b.lastErr
}

// Status lists the streams, the furthest behind first.
func (b *Board) Status() adaptors.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := adaptors.Status{LastErr: b.lastErr}
	for s, path := range b.streams {
		src := s.Shown()
		src.Path = ident.Text(path)
		out.LagBytes += max(0, src.Size-src.Settled)
		out.Sources = append(out.Sources, src)
	}
	slices.SortFunc(out.Sources, func(a, b adaptors.Source) int {
		return cmp.Or(cmp.Compare(b.Size-b.Settled, a.Size-a.Settled), cmp.Compare(a.Path, b.Path), cmp.Compare(a.Stream, b.Stream))
	})
	out.Sources = out.Sources[:min(len(out.Sources), maxListed)]
	for path, reason := range b.skipped {
		out.Skipped = append(out.Skipped, adaptors.Skipped{Path: ident.Text(path), Reason: reason})
	}
	slices.SortFunc(out.Skipped, func(a, b adaptors.Skipped) int { return cmp.Compare(a.Path, b.Path) })
	out.Skipped = out.Skipped[:min(len(out.Skipped), maxListed)]
	return out
}
