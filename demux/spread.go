package demux

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// taskBounds bound what runs give to an engine.
type taskBounds struct {
	bounds          // of a plan
	least, of int64 // bytes of a plan; of a task
}

const (
	// Of runs whose chunks become rows elsewhere: here are only their indexes.
	spreadIndexBytes = 1 << 30
	spreadSpots      = 1 << 24
)

// spreadBy has large runs done by an engine.
func (d *Demux) spreadBy(e engine.Engine) {
	y := d.cfg.Yarn
	d.engine = e
	d.tasks = taskBounds{
		bounds: bounds{raw: int64(y.RunBytes), spots: spreadSpots, named: maxNamed, apart: true},
		least:  int64(y.MinBytes), of: int64(y.TaskBytes),
	}
	d.looking.bytes = spreadIndexBytes
}

// engineError is a failure of an engine: what a run takes has no part in it.
type engineError struct{ err error }

func (e *engineError) Error() string { return e.err.Error() }
func (e *engineError) Unwrap() error { return e.err }

// spread is a run whose chunks tasks of an engine make rows of. It makes the same
// rows as do; what the tasks leave, a run in this process takes.
func (r *run) spread(ctx context.Context) (*table.Table, error) {
	now := time.Now().UTC()
	s := &spreading{run: r, shared: runShared{
		Config: r.cfg.text, Type: r.rep.Type, Run: r.id, Now: now,
		Table: r.table.Columns(), Keys: r.table.Keys(), Columns: r.table.PlanColumns(nil),
	}}
	s.cut()
	if err := s.work(ctx); err != nil {
		s.discard(ctx)
		return nil, err
	}
	var files []table.DataFile
	for i := range s.results {
		x := &s.results[i]
		files = append(files, x.Files...)
		r.records += x.Records
		r.failed += x.Failed
		s.take(i)
	}
	if r.tellFacts(now); len(r.families.delta) == 0 {
		return r.table, nil
	}
	t, err := r.fresh(ctx)
	if err != nil {
		r.takeBack(ctx, files)
		return nil, err
	}
	return r.commit(ctx, t, s.shared.Columns, files)
}

// fresh opens the table again, which must not have changed: what was opened long ago
// is not committed on.
func (r *run) fresh(ctx context.Context) (*table.Table, error) {
	if r.table.Version() == 0 {
		return r.table, nil
	}
	t, err := r.open(ctx, r.rep.Type)
	if err != nil {
		return nil, err
	}
	if t.Version() != r.table.Version() {
		return nil, fmt.Errorf("%w: it was planned on version %d, there is version %d", table.ErrConflict, r.table.Version(), t.Version())
	}
	return t, nil
}

// spreading is the work of one run.
type spreading struct {
	*run
	shared  runShared
	tasks   []runTask
	blocks  [][]task // of each task
	results []runResult
	wanted  []schema.Column
}

// cut parts the plan into tasks.
func (s *spreading) cut() {
	raw := int64(0)
	var sinks map[*sinkFile]uint32
	for _, t := range s.plan.tasks {
		size := int64(t.file.sink.Index.Blocks[t.block].RawLen)
		n := len(s.tasks)
		if n == 0 || raw+size > s.Demux.tasks.of && raw > 0 {
			s.tasks, s.blocks = append(s.tasks, runTask{}), append(s.blocks, nil)
			raw, n, sinks = 0, n+1, map[*sinkFile]uint32{}
		}
		raw += size
		x := &s.tasks[n-1]
		if _, known := sinks[t.file]; !known {
			sinks[t.file] = uint32(len(x.Sinks))
			x.Sinks = append(x.Sinks, taskSink{Path: t.file.path, CRC: t.file.crc()})
		}
		sink := &x.Sinks[sinks[t.file]]
		sink.Blocks = append(sink.Blocks, taskBlock{N: t.block, Chunks: pairs(t.want)})
		s.blocks[n-1] = append(s.blocks[n-1], t)
	}
	s.results = make([]runResult, len(s.tasks))
}

// pairs are the numbers that are wanted: from, and up to.
func pairs(want []bool) (out []int) {
	for i, w := range want {
		switch {
		case w && len(out)%2 == 0:
			out = append(out, i)
		case !w && len(out)%2 == 1:
			out = append(out, i)
		}
	}
	if len(out)%2 == 1 {
		out = append(out, len(want))
	}
	return out
}

// maxSpreads bounds how often tasks are done again because their rows need other
// columns: each time the columns are more, or wider.
const maxSpreads = 8

// work has the tasks done, until all of their rows are in files.
func (s *spreading) work(ctx context.Context) error {
	todo := make([]int, len(s.tasks))
	for i := range todo {
		todo[i] = i
	}
	for round := 1; len(todo) > 0; round++ {
		if round > maxSpreads {
			return fmt.Errorf("the columns of run %s are others each time", s.id)
		}
		if err := s.once(ctx, fmt.Sprintf("%s-%s-%s-%d", kindRun, s.rep.Type, s.id, round), todo); err != nil {
			return err
		}
		todo = s.again(ctx, todo)
	}
	return nil
}

