// Package spool keeps, on the agent's disk, what can't be read again: the runs
// of commands, samples, whatever an adaptor emits that is no Replayer. From
// there it is a source like any other.
//
// Each start of the agent opens a new stream per adaptor and data type. A
// stream's records lie in segment files, each record a frame with a CRC,
// fsynced before it is sent:
//
//	ADAPTOR/TYPE/STREAM-BASE.seg   records from offset BASE on
//	ADAPTOR/TYPE/STREAM.dropped    facts: what drop_oldest took out of the stream
//	ADAPTOR/TYPE@PERSONA/…         the same of an adaptor that has a persona
//	_quarantine/                   damaged bytes, never deleted by us
//
// What a filter dropped before it came here has offsets in the stream, too: a
// frame without a body tells of it.
//
// A segment whose bytes are all settled is deleted. What is left of older
// streams at a start is sent from its first segment on, which may send again
// what was settled (the demux drops it), and ends with an End fact; when that
// is settled too, the stream's files are gone.
package spool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
)

// WhenFull says what happens to a record that finds the spool full.
type WhenFull int

const (
	Block      WhenFull = iota // its adaptor waits
	DropOldest                 // the adaptor's oldest records are dropped, and told as facts
)

// Config is a spool's place and bounds.
type Config struct {
	Dir          string
	Host         string           // in the facts that the spool makes itself
	MaxBytes     int64            // of all segment files together
	Shares       map[string]int64 // of them, by persona: what each may fill; nil: any may fill it all
	KeepFree     float64          // percent of the disk
	SegmentBytes int64            // of one segment file at most; 0: 8 MiB
	Retry        time.Duration    // how often a full spool looks at the disk again; 0: 1 s
	Disk         disk.Disk        // nil: this machine's
}

// Out is where the spool's chunks go.
type Out interface {
	// Open announces a stream; bytes below from will never be sent. It is called
	// with locks held and must not call back.
	Open(k Key, stream string, from int64)
	// Send takes a chunk, as adaptors.Output does.
	Send(ctx context.Context, c *chunk.Chunk) error
}

// Key names a queue of streams.
type Key struct{ Adaptor, Type, Persona string }

// folder is where its files lie, below the adaptor's.
func (k Key) folder() string {
	if k.Persona == "" {
		return k.Type
	}
	return k.Type + "@" + k.Persona // which no type has in it
}

// Spool is an open spool directory. Its methods are safe for concurrent use.
type Spool struct {
	cfg Config
	log *slog.Logger

	mu      sync.Mutex
	queues  map[Key]*queue
	streams map[string]*stream
	waiting map[string]error // why adaptors wait for room
	used    int64            // bytes of all segment files
	usedBy  map[string]int64 // and by persona
	room    chan struct{}    // closed and replaced when bytes were freed
	fresh   chan struct{}    // gets a token when a queue was made
	stats   Stats
	dropped map[string]Count // by adaptor: what of Stats.Dropped was its
	place   os.FileInfo      // of the directory
}

// Count is a number of records and their bytes.
type Count struct{ Bytes, Records int64 }

// Stats are totals since the start, but for Bytes.
type Stats struct {
	Bytes       int64 // of the files
	Dropped     int64 // bytes of records dropped because the spool was full
	Quarantined int64 // damaged bytes
}

// queue is the streams of one adaptor and data type, oldest first. Only the
// last one may be appended to.
type queue struct {
	key     Key
	dir     string
	appends sync.Mutex // held by Append: one writer a queue
	frame   []byte     // under appends
	pending pending    // under appends
	running bool       // has a sender; under Spool.mu
	streams []*stream
	wake    chan struct{} // gets a token when there may be something to send
}

// stream is under Spool.mu, its files' contents are not.
type stream struct {
	id           string
	q            *queue
	segs         []*segment // ascending
	active       bool       // this start's: records are still appended
	opened       bool       // Out knows it
	end          int64      // just past the last durable record
	sent         int64      // just past the last record handed over
	settled      int64
	endSent      bool
	ending, told bool          // the End is being sent, and Settled was called meanwhile
	dropped      chunk.Ranges  // by drop_oldest
	tell         []chunk.Range // dropped ranges whose fact is still to be sent
	resend       []chunk.Range
	host, source string // of the last record, for the facts
}

type segment struct {
	path      string
	base, end int64        // offsets in the stream
	size      int64        // bytes of whole frames in the file
	unsent    int64        // records that were appended since the start and not sent
	file      disk.File    // open for writing; nil when no more is appended
	restored  atomic.Int32 // how often its file was made anew
}

// Nobody else may look at what is in the spool.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// Open recovers what the directory holds; it is made where it is missing.
// Damage is logged and moved to quarantine.
func Open(cfg Config, log *slog.Logger) (*Spool, error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = 8 << 20
	}
	if cfg.Retry == 0 {
		cfg.Retry = time.Second
	}
	if cfg.Disk == nil {
		cfg.Disk = disk.Local{}
	}
	s := &Spool{cfg: cfg, log: log, queues: map[Key]*queue{}, streams: map[string]*stream{}, usedBy: map[string]int64{}, dropped: map[string]Count{},
		waiting: map[string]error{},
		room:    make(chan struct{}), fresh: make(chan struct{}, 1)}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	if err := s.settleIn(); err != nil {
		return nil, err
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("recover spool: %w", err)
	}
	return s, nil
}

