package rows

import (
	"hash/maphash"

	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
)

// distinct finds the different ones among the values of a row group, where the
// column's dictionary does not know them any more: it was given up for all of the
// run, which is mostly more rows than a group has, or began with rows that did
// not repeat.
type distinct struct {
	slots []slot
	n     int
}

// begin makes room for so many different values.
func (d *distinct) begin(n int) {
	size := 1024
	for size < 2*n {
		size *= 2
	}
	if len(d.slots) < size {
		d.slots = make([]slot, size)
	} else {
		d.slots = d.slots[:size]
		clear(d.slots)
	}
	d.n = 0
}

// find returns the number of v among the different ones, and whether it is new. at
// returns the value of a number.
func (d *distinct) find(seed maphash.Seed, v []byte, at func(number int) []byte) (number int, isNew bool) {
	h := uint32(maphash.Bytes(seed, v))
	mask := uint32(len(d.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := d.slots[i]
		if s.id == 0 {
			d.n++
			d.slots[i] = slot{h, uint32(d.n)}
			return d.n - 1, true
		}
		if s.hash == h && string(at(int(s.id-1))) == string(v) {
			return int(s.id - 1), false
		}
	}
}

// again makes a dictionary of entries of t, which was given up, and writes them by
// it. It does not, and gives false, where they don't repeat enough.
func (g *gather) again(lv parquetfile.Levels, t *dictionary, entries []uint32) bool {
	seed := g.b.mem.seed
	value := func(i int) []byte { return t.get(int(g.used[i])) }
	different := func(step int) int {
		g.distinct.begin(len(entries)/step + 1)
		g.used = g.used[:0]
		for i := 0; i < len(entries); i += step {
			if _, isNew := g.distinct.find(seed, t.get(int(entries[i])), value); isNew {
				g.used = append(g.used, entries[i])
			}
		}
		return len(g.used)
	}
	if !parquetfile.Repeats(len(entries), different) {
		return false
	}
	most := len(entries) / 4
	g.distinct.begin(most + 1)
	g.used, g.idx = g.used[:0], g.idx[:0]
	size := 0
	for _, e := range entries {
		v := t.get(int(e))
		at, isNew := g.distinct.find(seed, v, value)
		if isNew {
			g.used = append(g.used, e)
			if size += len(v); len(g.used) > most || size > maxDictionary {
				return false
			}
		}
		g.idx = append(g.idx, int32(at))
	}
	g.w.Dictionary(lv, g.idx, len(g.used), value)
	return true
}
