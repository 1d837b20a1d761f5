package tail

import (
	"container/list"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// stream is one generation of one file. While it is busy, a reader alone
// touches it; else the run's goroutine alone. The last two groups are shared.
type stream struct {
	id     string // empty until it is opened, with the first byte
	source string // the path the file had when the stream was opened
	ident  ident.Identity
	fork   string // the stream that it goes on from, while it is not opened
	path   string // where the file is now; empty: nowhere that matches
	f      *os.File
	info   ident.Info // as last seen
	key    ident.Key  // of its file
	origin string     // source, or the path while there is none: copies are named after it

	begin     int64  // the stream starts here
	mustOpen  bool   // open it although there is no byte to send yet
	beginSent bool   // or there is nothing to tell
	sent      int64  // journalled; the file is the stream's as long as these bytes are in it
	tail      uint64 // fingerprint before sent
	off       int64  // read and handed over; at most sent
	marks     []mark // of the newest chunks
	encoding  string // of the text, an IANA name; empty: UTF-8
	decided   bool   // the file's head has told the encoding

	// gone: the bytes at off and past it can't be read any more. What lies
	// below lostTo was there.
	gone   bool
	lostTo int64
	reason string

	// The run's own of a lost stream.
	seeking bool // copies of its file are looked for
	emptied bool // its file was empty when it was seen
	ended   bool // journalled as ended

	awaited bool // a new file may be its continuation: it is not ended until that is known

	end      int64          // of the file's data, at the last look
	zeros    *zeros         // that the file ended with at some look; nil: never
	goodSize int64          // end when the file was last known to be the stream's
	first    ident.Identity // of the file when it was found, while the stream is not stored
	grewAt   time.Time      // when it was seen to change, at the earliest the start

	// The run's own, also while the stream is busy.
	busy     bool
	queued   bool
	again    bool      // something happened while it was busy
	grew     bool      // it was written to while it was busy
	turned   time.Time // when its last turn ended
	dueAt    time.Time // in run.due: when its next turn is, at the earliest
	due      bool
	newPath  *string
	leftPath bool // an event told that its file was deleted or renamed
	overPath bool // an event told that another file came to be there
	wakeAt   time.Time
	lru      *list.Element // of open files
	indexed  headName      // in run.byHead; no name: not there
	lostAt   time.Time     // since when it has no file, in the list of lost ones
	told     bool          // what was not settled of it was reported as lost
	telling  bool          // just being reported
	endMoved bool          // a receipt came after the End was sent

	size, read, settled atomic.Int64
	endSent             atomic.Bool

	mu     sync.Mutex
	shown  string         // id, for a status
	known  ident.Identity // ident, for a look at a busy stream
	resend []chunk.Range
}

func (s *stream) setID(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.shown = id, id
}

// idNow is the id, also while a reader may be opening the stream.
func (s *stream) idNow() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shown
}

func (s *stream) setIdent(id ident.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ident, s.known = id, id
}

// identNow is the identity, also while a reader may be changing it; ok is false
// while the stream has none.
func (s *stream) identNow() (id ident.Identity, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, s.known.HeadLen > 0
}

// stored is what the checkpoint has to know.
func (s *stream) stored() adaptors.Stream {
	return adaptors.Stream{
		ID: s.id, Source: s.source, Identity: s.ident.Encode(), Begin: s.begin,
		Settled: s.settled.Load(), Sent: s.sent, Tail: s.tail, Ended: s.ended,
	}
}

// restore makes the stream that a checkpoint speaks of; its file is to be
// found.
func restore(k adaptors.Stream, id ident.Identity, now time.Time) *stream {
	s := &stream{
		id: k.ID, source: k.Source, ident: id, known: id, begin: k.Begin, sent: max(k.Sent, k.Begin), tail: k.Tail,
		off: k.Settled, ended: k.Ended, grewAt: now, lostAt: now,
		beginSent: k.Begin == 0 || k.Settled > k.Begin,
	}
	s.shown = k.ID
	s.settled.Store(k.Settled)
	s.read.Store(k.Settled)
	s.size.Store(max(k.Sent, k.Settled))
	s.end = s.size.Load()
	s.goodSize = max(s.end, id.Size)
	return s
}

// mark is the fingerprint of the bytes before an offset.
type mark struct {
	at  int64
	sum uint64
}

const maxMarks = 8

// mark remembers where a chunk ended.
func (s *stream) mark() {
	if len(s.marks) == maxMarks {
		copy(s.marks, s.marks[1:])
		s.marks = s.marks[:maxMarks-1]
	}
	s.marks = append(s.marks, mark{s.sent, s.tail})
}

// endsAsSent tells whether a file ends where a chunk did, with its bytes.
func (s *stream) endsAsSent(f io.ReaderAt, size int64) bool {
	for _, m := range s.marks {
		if m.at == size {
			same, err := ident.SameTail(f, m.at, m.sum)
			return err == nil && same
		}
	}
	return false
}

// isUnread reports that there is nothing to read of a stream that is not stored.
func (s *stream) isUnread() bool { return s.id == "" && !s.mustOpen && s.end <= s.begin }

// moved tells that the file has left the path it was found at first: it was
// renamed, unlinked or is a copy that took the stream over.
func (s *stream) moved() bool { return s.path == "" || s.path != s.source }

// finished tells that nothing of the stream is left to be read or told.
func (s *stream) finished() bool { return s.gone && s.ended && s.endSent.Load() }

var rotated = regexp.MustCompile(`(\.\d+|[-.]\d{8}|\.old)$`)

// rotatedName tells that a file's name alone says that it was rotated.
func rotatedName(path string) bool { return rotated.MatchString(filepath.Base(path)) }

// takeResend empties the list of ranges to be sent again.
func (s *stream) takeResend() []chunk.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.resend
	s.resend = nil
	return out
}

func (s *stream) addResend(rs []chunk.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.resend = append(s.resend, rs...)
}

func (s *stream) hasResend() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.resend) > 0
}
