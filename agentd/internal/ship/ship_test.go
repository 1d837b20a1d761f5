package ship

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectors"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// book is a ledger that takes everything.
type book struct {
	mu       sync.Mutex
	accepted map[string]int // batches by collector
	gaveUp   []chunk.Entry
}

func (b *book) Sending(*chunk.Chunk) error { return nil }

func (b *book) Posting([]chunk.Entry) {}

func (b *book) GaveUp(entries []chunk.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gaveUp = append(b.gaveUp, entries...)
}

func (b *book) Full() (<-chan struct{}, bool) { return nil, false }

func (b *book) Accepted(collector, _ string, _ wire.Receipt, _ []chunk.Entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accepted == nil {
		b.accepted = map[string]int{}
	}
	b.accepted[collector]++
}

type rig struct {
	*Shipper
	book *book
	log  *bytes.Buffer
}

func start(t *testing.T, cfg Config, timeout time.Duration, urls ...string) *rig {
	t.Helper()
	if cfg.Budget == 0 {
		cfg.Budget = 32 << 20
	}
	if cfg.Posts == 0 {
		cfg.Posts = 4
	}
	cfg.Agent = "agent"
	client := collectors.NewClient(timeout, timeout, 4)
	t.Cleanup(client.Close)
	r := &rig{book: &book{}, log: &bytes.Buffer{}}
	r.Shipper = New(cfg, client, collectors.NewList(urls, 0), r.book, slog.New(slog.NewTextHandler(&lockedWriter{w: r.log}, nil)))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return r
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func piece(dataType string, first int64, body string) *chunk.Chunk {
	return &chunk.Chunk{Type: dataType, Host: "h", Source: "/f", Stream: "s-" + dataType, First: first,
		Last: first + int64(len(body)), Time: time.Now(), Body: []byte(body)}
}

func (r *rig) send(t *testing.T, c *chunk.Chunk) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := r.Send(ctx, c); err != nil {
		t.Fatalf("send: %v", err)
	}
}

func (r *rig) drain(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if r.Drain(ctx); ctx.Err() != nil {
		t.Fatal("not drained")
	}
}

func covers(dataType string, n int64) func([]chunk.Chunk) bool {
	return func(all []chunk.Chunk) bool {
		var got chunk.Ranges
		for _, c := range all {
			if c.Type == dataType {
				got = got.Add(c.Range())
			}
		}
		return got.Contains(chunk.Range{First: 0, Last: n})
	}
}

func TestFirstChunkLeavesAtOnceAndTheNextTogether(t *testing.T) {
	c := collectortest.New(t, "a")
	hold := make(chan struct{})
	var held atomic.Int32
	c.Answer(func(*chunk.Batch) (int, any) {
		if held.Add(1) == 1 {
			<-hold
		}
		return 0, nil
	})
	r := start(t, Config{BatchAge: time.Hour}, time.Minute, c.URL)
	r.send(t, piece("x", 0, "one\n"))
	for deadline := time.Now().Add(time.Minute); held.Load() == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the first chunk waits although no post is in flight")
		}
	}
	for i := range 10 {
		r.send(t, piece("x", int64(4+4*i), "two\n"))
	}
	close(hold)
	c.Wait("all", covers("x", 44))
	if got := c.Batches(); got != 2 {
		t.Errorf("%d batches, want 2: the first at once, the others when its post was through", got)
	}
}

func TestFullBatchAndOldBatchLeave(t *testing.T) {
	c := collectortest.New(t, "a")
	block := make(chan struct{})
	t.Cleanup(func() { close(block) })
	c.Answer(func(b *chunk.Batch) (int, any) {
		if b.Type == "blocks" {
			<-block
		}
		return 0, nil
	})
	r := start(t, Config{BatchBytes: 1000, BatchAge: 50 * time.Millisecond}, time.Minute, c.URL)
	r.send(t, piece("blocks", 0, "x\n")) // a post is in flight from now on
	r.send(t, piece("old", 0, "waits\n"))
	c.Wait("the batch that is old enough", covers("old", 6))
	r.send(t, piece("large", 0, strings.Repeat("y\n", 1000)))
	c.Wait("the full batch", covers("large", 2000))
}

