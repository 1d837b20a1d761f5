package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// counted counts what the table asks of its store. Data files are there, without
// being there.
type counted struct {
	store.FS
	calls, read, written atomic.Int64
}

func (c *counted) Create(ctx context.Context, p string) (store.File, error) {
	c.calls.Add(1)
	f, err := c.FS.Create(ctx, p)
	return countedFile{f, c}, err
}

func (c *counted) Open(ctx context.Context, p string) (store.Reader, error) {
	c.calls.Add(1)
	r, err := c.FS.Open(ctx, p)
	if err == nil {
		c.read.Add(r.Size())
	}
	return r, err
}

func (c *counted) Stat(ctx context.Context, p string) (store.Info, error) {
	c.calls.Add(1)
	if strings.HasSuffix(p, ".parquet") {
		return store.Info{Path: p, Size: 1000, Mod: time.Now()}, nil
	}
	return c.FS.Stat(ctx, p)
}

func (c *counted) List(ctx context.Context, p string) ([]store.Info, error) {
	c.calls.Add(1)
	return c.FS.List(ctx, p)
}

func (c *counted) Rename(ctx context.Context, from, to string) error {
	c.calls.Add(1)
	return c.FS.Rename(ctx, from, to)
}

func (c *counted) Remove(ctx context.Context, p string) error {
	c.calls.Add(1)
	return c.FS.Remove(ctx, p)
}

type countedFile struct {
	store.File
	c *counted
}

func (f countedFile) Write(b []byte) (int, error) {
	f.c.written.Add(int64(len(b)))
	return f.File.Write(b)
}

// history makes commits of files that are not there.
type history struct {
	w   warehouse
	fs  *counted
	tbl *Table
	n   int // files so far, a minute each
}

func newHistory(b testing.TB) *history {
	w := openLocal(b)
	c := &counted{FS: w}
	return &history{w: w, fs: c, tbl: w.open(b, c)}
}

// commit opens the table, as who committed on it before, and commits n files with these new columns.
func (h *history) commit(b testing.TB, n int, added ...schema.Column) {
	b.Helper()
	var err error
	if h.tbl, err = h.tbl.Again(b.Context()); errors.Is(err, fs.ErrNotExist) {
		h.tbl = h.w.open(b, h.fs)
	} else if err != nil {
		b.Fatal(err)
	}
	cols := h.tbl.PlanColumns(added)
	c := Commit{RunID: fmt.Sprintf("%08d-bench", h.tbl.Version()+1), Columns: added, Delta: coverage.Set{}}
	for i := range n {
		at := start.Add(time.Duration(h.n) * time.Minute).UnixMicro()
		f := DataFile{Path: DataPath(typ, HourPartition(at), c.RunID, i), Partition: HourPartition(at)}
		f.Stats = schema.FileStats{Records: 50, Size: 1000, SplitOffsets: []int64{4}, MinTS: at, MaxTS: at + 50e6}
		for _, col := range cols {
			s := schema.ColumnStats{ID: col.ID, Size: 100, Values: 50, Lower: schema.LongBound(at), Upper: schema.LongBound(at + 50e6)}
			if col.Type == schema.Map {
				continue
			}
			f.Stats.Columns = append(f.Stats.Columns, s)
		}
		c.Files = append(c.Files, f)
		h.n++
	}
	next, err := h.tbl.Commit(b.Context(), c)
	if err != nil {
		b.Fatal(err)
	}
	h.tbl = next
}

// grow makes as many commits as there would be behind files of a minute each,
// most of them at once, as they would have been merged.
func (h *history) grow(b testing.TB, commits int) {
	const last = keepSnapshots + 2*expireBatch
	for left := commits - last; left > 0; {
		n := 1
		for n*mergeCount <= min(left, mergeCount*mergeCount) {
			n *= mergeCount
		}
		h.commit(b, n)
		left -= n
	}
	for range last {
		h.commit(b, 1)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report runs f b.N times and reports what each cost.
func (h *history) report(b *testing.B, f func()) {
	h.fs.calls.Store(0)
	h.fs.read.Store(0)
	h.fs.written.Store(0)
	began := cpu()
	b.ResetTimer()
	for range b.N {
		f()
	}
	n := float64(b.N)
	b.ReportMetric(float64(cpu()-began)/n/1e6, "cpu-ms/op")
	b.ReportMetric(float64(h.fs.calls.Load())/n, "calls/op")
	b.ReportMetric(float64(h.fs.read.Load())/n/1e3, "kB-read/op")
	b.ReportMetric(float64(h.fs.written.Load())/n/1e3, "kB-written/op")
}

// A commit to a table with many behind it costs as one with few. Run it with
// -benchtime=96x or so: what is merged is merged every 24 commits.
func BenchmarkCommit(b *testing.B) {
	for _, behind := range []int{100, 20_000} {
		b.Run(fmt.Sprintf("behind=%d", behind), func(b *testing.B) {
			h := newHistory(b)
			h.grow(b, behind)
			h.report(b, func() { h.commit(b, 1) })
		})
	}
}

// Commits that each bring new columns cost as one that brings none.
func BenchmarkNewColumns(b *testing.B) {
	for _, commits := range []int{0, 500} {
		b.Run(fmt.Sprintf("commits=%d", commits), func(b *testing.B) {
			h := newHistory(b)
			h.commit(b, 1)
			k := 0
			more := func() {
				var added []schema.Column
				for range min(5, schema.MaxColumns-len(h.tbl.Columns())) {
					added = append(added, schema.Column{Name: fmt.Sprintf("key_%05d", k), Type: schema.String})
					k++
				}
				h.commit(b, 1, added...)
			}
			for range commits {
				more()
			}
			h.report(b, more)
			in, err := h.w.Stat(b.Context(), h.tbl.MetadataPath())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(in.Size)/1e3, "kB-metadata")
		})
	}
}
