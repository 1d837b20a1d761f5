// Package checkpoints keeps what the agent must know after a crash: who it is,
// which streams it has opened, how far each was sent and how far it is
// settled, and what was added over REST.
//
// The state lies in one directory as a snapshot and the journal of what came
// after it, both numbered by generation:
//
//	snapshot-N     the whole state; published by tmp, fsync, rename, fsync of the directory
//	journal-N      what changed since snapshot-N, in frames with a CRC
//	snapshot-N.tmp, journal-N.tmp   not finished; removed at the next start
//	quarantine/    damaged files and the torn tails of journals, never deleted by us
//	lock           held by flock while a process uses the directory
//
// A new generation is begun at every start and whenever the journal outgrows
// its bound. Its journal is created first and its snapshot published second:
// whichever of the two generations a crash leaves behind, the newest whole
// snapshot and all journals from its number on give the state. One generation
// before the current one is kept, so that a damaged snapshot costs nothing.
//
// Opening a stream and the values of Put are fsynced before the call returns
// (concurrent calls share one fsync). What was sent and settled is written
// without: it survives a crash of the process. After a crash of the machine
// those positions may be older than the truth, which costs a second sending of
// bytes that the demux drops.
package checkpoints

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/disk"
)

// Stream is what is stored of one stream. Its fields are those of
// adaptors.Stream, in the same order: one converts to the other.
type Stream struct {
	ID       string // unique over all hosts and times; set by Open
	Source   string // path or command
	Identity []byte // what the adaptor finds its source by
	Begin    int64  // where the stream starts as told
	Settled  int64  // every byte below is secured
	Sent     int64  // end of the last chunk that was journalled, 0 if none
	Tail     uint64 // fingerprint of the bytes before Sent
	Ended    bool   // the source is finished; Sent is its length
	Type     string // data type of its chunks; empty if nothing said it
	Doubt    int64  // bytes below may be in the table under another stream
	Origin   string // given to Open, never stored: what the id is derived from
	Fork     string // given to Open, never stored: the stream that this one goes on from
}

// Owner is whose streams are: an adaptor of a kind. Type is the data type of its
// entry, which some kinds have other types beside; it may change.
type Owner struct{ Adaptor, Kind, Type string }

// Is reports whether both are the same adaptor, of whatever type.
func (o Owner) Is(other Owner) bool { return o.Adaptor == other.Adaptor && o.Kind == other.Kind }

// Owned is a stream and its owner.
type Owned struct {
	Stream
	Of Owner
}

// Bounds on what a caller may store.
const (
	MaxText     = 64 << 10 // bytes of a source, an identity, an adaptor's name
	MaxValue    = 1 << 20  // bytes of a value given to Put
	defaultRoll = 4 << 20  // bytes of journal, beside the snapshot's own size
)

// Errors that callers may branch on.
var (
	ErrLocked  = errors.New("the directory is in use by another process")
	ErrUnknown = errors.New("no such stream")
	ErrClosed  = errors.New("the checkpoints are closed")

	errTaken = errors.New("there is a stream of that id")
)

// Store is an open checkpoint directory. It is safe for concurrent use.
type Store struct {
	dir     string
	log     *slog.Logger
	disk    disk.Disk
	minRoll int64 // bytes of journal that are always allowed
	ids     idMaker

	// syncMu is held while the journal is synced or replaced; it is taken
	// before mu, never the other way round.
	syncMu sync.Mutex
	synced int64 // number of the last record known to be durable; under syncMu
	loose  bool  // but for the name of the snapshot that holds it; under syncMu

	mu          sync.Mutex
	st          state
	gen         uint64
	lock        *os.File
	journal     disk.File
	journalInfo os.FileInfo // of its file as it was made
	lost        error       // the directory is not the one any more, and could not be made anew
	size        int64       // bytes of whole records in the journal
	torn        bool        // a failed write may have left bytes past size
	frame       []byte      // the last record, serialised; reused
	appended    int64       // number of the last record written
	rollAt      int64       // bytes of journal at which a new generation is due
	closed      bool
	fresh       bool      // something may be unknown since the start: see Fresh
	damaged     int       // files and parts of files, at the start
	rollAgain   time.Time // when a roll that failed may be tried again
}

