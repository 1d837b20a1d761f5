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

// commit opens the table, as who committed on it before, and commits n files with these
// new columns.
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

// cost is what commits took.
type cost struct {
	cpu                  time.Duration
	calls, read, written int64
}

// of adds what f took.
func (c *cost) of(h *history, f func()) {
	calls, read, written, began := h.fs.calls.Load(), h.fs.read.Load(), h.fs.written.Load(), cpu()
	f()
	c.cpu += cpu() - began
	c.calls += h.fs.calls.Load() - calls
	c.read += h.fs.read.Load() - read
	c.written += h.fs.written.Load() - written
}

// report runs f b.N times and reports what each cost.
func (h *history) report(b *testing.B, f func()) {
	var c cost
	b.ResetTimer()
	for range b.N {
		c.of(h, f)
	}
	n := float64(b.N)
	b.ReportMetric(float64(c.cpu)/n/1e6, "cpu-ms/op")
	b.ReportMetric(float64(c.calls)/n, "calls/op")
	b.ReportMetric(float64(c.read)/n/1e3, "kB-read/op")
	b.ReportMetric(float64(c.written)/n/1e3, "kB-written/op")
}

// A commit to a table with many behind it costs as one with few: both by turns. Run it
// with -benchtime=96x or so: what is merged is merged every 24 commits.
func BenchmarkCommit(b *testing.B) {
	behind := [...]int{100, 20_000}
	var tables [2]*history
	for i, n := range behind {
		tables[i] = newHistory(b)
		tables[i].grow(b, n)
	}
	var took [2]cost
	b.ResetTimer()
	for range b.N {
		for i, h := range tables {
			took[i].of(h, func() { h.commit(b, 1) })
		}
	}
	n := float64(b.N)
	for i, c := range took {
		b.Logf("a commit with %d behind it: %.1f ms CPU, %.1f store calls, %.1f kB", behind[i], float64(c.cpu)/n/1e6, float64(c.calls)/n, float64(c.read+c.written)/n/1e3)
	}
	b.ReportMetric(float64(took[1].cpu)/float64(took[0].cpu), "xCPU")
	b.ReportMetric(float64(took[1].calls)/float64(took[0].calls), "xcalls")
	b.ReportMetric(float64(took[1].read+took[1].written)/float64(took[0].read+took[0].written), "xbytes")
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
