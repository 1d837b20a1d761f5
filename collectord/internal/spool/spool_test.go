package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/disk/disktest"
)

// batch makes a batch of one chunk with the body.
func batch(t testing.TB, dataType, stream string, first int64, body string) chunk.Batch {
	t.Helper()
	b := chunk.NewBuilder("agent", dataType)
	c := chunk.Chunk{Type: dataType, Host: "h", Source: "/s", Stream: stream, First: first,
		Last: first + int64(len(body)), Time: time.UnixMicro(1), Body: []byte(body)}
	if err := b.Add(&c); err != nil {
		t.Fatal(err)
	}
	enc, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return b.Finish(enc, nil)
}

type running struct {
	*spool.Spool
	dir    string
	disk   *disktest.Disk
	sealed chan *spool.Sealed
	stop   func()
}

func options(t testing.TB, dir string) spool.Options {
	return spool.Options{
		Dir: dir, Collector: "c1.1", Rules: spool.Rules{MaxBytes: 1 << 30, SealBytes: 1 << 20, SealAge: time.Hour, SealIdle: time.Hour, MaxOpen: 4},
		Disk: disktest.New(t.TempDir()), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Metrics: spool.NewMetrics(prometheus.NewRegistry()),
	}
}

// start opens a spool and runs it until the test ends or stop is called.
func start(t testing.TB, o spool.Options) *running {
	t.Helper()
	r, err := launch(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// launch is start for a spool that may fail to open.
func launch(t testing.TB, o spool.Options) (*running, error) {
	t.Helper()
	r := &running{dir: o.Dir, disk: o.Disk.(*disktest.Disk), sealed: make(chan *spool.Sealed, 1000)}
	o.OnSealed = func(g *spool.Sealed) { r.sealed <- g }
	s, err := spool.Open(o)
	if err != nil {
		return nil, err
	}
	r.Spool = s
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	t.Cleanup(r.stop)
	return r, nil
}

func (r *running) take(t testing.TB, b chunk.Batch) spool.Ticket {
	t.Helper()
	ticket, err := r.Append(&b)
	if err == nil {
		err = ticket.Wait(t.Context())
	}
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return ticket
}

func (r *running) nextSealed(t testing.TB) *spool.Sealed {
	t.Helper()
	select {
	case g := <-r.sealed:
		return g
	case <-time.After(time.Minute):
		t.Fatal("no segment was sealed within a minute")
		return nil
	}
}

// blocks reads a sealed segment's blocks.
func blocks(t testing.TB, g *spool.Sealed) [][]byte {
	t.Helper()
	f, err := g.OpenFrames()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all [][]byte
	for i, b := range f.Index.Blocks {
		data := make([]byte, b.Len)
		if _, err := f.ReadAt(data, f.At[i]); err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	return all
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not within a minute: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func TestSegmentHoldsItsBatchesVerbatimAndInOrder(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	var want [][]byte
	for i := range 10 {
		b := batch(t, "app", "s", int64(i), "x")
		want = append(want, bytes.Clone(b.Block))
		if ticket := r.take(t, b); ticket.Block != i {
			t.Errorf("batch %d is block %d", i, ticket.Block)
		}
	}
	r.stop()
	g := r.nextSealed(t)
	got := blocks(t, g)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the segment's blocks differ: %d, want %d", len(got), len(want))
	}
	if n, known := r.Lookup("app", g.ID); n != 10 || !known {
		t.Errorf("Lookup = %d, %v; want 10, true", n, known)
	}
}

func TestSegmentsAreSealedBySize(t *testing.T) {
	o := options(t, t.TempDir())
	o.Rules.SealBytes = 300
	r := start(t, o)
	seen := map[string]bool{}
	for i := range 10 {
		seen[string(r.take(t, batch(t, "app", "s", int64(i), "some text")).Segment)] = true
	}
	for range len(seen) - 1 {
		if g := r.nextSealed(t); g.Size() < 300 {
			t.Errorf("sealed at %d bytes, want at least 300", g.Size())
		}
	}
	if len(seen) < 3 {
		t.Errorf("10 batches are in %d segments, want several", len(seen))
	}
}

func TestSegmentsAreSealedByAgeAndIdlenessWithoutTraffic(t *testing.T) {
	for _, name := range []string{"age", "idle"} {
		t.Run(name, func(t *testing.T) {
			o := options(t, t.TempDir())
			if name == "age" {
				o.Rules.SealAge = 50 * time.Millisecond
			} else {
				o.Rules.SealIdle = 50 * time.Millisecond
			}
			r := start(t, o)
			ticket := r.take(t, batch(t, "app", "s", 0, "x"))
			if g := r.nextSealed(t); g.ID != ticket.Segment {
				t.Errorf("segment %s was sealed, want %s", g.ID, ticket.Segment)
			}
		})
	}
}

func TestManyWritersShareASync(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	const n = 50
	var written, done sync.WaitGroup
	written.Add(n)
	for i := range n {
		b := batch(t, "app", fmt.Sprint("s", i), 0, "x")
		done.Go(func() {
			ticket, err := r.Append(&b)
			written.Done()
			written.Wait()
			if err == nil {
				err = ticket.Wait(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	syncs := 0
	for _, line := range r.disk.Log() {
		if strings.Contains(line, ": sync ") {
			syncs++
		}
	}
	if syncs != 1 {
		t.Errorf("%d batches that were written took %d syncs, want 1", n, syncs)
	}
}

func TestBatchIsNotDurableBeforeItsSync(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	b := batch(t, "app", "s", 0, "x")
	ticket, err := r.Append(&b)
	if err != nil {
		t.Fatal(err)
	}
	if n, known := r.Lookup("app", ticket.Segment); n != 0 || !known {
		t.Errorf("before the sync: %d batches, known %v; want 0, true", n, known)
	}
	if err := ticket.Wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Lookup("app", ticket.Segment); n != 1 {
		t.Errorf("after the sync: %d batches, want 1", n)
	}
}

// Also a later sync that succeeds proves nothing of what an earlier one lost.
func TestFailedSyncRefusesAllItWasToMakeDurable(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	kept := r.take(t, batch(t, "app", "s", 0, "kept"))
	a, b := batch(t, "app", "s", 4, "a"), batch(t, "app", "s", 5, "b")
	ta, err := r.Append(&a)
	if err != nil {
		t.Fatal(err)
	}
	tb, err := r.Append(&b)
	if err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	r.disk.FailWith(func(op, _ string) (err error) {
		if op == "sync" {
			once.Do(func() { err = syscall.EIO })
		}
		return err
	})
	for i, ticket := range []spool.Ticket{ta, tb} {
		if err := ticket.Wait(t.Context()); !errors.Is(err, spool.ErrUnavailable) || !errors.Is(err, syscall.EIO) {
			t.Errorf("batch %d: error %v, want ErrUnavailable and EIO", i, err)
		}
	}
	if err := r.Ready(); !errors.Is(err, syscall.EIO) {
		t.Errorf("Ready = %v, want EIO", err)
	}
	g := r.nextSealed(t) // the clock does not wait for traffic
	if g.ID != kept.Segment || g.Blocks() != 1 || len(blocks(t, g)) != 1 {
		t.Errorf("segment %s was sealed with %d batches, want %s with 1", g.ID, g.Blocks(), kept.Segment)
	}
	eventually(t, "the spool is ready again", func() bool { return r.Ready() == nil })
	if ticket := r.take(t, a); ticket.Segment == kept.Segment {
		t.Error("a batch went into the failed segment")
	}
}

func TestFullDiskRefusesBatchesUntilThereIsRoom(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	r.take(t, batch(t, "app", "s", 0, "kept"))
	r.disk.FailWith(func(op, _ string) error {
		if op == "write" || op == "create" {
			return syscall.ENOSPC
		}
		return nil
	})
	b := batch(t, "app", "s", 4, "b")
	if _, err := r.Append(&b); !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, spool.ErrUnavailable) {
		t.Errorf("append to a full disk: %v, want ENOSPC", err)
	}
	if g := r.nextSealed(t); g.Blocks() != 1 {
		t.Errorf("%d batches were sealed, want 1", g.Blocks())
	}
	if err := r.Ready(); err == nil {
		t.Error("the spool is ready on a full disk")
	}
	r.disk.FailWith(nil)
	eventually(t, "the spool is ready again", func() bool { return r.Ready() == nil })
	r.take(t, b)
}

func TestDiskThatIsNearlyFullIsLeftAlone(t *testing.T) {
	o := options(t, t.TempDir())
	o.Rules.KeepFree = 5
	o.Disk.(*disktest.Disk).SetFree(49, 1000)
	r := start(t, o)
	b := batch(t, "app", "s", 0, "b")
	if _, err := r.Append(&b); !errors.Is(err, spool.ErrUnavailable) {
		t.Errorf("append with 4.9%% free: %v, want ErrUnavailable", err)
	}
	r.disk.SetFree(50, 1000)
	eventually(t, "the spool takes data with 5% free", func() bool { return r.Ready() == nil })
}

func TestBudgetBoundsTheSpoolAndIsGivenBack(t *testing.T) {
	o := options(t, t.TempDir())
	o.Rules.MaxBytes, o.Rules.SealBytes = 4096, 1000
	r := start(t, o)
	var taken int64
	for i := 0; ; i++ {
		b := batch(t, "app", "s", int64(i), "x")
		ticket, err := r.Append(&b)
		if err != nil {
			if !errors.Is(err, spool.ErrUnavailable) {
				t.Fatal(err)
			}
			break
		}
		if err := ticket.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if taken += int64(len(b.Frame)); taken > o.Rules.MaxBytes {
			t.Fatalf("%d bytes were taken, at most %d are allowed", taken, o.Rules.MaxBytes)
		}
	}
	if err := r.Ready(); err == nil {
		t.Error("a full spool is ready")
	}
	if err := r.Remove(r.nextSealed(t)); err != nil {
		t.Fatal(err)
	}
	r.take(t, batch(t, "app", "s", 0, "x"))
}
