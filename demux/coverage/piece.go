package coverage

import (
	"cmp"
	"encoding/binary"
	"math"
	"time"

	"github.com/akupara/akupara/chunk"
)

// Piece is what one file of a tree says of one stream between two offsets: from
// From to where the stream's next piece in that file begins, or without an end.
// The first one begins at 0 and has all that is no range, too.
type Piece struct {
	ID    string
	From  int64
	Whole bool // of a root's first piece: what older files say of the family does not count
	*Stream
}

// maxSegments bounds the ranges of a piece that was written: a stream with more
// of them is cut.
const maxSegments = 2048

// forever is where the last piece of a stream ends.
const forever = math.MaxInt64

// compareIDs orders streams: a family is together, its root first.
func compareIDs(a, b string) int {
	return cmp.Or(cmp.Compare(Root(a), Root(b)), cmp.Compare(a, b))
}

func compareKeys(a string, from int64, b string, to int64) int {
	return cmp.Or(compareIDs(a, b), cmp.Compare(from, to))
}

// lists returns the sets of ranges that a stream has. Their order is part of the
// format.
func (s *Stream) lists() [5]*chunk.Ranges {
	return [5]*chunk.Ranges{&s.Ranges, &s.Lost, &s.Dropped, &s.Doubtful, &s.Certain}
}

// eachSegment calls do with the parts of a stream that lie in the same lists, from
// the first range to the last, gaps among them. Parts beside each other differ.
func (s *Stream) eachSegment(do func(first, last int64, in byte)) {
	var left [5]chunk.Ranges
	at := int64(forever)
	for i, l := range s.lists() {
		if left[i] = *l; len(*l) > 0 {
			at = min(at, (*l)[0].First)
		}
	}
	for {
		in, next := byte(0), int64(forever)
		for i := range left {
			if len(left[i]) > 0 && left[i][0].Last <= at {
				left[i] = left[i][1:]
			}
			if len(left[i]) == 0 {
				continue
			}
			if r := left[i][0]; r.First <= at {
				in |= 1 << i
				next = min(next, r.Last)
			} else {
				next = min(next, r.First)
			}
		}
		if in == 0 && next == forever {
			return
		}
		do(at, next, in)
		at = next
	}
}

// settle makes the lists what ranges are to be, whoever made them: sorted, without
// any that touch or are empty. What is written must be read again.
func (s *Stream) settle() {
	for _, l := range s.lists() {
		at := int64(-1)
		for _, r := range *l {
			if r.Empty() || r.First <= at || r.First < 0 {
				*l = chunk.Ranges(nil).AddAll(*l)
				break
			}
			at = r.Last
		}
	}
}

// segments returns how many parts eachSegment has.
func (s *Stream) segments() (n int) {
	if len(s.Ranges)+len(s.Lost)+len(s.Dropped)+len(s.Doubtful)+len(s.Certain) == 1 {
		return 1
	}
	s.eachSegment(func(int64, int64, byte) { n++ })
	return n
}

// appendSegments encodes the ranges: in which lists each part lies, a byte each,
// and their lengths. A filter that drops every other line so costs a length for
// each line, and little else.
func appendSegments(b []byte, s *Stream) []byte {
	n := s.segments()
	b = binary.AppendUvarint(b, uint64(n))
	if n == 0 {
		return b
	}
	s.eachSegment(func(_, _ int64, in byte) { b = append(b, in) })
	start := true
	s.eachSegment(func(first, last int64, _ byte) {
		if start {
			b, start = binary.AppendUvarint(b, uint64(first)), false
		}
		b = binary.AppendUvarint(b, uint64(last-first))
	})
	return b
}

