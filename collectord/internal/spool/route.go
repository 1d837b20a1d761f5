package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
)

// What a segment takes before it is sealed although it is small: with many
// tiny chunks its index would outgrow the memory otherwise.
const (
	maxHeaders = 8 << 20 // bytes of frame headers
	maxChunks  = 256 << 10
)

// route is where batches of one data type go. It lives as long as its segment.
type route struct {
	mu   sync.Mutex // held by the one who writes
	open *open      // nil until it is made
	gone bool       // look the route up again
}

// Ticket is the place of a batch that was appended and is not durable yet.
type Ticket struct {
	Segment store.Segment
	Block   int // of the segment, counted from 0
	segment *open
	end     int64
	spool   *Spool
}

// Append writes a batch to the open segment of its data type. The batch's
// bytes are the caller's again when it returns. Nobody may be told that the
// batch was taken before the ticket's Wait has returned nil.
func (s *Spool) Append(b *chunk.Batch) (Ticket, error) {
	if err := s.charge(int64(len(b.Frame))); err != nil {
		return Ticket{}, err
	}
	t, err := s.append(b)
	if err != nil {
		s.discharge(int64(len(b.Frame)))
		return Ticket{}, err
	}
	t.spool = s
	return t, nil
}

func (s *Spool) append(b *chunk.Batch) (Ticket, error) {
	r, err := s.lockRoute(b.Type)
	if err != nil {
		return Ticket{}, err
	}
	defer r.mu.Unlock()
	if r.open == nil {
		if r.open, err = s.create(b.Type); err != nil {
			s.drop(b.Type, r)
			s.fail(err)
			return Ticket{}, unavailable("%w", err)
		}
	}
	t, err := r.open.write(b)
	if err != nil {
		s.detach(r)
		s.fail(err)
		return Ticket{}, unavailable("%w", err)
	}
	if t.end >= s.rules.Load().SealBytes || r.open.full() {
		s.detach(r)
	}
	return t, nil
}

// Wait blocks until the batch is durable. Many who wait share one sync. After
// an error the batch was not taken.
func (t Ticket) Wait(ctx context.Context) error {
	err := t.segment.sync(ctx, t.end, t.spool.Metrics)
	if err == nil {
		return nil
	}
	if ctx.Err() == nil {
		t.spool.fail(err) // the clock seals what is durable of the segment
	}
	return unavailable("%w", err)
}

// lockRoute returns the data type's route, locked.
func (s *Spool) lockRoute(dataType string) (*route, error) {
	for {
		s.mu.Lock()
		r := s.routes[dataType]
		s.mu.Unlock()
		if r == nil {
			var err error
			if r, err = s.newRoute(dataType, time.Now()); err != nil {
				return nil, err
			}
		}
		r.mu.Lock()
		if !r.gone {
			return r, nil
		}
		r.mu.Unlock()
	}
}

// drop forgets a route; r.mu is held.
func (s *Spool) drop(dataType string, r *route) {
	r.gone = true
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.routes[dataType] == r {
		delete(s.routes, dataType)
	}
}

// detach gives the route's segment to Run to be sealed; r.mu is held.
func (s *Spool) detach(r *route) {
	seg := r.open
	s.drop(seg.Type, r)
	keep := seg.written().Add(s.rules.Load().SealIdle)
	s.mu.Lock()
	s.places.leave(seg.Type, keep)
	s.finishing = append(s.finishing, seg)
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// detachWhere detaches the open segments that due names.
func (s *Spool) detachWhere(due func(*open) bool) {
	s.mu.Lock()
	routes := make([]*route, 0, len(s.routes))
	for _, r := range s.routes {
		routes = append(routes, r)
	}
	s.mu.Unlock()
	for _, r := range routes {
		r.mu.Lock()
		if !r.gone && r.open != nil && due(r.open) {
			s.detach(r)
		}
		r.mu.Unlock()
	}
}

func (s *Spool) sealDue(now time.Time) {
	r := s.rules.Load()
	s.detachWhere(func(g *open) bool { return g.due(now, r.SealAge, r.SealIdle) })
}

// create makes a new open segment, durable in its directory.
func (s *Spool) create(dataType string) (*open, error) {
	dir := filepath.Join(s.root(), dataType)
	if err := disk.MkdirAll(s.Disk, dir, dirMode); err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	now := time.Now()
	id := s.newID(now)
	path := filepath.Join(dir, string(id)+openExt)
	f, err := disk.Create(s.Disk, path, fileMode)
	if err != nil {
		return nil, fmt.Errorf("create segment: %w", err)
	}
	// The folder may be one that was made and not synced, before a crash.
	if err := errors.Join(s.Disk.SyncDir(dir), s.Disk.SyncDir(s.root())); err != nil {
		f.Close()
		_ = s.Disk.Remove(path) // empty: what stays is removed at the next start
		return nil, fmt.Errorf("create segment: %w", err)
	}
	seg := &open{Name: Name{Type: dataType, ID: id, Opened: now}, lastWrite: now, path: path, file: f}
	s.mu.Lock()
	s.open[seg.key()] = seg
	s.mu.Unlock()
	return seg, nil
}

// newID makes an id that sorts by age and is never given twice, also when the
// clock is set back.
func (s *Spool) newID(now time.Time) store.Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp := now.Truncate(time.Microsecond)
	if !stamp.After(s.lastTime) {
		stamp = s.lastTime.Add(time.Microsecond)
	}
	s.lastTime = stamp
	s.number++
	return store.NewSegment(stamp, s.Collector, s.number)
}
