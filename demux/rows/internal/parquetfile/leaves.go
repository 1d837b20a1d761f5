package parquetfile

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
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

// Longs writes a leaf of Longs or Timestamps.
func (w *Writer) Longs(lv Levels, vals []uint64) {
	var b bounds
	for _, v := range vals {
		b.num(int64(v))
	}
	w.numbers(lv, vals, b)
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
		w.page = appendPlain(w.page[:0], w.small.keys)
		c.dictionary(len(w.small.keys))
		c.indexes(lv, w.idx)
	} else {
		c.levels(lv, 0, lv.N)
		w.page = appendPlain(w.page, vals)
		c.data(lv.N, lv.N-len(vals), format.Plain)
	}
	c.end()
}

// appendPlain appends numbers in PLAIN encoding.
func appendPlain(p []byte, vals []uint64) []byte {
	at := len(p)
	p = slices.Grow(p, 8*len(vals))[:at+8*len(vals)]
	out := p[at:]
	for i, v := range vals {
		binary.LittleEndian.PutUint64(out[8*i:], v)
	}
	return p
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
// each value its index there. What dict gives must stay as it is until End.
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
// near. What fill gives must stay as it is until End, if bounded: then the
// leaf gets bounds.
func (w *Writer) Strings(lv Levels, n int, bounded bool, fill func(dst [][]byte, from int)) {
	c := w.begin(lv, n, bounds{unknown: !bounded})
	var batch [][]byte // the values that are next
	for level, i := 0, 0; ; {
		// The values of a page are collected first: how many levels go before
		// them is known only then.
		from, start := i, level
		vals := w.vals[:0]
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
				if bounded {
					c.b.str(v)
				}
			}
			level++
		}
		w.vals = vals
		c.levels(lv, start, level)
		w.page = append(w.page, vals...)
		c.data(level-start, level-start-(i-from), format.Plain)
		if level >= lv.N {
			break
		}
	}
	clear(w.batch[:])
	c.end()
}

// columnChunk is a leaf's part of a row group while it is being written.
type columnChunk struct {
	w    *Writer
	leaf *leaf
	b    bounds
	meta format.ColumnMetaData
}

func (w *Writer) begin(lv Levels, values int, b bounds) *columnChunk {
	l := &w.leaves[w.next]
	w.next++
	b.values, b.nulls = int64(lv.N), int64(lv.N-values)
	return &columnChunk{w: w, leaf: l, b: b, meta: format.ColumnMetaData{
		Type: l.typ, PathInSchema: l.path, Codec: format.Zstd, NumValues: int64(lv.N),
		Encoding: []format.Encoding{format.Plain, format.RLE},
	}}
}

// dictionary writes the dictionary page that the page buffer holds.
func (c *columnChunk) dictionary(n int) {
	c.meta.DictionaryPageOffset = c.w.offset
	c.meta.Encoding = append(c.meta.Encoding, format.RLEDictionary)
	c.put(format.PageHeader{
		Type: format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
			NumValues: int32(n), Encoding: format.Plain,
		}),
	}, format.Plain)
}

// indexes writes all values as one page: in bits they are small.
func (c *columnChunk) indexes(lv Levels, idx []int32) {
	c.levels(lv, 0, lv.N)
	at := len(c.w.page)
	enc := rle.DictionaryEncoding{}
	out, err := enc.EncodeInt32(c.w.packed[:0], idx)
	if err != nil && c.w.err == nil {
		c.w.err = err
	}
	c.w.page = append(c.w.page[:at], out...)
	c.w.packed = out
	c.data(lv.N, lv.N-len(idx), format.RLEDictionary)
}

// levels starts a data page with the levels from i to j.
func (c *columnChunk) levels(lv Levels, i, j int) {
	p := c.w.page[:0]
	if c.leaf.maxRep > 0 {
		p = appendLevels(p, lv.Rep, i, j, c.leaf.maxRep)
	}
	if c.leaf.maxDef > 0 {
		p = appendLevels(p, lv.Def, i, j, c.leaf.maxDef)
	}
	c.w.page = p
}

// appendLevels encodes levels, with their length before them; nil means that
// all are the highest.
func appendLevels(p, levels []byte, i, j int, highest byte) []byte {
	at := len(p)
	p = append(p, 0, 0, 0, 0)
	if levels == nil {
		p = binary.AppendUvarint(p, uint64(j-i)<<1)
		p = append(p, highest)
	} else {
		width := 1
		if highest > 1 {
			width = 2
		}
		enc := rle.Encoding{BitWidth: width}
		// It appends to an empty slice only: the encoding starts at dst[:0].
		out, _ := enc.EncodeLevels(nil, levels[i:j])
		p = append(p, out...)
	}
	binary.LittleEndian.PutUint32(p[at:], uint32(len(p)-at-4))
	return p
}

// data writes the data page of n levels that the page buffer holds.
func (c *columnChunk) data(n, nulls int, enc format.Encoding) {
	if c.meta.DataPageOffset == 0 {
		c.meta.DataPageOffset = c.w.offset
	}
	c.put(format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(n), Encoding: enc, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: int64(nulls)},
		}),
	}, enc)
}

func (c *columnChunk) put(h format.PageHeader, enc format.Encoding) {
	w := c.w
	w.packed = w.zstd.EncodeAll(w.page, w.packed[:0])
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(w.page)), int32(len(w.packed))
	start := w.offset
	w.encode(&h)
	c.meta.TotalUncompressedSize += w.offset - start + int64(len(w.page))
	w.write(w.packed)
	c.meta.TotalCompressedSize += w.offset - start
	for i := range c.meta.EncodingStats {
		if s := &c.meta.EncodingStats[i]; s.PageType == h.Type && s.Encoding == enc {
			s.Count++
			return
		}
	}
	c.meta.EncodingStats = append(c.meta.EncodingStats, format.PageEncodingStats{PageType: h.Type, Encoding: enc, Count: 1})
}

func (c *columnChunk) end() {
	c.b.size = c.meta.TotalCompressedSize
	c.meta.Statistics = c.b.footer(c.leaf.typ)
	if c.leaf.col.Type == schema.Map {
		c.meta.Statistics.MinValue, c.meta.Statistics.MaxValue = nil, nil
	}
	c.leaf.bounds.merge(&c.b)
	c.w.group.Columns = append(c.w.group.Columns, format.ColumnChunk{MetaData: c.meta})
}