func TestFailuresGoToAnotherCollectorAndNothingIsLost(t *testing.T) {
	garbage := func(*chunk.Batch) (int, any) { return 200, "no receipt" }
	for name, answer := range map[string]func(*chunk.Batch) (int, any){
		"503":               func(*chunk.Batch) (int, any) { return 503, wire.Error{Error: "spool full"} },
		"429":               func(*chunk.Batch) (int, any) { return 429, wire.Error{Error: "slow down"} },
		"no error body":     func(*chunk.Batch) (int, any) { return 500, "oops" },
		"senseless receipt": garbage,
		"empty receipt":     func(*chunk.Batch) (int, any) { return 200, wire.Receipt{} },
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := collectortest.New(t, "bad"), collectortest.New(t, "good")
			bad.Answer(answer)
			r := start(t, Config{}, 5*time.Second, bad.URL, good.URL)
			for i := range 20 {
				r.send(t, piece("x", int64(i*5), "line\n"))
			}
			good.Wait("all", covers("x", 100))
			r.drain(t)
		})
	}
}

func TestHalfOpenAndDeadCollectorsAreLeft(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead.Close()
	good := collectortest.New(t, "good")
	r := start(t, Config{}, 300*time.Millisecond, "http://"+silent.Addr().String(), "http://"+dead.Addr().String(), good.URL)
	for i := range 20 {
		r.send(t, piece("x", int64(i*5), "line\n"))
	}
	good.Wait("all", covers("x", 100))
}

func TestSlowCollectorIsBackPressureWithinTheBudget(t *testing.T) {
	c := collectortest.New(t, "a")
	release := make(chan struct{})
	c.Answer(func(*chunk.Batch) (int, any) { <-release; return 0, nil })
	const budget = 1 << 20
	r := start(t, Config{Budget: budget, BatchBytes: 64 << 10, Posts: 2}, time.Minute, c.URL)
	body := make([]byte, 16<<10)
	for i := range body {
		body[i] = byte(i * i >> 3)
	}
	sent := int64(0)
	for {
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		err := r.Send(ctx, piece("x", sent, string(body)))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if sent += int64(len(body)); sent > 4*budget {
			t.Fatalf("%d bytes were taken with a budget of %d", sent, budget)
		}
		if held := r.Stats().Held; held > budget {
			t.Fatalf("%d bytes are held with a budget of %d", held, budget)
		}
	}
	close(release)
	c.Wait("all that was taken", covers("x", sent))
	r.drain(t)
	if held := r.Stats().Held; held != 0 {
		t.Errorf("%d bytes of the budget are still held when all is sent", held)
	}
}

func TestRefusedBatchIsKeptToldOnceAndRetriedSlowly(t *testing.T) {
	c := collectortest.New(t, "a")
	var tries atomic.Int32
	var take atomic.Bool
	c.Answer(func(b *chunk.Batch) (int, any) {
		if b.Type != "bad" || take.Load() {
			return 0, nil
		}
		tries.Add(1)
		return http.StatusUnprocessableEntity, wire.Error{Error: "no route for bad", Permanent: true}
	})
	r := start(t, Config{RetryEvery: 100 * time.Millisecond, BatchBytes: 10}, 5*time.Second, c.URL)
	sent := int64(0)
	for { // until the type's senders wait
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		err := r.Send(ctx, piece("bad", sent, "refused line\n"))
		cancel()
		if err != nil {
			break
		}
		if sent += 13; sent > 13*100 {
			t.Fatal("a hundred refused batches were taken, want the senders of the type to wait")
		}
	}
	// The others go on.
	r.send(t, piece("good", 0, "line\n"))
	c.Wait("the other type", covers("good", 5))
	if n := int(tries.Load()); n > 60 {
		t.Errorf("%d tries already: that is a tight loop", n)
	}
	parked := r.Stats().Parked
	take.Store(true)
	c.Wait("what was refused", covers("bad", sent))
	r.drain(t)
	if s := r.Stats(); s.Held != 0 || s.Parked != 0 {
		t.Errorf("held %d, parked %d after all was taken; want none", s.Held, s.Parked)
	}
	if n := strings.Count(r.log.String(), "no route for bad"); n == 0 || n > parked+maxQueued+4 {
		t.Errorf("the refusal was logged %d times for %d batches, want once each", n, parked)
	}
}

