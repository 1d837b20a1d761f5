package parquetfile

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"

	"github.com/akupara/akupara/demux/rows/internal/stride"
	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/encoding/rle"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// columnChunk is a leaf's part of a row group while it is being written.
type columnChunk struct {
	w     *Writer
	leaf  *leaf
	b     bounds // of the pages so far
	page  bounds // of the next one
	meta  format.ColumnMetaData
	index chunkIndex
	rows  stride.Rows // of the page buffer, where it has such
	way   way         // that such pages are compressed
	level int         // of zstd, for others
	raw   bool        // pages of indexes are stored
	tell  bool        // the header of the next page says its bounds
}

// begin starts the next leaf. b are the bounds of its first page, if they are known.
func (w *Writer) begin(lv Levels, values int, b bounds) *columnChunk {
	l := &w.leaves[w.next]
	w.next++
	level := fastLevel
	if l.typ == format.ByteArray {
		level = textLevel
	}
	return &columnChunk{w: w, leaf: l, page: b, level: level, b: bounds{unknown: b.unknown, values: int64(lv.N), nulls: int64(lv.N - values)}, meta: format.ColumnMetaData{
		Type: l.typ, PathInSchema: l.path, Codec: format.Zstd, NumValues: int64(lv.N),
		Encoding: []format.Encoding{format.Plain, format.RLE},
	}}
}

// dictionary writes the dictionary page that the page buffer holds.
func (c *columnChunk) dictionary(n int) {
	c.meta.DictionaryPageOffset = c.w.offset
	c.meta.Encoding = append(c.meta.Encoding, format.RLEDictionary)
	c.put(dictionaryHeader(n), format.Plain)
}

func dictionaryHeader(n int) format.PageHeader {
	return format.PageHeader{
		Type: format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{
			NumValues: int32(n), Encoding: format.Plain,
		}),
	}
}

// leastIndexes are the bytes of indexes that are parted.
const leastIndexes = 2 << 10

// allIndexes writes all values, of so many entries.
func (c *columnChunk) allIndexes(lv Levels, idx []int32, entries int) {
	all := c.page
	for _, p := range c.parts(lv, lv.N/8*bits.Len(uint(entries-1)) < leastIndexes) {
		c.page = all.clone()
		if p.level > 0 {
			c.page.nans = 0 // they are counted once
		}
		if p.value == p.valueEnd {
			c.page = bounds{unknown: all.unknown, nans: c.page.nans}
		}
		c.tell = c.tell && all.nans == 0
		c.indexes(p.of(lv), idx[p.value:p.valueEnd])
	}
}

// indexes writes a page of values.
func (c *columnChunk) indexes(lv Levels, idx []int32) {
	c.levels(lv, 0, lv.N)
	at := len(c.w.page)
	width := widthOf(idx)
	enc := rle.Encoding{BitWidth: width}
	out, err := enc.EncodeInt32(c.w.packed[:0], idx)
	if err != nil && c.w.err == nil {
		c.w.err = err
	}
	c.w.page = append(append(c.w.page[:at], byte(width)), out...)
	c.w.packed = out
	c.data(lv.N, lv.N-len(idx), format.RLEDictionary)
}

// widthOf returns how many bits the largest of the indexes needs.
func widthOf(idx []int32) int {
	var all [4]int32
	for ; len(idx) >= 4; idx = idx[4:] {
		all[0], all[1], all[2], all[3] = all[0]|idx[0], all[1]|idx[1], all[2]|idx[2], all[3]|idx[3]
	}
	for _, i := range idx {
		all[0] |= i
	}
	return bits.Len32(uint32(all[0] | all[1] | all[2] | all[3]))
}

// levels starts a data page with the levels from i to j.
func (c *columnChunk) levels(lv Levels, i, j int) {
	c.index.next = rowsOf(lv, i, j)
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
	same := levels == nil
	level := highest
	if !same && i < j {
		level = levels[i]
		same = count(levels[i:j], level) == j-i
	}
	if same {
		p = binary.AppendUvarint(p, uint64(j-i)<<1)
		p = append(p, level)
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
	start := c.w.offset
	h := dataHeader(n, nulls, enc)
	if c.tell && c.leaf.maxRep == 0 {
		h.DataPageHeader.V.Statistics = c.page.footer(c.leaf.typ)
		h.DataPageHeader.V.Statistics.NullCount = int64(nulls)
	}
	c.put(h, enc)
	c.noted(start, n, nulls)
}

func dataHeader(n, nulls int, enc format.Encoding) format.PageHeader {
	return format.PageHeader{
		Type: format.DataPage,
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: int32(n), Encoding: enc, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
			Statistics: format.Statistics{NullCount: int64(nulls)},
		}),
	}
}

// copied writes another file's data page as it is, with its checksum.
func (c *columnChunk) copied(p *Page, enc format.Encoding) {
	start := c.w.offset
	h := dataHeader(p.Values, int(p.nulls), enc)
	h.CRC = p.crc
	c.send(&h, p.packed, p.Size, enc)
	c.noted(start, p.Values, int(p.nulls))
}

// noted is called after each data page.
func (c *columnChunk) noted(start int64, n, nulls int) {
	if c.meta.DataPageOffset == 0 {
		c.meta.DataPageOffset = start
	}
	c.note(start, n, nulls)
	c.b.merge(&c.page)
	c.page = bounds{unknown: c.page.unknown}
}

func (c *columnChunk) put(h format.PageHeader, enc format.Encoding) {
	w := c.w
	if enc == format.RLEDictionary {
		w.packed = w.codec.indexes(w.packed[:0], w.page, &c.raw)
	} else {
		w.packed = w.codec.compress(w.packed[:0], w.page, c.level, c.rows, &c.way)
		c.level = nextLevel(c.level, len(w.page), len(w.packed))
	}
	c.rows = stride.Rows{}
	c.send(&h, w.packed, len(w.page), enc)
}

// send writes a compressed page.
func (c *columnChunk) send(h *format.PageHeader, packed []byte, size int, enc format.Encoding) {
	w := c.w
	h.UncompressedPageSize, h.CompressedPageSize = int32(size), int32(len(packed))
	if h.CRC == 0 {
		h.CRC = int32(crc32.ChecksumIEEE(packed))
	}
	start := w.offset
	w.encode(h)
	c.meta.TotalUncompressedSize += w.offset - start + int64(size)
	w.write(packed)
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
	if c.w.Indexes {
		g := len(c.w.indexes) - 1
		c.w.indexes[g] = append(c.w.indexes[g], c.index)
	}
	c.w.group.Columns = append(c.w.group.Columns, format.ColumnChunk{MetaData: c.meta})
}
