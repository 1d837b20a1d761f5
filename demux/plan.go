package demux

import (
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// backlog is what the sink files of one data type hold, beside what its table
// holds. Plans are cut from it, one a run.
type backlog struct {
	files     []*sinkFile
	families  *families
	past      *past
	isolation *isolation
}

func newBacklog(covered coverage.Set, s *isolation) *backlog {
	return &backlog{families: newFamilies(covered), isolation: s}
}

// task is one block to be read.
type task struct {
	file  *sinkFile
	block int
	// want says which of the block's chunks are to be looked at: those that may
	// hold something that the table does not.
	want []bool
	// rest says that some of the block is left to other runs, or left out.
	rest bool
}

// plan is what one run takes.
type plan struct {
	tasks []task
	facts []chunk.Entry
	spots []spot // of all that is taken
	// finished are the files of which nothing is left to do: all of it is in
	// the table, told or damaged.
	finished []*sinkFile
}

func (p *plan) empty() bool { return len(p.tasks) == 0 && len(p.facts) == 0 }

// taken is what a plan takes of one stream.
type taken struct {
	ranges chunk.Ranges
	sums   map[coverage.Sum]struct{}
}

// plan selects, from the indexes alone, the next blocks of at most maxRaw bytes
// (but one at least). What a chunk holds beyond the table is decided when its
// bytes are there; a chunk of which a checksum says that the table or the plan
// has it is not read.
//
// What is suspected of making runs fail is taken when nothing else is left, and
// each alone.
func (b *backlog) plan(maxRaw int64) *plan {
	p := b.cut(maxRaw, false)
	if p.empty() && len(b.isolation.suspects) > 0 {
		return b.cut(maxRaw, true)
	}
	return p
}

// cut makes a plan of what is not suspected, or of one that is.
func (b *backlog) cut(maxRaw int64, suspect bool) *plan {
	p := &plan{}
	streams := map[string]*taken{}
	raw := int64(0)
	for _, f := range b.files {
		finished := true
		for i := range f.sink.Index.Blocks {
			if f.faulty(i) || f.isDone(i) {
				continue
			}
			before := len(p.spots)
			want, left, rest := b.want(p, f, i, streams, suspect)
			if left {
				finished = false
			}
			if want == nil {
				continue
			}
			blk := &f.sink.Index.Blocks[i]
			if len(p.tasks) > 0 && raw+int64(blk.RawLen) > maxRaw {
				// Of the block, its facts alone are taken.
				p.spots = append(p.spots[:before], slices.DeleteFunc(p.spots[before:], func(at spot) bool {
					return blk.Entries[at.chunk].Kind == chunk.Data
				})...)
				return p
			}
			raw += int64(blk.RawLen)
			p.tasks = append(p.tasks, task{file: f, block: i, want: want, rest: rest})
		}
		if finished {
			p.finished = append(p.finished, f)
		}
	}
	return p
}

// want selects the chunks of a block that are to be read, nil when there are
// none. The block's facts go to the plan. left reports whether something of the
// block is not known to be in the table yet, by this block or by another that
// repeats it; rest whether some of it is not taken, though it might have been.
func (b *backlog) want(p *plan, f *sinkFile, block int, streams map[string]*taken, suspect bool) (want []bool, left, rest bool) {
	entries := f.sink.Index.Blocks[block].Entries
	for j := range entries {
		e := &entries[j]
		at := spot{f.path, block, j}
		switch {
		case f.blamed(block, j):
			rest = true
			continue
		case e.Kind != chunk.Data && b.told(e), e.Kind == chunk.Data && (e.Range().Empty() || f.repeated[at] || b.repeats(e)):
			continue
		}
		left = true
		if !b.isolation.allows(at, len(p.spots), suspect) {
			rest = true
			continue
		}
		if e.Kind != chunk.Data {
			p.facts = append(p.facts, *e)
			p.spots = append(p.spots, at)
			continue
		}
		s := streams[e.Stream]
		if s == nil {
			s = &taken{sums: map[coverage.Sum]struct{}{}}
			streams[e.Stream] = s
		}
		sum := coverage.Sum{First: e.First, Last: e.Last, CRC: e.CRC}
		if s.ranges.Overlaps(e.Range()) {
			if _, twice := s.sums[sum]; twice {
				continue
			}
		}
		s.ranges = s.ranges.Add(e.Range())
		s.sums[sum] = struct{}{}
		if want == nil {
			want = make([]bool, len(entries))
		}
		want[j] = true
		p.spots = append(p.spots, at)
	}
	return want, left, rest
}

// repeats reports whether the table holds exactly the chunk's bytes, as far as
// checksums tell.
func (b *backlog) repeats(e *chunk.Entry) bool {
	if !b.families.contested(e.Stream) {
		s := b.families.covered[e.Stream]
		return s != nil && s.Ranges.Contains(e.Range()) && s.Vouches(e.Range(), e.CRC)
	}
	return b.families.vouches(e.Stream, e.Range(), e.CRC)
}

// told reports whether the table knows the fact.
func (b *backlog) told(e *chunk.Entry) bool {
	s := b.families.covered[e.Stream]
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

func (b *backlog) close() {
	for _, f := range b.files {
		f.close()
	}
}

// drop takes a file out of the backlog.
func (b *backlog) drop(f *sinkFile) {
	f.close()
	b.files = slices.DeleteFunc(b.files, func(x *sinkFile) bool { return x == f })
}

// sinks tells of the files that stay in raw/ for now what the table holds of
// them.
func (b *backlog) sinks() (out []table.Sink) {
	for _, f := range b.files {
		if len(f.done) > 0 {
			out = append(out, table.Sink{Segment: store.SegmentOf(f.path), CRC: f.crc(), Blocks: f.done})
		}
	}
	return out
}
