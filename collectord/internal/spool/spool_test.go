package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/collectord/internal/spool/spooltest"
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
	disk   *spooltest.Disk
	sealed chan *spool.Segment
	stop   func()
}

func options(t testing.TB, dir string) spool.Options {
	return spool.Options{
		Dir: dir, Collector: "c1.1", MaxBytes: 1 << 30, KeepFree: 0,
		SealBytes: 1 << 20, SealAge: time.Hour, SealIdle: time.Hour, MaxOpen: 4,
		Disk: spooltest.New(t.TempDir()), Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		Metrics: spool.NewMetrics(prometheus.NewRegistry()),
	}
}

// start opens a spool and runs it until the test ends or stop is called.
func start(t testing.TB, o spool.Options) *running {
	t.Helper()
	r := &running{dir: o.Dir, disk: o.Disk.(*spooltest.Disk), sealed: make(chan *spool.Segment, 1000)}
	o.OnSealed = func(g *spool.Segment) { r.sealed <- g }
	s, err := spool.Open(o)
	if err != nil {
		t.Fatal(err)
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
	return r
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

func (r *running) nextSealed(t testing.TB) *spool.Segment {
	t.Helper()
	select {
	case g := <-r.sealed:
		return g
	case <-time.After(10 * time.Second):
		t.Fatal("no segment was sealed within 10 s")
		return nil
	}
}

// blocks reads a sealed segment's blocks.
func blocks(t testing.TB, g *spool.Segment) [][]byte {
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
	for end := time.Now().Add(10 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not within 10 s: %s", what)
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
	o.SealBytes = 300
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
				o.SealAge = 50 * time.Millisecond
			} else {
				o.SealIdle = 50 * time.Millisecond
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
	o.KeepFree = 5
	o.Disk.(*spooltest.Disk).SetFree(49, 1000)
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
	o.MaxBytes, o.SealBytes = 4096, 1000
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
		if taken += int64(len(b.Frame)); taken > o.MaxBytes {
			t.Fatalf("%d bytes were taken, at most %d are allowed", taken, o.MaxBytes)
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

func TestOpenTypesAreBounded(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	for i := range 4 {
		r.take(t, batch(t, fmt.Sprint("type", i), "s", 0, "x"))
	}
	b := batch(t, "type4", "s", 0, "x")
	if _, err := r.Append(&b); !errors.Is(err, spool.ErrUnavailable) {
		t.Errorf("a fifth type: %v, want ErrUnavailable", err)
	}
	r.take(t, batch(t, "type0", "s", 1, "x"))
}

func TestSegmentFoundOpenIsCutAfterItsLastWholeBatch(t *testing.T) {
	whole := batch(t, "app", "s", 0, "whole")
	next := batch(t, "app", "s", 5, "torn")
	for cut := range len(next.Frame) {
		dir := t.TempDir()
		write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001.open", whole.Frame, next.Frame[:cut])
		r := start(t, options(t, dir))
		g := r.nextSealed(t)
		if got := blocks(t, g); len(got) != 1 || !bytes.Equal(got[0], whole.Block) {
			t.Fatalf("torn after %d bytes: %d blocks, want the one whole", cut, len(got))
		}
		if got := r.Status().Quarantined; got != int64(cut) {
			t.Errorf("torn after %d bytes: %d are in quarantine", cut, got)
		}
		r.stop()
	}
}

func TestDamageInTheMiddleSendsTheRestToQuarantine(t *testing.T) {
	frames := [][]byte{batch(t, "app", "s", 0, "one").Frame, batch(t, "app", "s", 3, "two").Frame, batch(t, "app", "s", 6, "three").Frame}
	for _, ext := range []string{".open", ".sealed"} {
		for at := range frames[1] {
			dir := t.TempDir()
			bad := bytes.Clone(frames[1])
			bad[at] ^= 0x10
			write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001"+ext, frames[0], bad, frames[2])
			r := start(t, options(t, dir))
			g := r.nextSealed(t)
			if gone, err := r.Repair(g); gone || err != nil { // as who finds it while uploading does
				t.Fatalf("repair: gone %v, error %v", gone, err)
			}
			if got := blocks(t, g); len(got) != 1 {
				t.Fatalf("%s damaged at byte %d: %d blocks, want 1", ext, at, len(got))
			}
			if n, _ := r.Lookup("app", g.ID); n != 1 {
				t.Errorf("%s damaged at byte %d: %d blocks are answered for, want 1", ext, at, n)
			}
			want := int64(len(bad) + len(frames[2]))
			if st := r.Status(); st.Quarantined != want || st.Bytes != int64(len(frames[0])) {
				t.Errorf("%s damaged at byte %d: %d bytes in quarantine, %d in the spool; want %d and %d", ext, at, st.Quarantined, st.Bytes, want, len(frames[0]))
			}
			r.stop()
		}
	}
}

func TestStrangeFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "app", "notes.txt", []byte("x"))
	write(t, dir, "app", "20260101T000000.000000Z-c0.1-000001.sealed", []byte("nothing of this is a batch"))
	write(t, dir, "NOT A TYPE", "20260101T000000.000000Z-c0.1-000001.sealed", batch(t, "app", "s", 0, "x").Frame)
	r := start(t, options(t, dir))
	r.take(t, batch(t, "app", "s", 0, "x"))
	if st := r.Status(); st.Open != 1 || st.Sealed != 0 {
		t.Errorf("the spool has %d open and %d sealed segments, want 1 and 0", st.Open, st.Sealed)
	}
	for _, name := range []string{"app/notes.txt", "NOT A TYPE/20260101T000000.000000Z-c0.1-000001.sealed"} {
		if _, err := os.Stat(filepath.Join(dir, "spool", name)); err != nil {
			t.Errorf("%s is gone: %v", name, err)
		}
	}
}

func TestOpenSegmentDoesNotReplaceASealedOneOfItsName(t *testing.T) {
	dir := t.TempDir()
	const id = "20260101T000000.000000Z-c0.1-000001"
	write(t, dir, "app", id+".open", batch(t, "app", "s", 0, "x").Frame)
	two := []chunk.Batch{batch(t, "app", "s", 1, "y"), batch(t, "app", "s", 2, "z")}
	write(t, dir, "app", id+".sealed", two[0].Frame, two[1].Frame)
	r := start(t, options(t, dir))
	if g := r.nextSealed(t); len(blocks(t, g)) != 2 {
		t.Errorf("the sealed segment has %d blocks, want its own 2", len(blocks(t, g)))
	}
}

// Power is lost at every change of the disk; what was answered for must be
// there at the next start, in one segment each.
func TestWhatWasAnsweredForSurvivesACrashAtEveryChange(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	batches := make([]chunk.Batch, 8)
	for i := range batches {
		batches[i] = batch(t, []string{"app", "web"}[i%2], "s", int64(i), fmt.Sprintf("body %d", i))
	}
	for _, when := range []spooltest.When{spooltest.Before, spooltest.After, spooltest.Torn} {
		for k := 0; ; k++ {
			dir := t.TempDir()
			o := options(t, dir)
			o.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
			o.SealBytes = int64(2 * len(batches[0].Frame))
			disk := o.Disk.(*spooltest.Disk)
			disk.CrashAt(k, when)
			r := start(t, o)
			acked := map[string]bool{}
			for i := range batches {
				ticket, err := r.Append(&batches[i])
				if err == nil && ticket.Wait(t.Context()) == nil {
					acked[string(batches[i].Block)] = true
				}
			}
			r.stop()
			disk.LosePower(rnd)

			o.Disk, o.Collector = spooltest.New(t.TempDir()), "c1.2"
			again := start(t, o)
			found := map[string]int{}
			for range again.Status().Sealed {
				for _, b := range blocks(t, again.nextSealed(t)) {
					found[string(b)]++
				}
			}
			for i, b := range batches {
				n := found[string(b.Block)]
				if n > 1 || acked[string(b.Block)] && n != 1 {
					t.Errorf("crash %d (%v): batch %d, acked %v, is there %d times; changes:\n%v", k, when, i, acked[string(b.Block)], n, disk.Log())
				}
			}
			again.stop()
			if !disk.Crashed() {
				if len(acked) != len(batches) {
					t.Errorf("without a crash %d of %d batches were taken", len(acked), len(batches))
				}
				break
			}
		}
	}
}

func write(t testing.TB, dir, dataType, name string, parts ...[]byte) {
	t.Helper()
	folder := filepath.Join(dir, "spool", dataType)
	if err := os.MkdirAll(folder, 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, name), bytes.Join(parts, nil), 0o640); err != nil {
		t.Fatal(err)
	}
}
