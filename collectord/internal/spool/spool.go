// Package spool keeps batches on the local disk from the moment a collector
// answers for them until they lie in the store. It is a directory of segment
// files, each of one data type and made of frames as they came:
//
//	spool/TYPE/SEGMENT.open     frames are appended
//	spool/TYPE/SEGMENT.sealed   complete, waiting for the store
//	quarantine/TYPE/SEGMENT.OFFSET.damaged   what could not be read
//
// The state is in the name and a rename is the transition. Opening the spool
// repairs what a crash left: a segment found open is cut after its last whole
// frame and sealed; nobody was told that the torn rest was taken. A segment is
// removed when its sink file is published, by whoever published it.
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
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
)

// Options say where a spool is and what bounds it. All are required.
type Options struct {
	Dir       string // holds spool/ and quarantine/; the caller has locked it
	Collector string // for the ids of new segments: unique to this start of this collector
	Rules     Rules
	Disk      disk.Disk
	Log       *slog.Logger
	Metrics   *Metrics
	// OnSealed is told of each segment that may be uploaded, also of those
	// found at the start. It must not block.
	OnSealed func(*Sealed)
}

// Rules bound a spool, and say when its segments are sealed. They may change while
// it is open.
type Rules struct {
	MaxBytes  int64   // of all segments together
	KeepFree  float64 // percent of the disk
	SealBytes int64
	SealAge   time.Duration
	SealIdle  time.Duration
	MaxOpen   int // data types that have a place at one time: see places
}

// reserve is what must be left of MaxBytes to take any batch.
func (r *Rules) reserve() int64 { return min(4<<20, r.MaxBytes/16) }

// Spool is an open spool. It is safe for concurrent use.
type Spool struct {
	Options
	rules atomic.Pointer[Rules]

	mu        sync.Mutex
	routes    map[string]*route // by data type, those with an open segment
	places    places
	open      map[key]*open
	sealed    map[key]*Sealed
	finishing []*open   // detached from their routes, to be sealed
	bytes     int64     // of all segments, with those being written
	number    uint64    // of the last segment made
	lastTime  time.Time // of the last segment made
	stopped   bool
	broken    error // what writing failed with, until a probe succeeds
	lowSpace  error // the disk has too little left
	wake      chan struct{}
}

type key struct {
	dataType string
	id       store.Segment
}

func (n Name) key() key { return key{n.Type, n.ID} }

// ErrUnavailable says that the spool takes no data at the moment. Every error
// of Append that is not ErrTooManyTypes, and of Ticket.Wait, is one, and says
// why.
var ErrUnavailable = errors.New("the spool takes no data")

func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUnavailable}, args...)...)
}

// Open opens the spool and repairs what a crash left in it. It fails when the
// directory can't be used at all; what is wrong with one segment is logged.
func Open(o Options) (*Spool, error) {
	s := &Spool{
		Options: o,
		routes:  map[string]*route{},
		places:  places{left: map[string]time.Time{}, refused: map[string]refusal{}},
		open:    map[key]*open{},
		sealed:  map[key]*Sealed{},
		wake:    make(chan struct{}, 1),
	}
	s.SetRules(o.Rules)
	for _, dir := range []string{s.root(), s.quarantineRoot()} {
		if err := disk.MkdirAll(s.Disk, dir, dirMode); err != nil {
			return nil, fmt.Errorf("open spool: %w", err)
		}
	}
	// They may have been made, and not synced, before a crash.
	if err := errors.Join(s.Disk.SyncDir(s.Dir), s.Disk.SyncDir(filepath.Dir(s.Dir))); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := s.recover(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.checkDisk()
	return s, nil
}

// SetRules changes the rules, from now on.
func (s *Spool) SetRules(r Rules) { s.rules.Store(&r) }

func (s *Spool) root() string           { return filepath.Join(s.Dir, "spool") }
func (s *Spool) quarantineRoot() string { return filepath.Join(s.Dir, "quarantine") }

// What others may do with the spool: the group reads.
const (
	fileMode = 0o640
	dirMode  = 0o750
)

const (
	healthEvery = time.Second // how often the disk is looked at
	probeName   = "probe.tmp"
)

// Run seals segments by the clock and looks after the disk, until ctx is done.
// Then it refuses new batches, seals all segments and returns.
func (s *Spool) Run(ctx context.Context) error {
	s.mu.Lock()
	found := slices.Collect(maps.Values(s.sealed))
	s.mu.Unlock()
	slices.SortFunc(found, func(a, b *Sealed) int { return strings.Compare(string(a.ID), string(b.ID)) })
	for _, g := range found {
		s.OnSealed(g)
	}
	clock := time.NewTimer(s.tick())
	defer clock.Stop()
	health := time.NewTicker(healthEvery)
	defer health.Stop()
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.stopped = true
			s.mu.Unlock()
			s.detachWhere(func(*open) bool { return true })
			s.finishAll()
			return nil
		case <-clock.C:
			s.sealDue(time.Now())
			clock.Reset(s.tick())
		case <-s.wake:
		case <-health.C:
			s.probe()
			s.checkDisk()
		}
		s.finishAll()
	}
}

