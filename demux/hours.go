package demux

import (
	"context"
	"errors"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/rows"
)

// maxHours is how many hours the rows of one run may lie in: each is a partition,
// with a file of its own. What lies in more goes into the next run.
const maxHours = 4096

// hours are those that a run's rows lie in.
type hours struct {
	seen map[int64]struct{}
	last int64 // the one of the row looked at last
	rows int   // looked at
}

// grow looks at the rows that came since, and returns how many hours there are.
func (h *hours) grow(b *rows.Builder) int {
	if h.seen == nil {
		h.seen = map[int64]struct{}{}
	}
	for ; h.rows < b.Len(); h.rows++ {
		ts, _ := b.At(h.rows)
		if hour := rows.Hour(ts); hour != h.last || len(h.seen) == 0 {
			h.seen[hour], h.last = struct{}{}, hour
		}
	}
	return len(h.seen)
}

// with returns how many hours there are with those of others.
func (h *hours) with(o *hours) int {
	n := len(h.seen)
	for hour := range o.seen {
		if _, seen := h.seen[hour]; !seen {
			n++
		}
	}
	return n
}

// add takes in the hours of the rows that came last, which are known.
func (h *hours) add(o *hours) {
	for hour := range o.seen {
		h.seen[hour] = struct{}{}
	}
	if o.rows > 0 {
		h.last = o.last
	}
	h.rows += o.rows
}

// full reports whether the run is to take no more. It takes something, however
// large.
func (r *run) full(b *rows.Builder) bool {
	return r.bytes > 0 && (b.Bytes() >= r.worker.share() || r.hours.grow(b) >= r.mostHours)
}

// errFull ends the parsing of a chunk whose rows are too much for one run.
var errFull = errors.New("the run has as many rows as it may")

// bound is the context of parsing one chunk: it ends when the run is full.
type bound struct {
	context.Context
	run   *run
	rows  *rows.Builder
	hours *hours
	off   bool
	from  int // how many rows there were before the chunk
	asked int
}

// Err is asked before each record.
func (c *bound) Err() error {
	if err := c.Context.Err(); err != nil || c.off || c.rows.Len() == c.from {
		return err
	}
	const often = 1024 // records; memory is no matter of single ones
	if c.asked++; c.hours.grow(c.rows) >= c.run.mostHours || c.asked%often == 0 && c.rows.Bytes() >= 2*c.run.worker.share() {
		return errFull
	}
	return nil
}

// cut notes that a chunk was cut. Its stream's checksums may forget that.
func (r *run) cut(at spot, c *chunk.Chunk, keep chunk.Ranges) {
	if len(keep) == 0 {
		return
	}
	if r.cuts == nil {
		r.cuts = map[spot]coverage.Sum{}
	}
	r.cuts[at] = coverage.Sum{First: keep[0].First, Last: keep[0].Last, CRC: c.Sum(keep[0])}
}

// cut takes out of a share, and of what its stream is said to cover, the records
// behind the one that the last row is of. st is nil where nothing is said yet.
func (s *share) cut(c *chunk.Chunk, st *coverage.Stream, records []chunk.Range, b *rows.Builder) {
	_, seq := b.At(b.Len() - 1)
	i, _ := slices.BinarySearchFunc(records, seq, func(r chunk.Range, n int64) int {
		if r.Last <= n {
			return -1
		}
		return 1
	})
	rest := chunk.Range{First: records[min(i, len(records)-1)].Last, Last: c.Last}
	if st != nil {
		for _, k := range s.keep.Covered(rest) {
			st.Ranges = st.Ranges.Remove(k)
		}
	}
	s.keep = s.keep.Remove(rest)
}
