package demux

import (
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

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
	c := &cutting{backlog: b, plan: &plan{}, of: of, streams: make(map[string]*taken, len(b.families.covered))}
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
			rest = true // the other one may turn out to be damaged
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