// tick is how long the clock waits until it looks for what is to be sealed.
func (s *Spool) tick() time.Duration {
	r := s.rules.Load()
	return min(max(min(r.SealAge, r.SealIdle)/8, 10*time.Millisecond), 500*time.Millisecond)
}

// Ready is nil while batches are taken, or says why not.
func (s *Spool) Ready() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ready(0)
}

// ready reports whether n more bytes are taken; s.mu is held.
func (s *Spool) ready(n int64) error {
	rules := s.rules.Load()
	switch {
	case s.stopped:
		return unavailable("the collector is stopping")
	case s.broken != nil:
		return unavailable("writing to it failed: %w", s.broken)
	case s.lowSpace != nil:
		return unavailable("%w", s.lowSpace)
	case s.bytes+max(n, rules.reserve()) > rules.MaxBytes:
		return unavailable("it is full: %d of %d bytes wait for the store", s.bytes, rules.MaxBytes)
	}
	return nil
}

// charge takes n bytes of the budget; discharge gives them back.
func (s *Spool) charge(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(n); err != nil {
		return err
	}
	s.bytes += n
	return nil
}

func (s *Spool) discharge(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bytes -= n
}

// fail makes the spool refuse batches until a probe succeeds.
func (s *Spool) fail(err error) {
	s.mu.Lock()
	first := s.broken == nil
	s.broken = err
	s.mu.Unlock()
	if first { // the others of the same segment tell the same
		s.Metrics.Failures.Inc()
		s.Log.Error("writing to the spool failed; batches are refused until it works again", "dir", s.root(), "error", err)
	}
}

// probe finds out whether a broken spool can be written again.
func (s *Spool) probe() {
	s.mu.Lock()
	broken := s.broken
	s.mu.Unlock()
	if broken == nil {
		return
	}
	if err := s.tryWrite(); err != nil {
		s.Log.Debug("the spool can't be written yet", "dir", s.root(), "error", err)
		return
	}
	s.mu.Lock()
	s.broken = nil
	s.mu.Unlock()
	s.Log.Info("the spool can be written again", "dir", s.root())
}

func (s *Spool) tryWrite() error {
	name := filepath.Join(s.root(), probeName)
	if err := s.Disk.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	f, err := disk.Create(s.Disk, name, fileMode)
	if err != nil {
		return err
	}
	_, err = f.Write(make([]byte, 64<<10))
	err = errors.Join(err, f.Sync(), f.Close())
	return errors.Join(err, s.Disk.Remove(name))
}

// checkDisk compares what the disk has left with what it must keep.
func (s *Spool) checkDisk() {
	var low error
	keepFree := s.rules.Load().KeepFree
	free, total, err := s.Disk.Free(s.root())
	switch keep := int64(float64(total) * keepFree / 100); {
	case err != nil:
		low = err
	case free < keep:
		low = fmt.Errorf("the disk of %s has %d MB free, %d MB (%g%%) are to be kept free: make room, or change the setting",
			s.root(), free/1e6, keep/1e6, keepFree)
	}
	s.mu.Lock()
	before := s.lowSpace
	s.lowSpace = low
	s.mu.Unlock()
	switch {
	case low != nil && before == nil:
		s.Log.Warn("batches are refused until the disk has room", "error", low)
	case low == nil && before != nil:
		s.Log.Info("the disk has room again", "dir", s.root())
	}
}

// Metrics are the spool's.
type Metrics struct {
	Batches     prometheus.Counter
	Bytes       prometheus.Counter
	Syncs       prometheus.Counter
	Failures    prometheus.Counter
	Quarantined prometheus.Counter // bytes
}

// NewMetrics registers the spool's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "akupara_collector_spool_" + name, Help: help})
		reg.MustRegister(c)
		return c
	}
	return &Metrics{
		Batches:     counter("batches_total", "Batches made durable."),
		Bytes:       counter("bytes_total", "Bytes of batches made durable."),
		Syncs:       counter("syncs_total", "Times that a segment was synced; one sync serves many batches."),
		Failures:    counter("failures_total", "Times that the spool could no longer be written."),
		Quarantined: counter("quarantined_bytes_total", "Damaged bytes moved to quarantine."),
	}
}