func TestInvalidChunkIsTheSendersErrorAndHoldsNothing(t *testing.T) {
	c := collectortest.New(t, "a")
	r := start(t, Config{}, time.Second, c.URL)
	bad := piece("x", 0, "line\n")
	bad.Last = 99
	if err := r.Send(context.Background(), bad); !errors.Is(err, chunk.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
	if held := r.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held", held)
	}
}

func TestLargeChunksOfManySendersArriveWhole(t *testing.T) {
	c := collectortest.New(t, "a")
	r := start(t, Config{Budget: 20 << 20}, 30*time.Second, c.URL)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			p := piece(fmt.Sprint("x", i%2), 0, strings.Repeat("0123456789abcde\n", 500_000))
			p.Stream = fmt.Sprint("s", i)
			r.send(t, p)
		})
	}
	wg.Wait()
	got := c.Wait("four chunks of 8 MB", func(all []chunk.Chunk) bool { return len(all) == 4 })
	for _, g := range got {
		if len(g.Body) != 8_000_000 {
			t.Errorf("%d bytes came, want 8000000", len(g.Body))
		}
	}
}

func TestBatchLeavesAtOnceWhenAStreamInItEnded(t *testing.T) {
	c := collectortest.New(t, "a")
	release := make(chan struct{})
	entered := make(chan struct{}, 1)
	c.Answer(func(b *chunk.Batch) (int, any) {
		if b.Type == "slow" {
			entered <- struct{}{}
			<-release
		}
		return 0, nil
	})
	r := start(t, Config{BatchAge: time.Hour}, time.Minute, c.URL)
	t.Cleanup(sync.OnceFunc(func() { close(release) }))
	r.send(t, piece("slow", 0, "line\n"))
	<-entered // something is in flight: what comes now waits for its age
	r.send(t, piece("deleted", 0, "line\n"))
	end := piece("deleted", 5, "")
	end.Kind = chunk.End
	r.send(t, end)
	c.Wait("what came before the end", covers("deleted", 5))
}

// Many refused types at once, of more bytes than the budget, leave the others
// their room; what the shipper let go, its sources are asked for.
func TestManyRefusedTypesDoNotStarveTheOthers(t *testing.T) {
	c := collectortest.New(t, "a")
	c.Answer(func(b *chunk.Batch) (int, any) {
		if strings.HasPrefix(b.Type, "bad") {
			return http.StatusUnprocessableEntity, wire.Error{Error: "no route", Permanent: true}
		}
		return 0, nil
	})
	const budget = 2 << 20
	r := start(t, Config{RetryEvery: time.Hour, BatchBytes: 128 << 10, Budget: budget}, 5*time.Second, c.URL)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { cancel(); wg.Wait() })
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 128<<10)
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	var sent atomic.Int64
	for i := range 64 {
		wg.Go(func() {
			for at := int64(0); ctx.Err() == nil; at += int64(len(noise)) {
				if r.Send(ctx, piece(fmt.Sprint("bad", i), at, string(noise))) == nil {
					sent.Add(int64(len(noise)))
				}
			}
		})
	}
	for deadline := time.Now().Add(time.Minute); sent.Load() < 3*budget; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d bytes of refused types were taken", sent.Load())
		}
	}
	for i := range int64(50) {
		r.send(t, piece("good", i*5, "line\n"))
		c.Wait("the type that is not refused", covers("good", (i+1)*5))
	}
	s := r.Stats()
	if s.Held > budget {
		t.Errorf("%d bytes are held with a budget of %d", s.Held, budget)
	}
	if s.GivenUp == 0 {
		t.Error("no batch was given up, so the test shows nothing")
	}
}

