package demux

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/akupara/akupara/demux/rows"
)

const (
	// maxWorking bounds the runs that have rows in memory, in one process.
	maxWorking = 4
	// maxLooking bounds the calls that have indexes of sink files in memory, in one
	// process: many more, as most of what they do is waiting for the store.
	maxLooking = 8 * maxWorking

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

// looks are the calls that look at sink files.
type looks struct {
	slots slots
	n     atomic.Int64
	// Of the indexes in memory: of all calls, and the least that one may have.
	bytes, least int64
}

func newLooks() *looks {
	return &looks{slots: make(slots, maxLooking), bytes: maxIndexBytes, least: minIndexBytes}
}

func (l *looks) take(ctx context.Context) (release func(), err error) {
	free, err := l.slots.take(ctx)
	if err != nil {
		return nil, err
	}
	l.n.Add(1)
	return func() { l.n.Add(-1); free() }, nil
}

// share returns how many bytes the indexes of each call may take now.
func (l *looks) share() int64 { return max(l.least, l.bytes/max(l.n.Load(), 1)) }

// workers are the runs that work at once.
type workers struct {
	slots slots

	bytes int64 // of all rows in memory

	mu     sync.Mutex
	atWork int64
	idle   builders // kept for the next run: their memory is warm
}

func newWorkers() *workers { return &workers{slots: make(slots, maxWorking), bytes: maxRowBytes} }

// worker is the right of one run to have rows in memory.
type worker struct {
	of *workers
	builders
	// broken says that the builders must not be used again.
	broken  bool
	release func() // nil: done
}

// builders are a run's.
type builders struct {
	whole *rows.Builder   // of the run's rows
	parts []*rows.Builder // of parts of them; empty, and free
}

// begin returns the builder of the run's rows, empty.
func (b *builders) begin(o rows.Options) *rows.Builder {
	b.whole.ResetTo(o)
	for _, p := range b.parts {
		p.ResetTo(o)
	}
	return b.whole
}

// part returns the builder of a part's rows, empty.
func (b *builders) part() *rows.Builder {
	if len(b.parts) == 0 {
		b.parts = append(b.parts, b.whole.Sibling())
	}
	n := len(b.parts) - 1
	p := b.parts[n]
	b.parts = b.parts[:n]
	p.Expect(b.whole)
	return p
}

// giveBack is called when a part's rows are taken.
func (b *builders) giveBack(p *rows.Builder) {
	p.Reset()
	b.parts = append(b.parts, p)
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
	w.idle = builders{}
	if b.whole == nil {
		b.whole = rows.NewBuilder(rows.Options{})
	}
	return &worker{of: w, builders: b, release: release}, nil
}

// done gives the slot back, and drops the rows. It may be called again.
func (k *worker) done() {
	if k.release == nil {
		return
	}
	k.of.mu.Lock()
	k.of.atWork--
	if k.of.idle.whole == nil && !k.broken {
		k.of.idle = k.builders
	}
	k.of.mu.Unlock()
	k.builders = builders{}
	k.release()
	k.release = nil
}

// share returns how many bytes the rows of each run at work may take now. It
// falls when others begin.
func (k *worker) share() int64 {
	k.of.mu.Lock()
	defer k.of.mu.Unlock()
	return max(minRowBytes, k.of.bytes/max(k.of.atWork, 1))
}
