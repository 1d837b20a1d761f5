package bench

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

// tallied is a store that counts what is asked of it. Data files are there, without
// being there: a commit asks for their sizes alone.
type tallied struct {
	store.FS
	calls, bytes atomic.Int64
}

func (c *tallied) Create(ctx context.Context, p string) (store.File, error) {
	c.calls.Add(1)
	f, err := c.FS.Create(ctx, p)
	return talliedFile{f, c}, err
}

func (c *tallied) Open(ctx context.Context, p string) (store.Reader, error) {
	c.calls.Add(1)
	r, err := c.FS.Open(ctx, p)
	if err == nil {
		c.bytes.Add(r.Size())
	}
	return r, err
}

func (c *tallied) Stat(ctx context.Context, p string) (store.Info, error) {
	c.calls.Add(1)
	if strings.HasSuffix(p, ".parquet") {
		return store.Info{Path: p, Size: 1000, Mod: time.Now()}, nil
	}
	return c.FS.Stat(ctx, p)
}

func (c *tallied) List(ctx context.Context, p string) ([]store.Info, error) {
	c.calls.Add(1)
	return c.FS.List(ctx, p)
}

func (c *tallied) Rename(ctx context.Context, from, to string) error {
	c.calls.Add(1)
	return c.FS.Rename(ctx, from, to)
}

func (c *tallied) Remove(ctx context.Context, p string) error {
	c.calls.Add(1)
	return c.FS.Remove(ctx, p)
}

type talliedFile struct {
	store.File
	c *tallied
}

func (f talliedFile) Write(b []byte) (int, error) {
	f.c.bytes.Add(int64(len(b)))
	return f.File.Write(b)
}

// history makes commits to the table app, of data files that are not there.
type history struct {
	fs      *tallied
	t       *table.Table
	minutes int // files so far, one each
}

func newHistory(b *testing.B) *history {
	b.Helper()
	root := filepath.Join(b.TempDir(), "store")
	st, err := local.New(root)
	if err != nil {
		b.Fatal(err)
	}
	h := &history{fs: &tallied{FS: st}}
	if h.t, err = table.New(h.fs, "file://"+root, "app"); err != nil {
		b.Fatal(err)
	}
	return h
}

// commit opens the table and commits files of a minute each.
func (h *history) commit(b *testing.B, files int) {
	b.Helper()
	t, err := h.t.Again(b.Context())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		b.Fatal(err)
	} else if err == nil {
		h.t = t
	}
	c := table.Commit{RunID: fmt.Sprintf("%08d-bench", h.t.Version()+1), Delta: coverage.Set{}}
	for range files {
		at := dayStart.Add(time.Duration(h.minutes) * time.Minute).UnixMicro()
		h.minutes++
		part := table.HourPartition(at)
		f := table.DataFile{Path: table.DataPath("app", part, c.RunID, len(c.Files)), Partition: part}
		f.Stats = schema.FileStats{Records: 50, Size: 1000, SplitOffsets: []int64{4}, MinTS: at, MaxTS: at + 50e6}
		for _, col := range h.t.PlanColumns(nil) {
			if col.Type != schema.Map {
				bound := schema.LongBound(at)
				f.Stats.Columns = append(f.Stats.Columns, schema.ColumnStats{ID: col.ID, Size: 100, Values: 50, Lower: bound, Upper: bound})
			}
		}
		c.Files = append(c.Files, f)
	}
	if h.t, err = h.t.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
}

// grow makes as many files as so many commits leave: most of them a few hundred a
// commit, as their manifests would have been merged by now, the last ones one by one.
func (h *history) grow(b *testing.B, commits int) {
	b.Helper()
	const oneByOne = 72
	for left := commits - oneByOne; left > 0; {
		n := min(left, 576)
		h.commit(b, n)
		left -= n
	}
	for range min(commits, oneByOne) {
		h.commit(b, 1)
	}
}

func ownCPU() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // never fails
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cost is what commits took.
type cost struct {
	cpu          time.Duration
	calls, bytes int64
}

// of adds what f took.
func (c *cost) of(h *history, f func()) {
	calls, bytes, cpu := h.fs.calls.Load(), h.fs.bytes.Load(), ownCPU()
	f()
	c.cpu += ownCPU() - cpu
	c.calls += h.fs.calls.Load() - calls
	c.bytes += h.fs.bytes.Load() - bytes
}

// BenchmarkCommitAfterMany commits to a table with few commits behind it, and to one
// with many, by turns.
func BenchmarkCommitAfterMany(b *testing.B) {
	behind := []int{100, int(number(b, "AKUPARA_BENCH_COMMITS", 20_000))}
	const commits = 192 // whole rounds: 24 manifests become one
	for b.Loop() {
		var tables [2]*history
		for i, n := range behind {
			tables[i] = newHistory(b)
			tables[i].grow(b, n)
		}
		var took [2]cost
		for range commits {
			for i, h := range tables {
				took[i].of(h, func() { h.commit(b, 1) })
			}
		}
		for i, n := range behind {
			b.Logf("a commit with %d behind it: %v CPU, %.1f store calls, %.1f kB", n, took[i].cpu/commits, float64(took[i].calls)/commits, float64(took[i].bytes)/commits/1e3)
		}
		b.ReportMetric(float64(took[1].cpu)/float64(took[0].cpu), "xCPU")
		b.ReportMetric(float64(took[1].calls)/float64(took[0].calls), "xcalls")
		b.ReportMetric(float64(took[1].bytes)/float64(took[0].bytes), "xbytes")
	}
}
