package ship

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon"
	"github.com/klauspost/compress/zstd"
)

// Run posts batches until ctx is done. What was not taken by then is sent
// again by its source after the next start.
func (s *Shipper) Run(ctx context.Context) error {
	enc, err := chunk.NewEncoder()
	if err != nil {
		return fmt.Errorf("create zstd encoder: %w", err)
	}
	defer enc.Close()
	stop := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		s.stopped = true
		s.mu.Unlock()
		s.work.Broadcast()
	})
	defer stop()
	var wg sync.WaitGroup
	for range s.cfg.Posts {
		wg.Go(func() { s.worker(ctx, enc) })
	}
	wg.Wait()
	return nil
}

func (s *Shipper) worker(ctx context.Context, enc *zstd.Encoder) {
	var frame []byte
	for {
		b := s.take()
		if b == nil {
			return
		}
		switch b.state {
		case gaveUp:
			s.gone(b)
			s.ledger.GaveUp(b.Entries)
			continue
		case filling:
			frame = s.compress(b, enc, frame)
		}
		if !s.deliver(ctx, b) && ctx.Err() == nil {
			s.park(b)
			continue
		}
		if cap(frame) > keepRaw {
			frame = nil
		}
		s.gone(b)
	}
}

// take waits for a batch to post; nil means that it is time to stop.
func (s *Shipper) take() *batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		if s.stopped {
			return nil
		}
		now := time.Now()
		for i, b := range s.parked {
			if !b.due.After(now) {
				s.parked = append(s.parked[:i], s.parked[i+1:]...)
				s.busy++
				return b
			}
		}
		if len(s.queue) > 0 {
			b := s.queue[0]
			s.queue[0] = nil
			s.queue = s.queue[1:]
			s.busy++
			s.changed()
			return b
		}
		s.work.Wait()
	}
}

// compress finishes the batch into frame's memory, gives its builder back and
// the part of the budget that compression freed.
func (s *Shipper) compress(b *batch, enc *zstd.Encoder, frame []byte) []byte {
	builder := b.builder
	raw := builder.RawLen()
	b.Batch = builder.Finish(enc, frame)
	b.builder, b.state = nil, ready
	if raw <= keepRaw {
		o := s.openOf(b.dataType)
		o.mu.Lock()
		if len(o.free) < s.cfg.Posts {
			o.free = append(o.free, builder)
		}
		o.mu.Unlock()
	}
	if less := b.held - int64(len(b.Frame)); less > 0 {
		b.held -= less
		s.release(less)
	}
	return b.Frame
}

// deliver posts the batch until it is taken; false means that it was refused,
// or that ctx is done.
func (s *Shipper) deliver(ctx context.Context, b *batch) bool {
	for ctx.Err() == nil {
		started := time.Now()
		url, wait := s.list.Pick(started)
		if wait > 0 {
			_ = daemon.Sleep(ctx, wait)
			continue
		}
		if b.state == ready {
			b.state = posted
			s.ledger.Posting(b.Entries)
		}
		receipt, err := s.poster.Post(ctx, url, b.Frame)
		switch refused, isRefused := collectors.IsRefused(err); {
		case err == nil:
			if s.list.Worked(url) {
				s.log.Info("a collector takes data again", "collector", url)
			}
			s.ledger.Accepted(url, b.Type, receipt, b.Entries)
			if s.unbar(b.dataType) {
				s.log.Info("a collector takes a data type again", "collector", url, "type", b.Type)
			}
			return true
		case ctx.Err() != nil:
			return false
		case isRefused:
			s.refuse(b, url, refused)
			return false
		default:
			s.count(func(st *Stats) { st.Failures++ })
			if s.list.Failed(url, started, time.Now(), err) {
				s.log.Warn("a collector does not take data; its batches go to another, or wait", "collector", url, "error", err)
			}
		}
	}
	return false
}

// refuse notes that a batch would be refused again: it is tried again slowly,
// in case the collector's mind or config changes.
func (s *Shipper) refuse(b *batch, url string, refused *collectors.Refused) {
	b.refused++
	s.mu.Lock()
	s.stats.Refusals++
	s.streak[b.dataType]++
	streak := s.streak[b.dataType]
	s.mu.Unlock()
	switch {
	case refused.OfType:
		if s.bar(b.dataType, url, refused) {
			s.log.Error("a collector refuses a data type; the agent keeps its data and tries again slowly, all others go on",
				"collector", url, "type", b.Type, "reason", refused.Reason)
		}
	case b.refused == 1 && streak <= 2*maxParked:
		e := b.Entries[0]
		s.log.Error("a collector refused a batch; the agent keeps its data and tries again slowly",
			"collector", url, "type", b.Type, "reason", refused.Reason, "status", refused.Status,
			"chunks", len(b.Entries), "source", e.Source, "stream", e.Stream, "first", e.First, "last", e.Last)
	}
	times := max(b.refused, streak/maxParked)
	every := min(s.cfg.RetryEvery<<min(times-1, 3), 60*s.cfg.RetryEvery)
	b.due = time.Now().Add(every + rand.N(every/4+1))
}

// park puts a refused batch where it waits until it is due.
func (s *Shipper) park(b *batch) {
	if b.state == posted { // else it has its place, and its own memory
		s.keep(b)
	}
	due := b.due // from here on another worker may have it
	s.mu.Lock()
	s.parked = append(s.parked, b)
	s.mu.Unlock()
	time.AfterFunc(time.Until(due), s.work.Broadcast)
	s.free()
}

// keep keeps a refused batch's data, or where refused batches hold too much of
// the budget already, lets it go: its sources will be asked for it again. So
// types that are refused can't use up what the others need.
func (s *Shipper) keep(b *batch) {
	s.mu.Lock()
	s.refused[b.dataType]++
	fits := s.held+b.held <= s.limit/parkShare*2
	if fits {
		s.held += b.held
	} else {
		s.stats.GivenUp++
	}
	s.mu.Unlock()
	if fits {
		b.state = parked
		b.Frame, b.Block = slices.Clone(b.Frame), nil
		return
	}
	b.state = gaveUp
	b.Frame, b.Block = nil, nil
	s.release(b.held)
	b.held = 0
}

// gone accounts for a batch that was taken, or given up.
func (s *Shipper) gone(b *batch) {
	s.release(b.held)
	s.mu.Lock()
	if b.state >= parked {
		s.refused[b.dataType]--
		s.held -= b.held
	}
	if b.state != gaveUp {
		s.stats.Batches++
		s.stats.Raw += int64(b.RawLen)
		s.stats.Wire += int64(len(b.Frame))
	}
	s.mu.Unlock()
	s.free()
}

// free ends a worker's turn with a batch.
func (s *Shipper) free() {
	s.mu.Lock()
	s.busy--
	idle := s.busy == 0 && len(s.queue) == 0
	s.changed()
	s.mu.Unlock()
	if idle {
		s.leaveAll() // nothing is in flight: what there is leaves at once
	}
}

func (s *Shipper) count(f func(*Stats)) {
	s.mu.Lock()
	f(&s.stats)
	s.mu.Unlock()
}
