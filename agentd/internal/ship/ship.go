// Package ship groups chunks into batches, compresses and posts them. What it
// holds at any time is bounded by a byte budget: Send waits for room.
package ship

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"golang.org/x/sync/semaphore"
)

// Config bounds the shipper.
type Config struct {
	Agent      string        // id of the sender
	Budget     int64         // bytes of chunks on their way, at most
	Posts      int           // in flight, at most
	BatchBytes int           // raw bytes from which a batch leaves; 0: 1 MiB
	BatchAge   time.Duration // after which it leaves anyhow; 0: 200 ms
	RetryEvery time.Duration // at which refused batches are tried again; 0: 10 s
}

// Poster posts one frame to a collector; collectors.Client is one.
type Poster interface {
	Post(ctx context.Context, collector string, frame []byte) (wire.Receipt, error)
}

// Ledger is told what is sent and what was taken.
type Ledger interface {
	Sending(c *chunk.Chunk) error
	Posting(entries []chunk.Entry)
	GaveUp(entries []chunk.Entry)
	Accepted(collector, dataType string, r wire.Receipt, entries []chunk.Entry)
	Full() (wait <-chan struct{}, full bool)
}

// Bounds beside the byte budget.
const (
	maxQueued = 4       // whole batches that wait for a free post
	maxParked = 4       // refused batches of one type, from which its senders wait
	parkShare = 4       // refused batches may hold 1/parkShare of the budget; a last one may bring it to twice that
	maxBudget = 1 << 40 // bytes
	keepRaw   = 4 << 20 // bytes: builders that grew larger are not used again
	chunkCost = 256     // bytes that a chunk takes beside its body
)

// Shipper is the way from the adaptors to the collectors. Send is safe for
// concurrent use.
type Shipper struct {
	cfg    Config
	log    *slog.Logger
	poster Poster
	list   *collectors.List
	ledger Ledger
	budget *semaphore.Weighted

	mu      sync.Mutex
	limit   int64           // bytes, of budget
	shrunk  context.Context // done when limit gets smaller; replaced then
	shrink  func()
	owed    int64            // bytes that budget is larger than limit until they are released
	open    map[string]*open // by data type
	queue   []*batch
	parked  []*batch
	held    int64             // bytes of the budget that parked holds
	refused map[string]int    // parked batches by data type
	streak  map[string]int    // refusals of a type since one of its batches was taken
	barred  map[string]Barred // types that collectors refuse whatever the batch holds
	busy    int               // batches being compressed or posted
	stopped bool
	work    *sync.Cond    // there is something in queue, or a parked batch is due
	room    chan struct{} // closed and replaced when a sender may go on
	stats   Stats
}

// Stats count since the start, but for what is on its way now.
type Stats struct {
	Batches, Raw, Wire int64 // posted
	Failures, Refusals int64
	GivenUp            int64 // refused batches that their sources send again
	Held               int64 // bytes of the budget in use
	Parked             int   // refused batches that are kept
}

// open is the batch of one type that chunks are added to.
type open struct {
	mu    sync.Mutex
	b     *batch // nil: none
	timer *time.Timer
	free  []*chunk.Builder
}

// batch goes from open to the queue to a post, and perhaps to parked.
type batch struct {
	state    state
	dataType string
	builder  *chunk.Builder // of a filling one
	chunk.Batch
	held    int64     // bytes of the budget
	refused int       // times
	due     time.Time // when one that was refused is tried again
}

// state is how far a batch has come; it only goes up.
type state int

const (
	filling state = iota // in open, or in the queue
	ready                // compressed
	posted               // a post was begun
	parked               // refused: its data is kept
	gaveUp               // refused: only what was in it is still known
)

// New makes a shipper. Run must run for Send to get anywhere.
func New(cfg Config, poster Poster, list *collectors.List, ledger Ledger, log *slog.Logger) *Shipper {
	if cfg.BatchBytes == 0 {
		cfg.BatchBytes = 1 << 20
	}
	if cfg.BatchAge == 0 {
		cfg.BatchAge = 200 * time.Millisecond
	}
	if cfg.RetryEvery == 0 {
		cfg.RetryEvery = 10 * time.Second
	}
	s := &Shipper{cfg: cfg, log: log, poster: poster, list: list, ledger: ledger,
		budget: semaphore.NewWeighted(maxBudget), limit: cfg.Budget, open: map[string]*open{}, refused: map[string]int{},
		streak: map[string]int{}, barred: map[string]Barred{}, room: make(chan struct{})}
	s.shrunk, s.shrink = context.WithCancel(context.Background())
	_ = s.budget.TryAcquire(maxBudget - cfg.Budget)
	s.work = sync.NewCond(&s.mu)
	return s
}

// Send takes a chunk, which is the caller's again when it returns. It waits
// while the budget is used up, while collectors are behind, or while they
// refuse the chunk's type. An error that is not ctx's is about the chunk.
func (s *Shipper) Send(ctx context.Context, c *chunk.Chunk) error {
	if err := c.Check(); err != nil {
		return fmt.Errorf("send chunk: %w", err)
	}
	if err := s.waitRoom(ctx, c.Type); err != nil {
		return err
	}
	cost, err := s.acquire(ctx, int64(len(c.Body))+10*int64(len(c.Borders))+4*int64(len(c.Drops))+chunkCost)
	if err != nil {
		return err
	}
	if err := s.ledger.Sending(c); err != nil {
		s.budget.Release(cost)
		return err
	}
	o := s.openOf(c.Type)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := s.add(o, c); err != nil {
		s.budget.Release(cost)
		return fmt.Errorf("send chunk: %w", err)
	}
	s.hold(cost)
	o.b.held += cost
	switch {
	case o.b.builder.RawLen()+len(c.Body)/2 >= s.cfg.BatchBytes, // one more like it would be further off
		c.Kind == chunk.End, s.idle():
		s.leave(o)
	case o.b.builder.Len() == 1:
		o.timer.Reset(s.cfg.BatchAge)
	}
	return nil
}

