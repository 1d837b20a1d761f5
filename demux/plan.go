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
	// here are chunks that no task of an engine is to take: this process does.
	here map[spot]bool
}

func newBacklog(covered coverage.Set, s *isolation) *backlog {
	return &backlog{families: newFamilies(covered), isolation: s}
}

// wanted is what is to be known of the table's coverage to plan the files, and to
// judge what is in them.
func wanted(files []*sinkFile) coverage.Want {
	want := coverage.Want{}
	for _, f := range files {
		for i := range f.sink.Index.Blocks {
			entries := f.sink.Index.Blocks[i].Entries
			for len(entries) > 0 {
				// A stream's chunks follow on each other.
				id, r := entries[0].Stream, entries[0].Range()
				n := 1
				for ; n < len(entries) && entries[n].Stream == id; n++ {
					r.First, r.Last = min(r.First, entries[n].First), max(r.Last, entries[n].Last)
				}
				want.Add(id, r)
				entries = entries[n:]
			}
		}
	}
	return want
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
	// unvouched is of how many chunks the table may remember no checksum.
	unvouched int
	// finished are the files of which nothing is left to do: all of it is in
	// the table, told or damaged.
	finished []*sinkFile
	raw      int64 // bytes of its blocks
}

func (p *plan) empty() bool { return len(p.tasks) == 0 && len(p.facts) == 0 }

// taken is what a plan takes of one stream.
type taken struct {
	ranges chunk.Ranges
	sums   []coverage.Sum            // of its chunks
	known  map[coverage.Sum]struct{} // the same, for the first chunks of sums
}

// twice reports whether the plan has just this chunk already.
func (t *taken) twice(s coverage.Sum) bool {
	if t.known == nil {
		t.known = map[coverage.Sum]struct{}{}
	}
	for _, x := range t.sums[len(t.known):] {
		t.known[x] = struct{}{}
	}
	_, twice := t.known[s]
	return twice
}

func (t *taken) add(s coverage.Sum) {
	t.ranges = t.ranges.Add(chunk.Range{First: s.First, Last: s.Last})
	t.sums = append(t.sums, s)
}

const (
	// maxSpots bounds the chunks and facts of a plan: where each is a single line,
	// what is kept of them takes more memory than they do.
	maxSpots = 1 << 18

	// maxNamed bounds the sink files of a plan that a commit has to name, beside
	// those it takes a part of. See backlog.sinks.
	maxNamed = 1000
)

// plan selects, from the indexes alone, the next blocks of at most maxRaw bytes
// (but one at least). What a chunk holds beyond the table is decided when its
// bytes are there; a chunk of which a checksum says that the table or the plan
// has it is not read.
//
// What is suspected of making runs fail is taken when nothing else is left, and
// each alone.
func (b *backlog) plan(maxRaw int64) *plan {
	of := bounds{raw: maxRaw, spots: maxSpots, named: maxNamed}
	p := b.cut(of)
	if p.empty() && len(b.isolation.suspects) > 0 {
		of.suspect = true
		return b.cut(of)
	}
	return p
}

// bounds are what a plan may take.
type bounds struct {
	raw          int64
	spots, named int
	suspect      bool // one that is suspected, and nothing else
	apart        bool // only chunks of which the indexes tell that all of it is new
}

// cut makes a plan.
func (b *backlog) cut(of bounds) *plan {
	p := &plan{}
	streams := map[string]*taken{}
	for n, f := range b.files {
		if len(p.spots) > 0 && min(n, p.unvouched) >= of.named {
			return p
		}
		finished := true
		for i := range f.sink.Index.Blocks {
			if f.faulty(i) || f.isDone(i) {
				continue
			}
			if len(p.spots) > 0 && len(p.spots)+len(f.sink.Index.Blocks[i].Entries) > of.spots {
				return p
			}
			before := len(p.spots)
			want, left, rest := b.want(p, f, i, streams, of)
			if left {
				finished = false
			}
			if want == nil {
				continue
			}
			blk := &f.sink.Index.Blocks[i]
			if len(p.tasks) > 0 && p.raw+int64(blk.RawLen) > of.raw {
				// Of the block, its facts alone are taken.
				p.spots = append(p.spots[:before], slices.DeleteFunc(p.spots[before:], func(at spot) bool {
					return blk.Entries[at.chunk].Kind == chunk.Data
				})...)
				return p
			}
			p.raw += int64(blk.RawLen)
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
func (b *backlog) want(p *plan, f *sinkFile, block int, streams map[string]*taken, of bounds) (want []bool, left, rest bool) {
	entries := f.sink.Index.Blocks[block].Entries
	for j := range entries {
		e := &entries[j]
		at := spot{f.path, int32(block), int32(j)}
		switch {
		case f.blamed(block, j):
			rest = true
			continue
		case e.Kind != chunk.Data && b.told(e), e.Kind == chunk.Data && (e.Range().Empty() || f.repeated[at] || b.repeats(e)):
			continue
		}
		left = true
		if !b.isolation.allows(at, len(p.spots), of.suspect) {
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
			s = &taken{}
			streams[e.Stream] = s
		}
		sum := coverage.Sum{First: e.First, Last: e.Last, CRC: e.CRC}
		overlaps := s.ranges.Overlaps(e.Range())
		if overlaps && s.twice(sum) {
			continue
		}
		known := overlaps || b.families.contested(e.Stream) || b.families.overlaps(e.Stream, e.Range())
		if of.apart && (known || b.here[at]) {
			rest = true
			continue
		}
		s.add(sum)
		if known || len(s.sums) > coverage.MaxSums {
			p.unvouched++
		}
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

// sinks tells of the files that stay in raw/ for now what the table holds of
// them: of those that it holds a part of, and of those whose chunks it would not
// know again by their checksums, after a crash before they are moved.
func (b *backlog) sinks() (out []table.Sink) {
	for _, f := range b.files {
		if len(f.done) > 0 && (f.partly() || !b.vouches(f)) {
			out = append(out, table.Sink{Segment: store.SegmentOf(f.path), CRC: f.crc(), Blocks: f.done})
		}
	}
	return out
}

// vouches reports whether the run's delta, alone, has the checksums of all chunks
// of a file that the table did not know before.
func (b *backlog) vouches(f *sinkFile) bool {
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			e := &f.sink.Index.Blocks[i].Entries[j]
			if e.Kind != chunk.Data || e.Range().Empty() {
				continue
			}
			if st := b.families.delta[e.Stream]; st == nil || !st.Vouches(e.Range(), e.CRC) {
				return false
			}
		}
	}
	return true
}
