package rows

import (
	"bytes"
	"cmp"
	"math/bits"
	"slices"
)

// sort returns the rows' order by (ts, stream, seq), and of each row the run it
// is part of.
func (b *Builder) sort(order, runOf []uint32) ([]uint32, []uint32) {
	n := b.Len()
	order = slices.Grow(order[:0], n)[:n]
	runOf = slices.Grow(runOf[:0], n)[:n]
	for i := range b.runs {
		end := n
		if i+1 < len(b.runs) {
			end = b.runs[i+1].firstRow
		}
		for r := b.runs[i].firstRow; r < end; r++ {
			runOf[r] = uint32(i)
		}
	}
	for i := range order {
		order[i] = uint32(i)
	}
	if !b.sorted() {
		order = b.radix(order)
	}
	b.sortEqual(order, runOf)
	return order, runOf
}

// sorted reports whether the rows come in the order of their times.
func (b *Builder) sorted() bool {
	for i := 1; i < b.Len(); i++ {
		if b.ts.at(i) < b.ts.at(i-1) {
			return false
		}
	}
	return true
}

// radix sorts order by ts alone, stably, by 11 bits a pass from the lowest. It
// moves the rows' numbers and looks their times up: rows come nearly in order,
// so that these are close by, and memory is for the rows themselves.
func (b *Builder) radix(order []uint32) []uint32 {
	least, most := b.ts.at(0), b.ts.at(0)
	for i := range order {
		t := b.ts.at(i)
		least, most = min(least, t), max(most, t)
	}
	from, to := order, make([]uint32, len(order))
	const width = 11
	var counts [1 << width]uint32
	for shift := 0; shift < bits.Len64(uint64(most)-uint64(least)); shift += width {
		digit := func(row uint32) uint64 {
			return (uint64(b.ts.at(int(row))) - uint64(least)) >> shift & (1<<width - 1)
		}
		clear(counts[:])
		for i := range from {
			counts[digit(uint32(i))]++
		}
		sum := uint32(0)
		for i, c := range counts {
			counts[i] = sum
			sum += c
		}
		for _, row := range from {
			at := &counts[digit(row)]
			to[*at] = row
			*at++
		}
		from, to = to, from
	}
	return from
}

// sortEqual orders the rows of equal ts by (stream, seq): in most cases they
// come that way.
func (b *Builder) sortEqual(order, runOf []uint32) {
	compare := func(x, y uint32) int {
		rx, ry := &b.runs[runOf[x]], &b.runs[runOf[y]]
		if rx.stream != ry.stream {
			return bytes.Compare(b.origins.get(int(rx.stream)), b.origins.get(int(ry.stream)))
		}
		return cmp.Compare(b.seq.at(int(x)), b.seq.at(int(y)))
	}
	for i := 0; i < len(order); {
		j, sorted := i+1, true
		for ; j < len(order) && b.ts.at(int(order[j])) == b.ts.at(int(order[i])); j++ {
			sorted = sorted && compare(order[j-1], order[j]) <= 0
		}
		if !sorted {
			slices.SortFunc(order[i:j], compare)
		}
		i = j
	}
}
