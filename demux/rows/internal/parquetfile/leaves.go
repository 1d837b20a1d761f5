package parquetfile

import (
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"
)

// Levels tell where a leaf's values are. For a column, Def is 1 where a row
// has a value and 0 where it is null; a nil Def means that all N rows have
// one. For the leaves of a map, Rep is 0 at a row's first pair and 1 at its
// others, and Def is 0 for a row whose map is null, 2 for a key and 3 for a
// value.
type Levels struct {
	N        int
	Rep, Def []byte
}

const (
	pageBytes = 1 << 20 // of a page of strings, about
	// Files of runs have smaller pages, which a merge copies as they are where no
	// other file's rows lie between theirs: those mostly do at its ends.
	freshBytes  = 256 << 10
	mostInPage  = 8192 // levels
	leastParted = 2048 // levels of a leaf of several pages
	edgePart    = 16   // of the levels are in the first page and in the last one
)

// part is what a data page has of a leaf: levels and values.
type part struct{ level, end, value, valueEnd int }

// parts cuts a leaf into pages: a small one at each end, where rows of other files
// may lie among its own, and larger ones between. A leaf that is small is one.
func (c *columnChunk) parts(lv Levels, small bool) []part {
	out := c.w.parts[:0]
	edge := lv.N / edgePart
	add := func(end int) {
		p := part{end: end}
		if n := len(out); n > 0 {
			p.level, p.value = out[n-1].end, out[n-1].valueEnd
		}
		p.valueEnd = p.value + end - p.level
		if lv.Def != nil {
			p.valueEnd = p.value + count(lv.Def[p.level:end], c.leaf.maxDef)
		}
		out = append(out, p)
	}
	if !small && lv.N >= leastParted && lv.Rep == nil {
		add(edge)
		middle := lv.N - 2*edge
		n := (middle + mostInPage - 1) / mostInPage
		for i := 1; i <= n; i++ {
			add(edge + middle*i/n)
		}
	}
	add(lv.N)
	c.tell = len(out) > 1
	c.w.parts = out
	return out
}

// of returns the levels of a page.
func (p part) of(lv Levels) Levels {
	out := Levels{N: p.end - p.level}
	if lv.Rep != nil {
		out.Rep = lv.Rep[p.level:p.end]
	}
	if lv.Def != nil {
		out.Def = lv.Def[p.level:p.end]
	}
	return out
}

// Longs writes a leaf of Longs, Timestamps or Dates.
func (w *Writer) Longs(lv Levels, vals []uint64) {
	w.numbers(lv, vals, func(b *bounds, vals []uint64) {
		for _, v := range vals {
			b.num(int64(v))
		}
	})
}

// Doubles writes a leaf of Doubles, given as their bits.
func (w *Writer) Doubles(lv Levels, vals []uint64) {
	w.numbers(lv, vals, func(b *bounds, vals []uint64) {
		for _, v := range vals {
			b.double(math.Float64frombits(v))
		}
	})
}

func (w *Writer) numbers(lv Levels, vals []uint64, look func(b *bounds, vals []uint64)) {
	c := w.begin(lv, len(vals), bounds{})
	idx, repeat := w.small.encode(vals, w.idx[:0])
	w.idx = idx
	if repeat {
		look(&c.page, vals)
		w.page = appendPlain(w.page[:0], w.small.keys, c.leaf.typ)
		c.dictionary(len(w.small.keys))
		c.allIndexes(lv, w.idx, len(w.small.keys))
		c.end()
		return
	}
	for _, p := range c.parts(lv, false) {
		vals := vals[p.value:p.valueEnd]
		look(&c.page, vals)
		c.levels(lv, p.level, p.end)
		if c.leaf.typ != format.Int32 {
			c.rows = numberRows(vals, len(w.page))
		}
		w.page = appendPlain(w.page, vals, c.leaf.typ)
		c.data(p.end-p.level, p.end-p.level-len(vals), format.Plain)
	}
	c.end()
}

// Bools writes a leaf of Booleans: 0 or 1 each.
func (w *Writer) Bools(lv Levels, vals []uint64) {
	c := w.begin(lv, len(vals), bounds{})
	for _, p := range c.parts(lv, false) {
		vals := vals[p.value:p.valueEnd]
		for _, v := range vals {
			c.page.num(int64(v))
		}
		c.levels(lv, p.level, p.end)
		w.page = appendBits(w.page, vals)
		c.data(p.end-p.level, p.end-p.level-len(vals), format.Plain)
	}
	c.end()
}

// appendBits appends truths, of 0 or 1 each, as bits.
func appendBits[T byte | uint64](p []byte, vals []T) []byte {
	for len(vals) >= 8 {
		v := vals[:8:8]
		p = append(p, byte(v[0]|v[1]<<1|v[2]<<2|v[3]<<3|v[4]<<4|v[5]<<5|v[6]<<6|v[7]<<7))
		vals = vals[8:]
	}
	if len(vals) > 0 {
		var bits byte
		for j, v := range vals {
			bits |= byte(v) << j
		}
		p = append(p, bits)
	}
	return p
}

// Dictionary writes a leaf of Strings: dict(0), dict(1), … up to size, and for
// each value its index there.
func (w *Writer) Dictionary(lv Levels, idx []int32, size int, dict func(i int) []byte) {
	var b bounds
	w.page = w.page[:0]
	for i := range size {
		v := dict(i)
		b.str(v)
		w.page = binary.LittleEndian.AppendUint32(w.page, uint32(len(v)))
		w.page = append(w.page, v...)
	}
	c := w.begin(lv, len(idx), b)
	if size > 0 {
		c.dictionary(size)
		c.allIndexes(lv, idx, size)
	} else { // nulls only
		c.levels(lv, 0, lv.N)
		c.data(lv.N, lv.N, format.Plain)
	}
	c.end()
}

// batchLen is how many strings are asked for at a time.
const batchLen = 256

// Strings writes a leaf of Strings as they are: n values. fill gives those
// from the from-th on to dst; at most batchLen at a time, so that the memory
// where they are is asked for at once and each is looked at only while it is
// near. If bounded, the leaf gets bounds.
func (w *Writer) Strings(lv Levels, n int, bounded bool, fill func(dst [][]byte, from int)) {
	c := w.begin(lv, n, bounds{unknown: !bounded})
	var batch [][]byte // the values that are next
	parts := c.parts(lv, n == 0)
	for level, i := 0, 0; ; {
		// The values of a page are collected first: how many levels go before
		// them is known only then.
		from, start := i, level
		vals, like := w.vals[:0], likeness{}
		for level < lv.N && (len(vals) < freshBytes && level < parts[0].end || lv.Rep != nil && lv.Rep[level] != 0) {
			if lv.Def == nil || lv.Def[level] == c.leaf.maxDef {
				if len(batch) == 0 {
					batch = w.batch[:min(batchLen, n-i)]
					fill(batch, i)
				}
				v := batch[0]
				batch = batch[1:]
				i++
				vals = binary.LittleEndian.AppendUint32(vals, uint32(len(v)))
				vals = append(vals, v...)
				like.add(v)
				if bounded {
					c.page.str(v)
				}
			}
			level++
		}
		w.vals = vals
		c.levels(lv, start, level)
		c.rows = like.rows(len(w.page))
		w.page = append(w.page, vals...)
		c.tell = start > 0 || level < lv.N
		for len(parts) > 1 && level >= parts[0].end {
			parts = parts[1:]
		}
		c.data(level-start, level-start-(i-from), format.Plain)
		if level >= lv.N {
			break
		}
	}
	clear(w.batch[:])
	c.end()
}
