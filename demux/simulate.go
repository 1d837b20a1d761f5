package demux

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Simulation is a day of sink files that are not there: their indexes are made up,
// and so are the results of the tasks. What plans and commits is the real thing.
type Simulation struct {
	Files     int // sink files
	Streams   int // that their chunks are of
	Blocks    int // of each file
	RawLen    int // bytes of a block, decompressed
	TaskBytes int64
	RunBytes  int64 // of raw log: of a task, of a run
	Columns   int   // of the table, beside the common ones
	Dir       string
	Store     store.FS // takes the table, and nothing else
	Log       *slog.Logger
}

// Simulated is what a Simulation took.
type Simulated struct {
	Runs, Tasks   int
	Bytes, Chunks int64
	// Prepare is the time to make up the indexes; Plan until the tasks of all runs
	// were known, the moves of sink files that are done included; Commit from the
	// results of the tasks to the versions of the table.
	Prepare, Plan, Commit time.Duration
	Slowest               time.Duration // of the commits
	Report                Report
}

const simulatedType = "simulated"

// Run does it.
func (s Simulation) Run(ctx context.Context) (Simulated, error) {
	var out Simulated
	began := time.Now()
	sim, err := s.prepare(ctx)
	if err != nil {
		return out, err
	}
	defer sim.indexes.Close()
	out.Prepare = time.Since(began)
	cfg := DefaultConfig()
	cfg.Yarn.RunBytes, cfg.Yarn.TaskBytes = config.Size(s.RunBytes), config.Size(s.TaskBytes)
	cfg.Yarn.MinBytes = 0
	d := New(cfg, sim, "file:///simulated", s.Log, prometheus.NewRegistry())
	e := &simulatedEngine{sim: sim, out: &out}
	d.spreadBy(e)
	e.last = time.Now()
	sim.committed = func() {
		took := time.Since(e.last)
		e.last = time.Now()
		out.Commit += took
		out.Slowest = max(out.Slowest, took)
	}
	rep, err := d.RunType(ctx, simulatedType)
	out.Report = rep
	out.Plan += time.Since(e.last)
	if err == nil && rep.Archived != s.Files {
		err = fmt.Errorf("%d of %d sink files are done with", rep.Archived, s.Files)
	}
	return out, err
}

// simulated is a store whose sink files have indexes and no blocks. All else is
// another store's, but data files, of which only the sizes are known.
type simulated struct {
	store.FS
	s       *Simulation
	indexes *os.File // the files' headers behind each other
	offsets []int64
	sizes   []int64 // that the files say they have
	moved   atomic.Int64
	// committed is called with each version of the table.
	committed func()
}

var simulatedDay = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

func (s *Simulation) segment(i int) store.Segment {
	at := simulatedDay.Add(time.Duration(float64(i) / float64(s.Files) * float64(24*time.Hour)))
	return store.NewSegment(at, "sim", uint64(i))
}

// prepare makes up the indexes.
func (s *Simulation) prepare(ctx context.Context) (*simulated, error) {
	f, err := os.CreateTemp(s.Dir, "akupara-indexes-")
	if err != nil {
		return nil, fmt.Errorf("make a file for the indexes: %w", err)
	}
	_ = os.Remove(f.Name()) // it lives as long as it is open
	sim := &simulated{FS: s.Store, s: s, indexes: f, offsets: make([]int64, s.Files+1), sizes: make([]int64, s.Files)}
	w := bufio.NewWriterSize(f, 1<<20)
	at := make([]int64, s.Streams)
	var header bytes.Buffer
	for i := range s.Files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		index := chunk.Index{Type: simulatedType, Segment: string(s.segment(i))}
		for k := range s.Blocks {
			n := (i*s.Blocks + k) % s.Streams
			e := chunk.Entry{
				Kind: chunk.Data, Host: "host-" + strconv.Itoa(n/100), Source: "/var/log/app-" + strconv.Itoa(n%100) + ".log",
				Stream: "s" + strconv.Itoa(n), First: at[n], Last: at[n] + int64(s.RawLen), CRC: uint32(i*31 + k),
			}
			at[n] = e.Last
			index.AddFrame(&chunk.FrameHeader{
				Header:   chunk.Header{Agent: e.Host, Type: simulatedType, RawLen: s.RawLen, Entries: []chunk.Entry{e}},
				BlockLen: s.RawLen / 8, BlockCRC: uint32(i*37 + k),
			})
		}
		header.Reset()
		sink, err := chunk.NewSinkWriter(&header, &index)
		if err != nil {
			return nil, err
		}
		sim.sizes[i] = sink.Size()
		_ = sink.WriteBlock(nil) // writes the header, and refuses the block
		if _, err := w.Write(header.Bytes()); err != nil {
			return nil, fmt.Errorf("write indexes: %w", err)
		}
		sim.offsets[i+1] = sim.offsets[i] + int64(header.Len())
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write indexes: %w", err)
	}
	return sim, nil
}

