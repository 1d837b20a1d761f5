package demux

import (
	"bytes"
	"context"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// compared says of parts of a chunk how they are to what the table holds at the
// same offsets of the chunk's stream or its family.
type compared struct {
	c        *chunk.Chunk
	records  []chunk.Range
	disputed int64        // from there on the family's streams have parted
	same     chunk.Ranges // the table holds these bytes, or not, where the chunk is without them
	differs  chunk.Ranges // it holds others, by at least one sending
	leftOut  chunk.Ranges // it holds nothing, as a filter dropped what the chunk has
	// unlike are ranges of which a checksum says that they differ somewhere.
	unlike chunk.Ranges
}

// maxReads bounds the chunks that one chunk is compared with by their bytes.
const maxReads = 256

// compare compares a chunk with what was taken before for the parts of it that
// the table holds. Where a checksum can be compared, bytes need not be read.
func (r *run) compare(ctx context.Context, p place, c *chunk.Chunk, held chunk.Ranges, records []chunk.Range) (compared, error) {
	k := compared{c: c, records: records, disputed: r.families.disputed(c.Stream)}
	filtered := len(c.Drops) > 0 || r.families.filtered(c.Stream)
	for _, s := range r.families.sums(c.Stream, c.Range()) {
		at := chunk.Range{First: s.First, Last: s.Last}
		switch {
		case c.Sum(at) == s.CRC:
			k.equal(at)
		case !filtered: // else it may be that of fewer bytes, or more
			k.unlike = k.unlike.Add(at)
		}
	}
	if containsAll(k.same, held) {
		return k, nil
	}
	for {
		if err := r.look(ctx, p, &k, held); err != nil {
			return k, err
		}
		known := slices.Clone(k.same).AddAll(k.differs).AddAll(k.leftOut)
		if containsAll(known, held) {
			return k, nil
		}
		if more, err := r.past.deepen(ctx, coverage.Root(c.Stream)); err != nil || !more {
			return k, err
		}
	}
}

// look compares a chunk with those that are known to have been taken before.
func (r *run) look(ctx context.Context, p place, k *compared, held chunk.Ranges) error {
	c := k.c
	old, err := r.past.before(ctx, p, c.Stream, c.Host, c.Range())
	if err != nil {
		return err
	}
	var unsure []pastChunk
	for _, e := range old {
		if e.First >= c.First && e.Last <= c.Last && c.Sum(e.Range) == e.crc {
			k.equal(e.Range)
		} else {
			unsure = append(unsure, e)
		}
	}
	reads := 0
	for _, e := range unsure {
		if reads >= maxReads {
			break
		}
		if containsAll(k.same, held.Covered(e.Intersect(c.Range()))) {
			continue
		}
		other, err := r.past.chunk(ctx, e)
		if err != nil {
			return err
		}
		reads++
		if other != nil { // else it can't be read any more
			k.add(other)
		}
	}
	return nil
}

// equal takes in that a range that begins another chunk has the same bytes in
// this one.
func (k *compared) equal(rg chunk.Range) {
	if !border(k.c, rg.First) && rg.First > k.disputed {
		for _, rec := range k.records {
			if rec.First < rg.First && rg.First < rec.Last {
				k.differs = k.differs.Add(rec.Intersect(rg))
				rg.First = min(rec.Last, rg.Last)
				break
			}
		}
	}
	k.same = k.same.Add(rg)
}

// add compares the chunk with another, record by record.
//
// The end of one record may have the bytes of another, whole one. They are the
// same only if both begin there. Where a chunk begins, a record does, unless it
// is the rest of one: in dispute, that it is one counts.
func (k *compared) add(old *chunk.Chunk) {
	c := k.c
	both := old.Range().Intersect(c.Range())
	whole := old.Dropped(both) == 0 && c.Dropped(both) == 0
	if whole && border(c, both.First) == border(old, both.First) && bytes.Equal(old.Bytes(both), c.Bytes(both)) {
		k.same = k.same.Add(both)
		return
	}
	for _, d := range c.DroppedRanges(both) {
		k.same = k.same.AddAll(old.DroppedRanges(d))
	}
	for _, rec := range k.records {
		at := rec.Intersect(both)
		if at.Empty() {
			continue
		}
		if old.Dropped(at) > 0 {
			k.leftOut = k.leftOut.Add(at)
			continue
		}
		same := bytes.Equal(old.Bytes(at), c.Bytes(at))
		if same && border(c, at.First) != border(old, at.First) {
			assumed := at.First == c.First || at.First == old.First
			same = assumed && at.Last <= k.disputed
		}
		if same {
			k.same = k.same.Add(at)
		} else {
			k.differs = k.differs.Add(at)
		}
	}
}

// border reports whether a line or record of the chunk begins at offset.
func border(c *chunk.Chunk, offset int64) bool {
	if offset == c.First || c.Dropped(chunk.Range{First: offset - 1, Last: offset}) > 0 {
		return true // what was dropped was whole records
	}
	before := c.Bytes(chunk.Range{First: c.First, Last: offset})
	n := len(before)
	if _, found := slices.BinarySearch(c.Borders, int64(n)); found {
		return true
	}
	width, _ := chunk.Unit(c.Encoding)
	from := max(n-width, 0)
	return chunk.LineEnd(before[from:], c.Encoding) == n-from
}

func containsAll(s, of chunk.Ranges) bool {
	for _, r := range of {
		if !s.Contains(r) {
			return false
		}
	}
	return true
}

// share is what of a chunk becomes rows of one stream.
type share struct {
	stream string
	keep   chunk.Ranges
}

// judge decides, record by record, what of a chunk becomes rows of which stream,
// and notes it in the run's delta. A record whose bytes the family holds is a
// repetition. One that is held in part, by the same bytes, becomes a row of its
// rest. One that differs in any part becomes a row, whole, of a stream that holds
// nothing at its offsets; so does one that a filter dropped when it was first sent.
func (r *run) judge(ctx context.Context, p place, c *chunk.Chunk, records []chunk.Range) ([]share, error) {
	f := r.families
	held := f.held(c.Stream, c.Range())
	k, err := r.compare(ctx, p, c, held, records)
	if err != nil {
		return nil, err
	}
	k.leftOut = k.leftOut.Without(f.certain(c.Stream, c.Range()))
	candidates, late := f.candidates(c.Stream, c.Host)
	cause := f.cause(c.Stream, c.Host, candidates)
	before := "" // the stream that the record before went to
	var shares []share
	give := func(stream string, fresh bool, rg chunk.Range, doubtful bool) {
		before = stream
		why := ""
		if fresh {
			candidates = append(candidates, stream)
			why = cause
		}
		st := r.stream(stream, c.Host, c.Source, why)
		if doubtful && !f.ends(stream, rg.First) {
			st.Tell(chunk.Doubtful, rg)
		}
		st.Ranges = st.Ranges.Add(rg)
		for i := range shares {
			if shares[i].stream == stream {
				shares[i].keep = shares[i].keep.Add(rg)
				return
			}
		}
		shares = append(shares, share{stream, chunk.Ranges{rg}})
	}
	for _, rec := range records {
		in := held.Covered(rec)
		differs, doubtful := k.weigh(rec, in)
		switch {
		case k.wasLeftOut(in):
			at, fresh := f.place(c.Stream, late, "", rec)
			if fresh {
				late = append(late, at)
				r.stream(at, c.Host, c.Source, coverage.LeftOut)
			}
			last := before // what comes next does not continue this one
			give(at, false, rec, false)
			before = last
		case differs || len(in) == 0:
			at, fresh := f.place(c.Stream, candidates, before, rec)
			give(at, fresh, rec, doubtful)
		case in.Contains(rec): // a repetition
		default:
			at := f.rest(c.Stream, append(slices.Clone(candidates), late...), rec)
			if at == "" { // no stream would have all of its parts
				at, fresh := f.place(c.Stream, candidates, before, rec)
				give(at, fresh, rec, false)
				continue
			}
			for _, rg := range in.Missing(rec) {
				give(at, false, rg, false)
			}
		}
	}
	for _, d := range c.Drops {
		for _, rg := range held.Missing(d.Range) {
			give(c.Stream, false, rg, false)
		}
		for _, rg := range held.Covered(d.Range) {
			if rows := k.same.Missing(rg); len(rows) > 0 { // or may have
				st := r.stream(c.Stream, c.Host, c.Source, "")
				st.Certain = st.Certain.AddAll(rows)
			}
		}
	}
	return shares, nil
}

// wasLeftOut reports whether some of what the family holds of a record is not there,
// as far as is known: a filter dropped it.
func (k *compared) wasLeftOut(in chunk.Ranges) bool {
	for _, rg := range in {
		if slices.ContainsFunc(k.same.Missing(rg), k.leftOut.Overlaps) {
			return true
		}
	}
	return false
}

// weigh reports whether a record differs from what the family holds of it, which
// is in. What can't be compared is taken for the same, unless the family's streams
// have parted there: then it is a record, and perhaps one that the table has.
func (k *compared) weigh(rec chunk.Range, in chunk.Ranges) (differs, doubtful bool) {
	for _, rg := range in {
		for _, rest := range k.same.Missing(rg) {
			if k.differs.Overlaps(rest) {
				return true, false
			}
			if rec.Last > k.disputed || k.unlike.Overlaps(rest) {
				doubtful = true
			}
		}
	}
	return doubtful, doubtful
}
