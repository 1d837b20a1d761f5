package demux

import (
	"context"
	"sync"

	"github.com/akupara/akupara/demux/rows"
)

const (
	// maxWorking bounds the runs that have rows in memory, in one process.
	maxWorking = 4
	// maxLooking bounds the calls that have sink files open, in one process:
	// twice as many, so that those that wait for the store keep few from working.
	maxLooking = 2 * maxWorking

	// maxRowBytes bounds the rows of all runs in memory: short records take much
	// more there than in the log. The runs at work share it; none has less than
	// minRowBytes.
	maxRowBytes = 256 << 20
	minRowBytes = 16 << 20
)

// slots is a semaphore. Who waits gets its turn in order.
type slots chan struct{}

func (s slots) take(ctx context.Context) (release func(), err error) {
	select {
	case s <- struct{}{}:
		return func() { <-s }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// workers are the runs that work at once.
type workers struct {
	slots slots

	mu     sync.Mutex
	atWork int64
	idle   *rows.Builder // kept for the next run: its memory is warm
}

func newWorkers() *workers { return &workers{slots: make(slots, maxWorking)} }

// worker is the right of one run to have rows in memory.
type worker struct {
	of      *workers
	builder *rows.Builder
	// broken says that the builder must not be used again.
	broken  bool
	release func()
}

// take waits for a slot. The worker is to be given back by done.
func (w *workers) take(ctx context.Context) (*worker, error) {
	release, err := w.slots.take(ctx)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.atWork++
	b := w.idle
	w.idle = nil
	if b == nil {
		b = rows.NewBuilder(rows.Options{})
	}
	return &worker{of: w, builder: b, release: release}, nil
}

func (k *worker) done() {
	k.of.mu.Lock()
	k.of.atWork--
	if k.of.idle == nil && !k.broken {
		k.of.idle = k.builder
	}
	k.of.mu.Unlock()
	k.builder = nil
	k.release()
}

// share returns how many bytes the rows of each run at work may take now. It
// falls when others begin.
func (k *worker) share() int64 {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	return max(minRowBytes, maxRowBytes/max(k.of.atWork, 1))
}