// Open takes the lock of dir, which is created where it is missing, recovers
// what it holds and starts a new generation. ErrLocked says that another
// process uses it. Damage is logged, counted and moved to quarantine, and what
// is whole is used; only an unusable directory and a checkpoint of a newer
// version of this program are errors.
func Open(dir string, log *slog.Logger) (*Store, error) {
	return open(disk.Local{}, dir, machineIDPath, log)
}

// AgentID is the agent's id: made at the first start on this machine.
func (s *Store) AgentID() string { return s.ids.agent }

// Damaged is how many files and parts of files were damaged or missing at the
// start.
func (s *Store) Damaged() int { return s.damaged }

// Fresh reports whether more may have been sent than was known when the store
// was opened: it was new, no snapshot in it was whole, or a journal had damage
// that no crash leaves.
func (s *Store) Fresh() bool { return s.fresh }

// Streams returns an adaptor's streams in the order they were opened. The
// identities are the caller's own.
func (s *Store) Streams(adaptor string) []Stream {
	return streams(s.owned(func(e *entry) bool { return e.owner.Adaptor == adaptor }))
}

// Of returns an owner's streams: those of the adaptor that are of its kind.
func (s *Store) Of(of Owner) []Owned {
	return s.owned(func(e *entry) bool { return e.owner.Is(of) })
}

func streams(owned []Owned) []Stream {
	out := make([]Stream, len(owned))
	for i := range owned {
		out[i] = owned[i].Stream
	}
	return out
}

// OfKind returns all streams of a kind, whichever adaptor's they are, in the
// order they were opened. The identities are the caller's own.
func (s *Store) OfKind(kind string) []Owned {
	return s.owned(func(e *entry) bool { return e.owner.Kind == kind })
}

func (s *Store) owned(is func(*entry) bool) []Owned {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []*entry
	for _, e := range s.st.streams {
		if is(e) {
			found = append(found, e)
		}
	}
	slices.SortFunc(found, func(a, b *entry) int { return cmp.Compare(a.order, b.order) })
	out := make([]Owned, len(found))
	for i, e := range found {
		out[i] = e.owned()
	}
	return out
}

func (e *entry) owned() Owned {
	out := Owned{e.Stream, e.owner}
	out.Identity = slices.Clone(e.Identity)
	return out
}