func (d *decoder) segments(s *Stream) {
	n := d.count(2)
	if n == 0 {
		return
	}
	in := d.b[:n]
	d.b = d.b[n:]
	at := d.offset(0, d.uvarint())
	lists := s.lists()
	for i, mask := range in {
		last := d.offset(at, d.uvarint())
		switch {
		case d.err != nil:
			return
		case last == at, mask >= 1<<len(lists), mask == 0 && (i == 0 || i == n-1), i > 0 && mask == in[i-1]:
			d.fail("a range is empty, of no kind, or like the one before")
			return
		}
		for j, l := range lists {
			if mask>>j&1 == 0 {
				continue
			}
			if k := len(*l); k > 0 && (*l)[k-1].Last == at {
				(*l)[k-1].Last = last
			} else {
				*l = append(*l, chunk.Range{First: at, Last: last})
			}
		}
		at = last
	}
}

func appendSums(b []byte, sums []Sum) []byte {
	b = binary.AppendUvarint(b, uint64(len(sums)))
	at := int64(0)
	for _, x := range sums {
		b = binary.AppendVarint(b, x.First-at)
		b = binary.AppendUvarint(b, uint64(x.Last-x.First))
		b = binary.LittleEndian.AppendUint32(b, x.CRC)
		at = x.Last
	}
	return b
}

func (d *decoder) sums() (sums []Sum) {
	n := d.count(6)
	if n > MaxSums {
		d.fail("too many checksums")
		return nil
	}
	at := int64(0)
	for range n {
		x := Sum{First: at + d.varint()}
		x.Last = d.offset(x.First, d.uvarint())
		if len(d.b) < 4 || x.First < 0 {
			d.fail("a checksum is cut off or out of range")
		}
		if d.err != nil {
			break
		}
		x.CRC = binary.LittleEndian.Uint32(d.b)
		d.b = d.b[4:]
		at = x.Last
		sums = append(sums, x)
	}
	return sums
}

func (d *decoder) time() time.Time {
	if n := d.varint(); n != 0 {
		return time.Unix(n, 0).UTC()
	}
	return time.Time{}
}

// head returns the stream without its ranges.
func (s *Stream) head() *Stream {
	h := *s
	h.Ranges, h.Lost, h.Dropped, h.Doubtful, h.Certain = nil, nil, nil, nil, nil
	return &h
}

// add takes in the ranges alone of another.
func (s *Stream) add(o *Stream) {
	from := o.lists()
	for i, l := range s.lists() {
		*l = l.AddAll(*from[i])
	}
}

// cut takes out of s the ranges before an offset, and returns them.
func (s *Stream) cut(at int64) *Stream {
	below := &Stream{}
	to := below.lists()
	for i, l := range s.lists() {
		*to[i], *l = cut(*l, at)
	}
	return below
}

func cut(all chunk.Ranges, at int64) (below, above chunk.Ranges) {
	n := len(all)
	if n == 0 || all[n-1].Last <= at {
		return all, nil
	}
	for i, r := range all {
		if r.Last <= at {
			continue
		}
		if r.First >= at {
			return all[:i:i], all[i:]
		}
		below = append(all[:i:i], chunk.Range{First: r.First, Last: at})
		return below, append(chunk.Ranges{{First: at, Last: r.Last}}, all[i+1:]...)
	}
	return all, nil
}

// pieces cuts what a stream has from an offset on into pieces that can be written.
// The first one takes its head where it begins at 0.
func (p *Piece) pieces() []*Piece {
	if p.segments() <= maxSegments {
		return []*Piece{p}
	}
	var cuts []int64
	n := 0
	p.eachSegment(func(first, _ int64, _ byte) {
		if n++; n > maxSegments {
			cuts, n = append(cuts, first), 1
		}
	})
	rest := &Stream{}
	rest.add(p.Stream)
	head := p.head()
	var out []*Piece
	from := p.From
	for _, at := range cuts {
		part := rest.cut(at)
		if len(out) == 0 {
			head.add(part)
			part = head
		}
		out = append(out, &Piece{ID: p.ID, From: from, Whole: p.Whole && len(out) == 0, Stream: part})
		from = at
	}
	return append(out, &Piece{ID: p.ID, From: from, Stream: rest})
}
