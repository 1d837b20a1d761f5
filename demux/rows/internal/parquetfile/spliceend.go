package parquetfile

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go/format"
)

// End ends the leaf.
func (t *Splice) End() {
	c := t.c
	if c.leaf.maxDef == 0 && t.values != t.levels && t.w.err == nil {
		t.w.err = fmt.Errorf("column %s is required, and %d of %d rows are without it", c.leaf.col.Name, t.levels-t.values, t.levels)
	}
	if !t.plain && t.values > 0 {
		n := t.entries()
		if (t.kind == text && n > 16 && n*4 > t.values*3 || t.kind == word && manyNumbers(n, t.values)) &&
			!slices.ContainsFunc(t.pieces, func(p piece) bool { return p.copied }) {
			t.giveUp()
		} else {
			t.writeIndexed()
		}
	}
	t.flush() // nulls, where there is no value
	if t.hashing && (t.bloom == WithBloom || needle(t.needles, t.needleBytes)) {
		t.w.filter(len(t.w.group.Columns), t.hashes, t.bloom)
	}
	n := int64(t.levels)
	c.b.values, c.meta.NumValues = n, n
	c.b.nulls = n - int64(t.values)
	c.end()
	// What one leaf of large values took is not kept for all others.
	if cap(t.vals) > 4*pageBytes {
		t.vals = nil
	}
}

// writeIndexed writes the dictionary and the pages of its indexes. The page is
// empty afterwards.
func (t *Splice) writeIndexed() {
	t.endPiece()
	nan := t.writeDictionary()
	all := t.c.page
	level, value := 0, 0
	for i := range t.pieces {
		p := &t.pieces[i]
		t.c.page = all.clone()
		if p.copied {
			p.page.packed = t.held[p.from:p.end]
			t.c.index.next = int64(p.levels)
			t.c.copied(&p.page, format.RLEDictionary)
			continue
		}
		idx := t.idx[value : value+p.values]
		if nan {
			for _, k := range idx {
				if f := math.Float64frombits(t.w.small.keys[k]); f != f {
					t.c.page.nans++
				}
			}
		}
		if p.values == 0 {
			t.c.page = bounds{unknown: all.unknown}
		}
		t.c.indexes(t.of(level, p.levels, p.values), idx)
		level, value = level+p.levels, value+p.values
	}
	t.c.page = bounds{unknown: all.unknown}
	t.rep, t.def, t.idx, t.pieces = t.rep[:0], t.def[:0], t.idx[:0], t.pieces[:0]
}

// writeDictionary writes the dictionary's page, and sets the bounds of all values.
// It reports whether NaN is among them.
func (t *Splice) writeDictionary() (nan bool) {
	b := &t.c.page
	t.w.page = t.w.page[:0]
	if t.kind == word {
		for _, v := range t.w.small.keys {
			if t.c.leaf.typ == format.Double {
				b.double(math.Float64frombits(v))
			} else {
				b.num(int64(v))
			}
			if t.hashing {
				t.hashes = append(t.hashes, t.hashWord(v))
			}
			if t.width == 4 {
				t.w.page = binary.LittleEndian.AppendUint32(t.w.page, uint32(v))
			} else {
				t.w.page = binary.LittleEndian.AppendUint64(t.w.page, v)
			}
		}
		t.c.dictionary(len(t.w.small.keys))
		nan = b.nans > 0
		b.nans = 0
		return nan
	}
	t.like.reset()
	for i := range t.dict.ends {
		v := t.dict.get(int32(i))
		if t.bounded {
			b.str(v)
		}
		t.like.add(v)
		t.needle(v, t.dict.hashes[i], true)
		t.w.page = binary.LittleEndian.AppendUint32(t.w.page, uint32(len(v)))
		t.w.page = append(t.w.page, v...)
	}
	t.c.rows = t.like.rows(0)
	t.like.reset()
	t.c.dictionary(len(t.dict.ends))
	return false
}

// Spacious reports whether a leaf's plain pages are worth to be copied without a
// look for a dictionary.
func Spacious(m *format.ColumnMetaData) bool {
	pages := int64(0)
	for _, s := range m.EncodingStats {
		if s.PageType == format.DataPage {
			pages += int64(s.Count)
		}
	}
	return m.TotalCompressedSize >= pages*copyBytes && (m.Type != format.ByteArray || m.TotalCompressedSize >= manyTexts)
}
