package demux

import (
	"context"
	"fmt"
	"slices"

	"github.com/akupara/akupara/chunk"
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

// spread is a run whose chunks tasks of an engine make rows of. It makes the same
// rows as do; what the tasks leave, a run in this process takes.
func (r *run) spread(ctx context.Context) (*table.Table, error) {
	s := &spreading{run: r, by: newTabling[runTask](r.Demux, kindRun, r.rep.Type, r.id, r.table, func(x *runResult) *madeRows { return &x.madeRows })}
	s.cut()
	if err := s.by.work(ctx); err != nil {
		return nil, err
	}
	made := s.by.made()
	r.records, r.failed = made.Records, made.Failed
	for i := range s.by.results {
		s.take(i)
	}
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
}

// cut parts the plan into tasks.
func (s *spreading) cut() {
	raw := int64(0)
	var sinks map[*sinkFile]uint32
	for _, t := range s.plan.tasks {
		size := int64(t.file.sink.Index.Blocks[t.block].RawLen)
		n := len(s.by.tasks)
		if n == 0 || raw+size > s.tasks.of && raw > 0 {
			s.by.tasks, s.blocks = append(s.by.tasks, runTask{}), append(s.blocks, nil)
			raw, n, sinks = 0, n+1, map[*sinkFile]uint32{}
		}
		raw += size
		x := &s.by.tasks[n-1]
		if _, known := sinks[t.file]; !known {
			sinks[t.file] = uint32(len(x.Sinks))
			x.Sinks = append(x.Sinks, taskSink{Path: t.file.path, CRC: t.file.crc()})
		}
		sink := &x.Sinks[sinks[t.file]]
		sink.Blocks = append(sink.Blocks, taskBlock{N: t.block, Chunks: pairs(t.want)})
		s.blocks[n-1] = append(s.blocks[n-1], t)
	}
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

// take notes what became rows of a task's chunks.
func (s *spreading) take(i int) {
	x := s.by.results[i]
	damaged := map[[2]int]string{}
	except := map[[3]int]taskChunk{}
	for _, c := range x.Damaged {
		damaged[[2]int{c.Sink, c.Block}] = c.Reason
	}
	for _, c := range append(slices.Clip(x.Left), x.Cut...) {
		except[[3]int{c.Sink, c.Block, c.Chunk}] = c
	}
	n := 0
	for sink := range s.by.tasks[i].Sinks {
		for range s.by.tasks[i].Sinks[sink].Blocks {
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
