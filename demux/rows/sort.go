package rows

import (
	"bytes"
	"math/bits"
	"slices"
)

// keyed is a row and the time it is sorted by, counted from the earliest.
type keyed struct {
	key uint64
	row uint32
}

// sort gives the rows' order by (ts, stream, seq), and of each row the run it
// is part of.
func (b *Builder) sort(order, runOf []uint32) ([]uint32, []uint32) {
	n := len(b.ts)
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
	if slices.IsSorted(b.ts) {
		for i := range order {
			order[i] = uint32(i)
		}
	} else {
		b.radix(order)
	}
	b.sortEqual(order, runOf)
	return order, runOf
}

// radix sorts by ts alone, stably, by 11 bits a pass from the lowest.
func (b *Builder) radix(order []uint32) {
	n := len(b.ts)
	least, most := slices.Min(b.ts), slices.Max(b.ts)
	from, to := make([]keyed, n), make([]keyed, n)
	for i, t := range b.ts {
		from[i] = keyed{uint64(t) - uint64(least), uint32(i)}
	}
	const width = 11
	var counts [1 << width]uint32
	for shift := 0; shift < bits.Len64(uint64(most)-uint64(least)); shift += width {
		clear(counts[:])
		for i := range from {
			counts[from[i].key>>shift&(1<<width-1)]++
		}
		sum := uint32(0)
		for i, c := range counts {
			counts[i] = sum
			sum += c
		}
		for i := range from {
			at := &counts[from[i].key>>shift&(1<<width-1)]
			to[*at] = from[i]
			*at++
		}
		from, to = to, from
	}
	for i := range order {
		order[i] = from[i].row
	}
}

// sortEqual orders the rows of equal ts by (stream, seq): in most cases they
// come that way.
func (b *Builder) sortEqual(order, runOf []uint32) {
	cmp := func(x, y uint32) int {
		rx, ry := &b.runs[runOf[x]], &b.runs[runOf[y]]
		if rx.stream != ry.stream {
			o := &b.origins.refs
			return bytes.Compare(b.arena.get((*o)[rx.stream]), b.arena.get((*o)[ry.stream]))
		}
		switch {
		case b.seq[x] < b.seq[y]:
			return -1
		case b.seq[x] > b.seq[y]:
			return 1
		}
		return 0
	}
	for i := 0; i < len(order); {
		j, sorted := i+1, true
		for ; j < len(order) && b.ts[order[j]] == b.ts[order[i]]; j++ {
			sorted = sorted && cmp(order[j-1], order[j]) <= 0
		}
		if !sorted {
			slices.SortFunc(order[i:j], cmp)
		}
		i = j
	}
}