// queueOf returns a key's queue, made if there is none; s.mu is held.
func (s *Spool) queueOf(k Key) *queue {
	q := s.queues[k]
	if q == nil {
		q = &queue{key: k, dir: filepath.Join(s.cfg.Dir, k.Adaptor, k.folder()), wake: make(chan struct{}, 1)}
		s.queues[k] = q
		token(s.fresh)
	}
	return q
}

func token(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Settled says that every byte of the stream below upTo is secured. finished
// means that it was the last of the stream, which is gone then.
func (s *Spool) Settled(id string, upTo int64) (finished bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	if st == nil {
		return false
	}
	st.settled = max(st.settled, upTo)
	st.told = st.told || st.ending
	s.trim(st)
	if st.active || !st.endSent || st.settled < st.end {
		return false
	}
	// Its End is settled as well: the ledger holds a position back that has an
	// unsettled fact at it.
	for len(st.segs) > 0 {
		s.removeFirst(st)
	}
	_ = s.cfg.Disk.Remove(droppedPath(st))
	st.q.streams = slices.DeleteFunc(st.q.streams, func(x *stream) bool { return x == st })
	delete(s.streams, id)
	return true
}

// trim deletes the segments that are settled and not appended to; s.mu is held.
func (s *Spool) trim(st *stream) {
	for len(st.segs) > 1 && st.segs[0].file == nil && st.segs[0].end <= st.settled {
		s.removeFirst(st)
	}
}

// removeFirst deletes the stream's first segment; s.mu is held.
func (s *Spool) removeFirst(st *stream) {
	seg := st.segs[0]
	s.closeSegment(seg)
	if err := s.cfg.Disk.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Error("can't remove a spool segment; it will be sent again after a restart", "path", seg.path, "error", err)
	}
	s.use(st.q, -seg.size)
	st.segs = st.segs[1:]
	close(s.room)
	s.room = make(chan struct{})
}

// use counts n more bytes in a queue's files; s.mu is held.
func (s *Spool) use(q *queue, n int64) {
	s.used += n
	s.usedBy[q.key.Persona] += n
}

// Used is how many bytes a persona's adaptors have in the spool.
func (s *Spool) Used(persona string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.usedBy[persona]
}

// SetBounds changes what the spool may hold in all, and each persona's share.
// What is in it stays.
func (s *Spool) SetBounds(maxBytes int64, shares map[string]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg.MaxBytes, s.cfg.Shares = maxBytes, shares
	close(s.room)
	s.room = make(chan struct{})
}

// Resend asks that r be sent again.
func (s *Spool) Resend(id string, r chunk.Range) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.streams[id]
	switch {
	case st == nil:
		return
	case r.Empty():
		st.endSent = false
	default:
		st.resend = append(st.resend, r)
	}
	token(st.q.wake)
}

// Adaptor names the adaptor whose stream this is; empty where there is none.
func (s *Spool) Adaptor(stream string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.streams[stream]; st != nil {
		return st.q.key.Adaptor
	}
	return ""
}

// DroppedBy is what a full spool dropped of an adaptor since the start. Of
// records that were appended before, the bytes alone are counted.
func (s *Spool) DroppedBy(adaptor string) Count {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped[adaptor]
}

// Lag is how many bytes of an adaptor's records are not settled yet, and not
// dropped.
func (s *Spool) Lag(adaptor string) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n int64
	for _, st := range s.streams {
		if st.q.key.Adaptor == adaptor {
			n += st.dropped.Missing(chunk.Range{First: max(st.settled, st.first()), Last: st.end}).Len()
		}
	}
	return n
}

// first is the lowest offset that the stream still tells of.
func (st *stream) first() int64 {
	n := st.end
	if len(st.segs) > 0 {
		n = st.segs[0].base
	}
	if len(st.dropped) > 0 {
		n = min(n, st.dropped[0].First)
	}
	return n
}

// Position is what is in one stream of the spool.
type Position struct {
	Stream, Type, Source string
	Size, Sent, Settled  int64
}

// Positions returns an adaptor's streams.
func (s *Spool) Positions(adaptor string) []Position {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Position
	for _, st := range s.streams {
		if st.q.key.Adaptor == adaptor {
			out = append(out, Position{st.id, st.q.key.Type, st.source, st.end, st.sent, st.settled})
		}
	}
	slices.SortFunc(out, func(a, b Position) int {
		if a.Stream < b.Stream {
			return -1
		}
		return 1
	})
	return out
}

// Stats returns how the spool does.
func (s *Spool) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Bytes = s.used
	return out
}

// Close closes the files. Nothing is appended afterwards.
func (s *Spool) Close() {
	s.mu.Lock()
	queues := slices.Collect(maps.Values(s.queues))
	s.mu.Unlock()
	for _, q := range queues {
		q.appends.Lock()
		s.tellPending(q)
		q.appends.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.streams {
		for _, seg := range st.segs {
			s.closeSegment(seg)
		}
	}
}
