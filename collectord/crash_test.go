package collectord

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/disk/disktest"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// crashing sends batches to a collector that crashes, and checks after its next
// start that each that was answered for is in the store once and settled.
func crashing(t *testing.T, name string, s *setup, lose func(), recovered func()) {
	t.Helper()
	s.log = discard
	s.cfg.Drain = config.Duration(300 * time.Millisecond)
	var batches []chunk.Batch
	for i := range 6 {
		batches = append(batches, batch(t, []string{"app", "web"}[i%2], "s", int64(i)*100, bodyOf(i)))
	}
	s.cfg.Seal.Bytes = config.Size(2 * len(batches[0].Frame))
	acked := map[int]wire.Receipt{}
	r, err := s.launch(t)
	if err != nil && !errors.Is(err, disktest.ErrCrashed) {
		t.Fatalf("%s: the collector did not start: %v", name, err)
	}
	for i, b := range batches {
		if err != nil {
			break
		}
		if receipt, _ := r.send(t, b.Frame); receipt != nil {
			acked[i] = *receipt
		}
	}
	if err == nil {
		r.stop()
	}
	lose()
	recovered()
	r = s.start(t)
	r.drained(t)
	got := inStore(t, s.fs)
	for i, b := range batches {
		receipt, ok := acked[i]
		n := got[string(b.Block)]
		if n > 1 || ok && n != 1 {
			t.Errorf("%s: batch %d (answered for: %v) is in the store %d times", name, i, ok, n)
		}
		if ok && r.state(t, b.Type, receipt) != wire.Settled {
			t.Errorf("%s: batch %d is not settled", name, i)
		}
	}
	eventually(t, "temporary files are swept", func() bool { return len(files(t, s.fs, store.Raw)) == len(sinks(t, s.fs)) })
	r.stop()
}

func TestEachBatchIsPublishedOnceAfterACrashAtEveryChangeOfTheDisk(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	for _, when := range []disktest.When{disktest.Before, disktest.After, disktest.Torn} {
		for k, crashed := 0, true; crashed; k++ {
			s := newSetup(t)
			disk := disktest.New(t.TempDir())
			disk.CrashAt(k, when)
			s.disk = disk
			crashing(t, fmt.Sprintf("change %d, %v", k, when), s, func() {
				crashed = disk.Crashed()
				disk.LosePower(rnd)
			}, func() { s.disk = nil })
		}
	}
}

func TestEachBatchIsPublishedOnceAfterACrashAtEveryChangeOfTheStore(t *testing.T) {
	t.Parallel()
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		for k, crashed := 0, true; crashed; k++ {
			s := newSetup(t)
			faulty := storetest.NewFaulty(s.fs)
			faulty.CrashAt(k, when)
			s.fs = faulty
			crashing(t, fmt.Sprintf("change %d, %v", k, when), s, func() { crashed = faulty.Crashed() }, faulty.Reset)
		}
	}
}

// Every change of the store fails or loses its reply now and then, without a
// crash: the collector goes on by itself.
func TestEachBatchIsPublishedOnceByAStoreThatFailsNowAndThen(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := newSetup(t)
	s.log = discard
	s.cfg.Seal.Bytes = 1
	inner := s.fs
	s.fs = &shaky{FS: inner, rnd: rand.New(rand.NewPCG(seed, 0))}
	r := s.start(t)
	var batches []chunk.Batch
	var receipts []wire.Receipt
	for i := range 12 {
		b := batch(t, fmt.Sprint("type", i%3), "s", int64(i)*100, bodyOf(i))
		batches, receipts = append(batches, b), append(receipts, r.mustSend(t, b.Frame))
		if i%3 == 2 {
			r.stop()
			r = s.start(t)
		}
	}
	r.drained(t)
	got := inStore(t, inner)
	for i, b := range batches {
		if n := got[string(b.Block)]; n != 1 {
			t.Errorf("batch %d is in the store %d times, want once", i, n)
		}
	}
	// Receipts may have no answer at the moment, but never a wrong one.
	for i, b := range batches {
		eventually(t, "settled", func() bool {
			states, _ := r.states(t, wire.Query{Type: b.Type, Segment: receipts[i].Segment, Block: receipts[i].Block})
			if len(states) == 1 && states[0] != wire.Settled {
				t.Errorf("batch %d is %q, want settled", i, states[0])
			}
			return len(states) == 1
		})
	}
}

