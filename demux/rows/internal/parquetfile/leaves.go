package parquetfile

import (
	"encoding/binary"
	"math"

	"github.com/cespare/xxhash/v2"
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

const pageBytes = 1 << 20 // of a page of strings, about

// Longs writes a leaf of Longs, Timestamps or Dates.
func (w *Writer) Longs(lv Levels, vals []uint64) {
	var b bounds
	for _, v := range vals {
		b.num(int64(v))
	}
	w.numbers(lv, vals, b)
}

// LongsWithBloom is Longs, and gives the leaf a bloom filter.
func (w *Writer) LongsWithBloom(lv Levels, vals []uint64) {
	hashes := make([]uint64, len(vals))
	var word [8]byte
	width := 8
	if w.leaves[w.next].typ == format.Int32 {
		width = 4
	}
	for i, v := range vals {
		binary.LittleEndian.PutUint64(word[:], v)
		hashes[i] = xxhash.Sum64(word[:width])
	}
	w.filter(len(w.group.Columns), hashes, WithBloom)
	w.Longs(lv, vals)
}

// Doubles writes a leaf of Doubles, given as their bits.
func (w *Writer) Doubles(lv Levels, vals []uint64) {
	var b bounds
	for _, v := range vals {
		b.double(math.Float64frombits(v))
	}
	w.numbers(lv, vals, b)
}

func (w *Writer) numbers(lv Levels, vals []uint64, b bounds) {
	c := w.begin(lv, len(vals), b)
	idx, repeat := w.small.encode(vals, w.idx[:0])
	w.idx = idx
	if repeat {
		w.page = appendPlain(w.page[:0], w.small.keys, c.leaf.typ)
		c.dictionary(len(w.small.keys))
		c.indexes(lv, w.idx)
	} else {
		c.levels(lv, 0, lv.N)
		if c.leaf.typ != format.Int32 {
			c.rows = numberRows(vals, len(w.page))
		}
		w.page = appendPlain(w.page, vals, c.leaf.typ)
		c.data(lv.N, lv.N-len(vals), format.Plain)
	}
	c.end()
}

// Bools writes a leaf of Booleans: 0 or 1 each.
func (w *Writer) Bools(lv Levels, vals []uint64) {
	var b bounds
	for _, v := range vals {
		b.num(int64(v))
	}
	c := w.begin(lv, len(vals), b)
	c.levels(lv, 0, lv.N)
	for i := 0; i < len(vals); i += 8 {
		var bits byte
		for j, v := range vals[i:min(i+8, len(vals))] {
			bits |= byte(v) << j
		}
		w.page = append(w.page, bits)
	}
	c.data(lv.N, lv.N-len(vals), format.Plain)
	c.end()
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
		c.indexes(lv, idx)
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
	for level, i := 0, 0; ; {
		// The values of a page are collected first: how many levels go before
		// them is known only then.
		from, start := i, level
		vals, like := w.vals[:0], likeness{}
		for level < lv.N && (len(vals) < pageBytes || lv.Rep != nil && lv.Rep[level] != 0) {
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
		c.data(level-start, level-start-(i-from), format.Plain)
		if level >= lv.N {
			break
		}
	}
	clear(w.batch[:])
	c.end()
}
