package demux

import (
	"fmt"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// backlog is what the sink files of one data type hold, held against what its
// table holds. Plans are cut from it, one a run.
type backlog struct {
	files   []*sinkFile
	covered coverage.Set // of the table's current version
	past    *past
}

// task is one block to be read, with what of each of its chunks the table does
// not hold yet.
type task struct {
	file  *sinkFile
	block int
	keep  []chunk.Ranges // one for each chunk of the block; none: nothing of it
	// doubt are the chunks that the table holds by their ranges, and by no
	// checksum: their bytes are to be held against what came before.
	doubt map[int]bool
}

// plan is what one run takes.
type plan struct {
	tasks []task
	facts []chunk.Entry
	// finished are the files of which nothing is left to do: all of it is in
	// the table, told or faulty.
	finished []*sinkFile
}

func (p *plan) empty() bool { return len(p.tasks) == 0 && len(p.facts) == 0 }

// plan selects, from the indexes alone, the next blocks of at most maxRaw bytes
// (but one at least), each byte range of a stream once. It marks chunks that
// contradict the table as faulty.
func (b *backlog) plan(maxRaw int64) *plan {
	p := &plan{}
	taken := map[string]chunk.Ranges{} // by this plan, per stream
	raw := int64(0)
	for _, f := range b.files {
		finished := true
		for i := range f.sink.Index.Blocks {
			if f.faulty(i, -1) {
				continue
			}
			t := task{file: f, block: i, doubt: map[int]bool{}}
			var left bool
			t.keep, left = b.keep(p, &t, taken)
			if left || len(t.doubt) > 0 {
				finished = false
			}
			if t.keep == nil {
				continue
			}
			blk := &f.sink.Index.Blocks[i]
			if len(p.tasks) > 0 && raw+int64(blk.RawLen) > maxRaw {
				return p
			}
			raw += int64(blk.RawLen)
			p.tasks = append(p.tasks, t)
		}
		if finished {
			p.finished = append(p.finished, f)
		}
	}
	return p
}

// keep takes what of each chunk of a block is neither in the table nor taken,
// and gives nil when there is nothing. The block's facts go to the plan. left
// tells whether something of the block is not in the table yet, by this block
// or by another that repeats it.
func (b *backlog) keep(p *plan, t *task, taken map[string]chunk.Ranges) (keep []chunk.Ranges, left bool) {
	f, block := t.file, t.block
	entries := f.sink.Index.Blocks[block].Entries
	keep = make([]chunk.Ranges, len(entries))
	wanted := false
	for j := range entries {
		e := &entries[j]
		if e.Kind != chunk.Data {
			if !b.told(e) {
				p.facts = append(p.facts, *e)
				left = true
			}
			continue
		}
		if b.contradicted(e) {
			f.blame(block, j, contradiction(e.Stream, e.Source, e.Host, e.Range()))
		}
		if f.faulty(block, j) {
			continue
		}
		missing := b.missing(e)
		left = left || len(missing) > 0
		if len(missing) == 0 && b.doubtful(f, block, j) {
			t.doubt[j] = true
			wanted = true
			continue
		}
		for _, r := range missing {
			keep[j] = append(keep[j], taken[e.Stream].Missing(r)...)
		}
		taken[e.Stream] = taken[e.Stream].AddAll(keep[j])
		wanted = wanted || len(keep[j]) > 0
	}
	if !wanted {
		return nil, left
	}
	return keep, left
}

// doubtful tells of a repetition whose bytes no checksum vouches for.
func (b *backlog) doubtful(f *sinkFile, block, j int) bool {
	e := &f.sink.Index.Blocks[block].Entries[j]
	s := b.covered[e.Stream]
	return b.past != nil && s != nil && !e.Range().Empty() && !f.held[[2]int{block, j}] &&
		!slices.Contains(s.Sums, coverage.Sum{First: e.First, Last: e.Last, CRC: e.CRC})
}

// missing is what of a data chunk's range is not in the table.
func (b *backlog) missing(e *chunk.Entry) chunk.Ranges {
	if e.Range().Empty() {
		return nil
	}
	if s := b.covered[e.Stream]; s != nil {
		return s.Ranges.Missing(e.Range())
	}
	return chunk.Ranges{e.Range()}
}

// told reports whether the table knows the fact.
func (b *backlog) told(e *chunk.Entry) bool {
	s := b.covered[e.Stream]
	if s == nil {
		return false
	}
	switch e.Kind {
	case chunk.Begin:
		return s.Begin != coverage.Unknown && s.Begin <= e.First
	case chunk.End:
		return s.End >= e.First
	case chunk.Lost:
		return s.Lost.Contains(e.Range())
	case chunk.Doubtful:
		return s.Doubtful.Contains(e.Range())
	default:
		return s.Dropped.Contains(e.Range())
	}
}

// contradicted tells that a chunk can't be a repetition of what the table
// holds: the same range was committed with other bytes.
func (b *backlog) contradicted(e *chunk.Entry) bool {
	s := b.covered[e.Stream]
	return s != nil && slices.ContainsFunc(s.Sums, func(sum coverage.Sum) bool {
		return sum.First == e.First && sum.Last == e.Last && sum.CRC != e.CRC
	})
}

func contradiction(stream, source, host string, r chunk.Range) string {
	return fmt.Sprintf("stream %s (%s on %s): %v is in the table with other bytes", stream, source, host, r)
}

func (b *backlog) drop(f *sinkFile) {
	f.close()
	b.files = slices.DeleteFunc(b.files, func(x *sinkFile) bool { return x == f })
}

func (b *backlog) close() {
	for _, f := range b.files {
		f.close()
	}
}