// acquire takes n bytes of the budget, or all of it where it is smaller, and
// waits for them.
func (s *Shipper) acquire(ctx context.Context, n int64) (taken int64, err error) {
	for {
		s.mu.Lock()
		taken, shrunk := min(n, s.limit), s.shrunk
		s.mu.Unlock()
		if s.budget.TryAcquire(taken) {
			return taken, nil
		}
		wait, cancel := context.WithCancel(ctx)
		stop := context.AfterFunc(shrunk, cancel)
		err := s.budget.Acquire(wait, taken)
		stop()
		cancel()
		if err == nil || ctx.Err() != nil {
			return taken, err
		}
	}
}

func (s *Shipper) hold(n int64) {
	s.mu.Lock()
	s.stats.Held += n
	s.mu.Unlock()
}

func (s *Shipper) release(n int64) {
	s.mu.Lock()
	s.stats.Held -= n
	keep := min(s.owed, n)
	s.owed -= keep
	s.repay()
	s.mu.Unlock()
	s.budget.Release(n - keep)
}

// SetBudget changes the byte budget. What is above a smaller one is let go as
// it is sent.
func (s *Shipper) SetBudget(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	more := n - s.limit - s.owed
	if n < s.limit { // who waits for more than there will be is to wait for less
		s.shrink()
		s.shrunk, s.shrink = context.WithCancel(context.Background())
	}
	s.limit, s.owed = n, max(0, -more)
	if more > 0 {
		s.budget.Release(more)
	}
	s.repay()
	s.changed()
}

// repay reclaims owed bytes that are free now, halving the step each time; the
// remainder is withheld when batches release theirs. s.mu is held.
func (s *Shipper) repay() {
	for step := s.owed; step > 0; {
		if step <= s.owed && s.budget.TryAcquire(step) {
			s.owed -= step
		} else {
			step /= 2
		}
	}
}

// add puts the chunk into the type's open batch; o is locked.
func (s *Shipper) add(o *open, c *chunk.Chunk) error {
	for {
		if o.b == nil {
			o.b = &batch{dataType: c.Type, builder: s.builder(o, c.Type)}
		}
		err := o.b.builder.Add(c)
		if !errors.Is(err, chunk.ErrFull) {
			return err
		}
		s.leave(o)
	}
}

func (s *Shipper) builder(o *open, dataType string) *chunk.Builder {
	if n := len(o.free); n > 0 {
		b := o.free[n-1]
		o.free = o.free[:n-1]
		return b
	}
	return chunk.NewBuilder(s.cfg.Agent, dataType)
}

func (s *Shipper) openOf(dataType string) *open {
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[dataType]
	if o == nil {
		o = &open{}
		o.timer = time.AfterFunc(time.Hour, func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			s.leave(o)
		})
		o.timer.Stop()
		s.open[dataType] = o
	}
	return o
}

// leave queues the open batch; o is locked.
func (s *Shipper) leave(o *open) {
	if o.b == nil || o.b.builder.Len() == 0 {
		return
	}
	o.timer.Stop()
	s.mu.Lock()
	s.queue = append(s.queue, o.b)
	s.mu.Unlock()
	s.work.Signal()
	o.b = nil
}

// idle reports whether no batch is queued, compressed or posted.
func (s *Shipper) idle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy == 0 && len(s.queue) == 0
}

// leaveAll queues every open batch.
func (s *Shipper) leaveAll() {
	s.mu.Lock()
	all := make([]*open, 0, len(s.open))
	for _, o := range s.open {
		all = append(all, o)
	}
	s.mu.Unlock()
	for _, o := range all {
		o.mu.Lock()
		s.leave(o)
		o.mu.Unlock()
	}
}

// waitRoom waits while more chunks of the type would only pile up.
func (s *Shipper) waitRoom(ctx context.Context, dataType string) error {
	for {
		s.mu.Lock()
		room := s.room
		_, barred := s.barred[dataType]
		blocked := len(s.queue) >= maxQueued || s.refused[dataType] >= maxParked ||
			s.refused[dataType] > 0 && (barred || s.held >= s.limit/parkShare)
		s.mu.Unlock()
		less, full := s.ledger.Full()
		if !blocked && !full {
			return ctx.Err()
		}
		if !full {
			less = nil
		}
		if !blocked {
			room = nil
		}
		select {
		case <-room:
		case <-less:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// changed lets senders look again; s.mu is held.
func (s *Shipper) changed() {
	close(s.room)
	s.room = make(chan struct{})
}

// Stats returns how the shipper does.
func (s *Shipper) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Parked = len(s.parked)
	return out
}

// Drain sends what it holds and returns when all of it was taken, refused
// batches aside, or ctx is done.
func (s *Shipper) Drain(ctx context.Context) {
	for {
		s.leaveAll()
		s.mu.Lock()
		room, left := s.room, s.busy+len(s.queue)
		s.mu.Unlock()
		if left == 0 {
			return
		}
		select {
		case <-room:
		case <-ctx.Done():
			return
		}
	}
}