// once has some tasks done.
func (s *spreading) once(ctx context.Context, name string, todo []int) error {
	w := engine.Work{Name: name, Type: s.rep.Type, Kind: kindRun, Shared: marshal(&s.shared)}
	for _, i := range todo {
		w.Tasks = append(w.Tasks, marshal(&s.tasks[i]))
	}
	forget := s.running.begin(Running{Type: s.rep.Type, ID: s.id, Name: name, Started: time.Now().UTC(), Tasks: len(todo)})
	defer forget()
	s.log.Info("a run is spread over tasks", "type", s.rep.Type, "run", s.id, "tasks", len(todo), "bytes", s.plan.raw)
	results, err := s.engine.Run(ctx, w, func(n int) { s.running.done(name, n) })
	for k, i := range todo {
		if k >= len(results) || results[k] == nil {
			continue
		}
		s.results[i] = runResult{}
		if e := json.Unmarshal(results[k], &s.results[i]); e != nil && err == nil {
			err = fmt.Errorf("read the result of task %d: %w", i, e)
		}
	}
	if err != nil {
		return &engineError{fmt.Errorf("run %s of table %s by tasks: %w", s.id, s.rep.Type, err)}
	}
	return nil
}

// again returns which tasks have to be done again, with the columns that those need
// that were done.
func (s *spreading) again(ctx context.Context, done []int) (todo []int) {
	before := s.shared.Columns
	for _, i := range done {
		if wants := s.results[i].Wants; len(wants) > 0 {
			s.wanted = widen(s.wanted, wants)
			todo = append(todo, i)
		}
	}
	if room := schema.MaxColumns - len(s.table.PlanColumns(nil)); len(before) == len(s.table.PlanColumns(nil)) && len(s.wanted) > room {
		s.wanted = s.wanted[:max(room, 0)] // what comes under further keys goes to attributes
	}
	s.shared.Columns = s.table.PlanColumns(s.wanted)
	if len(s.shared.Columns) < len(before) || !slices.Equal(s.shared.Columns[:len(before)], before) {
		// Files have columns with types that those will not have.
		s.discard(ctx)
		todo = todo[:0]
		for i := range s.tasks {
			todo = append(todo, i)
		}
	}
	return todo
}

// discard takes back what the tasks made.
func (s *spreading) discard(ctx context.Context) {
	var files []table.DataFile
	for i := range s.results {
		files = append(files, s.results[i].Files...)
		s.results[i].Files = nil
	}
	if len(files) > 0 {
		s.takeBack(ctx, files)
	}
	s.orphaned.add(s.rep.Type) // attempts that failed may have left some, too
}

// take notes what became rows of a task's chunks.
func (s *spreading) take(i int) {
	x := &s.results[i]
	damaged := map[[2]int]string{}
	except := map[[3]int]taskChunk{}
	for _, c := range x.Damaged {
		damaged[[2]int{c.Sink, c.Block}] = c.Reason
	}
	for _, c := range append(slices.Clip(x.Left), x.Cut...) {
		except[[3]int{c.Sink, c.Block, c.Chunk}] = c
	}
	n := 0
	for sink := range s.tasks[i].Sinks {
		for range s.tasks[i].Sinks[sink].Blocks {
			t := s.blocks[i][n]
			n++
			if why, bad := damaged[[2]int{sink, t.block}]; bad {
				t.file.blame(t.block, why)
				continue
			}
			whole := true
			for k, wanted := range t.want {
				if !wanted {
					continue
				}
				e := &t.file.sink.Index.Blocks[t.block].Entries[k]
				c, other := except[[3]int{sink, t.block, k}]
				switch {
				case !other:
					s.rows(t.file, e, e.Range(), e.CRC)
					s.count(t.file, -e.Dropped)
					continue
				case c.Last > e.First && c.Last < e.Last:
					s.rows(t.file, e, chunk.Range{First: e.First, Last: c.Last}, c.CRC)
				}
				whole = false
				s.keep(spot{t.file.path, int32(t.block), int32(k)})
			}
			if whole && !t.rest {
				t.file.finish(t.block)
			}
		}
	}
	for id, f := range x.Filtered {
		if st := s.families.delta[id]; st != nil {
			st.Filter(f.Bytes, f.Filters)
		}
	}
	for id, blank := range x.Blank {
		if st := s.families.delta[id]; st != nil {
			st.Dropped = st.Dropped.AddAll(blank)
		}
	}
}

// rows notes that a range of a chunk became rows.
func (s *spreading) rows(f *sinkFile, e *chunk.Entry, r chunk.Range, crc uint32) {
	s.stream(e.Stream, e.Host, e.Source, "").Cover(r, crc)
	s.count(f, r.Len())
}

// count notes how many bytes of a sink file became rows.
func (s *spreading) count(f *sinkFile, n int64) {
	s.bytes += n
	f.used += n
}

// keep leaves a chunk to the runs in this process.
func (s *spreading) keep(at spot) {
	if s.here == nil {
		s.here = map[spot]bool{}
	}
	s.here[at] = true
}

// Running is a run that tasks are at work on.
type Running struct {
	Type    string    `json:"type"`
	ID      string    `json:"id"`
	Name    string    `json:"name"` // of the work, as the engine knows it
	Started time.Time `json:"started"`
	Tasks   int       `json:"tasks"`
	Done    int       `json:"done"`
}

// running are those of a process.
type running struct {
	mu   sync.Mutex
	runs map[string]*Running
}

func (r *running) begin(x Running) (forget func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.runs == nil {
		r.runs = map[string]*Running{}
	}
	r.runs[x.Name] = &x
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.runs, x.Name)
	}
}

func (r *running) done(name string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if x := r.runs[name]; x != nil {
		x.Done = n
	}
}

// list returns what runs, by name.
func (r *running) list() []Running {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := []Running{}
	for _, name := range slices.Sorted(maps.Keys(r.runs)) {
		out = append(out, *r.runs[name])
	}
	return out
}