// The crash came between the publication and the removal of the segment, and a
// demux was faster than the next start.
func TestSegmentThatIsArchivedAlreadyIsNotPublishedAgain(t *testing.T) {
	for _, ext := range []string{".open", ".sealed"} {
		s := newSetup(t)
		r := s.start(t)
		b := batch(t, "app", "s", 0, "x")
		receipt := r.mustSend(t, b.Frame)
		r.stop()
		move(t, s.fs, store.Archive, sinks(t, s.fs)[0])
		left := filepath.Join(s.dir, "collector", "spool", "app", receipt.Segment+ext)
		if err := os.WriteFile(left, b.Frame, 0o600); err != nil {
			t.Fatal(err)
		}
		r = s.start(t)
		r.drained(t)
		if got := sinks(t, s.fs); len(got) != 1 || !strings.HasPrefix(got[0], store.Archive) {
			t.Errorf("%s: sink files %v, want the archived one alone", ext, got)
		}
	}
}

// The block's damage is found by who reads it for the upload.
func TestSegmentDamagedInTheSpoolIsPublishedToItsDamage(t *testing.T) {
	s := newSetup(t)
	a, b := batch(t, "app", "s", 0, "one"), batch(t, "app", "s", 3, "two")
	id := store.NewSegment(time.Now(), "c0.1", 1)
	dir := filepath.Join(s.dir, "collector", "spool", "app")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	damaged := append(bytes.Clone(a.Frame), b.Frame...)
	damaged[len(damaged)-1] ^= 1
	if err := os.WriteFile(filepath.Join(dir, string(id)+".sealed"), damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	r := s.start(t)
	r.drained(t)
	if got := inStore(t, s.fs); len(got) != 1 || got[string(a.Block)] != 1 {
		t.Errorf("%d batches were published, want the one before the damage", len(got))
	}
	states, _ := r.states(t, query("app", id, 0), query("app", id, 1))
	if len(states) != 2 || states[0] != wire.Settled || states[1] != wire.Unknown {
		t.Errorf("states %v, want settled and unknown", states)
	}
	if st := r.Status(); st.QuarantinedBytes != int64(len(b.Frame)) {
		t.Errorf("%d bytes are in quarantine, want %d", st.QuarantinedBytes, len(b.Frame))
	}
}

// A disk that was cloned uploads under the same names.
func TestSegmentWhoseNameHoldsOtherBatchesGetsANewOne(t *testing.T) {
	s := newSetup(t)
	away := &awayStore{FS: s.fs}
	away.set(fs.ErrPermission)
	inner := s.fs
	s.fs = away
	r := s.start(t)
	ours := []chunk.Batch{batch(t, "app", "s", 0, "one"), batch(t, "app", "s", 3, "two")}
	first := r.mustSend(t, ours[0].Frame)
	second := r.mustSend(t, ours[1].Frame)
	r.stop()
	// The clone had taken the first batch only.
	putSink(t, inner, "app", store.Segment(first.Segment), ours[:1])
	s.fs = inner
	r = s.start(t)
	r.drained(t)
	if got := r.state(t, "app", first); got != wire.Settled {
		t.Errorf("the batch that both have is %q, want settled", got)
	}
	if got := r.state(t, "app", second); got != wire.Unknown {
		t.Errorf("the batch under the new name is %q under the old one, want unknown", got)
	}
	if got := inStore(t, inner); got[string(ours[1].Block)] != 1 {
		t.Errorf("the second batch is in the store %d times, want once", got[string(ours[1].Block)])
	}
}

// cloned is a store into which another collector publishes while this one writes
// its first file.
type cloned struct {
	store.FS
	once    sync.Once
	publish func()
}

func (c *cloned) Create(ctx context.Context, path string) (store.File, error) {
	f, err := c.FS.Create(ctx, path)
	c.once.Do(c.publish)
	return f, err
}

// Two collectors with copies of one spool upload at the same time: what the first
// one published is not replaced by what the second one has.
func TestSegmentThatACloneUploadsMeanwhileIsNotReplaced(t *testing.T) {
	s := newSetup(t)
	inner := s.fs
	away := &awayStore{FS: inner}
	away.set(fs.ErrPermission)
	s.fs = away
	r := s.start(t)
	ours := []chunk.Batch{batch(t, "app", "s", 0, "one"), batch(t, "app", "s", 3, "two")}
	first := r.mustSend(t, ours[0].Frame)
	r.mustSend(t, ours[1].Frame)
	r.stop()
	theirs := []chunk.Batch{ours[0], batch(t, "app", "s", 3, "2nd")}
	s.fs = &cloned{FS: inner, publish: func() { putSink(t, inner, "app", store.Segment(first.Segment), theirs) }}
	r = s.start(t)
	r.drained(t)
	got := inStore(t, inner)
	for _, b := range []chunk.Batch{ours[0], ours[1], theirs[1]} {
		if got[string(b.Block)] != 1 {
			t.Errorf("a batch is in the store %d times, want once", got[string(b.Block)])
		}
	}
}

func putSink(t testing.TB, fs store.FS, dataType string, id store.Segment, batches []chunk.Batch) {
	t.Helper()
	storetest.Put(t, fs, store.SinkPath(store.Raw, dataType, id), chunktest.SinkOf(t, dataType, string(id), batches...))
}

// shaky fails an eighth of all calls; a mutation that fails may have happened.
type shaky struct {
	store.FS
	mu  sync.Mutex
	rnd *rand.Rand
}

var errShaky = errors.New("shaky")

// try does a call, or fails before or after it.
func (s *shaky) try(do func() error) error {
	s.mu.Lock()
	dice := s.rnd.IntN(16)
	s.mu.Unlock()
	if dice == 0 {
		return errShaky
	}
	if err := do(); err != nil {
		return err
	}
	if dice == 1 {
		return errShaky
	}
	return nil
}

func (s *shaky) Create(ctx context.Context, p string) (f store.File, err error) {
	err = s.try(func() error {
		f, err = s.FS.Create(ctx, p)
		return err
	})
	if err != nil {
		if f != nil {
			f.Close() // whole, but nobody knows
		}
		return nil, err
	}
	return &shakyFile{File: f, s: s}, nil
}

func (s *shaky) Open(ctx context.Context, p string) (r store.Reader, err error) {
	err = s.try(func() error {
		r, err = s.FS.Open(ctx, p)
		return err
	})
	if err != nil {
		if r != nil {
			r.Close()
		}
		return nil, err
	}
	return r, nil
}

func (s *shaky) Stat(ctx context.Context, p string) (info store.Info, err error) {
	err = s.try(func() error {
		info, err = s.FS.Stat(ctx, p)
		return err
	})
	return info, err
}

func (s *shaky) Rename(ctx context.Context, from, to string) error {
	return s.try(func() error { return s.FS.Rename(ctx, from, to) })
}

func (s *shaky) Remove(ctx context.Context, p string) error {
	return s.try(func() error { return s.FS.Remove(ctx, p) })
}

type shakyFile struct {
	store.File
	s *shaky
}

func (f *shakyFile) Write(b []byte) (n int, err error) {
	err = f.s.try(func() error {
		n, err = f.File.Write(b)
		return err
	})
	return n, err
}

func (f *shakyFile) Close() error {
	err := f.s.try(func() error { return nil })
	closeErr := f.File.Close()
	return errors.Join(err, closeErr)
}
