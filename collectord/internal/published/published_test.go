package published

import (
	"context"
	"errors"
	"io/fs"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/demux/regroup"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

const id = store.Segment("20260101T000000.000000Z-c.1-000001")

// counting counts what is opened, and fails when told.
type counting struct {
	store.FS
	mu    sync.Mutex
	opens int
	err   error
}

func (c *counting) Open(ctx context.Context, p string) (store.Reader, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.opens++
	if c.err != nil {
		return nil, c.err
	}
	if c.FS == nil {
		return nil, fs.ErrNotExist
	}
	return c.FS.Open(ctx, p)
}

func (c *counting) List(ctx context.Context, dir string) ([]store.Info, error) {
	if c.FS == nil {
		return nil, nil
	}
	return c.FS.List(ctx, dir)
}

func put(t *testing.T, fs store.FS, p string, batches int) {
	t.Helper()
	putAs(t, fs, id, p, batches)
}

func putAs(t *testing.T, fs store.FS, id store.Segment, p string, batches int) {
	t.Helper()
	var groups [][]chunk.Chunk
	for i := range batches {
		groups = append(groups, []chunk.Chunk{{Type: "app", Stream: "s", First: int64(i), Last: int64(i) + 1, Body: []byte("x")}})
	}
	storetest.Put(t, fs, p, chunktest.Sink(t, string(id), groups...))
}

func TestPublishedFileIsLookedUpOnce(t *testing.T) {
	for _, area := range []string{store.Raw, store.Archive} {
		fs, err := local.New(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		c := &counting{FS: fs}
		put(t, fs, store.SinkPath(area, "app", id), 3)
		f := New(c)
		for range 3 {
			if n, err := f.Blocks(t.Context(), "app", id); n != 3 || err != nil {
				t.Errorf("%s: %d blocks, %v; want 3", area, n, err)
			}
		}
		if c.opens > 2 {
			t.Errorf("%s: the store was asked %d times, want once for each area at most", area, c.opens)
		}
	}
}

func TestMissingFileIsNotAskedForAgainForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counting{}
		f := New(c)
		ask := func() {
			if n, err := f.Blocks(t.Context(), "app", id); n != 0 || err != nil {
				t.Errorf("%d blocks, %v; want none", n, err)
			}
		}
		for range 10 {
			ask()
		}
		if c.opens != 2 {
			t.Errorf("the store was asked %d times, want twice: raw/ and archive/", c.opens)
		}
		time.Sleep(missingFor + time.Second) // the bubble's clock
		ask()
		if c.opens != 4 {
			t.Errorf("later the store was asked %d times in all, want 4", c.opens)
		}
	})
}

func TestErrorIsNotAnAnswer(t *testing.T) {
	c := &counting{err: errors.New("no route to host")}
	f := New(c)
	if _, err := f.Blocks(t.Context(), "app", id); !errors.Is(err, c.err) {
		t.Errorf("error %v, want the store's", err)
	}
	c.err = nil
	if n, err := f.Blocks(t.Context(), "app", id); n != 0 || err != nil {
		t.Errorf("afterwards: %d, %v; want 0", n, err)
	}
}

func TestDamagedFileSettlesNothing(t *testing.T) {
	fs, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p := store.SinkPath(store.Raw, "app", id)
	w, err := fs.Create(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.Write([]byte("Obj\x01 and no more"))
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if n, err := New(fs).Blocks(t.Context(), "app", id); n != 0 || err != nil {
		t.Errorf("%d blocks, %v; want none", n, err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	f := New(&counting{})
	for i := range 3 * remembered {
		f.Put("app", store.NewSegment(time.Unix(int64(i), 0), "c", 1), 1)
	}
	if n := len(f.recent) + len(f.old); n > 2*remembered {
		t.Errorf("%d segments are remembered, at most %d are allowed", n, 2*remembered)
	}
	last := store.NewSegment(time.Unix(3*remembered-1, 0), "c", 1)
	if n, err := f.Blocks(t.Context(), "app", last); n != 1 || err != nil {
		t.Errorf("the latest: %d, %v; want it remembered", n, err)
	}
}

// Who asks for thousands of segments of an old day costs a list and a file's header.
func TestARegroupedFileIsReadOnceForAllItsSegments(t *testing.T) {
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2025, 1, 2, 10, 0, 0, 0, time.UTC)
	const n = 30
	var ids []store.Segment
	for i := range n {
		seg := store.NewSegment(day.Add(time.Duration(i)*time.Second), "c.1", uint64(i))
		putAs(t, st, seg, store.SinkPath(store.Archive, "app", seg), 1+i%2)
		ids = append(ids, seg)
	}
	if rep, err := regroup.Run(t.Context(), regroup.Options{FS: st, Type: "app", Now: time.Now()}); err != nil || rep.Files != n {
		t.Fatal(rep, err)
	}
	c := &counting{FS: st}
	f := New(c)
	for i, seg := range ids {
		if got, err := f.Blocks(t.Context(), "app", seg); err != nil || got != 1+i%2 {
			t.Errorf("segment %d has %d blocks, %v, want %d", i, got, err, 1+i%2)
		}
	}
	if c.opens != 2*n+1 { // raw/ and archive/ for each, and the file
		t.Errorf("%d files were opened, want %d", c.opens, 2*n+1)
	}
}

// The files of a day were listed; the one that has the segment was put into another
// one since.
func TestASegmentIsFoundWhenItIsRegroupedOnceMore(t *testing.T) {
	st, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	day := time.Date(2025, 1, 2, 10, 0, 0, 0, time.UTC)
	put := func(i int) store.Segment {
		seg := store.NewSegment(day.Add(time.Duration(i)*time.Second), "c.1", uint64(i))
		putAs(t, st, seg, store.SinkPath(store.Archive, "app", seg), 1)
		return seg
	}
	again := func(want int) {
		if rep, err := regroup.Run(t.Context(), regroup.Options{FS: st, Type: "app", Now: time.Now()}); err != nil || rep.Files != want {
			t.Fatal(rep, err)
		}
	}
	first, second := put(1), put(2)
	again(2)
	f := New(st)
	other := store.NewSegment(day.Add(-time.Second), "c.1", 9) // of the same day, in no file
	if n, err := f.Blocks(t.Context(), "app", other); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	for i := range 8 {
		put(10 + i)
	}
	again(9)
	for _, seg := range []store.Segment{first, second} {
		if n, err := f.Blocks(t.Context(), "app", seg); n != 1 || err != nil {
			t.Errorf("segment %s has %d blocks, %v, want 1", seg, n, err)
		}
	}
}