// Adaptors returns the names of the adaptors that have streams, sorted.
func (s *Store) Adaptors() []string {
	var out []string
	for _, of := range s.Owners() {
		out = append(out, of.Adaptor)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Owners returns whose the streams are, in no order.
func (s *Store) Owners() []Owner {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := map[Owner]bool{}
	for _, e := range s.st.streams {
		seen[e.owner] = true
	}
	return slices.Collect(maps.Keys(seen))
}

// Stream returns one stream by its id.
func (s *Store) Stream(id string) (Stream, bool) {
	out, ok := s.Owned(id)
	return out.Stream, ok
}

// Owned returns one stream and its owner by its id.
func (s *Store) Owned(id string) (Owned, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.st.streams[id]
	if e == nil {
		return Owned{}, false
	}
	return e.owned(), true
}

// Owner returns whose a stream is.
func (s *Store) Owner(id string) (Owner, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.st.streams[id]
	if e == nil {
		return Owner{}, false
	}
	return e.owner, true
}

// Open stores a new stream, gives it its id and returns when that is durable.
// Concurrent calls share one fsync. A stream with Begin above 0 is settled up
// to there. The id is derived from Origin where that is given and no stream
// has that id, else it is unique. After an error the stream is not open.
func (s *Store) Open(ctx context.Context, of Owner, st Stream) (Stream, error) {
	if err := ctx.Err(); err != nil {
		return Stream{}, err
	}
	derived := st.Fork == "" && st.Origin != ""
	if derived {
		st.ID = s.ids.derive(of.Kind, st.Type, st.Origin)
	} else {
		st.ID = s.ids.next(st.Fork)
	}
	st.Origin, st.Fork = "", ""
	st.Settled = max(st.Settled, st.Begin)
	err := s.append(true, record{op: opStream, owner: of, stream: st})
	if derived && errors.Is(err, errTaken) {
		st.ID = s.ids.next("")
		err = s.append(true, record{op: opStream, owner: of, stream: st})
	}
	if err != nil {
		return Stream{}, err
	}
	return st, nil
}

// Move makes a stream another adaptor's. It is not synced: after a crash of the
// machine the stream may be the former owner's again.
func (s *Store) Move(id string, to Owner) error {
	was, ok := s.Owned(id)
	if !ok {
		return fmt.Errorf("stream %q: %w", id, ErrUnknown)
	}
	return s.append(false, record{op: opMove, owner: to, stream: Stream{ID: id, Type: was.Type, Begin: was.Begin}})
}

// Retype makes what comes of a stream from an offset on another data type's: it
// begins there anew. It is not synced.
func (s *Store) Retype(id string, of Owner, dataType string, begin int64) error {
	return s.append(false, record{op: opMove, owner: of, stream: Stream{ID: id, Type: dataType, Begin: begin}})
}

// Describe completes an adaptor's streams that come from an old store, without
// kind and type, by those of the adaptor as it is configured now. It is stored with the
// next snapshot, and said again at the next start if there was none.
func (s *Store) Describe(of Owner) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.st.streams {
		if e.owner.Adaptor == of.Adaptor && e.owner.Kind == "" {
			e.owner, e.Type = of, of.Type
			s.rollAt = 0 // the next record brings a snapshot
		}
	}
}

// Update stores a stream's new Source, Identity and Ended; no other field. It
// is not synced.
func (s *Store) Update(st Stream) error {
	return s.append(false, record{op: opUpdate, stream: st})
}

// Sent journals where a chunk that is about to be sent ends, and the
// fingerprint of the bytes before that end. It is not synced.
func (s *Store) Sent(id string, end int64, fingerprint uint64) error {
	return s.append(false, record{op: opSent, stream: Stream{ID: id, Sent: end, Tail: fingerprint}})
}

// Settled journals that every byte of the stream below upTo is secured. It
// never moves a position back. It is not synced.
func (s *Store) Settled(id string, upTo int64) error {
	return s.append(false, record{op: opSettled, stream: Stream{ID: id, Settled: upTo}})
}

// Rewind sets settled positions back, never below where a stream begins, and
// returns when that is durable: all of them, or after an error some. A stream
// that is not known or not settled so far is left alone.
func (s *Store) Rewind(to map[string]int64) error {
	var last int64
	for id, position := range to {
		r := record{op: opRewind, stream: Stream{ID: id, Settled: position}}
		s.mu.Lock()
		n, err := s.write(&r)
		due := err == nil && s.size >= s.rollAt && time.Now().After(s.rollAgain)
		s.mu.Unlock()
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if due {
			s.rollIfDue()
		}
		last = n
	}
	if last == 0 {
		return nil
	}
	return s.syncTo(last)
}

// Generation is the number of the files that are written to now.
func (s *Store) Generation() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gen
}

// Forget drops a stream. It is not synced: a stream that comes back after a
// crash of the machine is forgotten again by its adaptor.
func (s *Store) Forget(id string) error {
	return s.append(false, record{op: opForget, stream: Stream{ID: id}})
}

// Put stores a value under a name and returns when that is durable.
func (s *Store) Put(name string, value []byte) error {
	return s.append(true, record{op: opPut, name: name, value: value})
}

// Delete removes a value; it returns when that is durable.
func (s *Store) Delete(name string) error {
	return s.append(true, record{op: opDelete, name: name})
}

// List returns all values by name. They are the caller's own.
func (s *Store) List() map[string][]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]byte, len(s.st.values))
	for k, v := range s.st.values {
		out[k] = slices.Clone(v)
	}
	return out
}

// Close publishes a last snapshot and releases the directory. The error says
// that the snapshot failed; the journal holds everything then.
func (s *Store) Close() error {
	_, mendErr := s.Mend()
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	err := mendErr // in another's directory nothing is written
	if err == nil {
		err = s.roll()
	}
	s.closed = true
	return errors.Join(err, s.journal.Close(), s.unlock())
}

func (s *Store) unlock() error { return s.lock.Close() }
