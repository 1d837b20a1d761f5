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
	want wanting
	// rest says that some of the block is left to other runs, or left out.
	rest bool
}

// plan is what one run takes.
type plan struct {
	tasks []task
	facts []fact
	// taken is how many chunks and facts that is.
	taken int
	// unvouched is of how many chunks the table may remember no checksum.
	unvouched int
	// finished are the files of which nothing is left to do: all of it is in
	// the table, told or damaged.
	finished []*sinkFile
	raw      int64 // bytes of its blocks
}

// fact is a chunk without a body.
type fact struct {
	*chunk.Entry
	at spot
}

func (p *plan) empty() bool { return len(p.tasks) == 0 && len(p.facts) == 0 }

// spots are where all that it takes lies.
func (p *plan) spots() []spot {
	out := make([]spot, 0, p.taken)
	for _, f := range p.facts {
		out = append(out, f.at)
	}
	for _, t := range p.tasks {
		for i, wanted := range t.want {
			if wanted {
				out = append(out, spot{t.file.path, int32(t.block), int32(i)})
			}
		}
	}
	return out
}

// taken is what a plan takes of one stream, beside what is known of it.
type taken struct {
	ranges    chunk.Ranges
	chunks    int
	sums      []coverage.Sum            // of its chunks; of none in a plan of what is apart
	known     map[coverage.Sum]struct{} // the same, for the first chunks of sums
	covered   *coverage.Stream          // of the table; nil: none
	contested bool
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

// cutting is a plan that is being made.
type cutting struct {
	*backlog
	*plan
	of      bounds
	streams map[string]*taken
	last    string // the stream that was asked for last
	its     *taken
}

// cut makes a plan.
func (b *backlog) cut(of bounds) *plan {
	c := &cutting{backlog: b, plan: &plan{}, of: of, streams: map[string]*taken{}}
	if of.apart {
		c.tasks = make([]task, 0, b.blocks(of))
	}
	for n, f := range b.files {
		if c.taken > 0 && min(n, c.unvouched) >= of.named || !c.file(f) {
			break
		}
	}
	return c.plan
}

// blocks is about how many blocks a plan can take.
func (b *backlog) blocks(of bounds) int {
	n, raw := 0, int64(0)
	for _, f := range b.files {
		for i := range f.sink.Index.Blocks {
			if raw += int64(f.sink.Index.Blocks[i].RawLen); raw > of.raw || n >= of.spots {
				return n
			}
			n++
		}
	}
	return n
}

// file takes of a file what fits, and reports whether that is all.
func (c *cutting) file(f *sinkFile) (fits bool) {
	finished := true
	for i := range f.sink.Index.Blocks {
		if f.faulty(i) || f.isDone(i) {
			continue
		}
		blk := &f.sink.Index.Blocks[i]
		if c.taken > 0 && c.taken+len(blk.Entries) > c.of.spots {
			return false
		}
		before, facts := c.taken, len(c.facts)
		want, left, rest := c.want(f, i)
		if left {
			finished = false
		}
		if want == nil {
			continue
		}
		if len(c.tasks) > 0 && c.raw+int64(blk.RawLen) > c.of.raw {
			c.taken = before + len(c.facts) - facts // of the block, its facts alone are taken
			return false
		}
		c.raw += int64(blk.RawLen)
		c.tasks = append(c.tasks, task{file: f, block: i, want: want, rest: rest})
	}
	if finished {
		c.finished = append(c.finished, f)
	}
	return true
}

// stream returns what is taken of a stream.
func (c *cutting) stream(id string) *taken {
	if c.its != nil && c.last == id {
		return c.its
	}
	s := c.streams[id]
	if s == nil {
		s = c.known(id)
		c.streams[id] = s
	}
	c.last, c.its = id, s
	return s
}

// want selects the chunks of a block that are to be read, nil when there are
// none. The block's facts go to the plan. left reports whether something of the
// block is not known to be in the table yet, by this block or by another that
// repeats it; rest whether some of it is not taken, though it might have been.
func (c *cutting) want(f *sinkFile, block int) (want wanting, left, rest bool) {
	entries := f.sink.Index.Blocks[block].Entries
	n := 0 // how many are wanted
	for j := range entries {
		e := &entries[j]
		at := spot{f.path, int32(block), int32(j)}
		s := c.stream(e.Stream)
		switch {
		case f.blamed(block, j):
			rest = true
			continue
		case e.Kind != chunk.Data && s.told(e), e.Kind == chunk.Data && (e.Range().Empty() || f.repeated[at] || c.repeats(s, e)):
			continue
		}
		left = true
		if !c.isolation.allows(at, c.taken, c.of.suspect) {
			rest = true
			continue
		}
		if e.Kind != chunk.Data {
			c.facts = append(c.facts, fact{e, at})
			c.taken++
			continue
		}
		sum := coverage.Sum{First: e.First, Last: e.Last, CRC: e.CRC}
		overlaps := s.ranges.Overlaps(e.Range())
		if overlaps && s.twice(sum) { // what is apart is found out next time
			continue
		}
		known := overlaps || s.contested || s.covered != nil && s.covered.Ranges.Overlaps(e.Range())
		if c.of.apart && (known || c.here[at]) {
			rest = true
			continue
		}
		s.ranges = s.ranges.Add(e.Range())
		if s.chunks++; !c.of.apart {
			s.sums = append(s.sums, sum)
		}
		if known || s.chunks > coverage.MaxSums {
			c.unvouched++
		}
		want = want.with(j, n, len(entries))
		n++
		c.taken++
	}
	return want.first(n, len(entries)), left, rest
}

// wanting says which chunks of a block are wanted. It is not changed once a plan has
// it: of blocks of which all are wanted, which most are, it is the same memory.
type wanting []bool

var everything = slices.Repeat(wanting{true}, 1<<10)

// with adds chunk j of so many, where n were wanted before it. As long as these are
// the first ones, the result is nil.
func (w wanting) with(j, n, of int) wanting {
	if w == nil && j > n {
		if w = w.first(n, of); w == nil {
			w = make(wanting, of)
		}
	}
	if w != nil {
		w[j] = true
	}
	return w
}

// first returns w; where it is nil, that the first n of so many are wanted.
func (w wanting) first(n, of int) wanting {
	switch {
	case w != nil || n == 0:
		return w
	case n == of && n <= len(everything):
		return everything[:n:n]
	}
	w = make(wanting, of)
	for i := range n {
		w[i] = true
	}
	return w
}

// known returns what is known of a stream of which nothing is taken.
func (b *backlog) known(id string) *taken {
	return &taken{covered: b.families.covered[id], contested: b.families.contested(id)}
}

// repeats reports whether the table holds exactly the chunk's bytes, as far as
// checksums tell.
func (b *backlog) repeats(s *taken, e *chunk.Entry) bool {
	if !s.contested {
		return s.covered != nil && s.covered.Ranges.Contains(e.Range()) && s.covered.Vouches(e.Range(), e.CRC)
	}
	return b.families.vouches(e.Stream, e.Range(), e.CRC)
}

// told reports whether the table knows the fact.
func (t *taken) told(e *chunk.Entry) bool {
	s := t.covered
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
	if f.vouched {
		return true
	}
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
