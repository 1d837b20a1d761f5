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
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

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
	Blocks    int // of each file; all chunks of one are of one stream
	RawLen    int // bytes of a block, decompressed
	TaskBytes int64
	RunBytes  int64 // of raw log: of a task, of a run
	Columns   int   // of the table, beside the common ones
	Dir       string
	Store     store.FS // takes the table, and nothing else
	Log       *slog.Logger
	// Tell is told what was done, now and then; it may be nil.
	Tell func(what string)
}

// Simulated is what a Simulation took.
type Simulated struct {
	Runs, Tasks   int
	Bytes, Chunks int64
	// Prepare is the time to make up the indexes; Plan until the tasks of all runs
	// were known, the moves of sink files that are done included; Commit from the
	// results of the tasks to the versions of the table.
	Prepare, Plan, Commit Spent
	Slowest               time.Duration // of the commits
	Report                Report
}

// Spent is the time that something took, and that of the processors.
type Spent struct{ Wall, CPU time.Duration }

func (s *Spent) add(o Spent) {
	s.Wall += o.Wall
	s.CPU += o.CPU
}

func (s Spent) String() string {
	return fmt.Sprintf("%.1f s (%.1f s of CPU)", s.Wall.Seconds(), s.CPU.Seconds())
}

// stopwatch is where something begins.
type stopwatch struct {
	at  time.Time
	cpu time.Duration
}

func startWatch() stopwatch {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // fails for wrong arguments alone
	return stopwatch{time.Now(), time.Duration(u.Utime.Nano() + u.Stime.Nano())}
}

// next returns what was spent since the last call, or the start.
func (w *stopwatch) next() Spent {
	now := startWatch()
	s := Spent{now.at.Sub(w.at), now.cpu - w.cpu}
	*w = now
	return s
}

const simulatedType = "simulated"

// Run does it.
func (s Simulation) Run(ctx context.Context) (Simulated, error) {
	var out Simulated
	began := startWatch()
	sim, err := s.prepare(ctx)
	if err != nil {
		return out, err
	}
	defer sim.indexes.Close()
	out.Prepare = began.next()
	cfg := DefaultConfig()
	cfg.Yarn.RunBytes, cfg.Yarn.TaskBytes = config.Size(s.RunBytes), config.Size(s.TaskBytes)
	cfg.Yarn.MinBytes = 0
	d := New(cfg, sim, "file:///simulated", s.Log, prometheus.NewRegistry())
	e := &simulatedEngine{sim: sim, out: &out}
	d.spreadBy(e)
	e.last = startWatch()
	sim.committed = func() {
		took := e.last.next()
		out.Commit.add(took)
		out.Slowest = max(out.Slowest, took.Wall)
		s.tell("run %d is committed: %.2f PB of %.2f; so far planned in %s, committed in %s", out.Runs,
			float64(out.Bytes)/1e15, float64(s.Files)*float64(s.Blocks)*float64(s.RawLen)/1e15, out.Plan, out.Commit)
	}
	rep, err := d.RunType(ctx, simulatedType)
	out.Report = rep
	out.Plan.add(e.last.next())
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

// prepare makes up the indexes, some at a time.
func (s *Simulation) prepare(ctx context.Context) (*simulated, error) {
	f, err := os.CreateTemp(s.Dir, "akupara-indexes-")
	if err != nil {
		return nil, fmt.Errorf("make a file for the indexes: %w", err)
	}
	_ = os.Remove(f.Name()) // it lives as long as it is open
	sim := &simulated{FS: s.Store, s: s, indexes: f, offsets: make([]int64, s.Files+1), sizes: make([]int64, s.Files)}
	w := bufio.NewWriterSize(f, 1<<20)
	headers := make([]bytes.Buffer, 1<<12)
	for from := 0; from < s.Files; from += len(headers) {
		some := headers[:min(len(headers), s.Files-from)]
		g, ctx := errgroup.WithContext(ctx)
		g.SetLimit(runtime.GOMAXPROCS(0))
		for k := range some {
			g.Go(func() (err error) {
				some[k].Reset()
				sim.sizes[from+k], err = s.header(&some[k], from+k)
				return errors.Join(err, ctx.Err())
			})
		}
		err := g.Wait()
		for k := range some {
			sim.offsets[from+k+1] = sim.offsets[from+k] + int64(some[k].Len())
			_, writeErr := w.Write(some[k].Bytes())
			err = errors.Join(err, writeErr)
		}
		if err != nil {
			f.Close()
			return nil, fmt.Errorf("write indexes: %w", err)
		}
		if n := from + len(some); n%(25*len(headers)) == 0 {
			s.tell("made up the indexes of %d of %d sink files", n, s.Files)
		}
	}
	if err := w.Flush(); err != nil {
		return nil, fmt.Errorf("write indexes: %w", err)
	}
	return sim, nil
}

func (s *Simulation) tell(format string, args ...any) {
	if s.Tell != nil {
		s.Tell(fmt.Sprintf(format, args...))
	}
}

// header writes the header of sink file i, and returns the size of the whole file.
func (s *Simulation) header(w io.Writer, i int) (int64, error) {
	index := chunk.Index{Type: simulatedType, Segment: string(s.segment(i))}
	for k := range s.Blocks {
		all := i*s.Blocks + k
		n, at := all%s.Streams, int64(all/s.Streams)*int64(s.RawLen)
		h := chunk.Header{Agent: "host-" + strconv.Itoa(n/100), Type: simulatedType, RawLen: s.RawLen}
		for from := 0; from < s.RawLen; from += chunk.MaxBody {
			h.Entries = append(h.Entries, chunk.Entry{
				Kind: chunk.Data, Host: h.Agent, Source: "/var/log/app-" + strconv.Itoa(n%100) + ".log", Stream: "s" + strconv.Itoa(n),
				First: at + int64(from), Last: at + int64(min(from+chunk.MaxBody, s.RawLen)), CRC: uint32(i*31+k) ^ uint32(from*37),
			})
		}
		index.AddFrame(&chunk.FrameHeader{Header: h, BlockLen: s.RawLen / 8, BlockCRC: uint32(i*37 + k)})
	}
	sink, err := chunk.NewSinkWriter(w, &index)
	if err != nil {
		return 0, err
	}
	_ = sink.WriteBlock(nil) // writes the header, and refuses the block
	return sink.Size(), nil
}

// chunks is how many a block has.
func (s *Simulation) chunks() int { return (s.RawLen + chunk.MaxBody - 1) / chunk.MaxBody }

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
	last stopwatch // since a run was planned, or committed
}

// Run implements engine.Engine.
func (e *simulatedEngine) Run(_ context.Context, w engine.Work, _ func(engine.Progress)) ([]json.RawMessage, error) {
	e.out.Plan.add(e.last.next())
	defer func() { e.last = startWatch() }()
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
			if len(s.Some) > 0 {
				return nil, errors.New("a task without all chunks of a block")
			}
			for range inPairs(s.Blocks, e.sim.s.Blocks) {
				e.out.Chunks += int64(e.sim.s.chunks())
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
