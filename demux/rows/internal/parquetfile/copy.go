package parquetfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Copyable reports whether CopyLeaf takes a leaf's part of a row group: a Writer
// with Indexes has written it.
func Copyable(m *format.ColumnChunk) bool { return m.OffsetIndexLength > 0 }

// maxIndex bounds the bytes of an index that is read.
const maxIndex = 64 << 20

// CopyLeaf writes the next leaf's part of a row group as it is in another file,
// with its filter and its indexes. It must have the same levels.
func (w *Writer) CopyLeaf(src io.ReaderAt, from *format.ColumnChunk, limit int64) error {
	m := &from.MetaData
	nulls := m.Statistics.NullCount
	c := w.begin(Levels{N: int(m.NumValues)}, int(m.NumValues-nulls), bounds{})
	var offsets format.OffsetIndex
	if err := readStruct(src, from.OffsetIndexOffset, from.OffsetIndexLength, limit, &offsets); err != nil {
		return err
	}
	if from.ColumnIndexLength > 0 {
		if err := readStruct(src, from.ColumnIndexOffset, from.ColumnIndexLength, limit, &c.index.column); err != nil {
			return err
		}
	} else {
		c.index.unknown = true
	}
	if err := c.copyPages(src, m, limit, &offsets); err != nil {
		return err
	}
	if m.BloomFilterLength > 0 {
		if m.BloomFilterLength > maxFilterSize+maxHeader {
			return invalidf("a filter has %d bytes", m.BloomFilterLength)
		}
		b, err := readAt(src, m.BloomFilterOffset, int(m.BloomFilterLength), limit)
		if err != nil {
			return err
		}
		w.filters = append(w.filters, filter{column: len(w.group.Columns), encoded: b})
	}
	c.boundsOf(m)
	c.end()
	if w.Indexes { // end knows nothing of single pages
		g := w.indexes[len(w.indexes)-1]
		g[len(g)-1] = c.index
	}
	w.group.Columns[len(w.group.Columns)-1].MetaData.Statistics = m.Statistics
	return nil
}

// copyPages writes the pages, each compared with its checksum.
func (c *columnChunk) copyPages(src io.ReaderAt, m *format.ColumnMetaData, limit int64, offsets *format.OffsetIndex) error {
	in := &c.w.copying
	if err := in.Open(src, m, limit); err != nil {
		return err
	}
	var p Page
	for n := 0; ; {
		err := in.Next(&p)
		if errors.Is(err, io.EOF) {
			if n != len(offsets.PageLocations) {
				return invalidf("column %v has %d pages, its index says %d", m.PathInSchema, n, len(offsets.PageLocations))
			}
			return nil
		}
		if err != nil {
			return err
		}
		start := c.w.offset
		if p.Dictionary {
			c.meta.DictionaryPageOffset = start
			c.meta.Encoding = append(c.meta.Encoding, format.RLEDictionary)
			h := dictionaryHeader(p.Values)
			c.send(&h, p.packed, p.Size, format.Plain)
			continue
		}
		if n >= len(offsets.PageLocations) {
			return invalidf("column %v has more pages than its index says", m.PathInSchema)
		}
		enc := format.RLEDictionary
		if p.Plain {
			enc = format.Plain
		}
		h := dataHeader(p.Values, int(p.nulls), enc)
		c.send(&h, p.packed, p.Size, enc)
		if c.meta.DataPageOffset == 0 {
			c.meta.DataPageOffset = start
		}
		c.index.offsets.PageLocations = append(c.index.offsets.PageLocations, format.PageLocation{
			Offset: start, CompressedPageSize: int32(c.w.offset - start), FirstRowIndex: offsets.PageLocations[n].FirstRowIndex,
		})
		n++
	}
}

// boundsOf takes the bounds of the values from what the other file says of them:
// its statistics, or where those leave them out, as they are long, its index.
func (c *columnChunk) boundsOf(m *format.ColumnMetaData) {
	b := &c.b
	if b.nulls == b.values || c.leaf.maxRep > 0 {
		return
	}
	low, top := m.Statistics.MinValue, m.Statistics.MaxValue
	switch {
	case c.leaf.typ == format.Int64 && len(low) == 8 && len(top) == 8:
		b.any, b.minNum, b.maxNum = true, int64(binary.LittleEndian.Uint64(low)), int64(binary.LittleEndian.Uint64(top))
	case c.leaf.typ == format.Int32 && len(low) == 4 && len(top) == 4:
		b.any, b.minNum, b.maxNum = true, int64(int32(binary.LittleEndian.Uint32(low))), int64(int32(binary.LittleEndian.Uint32(top)))
	case c.leaf.typ == format.Double && len(low) == 8 && len(top) == 8:
		b.any = true
		b.minF, b.maxF = math.Float64frombits(binary.LittleEndian.Uint64(low)), math.Float64frombits(binary.LittleEndian.Uint64(top))
	case c.leaf.typ == format.Boolean && len(low) == 1 && len(top) == 1:
		b.any, b.minNum, b.maxNum = true, int64(low[0]), int64(top[0])
	case c.leaf.typ == format.ByteArray && len(low) > 0 && len(top) > 0:
		b.str(low)
		b.str(top)
	case c.leaf.typ == format.ByteArray && !c.index.unknown:
		x := &c.index.column
		for i := range x.NullPages {
			if !x.NullPages[i] && i < len(x.MinValues) && i < len(x.MaxValues) {
				b.str(x.MinValues[i])
				b.str(x.MaxValues[i])
			}
		}
	default:
		b.unknown = true
	}
}

func readAt(src io.ReaderAt, offset int64, n int, limit int64) ([]byte, error) {
	if n <= 0 || n > maxIndex || offset < 4 || offset+int64(n) > limit {
		return nil, invalidf("an index or filter of %d bytes at byte %d can't be", n, offset)
	}
	b := make([]byte, n)
	if k, err := src.ReadAt(b, offset); k < n {
		return nil, fmt.Errorf("read index: %w", err)
	}
	return b, nil
}

func readStruct(src io.ReaderAt, offset int64, length int32, limit int64, v any) error {
	b, err := readAt(src, offset, int(length), limit)
	if err != nil {
		return err
	}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), b, v); err != nil {
		return invalidf("decode index: %v", err)
	}
	return nil
}

// bytes returns the filter as it is written.
func (f *filter) bytes() ([]byte, error) {
	if f.encoded != nil {
		return f.encoded, nil
	}
	head, err := thrift.Marshal(new(thrift.CompactProtocol), &format.BloomFilterHeader{
		NumBytes:    int32(len(f.blocks) * bloom.BlockSize),
		Algorithm:   format.BloomFilterAlgorithm{Value: new(format.SplitBlockAlgorithm)},
		Hash:        format.BloomFilterHash{Value: new(format.XxHash)},
		Compression: format.BloomFilterCompression{Value: new(format.BloomFilterUncompressed)},
	})
	if err != nil {
		return nil, fmt.Errorf("encode bloom filter: %w", err)
	}
	return append(head, blockBytes(f.blocks)...), nil
}
