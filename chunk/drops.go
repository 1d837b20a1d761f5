package chunk

import (
	"encoding/binary"
	"sort"
)

// Drop is what a filter dropped within a chunk.
type Drop struct {
	Range
	Body int64 // bytes of the chunk's body before it
}

// AddDrop says that what follows on the body so far, up to the offset last, is not
// in it. It joins a drop that it touches.
func (c *Chunk) AddDrop(last int64) {
	n := len(c.Drops)
	if n > 0 && c.Drops[n-1].Body == int64(len(c.Body)) {
		c.Drops[n-1].Last = last
		return
	}
	c.Drops = append(c.Drops, Drop{Range{c.Offset(len(c.Body)), last}, int64(len(c.Body))})
}

// Offset returns the offset in the stream of the i-th byte of the body; of its
// length, where the last kept byte ends.
func (c *Chunk) Offset(i int) int64 {
	n := sort.Search(len(c.Drops), func(n int) bool { return c.Drops[n].Body > int64(i) })
	if n > 0 && i == len(c.Body) && c.Drops[n-1].Body == int64(i) {
		n-- // nothing kept is behind it
	}
	if n == 0 {
		return c.First + int64(i)
	}
	return c.Drops[n-1].Last + int64(i) - c.Drops[n-1].Body
}

// index returns how many bytes of the body lie before an offset of the chunk.
func (c *Chunk) index(offset int64) int64 {
	n := sort.Search(len(c.Drops), func(n int) bool { return c.Drops[n].Last > offset })
	at, body := c.First, int64(0)
	if n > 0 {
		at, body = c.Drops[n-1].Last, c.Drops[n-1].Body
	}
	if n < len(c.Drops) {
		offset = min(offset, c.Drops[n].First)
	}
	return body + offset - at
}

// Bytes returns what the body has of a part of the chunk. What was dropped within
// is not there.
func (c *Chunk) Bytes(r Range) []byte { return c.Body[c.index(r.First):c.index(r.Last)] }

// within returns the drops that share offsets with r.
func (c *Chunk) within(r Range) []Drop {
	if len(c.Drops) == 0 || r.Empty() {
		return nil
	}
	i := sort.Search(len(c.Drops), func(i int) bool { return c.Drops[i].Last > r.First })
	j := i
	for j < len(c.Drops) && c.Drops[j].First < r.Last {
		j++
	}
	return c.Drops[i:j]
}

// Dropped returns how many bytes of a part of the chunk were dropped.
func (c *Chunk) Dropped(r Range) (n int64) {
	for _, d := range c.within(r) {
		n += d.Intersect(r).Len()
	}
	return n
}

// Kept returns what of a part of the chunk was not dropped.
func (c *Chunk) Kept(r Range) (out Ranges) {
	for _, d := range c.within(r) {
		if before := (Range{r.First, d.First}); !before.Empty() {
			out = append(out, before)
		}
		r.First = d.Last
	}
	if !r.Empty() {
		out = append(out, r)
	}
	return out
}

// DroppedRanges returns what of a part of the chunk was dropped.
func (c *Chunk) DroppedRanges(r Range) (out Ranges) {
	for _, d := range c.within(r) {
		out = append(out, d.Intersect(r))
	}
	return out
}

// Sum is the checksum of a part of the chunk: of its bytes, and of which of them
// were dropped. As an index tells it of the whole.
func (c *Chunk) Sum(r Range) uint32 {
	sum := CRC(c.Bytes(r))
	drops := c.within(r)
	if len(drops) == 0 {
		return sum
	}
	var b [512]byte
	at, lengths := r.First, b[:0]
	for _, d := range drops {
		d.Range = d.Intersect(r)
		lengths = binary.AppendUvarint(lengths, uint64(d.First-at))
		lengths = binary.AppendUvarint(lengths, uint64(d.Len()))
		if at = d.Last; len(lengths) > len(b)-2*binary.MaxVarintLen64 {
			sum, lengths = AddCRC(sum, lengths), lengths[:0]
		}
	}
	return AddCRC(sum, lengths)
}

func (c *Chunk) checkDrops() error {
	if len(c.Drops) > MaxDrops {
		return invalidf("stream %s: %d ranges were dropped, at most %d are allowed", c.Stream, len(c.Drops), MaxDrops)
	}
	at, body := c.First, int64(0)
	for i, d := range c.Drops {
		if d.Empty() || d.Body < body || i > 0 && d.Body == body || d.First != at+d.Body-body || d.Last > c.Last {
			return invalidf("stream %s: the dropped range %v does not fit the chunk %v", c.Stream, d.Range, c.Range())
		}
		at, body = d.Last, d.Body
	}
	return nil
}