func TestBatchThatWasGivenUpIsAskedForAgainWhenItIsDue(t *testing.T) {
	c := collectortest.New(t, "a")
	var take atomic.Bool
	c.Answer(func(*chunk.Batch) (int, any) {
		if take.Load() {
			return 0, nil
		}
		return http.StatusUnprocessableEntity, wire.Error{Error: "no route", Permanent: true}
	})
	r := start(t, Config{RetryEvery: 20 * time.Millisecond, BatchBytes: 10, Budget: 2000}, 5*time.Second, c.URL)
	random := rand.New(rand.NewPCG(3, 4))
	noise := make([]byte, 1500) // more than refused batches may hold
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	p := piece("bad", 0, string(noise))
	r.send(t, p)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		r.book.mu.Lock()
		n := len(r.book.gaveUp)
		r.book.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was asked for again")
		}
	}
	if s := r.Stats(); s.Held != 0 || s.Parked != 0 || s.Batches != 0 {
		t.Errorf("after it was given up: %+v, want nothing held, parked or taken", s)
	}
	take.Store(true)
	r.send(t, p)
	c.Wait("it", covers("bad", 1500))
}

func TestBudgetChangesWhileItIsInUse(t *testing.T) {
	c := collectortest.New(t, "a")
	release := make(chan struct{})
	c.Answer(func(*chunk.Batch) (int, any) { <-release; return 0, nil })
	r := start(t, Config{Budget: 10_000, BatchBytes: 100, Posts: 1}, time.Minute, c.URL)
	random := rand.New(rand.NewPCG(5, 6))
	noise := make([]byte, 8000) // does not get smaller
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	full := func(at int64, n int) bool {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		return r.Send(ctx, piece(fmt.Sprint("x", at), 0, string(noise[:n]))) != nil
	}
	if full(1, 8000) || !full(2, 8000) {
		t.Fatal("two chunks of 8,000 bytes fit into 10,000, or not even one")
	}
	r.SetBudget(40_000)
	if full(3, 8000) || full(4, 8000) {
		t.Error("no room after the budget grew")
	}
	r.SetBudget(1000)
	if !full(5, 500) {
		t.Error("there is room after the budget shrank below what is held")
	}
	close(release)
	r.drain(t)
	if full(6, 500) {
		t.Error("no room in a small budget that is empty")
	}
	r.drain(t)
	if held := r.Stats().Held; held != 0 {
		t.Errorf("%d bytes are held in the end", held)
	}
	if r.owed != 0 || r.limit != 1000 {
		t.Errorf("limit %d, owed %d; want 1000 and none", r.limit, r.owed)
	}
}

// A sender that waits for more room than a smaller budget ever has goes on with
// what there is, and holds up no other.
func TestSenderWaitingForMoreThanASmallerBudgetIsNotStuck(t *testing.T) {
	c := collectortest.New(t, "a")
	release := make(chan struct{})
	c.Answer(func(*chunk.Batch) (int, any) { <-release; return 0, nil })
	r := start(t, Config{Budget: 100_000, BatchBytes: 100, Posts: 1}, time.Minute, c.URL)
	noise := make([]byte, 60_000)
	random := rand.New(rand.NewPCG(7, 8))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	r.send(t, piece("x", 0, string(noise)))
	large := make(chan error, 1)
	go func() { large <- r.Send(t.Context(), piece("x", 60_000, string(noise))) }()
	for r.budget.TryAcquire(1) { // nobody waits yet
		r.budget.Release(1)
		runtime.Gosched()
	}
	r.SetBudget(1000)
	close(release)
	select {
	case err := <-large:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the sender waits for ever")
	}
	r.drain(t)
	r.send(t, piece("y", 0, "small"))
	r.drain(t)
	if held := r.Stats().Held; held != 0 || r.owed != 0 || !r.budget.TryAcquire(1000) || r.budget.TryAcquire(1) {
		t.Errorf("%d bytes are held and %d owed in the end, want none, and 1000 free", held, r.owed)
	}
}
