package regroup_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/demux/regroup"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

var (
	now = time.Date(2025, 3, 9, 12, 0, 0, 0, time.UTC)
	old = time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
)

func testStore(t testing.TB) store.FS {
	t.Helper()
	st, err := local.New(storetest.FastDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// segment is the n-th of a day, one each minute.
func segment(day time.Time, n int) store.Segment {
	return store.NewSegment(day.Add(time.Duration(n)*time.Minute), "c0123456789ab", uint64(n))
}

// sinkBytes makes the sink file of a segment: a block for each body, of a stream of
// the segment's own.
func sinkBytes(t testing.TB, id store.Segment, bodies ...string) []byte {
	t.Helper()
	var batches [][]chunk.Chunk
	first := int64(0)
	for _, body := range bodies {
		c := chunk.Chunk{Type: "app", Host: "h", Source: "/s", Stream: string(id), First: first, Last: first + int64(len(body)), Body: []byte(body)}
		batches = append(batches, []chunk.Chunk{c})
		first = c.Last
	}
	return chunktest.Sink(t, string(id), batches...)
}

func pathOf(id store.Segment) string { return store.SinkPath(store.Archive, "app", id) }

// replace puts a file in the place of one that may be there.
func replace(t testing.TB, st store.FS, p string, data []byte) {
	t.Helper()
	replaced.Add(1)
	if err := store.PublishBytes(t.Context(), st, store.Temp(p, fmt.Sprint("t", replaced.Load())), p, data); err != nil {
		t.Fatal(err)
	}
}

var replaced atomic.Int64

var filled sync.Map // bytes of files, by segment: the same in each test

// fill archives the files of the segments from first to before last of a day.
func fill(t testing.TB, st store.FS, day time.Time, first, last int) {
	t.Helper()
	for n := first; n < last; n++ {
		id := segment(day, n)
		data, ok := filled.Load(id)
		if !ok {
			data = sinkBytes(t, id, fmt.Sprintf("line %d\n", n), strings.Repeat("more\n", n%7)+"\n")
			filled.Store(id, data)
		}
		storetest.Put(t, st, pathOf(id), data.([]byte))
	}
}

// names lists what is in a day's folder.
func names(t testing.TB, st store.FS, day time.Time) (out []string) {
	t.Helper()
	list, err := st.List(t.Context(), path.Dir(pathOf(segment(day, 0))))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		out = append(out, path.Base(f.Path))
	}
	return out
}

// regrouped counts the regrouped files of a day, and the others.
func regrouped(t testing.TB, st store.FS, day time.Time) (large, small int) {
	t.Helper()
	for _, name := range names(t, st, day) {
		switch {
		case !store.IsSink(name):
			t.Errorf("%s was left", name)
		case store.SegmentOf(name).Regrouped():
			large++
		default:
			small++
		}
	}
	return large, small
}

// content returns the raw log of each segment of a day, as whoever looks for it finds
// it: in its own file, or in a regrouped one.
func content(t testing.TB, st store.FS, day time.Time, first, last int) string {
	t.Helper()
	var out strings.Builder
	for n := first; n < last; n++ {
		id := segment(day, n)
		p, from, blocks := pathOf(id), 0, -1
		if _, err := st.Stat(t.Context(), p); errors.Is(err, fs.ErrNotExist) {
			found, err := archive.Find(t.Context(), st, "app", id)
			if err != nil || found == nil {
				t.Fatalf("segment %s is nowhere: %v; there is %v", id, err, names(t, st, day))
			}
			p, from, blocks = found.Path, found.Part.First, found.Part.Blocks
		}
		data := storetest.Get(t, st, p)
		sink, err := chunk.ReadSink(bytes.NewReader(data), int64(len(data)))
		if err != nil || sink.Damage != nil {
			t.Fatal(p, err, sink.Damage)
		}
		if blocks < 0 {
			blocks = len(sink.Index.Blocks)
		}
		for i := from; i < from+blocks; i++ {
			data, err := sink.ReadBlock(i, nil)
			if err != nil {
				t.Fatal(p, err)
			}
			chunks, _, err := sink.Index.Blocks[i].Decode("app", data, nil)
			if err != nil {
				t.Fatal(p, err)
			}
			for _, c := range chunks {
				fmt.Fprintf(&out, "%s %d %q\n", c.Stream, c.First, c.Body)
			}
		}
	}
	return out.String()
}

func options(st store.FS) regroup.Options {
	return regroup.Options{FS: st, Type: "app", Age: 48 * time.Hour, Now: now}
}

func run(t testing.TB, o regroup.Options) regroup.Report {
	t.Helper()
	rep, err := regroup.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

// counting counts the calls of a store.
type counting struct {
	store.FS
	calls atomic.Int64
	// before is called before each file is opened; nil: nothing is.
	before func(p string)
}

func (c *counting) List(ctx context.Context, dir string) ([]store.Info, error) {
	c.calls.Add(1)
	return c.FS.List(ctx, dir)
}

func (c *counting) Open(ctx context.Context, p string) (store.Reader, error) {
	c.calls.Add(1)
	if c.before != nil {
		c.before(p)
	}
	return c.FS.Open(ctx, p)
}

func (c *counting) Stat(ctx context.Context, p string) (store.Info, error) {
	c.calls.Add(1)
	return c.FS.Stat(ctx, p)
}

// files lists the paths of a day's folder that are regrouped files, or those that are
// not.
func files(t testing.TB, st store.FS, day time.Time, regrouped bool) (out []string) {
	t.Helper()
	for _, name := range names(t, st, day) {
		if store.SegmentOf(name).Regrouped() == regrouped {
			out = append(out, path.Join(path.Dir(pathOf(segment(day, 0))), name))
		}
	}
	return slices.Clip(out)
}