// number is that of the sink file at a path.
func (f *simulated) number(p string) (int, bool) {
	name, ok := strings.CutPrefix(p, store.Raw+"/"+simulatedType+"/")
	name = strings.TrimSuffix(path.Base(name), store.SinkExt)
	i, err := strconv.Atoi(name[strings.LastIndexByte(name, '-')+1:])
	return i, ok && err == nil && i < len(f.sizes)
}

func (f *simulated) List(ctx context.Context, dir string) ([]store.Info, error) {
	switch day := path.Join(store.Raw, simulatedType, simulatedDay.Format("2006-01-02")); dir {
	case path.Dir(day):
		return []store.Info{{Path: day, IsDir: true}}, nil
	case day:
		out := make([]store.Info, len(f.sizes))
		for i := range out {
			out[i] = store.Info{Path: store.SinkPath(store.Raw, simulatedType, f.s.segment(i)), Size: f.sizes[i], Mod: simulatedDay}
		}
		return out, nil
	}
	return f.FS.List(ctx, dir)
}

func (f *simulated) Open(ctx context.Context, p string) (store.Reader, error) {
	i, ok := f.number(p)
	if !ok {
		return f.FS.Open(ctx, p)
	}
	header := io.NewSectionReader(f.indexes, f.offsets[i], f.offsets[i+1]-f.offsets[i])
	return simulatedSink{header, f.sizes[i]}, nil
}

type simulatedSink struct {
	*io.SectionReader
	size int64
}

func (r simulatedSink) Size() int64  { return r.size }
func (r simulatedSink) Close() error { return nil }

func (f *simulated) Rename(ctx context.Context, from, to string) error {
	if _, ok := f.number(from); ok {
		f.moved.Add(1)
		return nil
	}
	err := f.FS.Rename(ctx, from, to)
	if err == nil && strings.HasSuffix(to, ".metadata.json") {
		f.committed()
	}
	return err
}

func (f *simulated) Stat(ctx context.Context, p string) (store.Info, error) {
	if strings.HasPrefix(p, path.Join(store.Tables, simulatedType, "data")+"/") {
		return store.Info{Path: p, Size: simulatedFile}, nil
	}
	return f.FS.Stat(ctx, p)
}

// simulatedFile is how large data files are said to be, in bytes.
const simulatedFile = 128 << 20

// simulatedEngine does tasks by saying that they are done.
type simulatedEngine struct {
	sim  *simulated
	out  *Simulated
	last time.Time // when a run was planned, or committed
}

// Run implements engine.Engine.
func (e *simulatedEngine) Run(_ context.Context, w engine.Work, _ func(engine.Progress)) ([]json.RawMessage, error) {
	e.out.Plan += time.Since(e.last)
	defer func() { e.last = time.Now() }()
	var shared rowsShared
	if err := json.Unmarshal(w.Shared, &shared); err != nil {
		return nil, err
	}
	var wants []schema.Column
	for i := range e.sim.s.Columns {
		wants = append(wants, schema.Column{Name: "column_" + strconv.Itoa(i), Type: schema.String})
	}
	results := make([]json.RawMessage, len(w.Tasks))
	if len(shared.Columns) < len(schema.Common())+len(wants) {
		// As the first tasks of a table do, which wait for their columns.
		for i := range results {
			results[i] = marshal(&runResult{madeRows: madeRows{Wants: wants}})
		}
		return results, nil
	}
	e.out.Runs++
	e.out.Tasks += len(w.Tasks)
	for i := range results {
		var t runTask
		if err := json.Unmarshal(w.Tasks[i], &t); err != nil {
			return nil, err
		}
		if len(t.Sinks) == 0 {
			return nil, errors.New("a task without sink files")
		}
		at, err := store.SegmentOf(t.Sinks[0].Path).Opened()
		if err != nil {
			return nil, err
		}
		for _, s := range t.Sinks {
			for _, b := range s.Blocks {
				e.out.Chunks += int64(len(b.Chunks) / 2)
				e.out.Bytes += int64(e.sim.s.RawLen)
			}
		}
		results[i] = marshal(&runResult{madeRows: madeRows{Files: []table.DataFile{simulatedData(shared, at, i)}, Records: 1 << 20}})
	}
	return results, nil
}

func simulatedData(shared rowsShared, at time.Time, n int) table.DataFile {
	ts := at.UnixMicro()
	f := table.DataFile{Path: table.DataPath(shared.Type, table.HourPartition(ts), shared.Run, n), Partition: table.HourPartition(ts)}
	f.Stats = schema.FileStats{Records: 1 << 20, Size: simulatedFile, SplitOffsets: []int64{4, 64 << 20}, MinTS: ts, MaxTS: ts}
	for _, c := range shared.Columns {
		if c.Type == schema.Map {
			continue
		}
		f.Stats.Columns = append(f.Stats.Columns, schema.ColumnStats{
			ID: c.ID, Size: 1 << 20, Values: 1 << 20, Lower: []byte("aaaaaaaa"), Upper: []byte("zzzzzzzzzzzzzzzz"),
		})
	}
	return f
}
