package demux

import (
	"context"
	"fmt"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/table"
)

// taskBounds bound what runs give to an engine.
type taskBounds struct {
	bounds          // of a plan
	least, of int64 // bytes of a plan; of a task
}

const (
	// Of runs whose chunks become rows elsewhere: here are only their indexes.
	spreadIndexBytes = 640 << 20
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

// spread is a run whose chunks tasks of an engine make rows of. It makes the same
// rows as do; what the tasks leave, a run in this process takes.
func (r *run) spread(ctx context.Context) (*table.Table, error) {
	s := &spreading{run: r, by: newTabling[runTask](r.Demux, kindRun, r.rep.Type, r.id, r.table, func(x *runResult) *madeRows { return &x.madeRows })}
	s.cut()
	if err := s.by.work(ctx); err != nil {
		return nil, err
	}
	if err := s.check(); err != nil {
		s.by.discard(ctx)
		return nil, err
	}
	made := s.by.made()
	r.records, r.failed = made.Records, made.Failed
	s.take()
	defer s.vouch()()
	if r.tellFacts(s.by.shared.Now); len(r.families.delta) == 0 {
		return r.table, nil
	}
	t, err := r.fresh(ctx)
	if err != nil {
		s.by.discard(ctx)
		return nil, err
	}
	return r.commit(ctx, t, s.by.shared.Columns, made.Files)
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
	by     tabling[runTask, runResult]
	blocks [][]task // of each task
	grown  grown
}

// cut parts the plan into tasks.
func (s *spreading) cut() {
	from, raw := 0, int64(0)
	for i, t := range s.plan.tasks {
		size := int64(t.file.sink.Index.Blocks[t.block].RawLen)
		if raw > 0 && raw+size > s.tasks.of {
			s.add(s.plan.tasks[from:i])
			from, raw = i, 0
		}
		raw += size
	}
	s.add(s.plan.tasks[from:])
}

// add adds a task of blocks. Those of a file are beside each other.
func (s *spreading) add(blocks []task) {
	if len(blocks) == 0 {
		return
	}
	var x runTask
	var file *sinkFile
	for _, t := range blocks {
		if t.file != file {
			file = t.file
			x.Sinks = append(x.Sinks, taskSink{Path: t.file.path, CRC: t.file.crc()})
		}
		x.Sinks[len(x.Sinks)-1].add(t.block, t.want)
	}
	s.by.tasks, s.blocks = append(s.by.tasks, x), append(s.blocks, blocks)
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

// check makes sure that the tasks tell of each chunk that was cut where that was: what
// is not covered would become rows twice.
func (s *spreading) check() error {
	for i, x := range s.by.results {
		var files []*sinkFile
		for _, t := range s.blocks[i] {
			if n := len(files); n == 0 || files[n-1] != t.file {
				files = append(files, t.file)
			}
		}
		for _, c := range x.Cut {
			var e *chunk.Entry
			if c.Sink >= 0 && c.Sink < len(files) {
				e = files[c.Sink].entry(c.Block, c.Chunk)
			}
			if e == nil || c.Last <= e.First || c.Last >= e.Last {
				return &engineError{fmt.Errorf("task %d of run %s of table %s does not say where it cut chunk %d of block %d", i, s.id, s.rep.Type, c.Chunk, c.Block)}
			}
		}
	}
	return nil
}

// take notes what became rows of the tasks' chunks.
func (s *spreading) take() {
	s.grown = newGrown()
	for i, x := range s.by.results {
		e := exceptionsOf(x)
		var file *sinkFile
		sink := -1
		for _, t := range s.blocks[i] {
			if t.file != file {
				file = t.file
				sink++
			}
			s.takeBlock(t, sink, e)
		}
	}
	s.grown.addTo(s.families)
	for _, x := range s.by.results {
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
}

// exceptions are the chunks of a task that did not become rows, or not all of them.
type exceptions struct {
	gone    []int // sink files
	damaged map[[2]int]string
	chunks  map[[3]int]taskChunk
}

func exceptionsOf(x *runResult) exceptions {
	e := exceptions{gone: x.Gone, damaged: map[[2]int]string{}, chunks: map[[3]int]taskChunk{}}
	for _, c := range x.Damaged {
		e.damaged[[2]int{c.Sink, c.Block}] = c.Reason
	}
	for _, list := range [...][]taskChunk{x.Left, x.Cut} {
		for _, c := range list {
			e.chunks[[3]int{c.Sink, c.Block, c.Chunk}] = c
		}
	}
	return e
}

// takeBlock notes what became rows of a block; sink is the number of its file.
func (s *spreading) takeBlock(t task, sink int, e exceptions) {
	why, bad := e.damaged[[2]int{sink, t.block}]
	if bad {
		t.file.blame(t.block, why) // some of it may have become rows before
	}
	gone := slices.Contains(e.gone, sink)
	whole := !bad
	blk := &t.file.sink.Index.Blocks[t.block]
	for k, wanted := range t.want {
		if !wanted {
			continue
		}
		x := &blk.Entries[k]
		c, other := e.chunks[[3]int{sink, t.block, k}]
		switch {
		case !other && !gone:
			s.grown.add(x)
			s.count(t.file, x.Range().Len())
			t.file.fresh++
			s.count(t.file, -x.Dropped)
			continue
		case c.Last > x.First && c.Last < x.Last:
			cut := *x
			cut.Last, cut.CRC = c.Last, c.CRC
			s.grown.add(&cut)
			s.count(t.file, cut.Range().Len())
		}
		whole = false
		if bad {
			continue
		}
		s.keep(spot{t.file.path, int32(t.block), int32(k)})
	}
	if whole && !t.rest {
		t.file.finish(t.block)
	}
}

// vouch marks the files whose chunks all became rows, with their checksums kept. undo
// takes that back.
func (s *spreading) vouch() (undo func()) {
	kept := true
	for _, st := range s.families.delta {
		kept = kept && len(st.Sums) < coverage.MaxSums
	}
	for _, f := range s.files {
		f.vouched = kept && f.fresh > 0 && f.fresh == f.chunks()
	}
	return func() {
		for _, f := range s.files {
			f.fresh, f.vouched = 0, false
		}
	}
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
