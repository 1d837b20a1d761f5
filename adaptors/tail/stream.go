package tail

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/adaptors/internal/turns"
)

// stream is one generation of one file.
type stream struct {
	// What a reader is given for a turn: the stream's reading is the reader's
	// while the stream is busy, and else the run's. All below is the run's alone.
	tracked

	// Its turns.
	turns.Turn
	grew   bool      // it was written to while it was busy
	turned time.Time // when its last turn ended
	due    bool
	dueAt  time.Time // in queue.due: when its next turn is, at the earliest

	// Its file.
	newPath  *string  // where it is now, while the stream is busy
	leftPath bool     // an event told that it was deleted or renamed
	overPath bool     // an event told that another file came to its path
	aside    bool     // its file was replaced, and another stream goes on in the new one
	indexed  headName // in liveSet.byHead; no name: not there

	// While it is lost.
	released bool      // others may take it
	holder   string    // the adaptor that has it, of a stream of another one
	lostAt   time.Time // since when
	told     bool      // what was not settled of it was reported as lost
	seeking  bool      // copies of its file are looked for
	emptied  bool      // its file was empty when it was seen
}

// tracked is a stream as its reader knows it: the file, and what was sent of it.
type tracked struct {
	out *replay.Stream

	ident   ident.Identity
	path    string // where the file is now; empty: nowhere that matches
	f       *os.File
	info    ident.Info     // as last seen
	key     ident.Key      // of its file
	origin  string         // where it was first: copies are named after it
	first   ident.Identity // of the file when it was found, while the stream is not opened
	awaited bool           // a new file may be its continuation: it is not ended until that is known

	begin    int64  // the stream starts here
	mustOpen bool   // open it although there is no byte to send yet
	early    bool   // the file was there when the agent's state began
	copied   bool   // it may be a copy of what another stream had
	fork     string // the stream that it goes on from, while it is not opened
	doubt    int64  // bytes below may be in the table already, under another stream
	marks    []mark // of the newest chunks
	encoding string // of the text, an IANA name; empty: UTF-8
	decided  bool   // the file's head has told the encoding

	end      int64     // of the file's data, at the last look
	zeros    *zeros    // that the file ended with at some look; nil: never
	goodSize int64     // end when the file was last known to be the stream's
	grewAt   time.Time // when it was seen to change, at the earliest the start

	// gone: the bytes where the stream is, and past it, can't be read any more.
	// What lies below lostTo was there.
	gone    bool
	telling bool // what is missing is reported, and the file may come back
	lostTo  int64
	reason  string

	mu    sync.Mutex
	known ident.Identity // ident, for a look at a busy stream
}

func (s *tracked) setIdent(id ident.Identity) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ident, s.known = id, id
}

// identNow returns the identity, also while a reader may be changing it; ok is
// false while the stream has none.
func (s *tracked) identNow() (id ident.Identity, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.known, s.known.HeadLen > 0
}

// restore makes the stream that a checkpoint holds; its file is to be found.
func restore(env *adaptors.Env, k adaptors.Stream, id ident.Identity, now time.Time) *stream {
	end := max(k.Sent, k.Settled)
	return &stream{tracked: tracked{
		out: replay.Restore(env, k), ident: id, known: id, begin: k.Begin, grewAt: now, end: end, goodSize: max(end, id.Size),
	}, lostAt: now, emptied: id.Emptied}
}

// mark is the fingerprint of the bytes before an offset.
type mark struct {
	at  int64
	sum uint64
}

const maxMarks = 8

// mark remembers where a chunk ended.
func (s *tracked) mark() {
	if len(s.marks) == maxMarks {
		copy(s.marks, s.marks[1:])
		s.marks = s.marks[:maxMarks-1]
	}
	s.marks = append(s.marks, mark{s.out.Sent(), s.out.Tail()})
}

// endsAsSent reports whether a file ends where a chunk did, with its bytes.
func (s *tracked) endsAsSent(f io.ReaderAt, size int64) bool {
	for _, m := range s.marks {
		if m.at == size {
			same, err := ident.SameTail(f, m.at, m.sum)
			return err == nil && same
		}
	}
	return false
}

// isUnread reports whether there is nothing to read of a stream that is not stored.
func (s *tracked) isUnread() bool { return s.out.ID() == "" && !s.mustOpen && s.end <= s.begin }

// grewUnseen reports whether there is something to read of an unread stream since
// the last look at its file, which is open.
func (s *tracked) grewUnseen() bool {
	info, err := ident.Fstat(s.f)
	return err == nil && s.holdsMore(&info)
}

// moved reports whether the file has left the path it was found at first: it was
// renamed, unlinked or is a copy that took the stream over.
func (s *tracked) moved() bool { return s.path == "" || s.path != s.out.Source() }

var rotated = regexp.MustCompile(`(\.\d+|[-.]\d{8}|\.old)$`)

// rotatedName reports whether a file's name alone says that it was rotated.
func rotatedName(path string) bool { return rotated.MatchString(filepath.Base(path)) }
