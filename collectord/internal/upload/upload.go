// Package upload publishes sealed segments as sink files.
//
// An attempt writes a temporary file of a name of its own, closes it, compares
// its length, and renames it to the name that follows from the segment's id.
// Whatever fails, the attempt is abandoned and made again under a new temporary
// name, for ever. What was published is found again by its final name, in raw/
// and in archive/, and recognised by its index.
package upload

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/store"
)

// Spool is what an Uploader does with segments; spool.Spool documents it.
type Spool interface {
	Remove(*spool.Sealed) error
	Split(seg *spool.Sealed, from int) (*spool.Sealed, error)
	Repair(*spool.Sealed) (gone bool, err error)
}

// Options say what to upload with. All but Published are required.
type Options struct {
	FS        store.FS
	Collector string // the collector's id
	Instance  string // starts with the id, and is unique to this start
	Workers   int
	Drain     func() time.Duration // how long Run goes on when it is told to stop
	Log       *slog.Logger
	Metrics   *Metrics
	// Published is told of each sink file before its segment is removed.
	Published func(dataType string, id store.Segment, blocks int)
}

// Uploader uploads segments, several at a time. It is safe for concurrent use.
type Uploader struct {
	Options
	spool  Spool
	memory *semaphore.Weighted // for the blocks that are being copied
	wake   chan struct{}

	mu       sync.Mutex
	inbox    []*spool.Sealed
	attempts uint64
	litter   []string // temporary files that could not be removed
	lastErr  error
}

// maxLitter bounds what is remembered of files that could not be removed; the
// sweep of the next start finds the rest.
const maxLitter = 1000

// New prepares an uploader; nothing is uploaded before Run.
func New(o Options) *Uploader {
	return &Uploader{
		Options: o,
		memory:  semaphore.NewWeighted(chunk.MaxBatchBlock),
		wake:    make(chan struct{}, 1),
	}
}

// Add takes a sealed segment. It does not block.
func (u *Uploader) Add(seg *spool.Sealed) {
	u.mu.Lock()
	u.inbox = append(u.inbox, seg)
	u.mu.Unlock()
	select {
	case u.wake <- struct{}{}:
	default:
	}
}

// LastError is what the latest failed attempt failed with, nil after a success.
func (u *Uploader) LastError() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.lastErr
}

type result struct {
	seg *spool.Sealed // what is to be tried again
	err error
}

// Run uploads what Add takes until ctx is done, and then for at most Drain
// more: each type until its first failure. The rest stays in the spool, which
// is s.
func (u *Uploader) Run(ctx context.Context, s Spool) error {
	u.spool = s
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		u.sweep(ctx)
	}()
	defer func() { <-swept }()

	var (
		q        = newQueue(u.Workers)
		results  = make(chan result)
		running  int
		stop     = ctx.Done()
		draining bool
		deadline <-chan time.Time
	)
	for {
		u.mu.Lock()
		for _, seg := range u.inbox {
			q.add(seg)
		}
		u.inbox = nil
		u.mu.Unlock()
		var wait time.Duration
		for running < u.Workers && work.Err() == nil {
			var seg *spool.Sealed
			if seg, wait = q.pick(time.Now()); seg == nil {
				break
			}
			running++
			go func() {
				seg, err := u.publish(work, seg)
				results <- result{seg, err}
			}()
		}
		u.Metrics.Waiting.Set(float64(q.len()))
		if draining && running == 0 {
			return nil
		}
		var due <-chan time.Time
		if wait > 0 {
			due = time.After(wait)
		}
		select {
		case r := <-results:
			running--
			u.settle(q, r)
			if draining && r.err != nil {
				q.giveUp(r.seg.Type)
			}
		case <-u.wake:
		case <-due:
		case <-stop:
			stop, draining = nil, true
			deadline = time.After(u.Drain())
			q.hurry()
		case <-deadline:
			cancel() // the attempts end, and are not made again
		}
	}
}

func (u *Uploader) settle(q *queue, r result) {
	l := q.done(r.seg, r.err != nil, time.Now())
	u.mu.Lock()
	u.lastErr = r.err
	u.mu.Unlock()
	if r.err == nil {
		u.Metrics.Published.Inc()
	} else {
		u.Metrics.Failed.Inc()
		// The first, second, fourth and so on: an outage is not a flood of lines.
		if l.failures&(l.failures-1) == 0 {
			u.Log.Warn("a segment could not be published; it stays in the spool and is tried again",
				"type", r.seg.Type, "segment", r.seg.ID, "failures", l.failures, "waiting", len(l.waiting), "error", r.err)
		}
	}
}

// publish makes one attempt. The segment that it returns is the same, or what
// is left of it under another id.
func (u *Uploader) publish(ctx context.Context, seg *spool.Sealed) (*spool.Sealed, error) {
	blocks, err := u.attempt(ctx, seg)
	var taken *takenError
	switch {
	case errors.As(err, &taken):
		u.Log.Error("the store holds another file under a segment's name; what that lacks gets a new name",
			"type", seg.Type, "segment", seg.ID, "error", err)
		rest, splitErr := u.spool.Split(seg, taken.common)
		switch {
		case rest != nil:
			return rest, errors.Join(err, splitErr)
		case splitErr == nil:
			return seg, nil // a segment of its own holds the rest already
		}
		return seg, errors.Join(err, splitErr)
	case errors.Is(err, spool.ErrDamaged):
		gone, repairErr := u.spool.Repair(seg)
		if gone && repairErr == nil {
			return seg, nil
		}
		return seg, errors.Join(err, repairErr)
	case err != nil:
		return seg, err
	}
	if u.Published != nil {
		u.Published(seg.Type, seg.ID, blocks)
	}
	u.clean(ctx)
	return seg, u.spool.Remove(seg)
}

// Metrics are the uploader's.
type Metrics struct {
	Published prometheus.Counter
	Bytes     prometheus.Counter
	Failed    prometheus.Counter
	Waiting   prometheus.Gauge
}

// NewMetrics registers the uploader's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	const prefix = "akupara_collector_upload_"
	m := &Metrics{
		Published: prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "published_total", Help: "Sink files published."}),
		Bytes:     prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "bytes_total", Help: "Bytes of the sink files published."}),
		Failed:    prometheus.NewCounter(prometheus.CounterOpts{Name: prefix + "failed_total", Help: "Attempts that failed and are made again."}),
		Waiting:   prometheus.NewGauge(prometheus.GaugeOpts{Name: prefix + "waiting", Help: "Sealed segments that are not published."}),
	}
	reg.MustRegister(m.Published, m.Bytes, m.Failed, m.Waiting)
	return m
}
