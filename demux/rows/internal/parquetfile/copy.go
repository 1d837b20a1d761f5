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
	told := c.boundsOf(m)
	if err := c.copyPages(src, m, limit, &offsets, !told); err != nil {
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
	c.end()
	if w.Indexes { // end knows nothing of single pages
		g := w.indexes[len(w.indexes)-1]
		g[len(g)-1] = c.index
	}
	w.group.Columns[len(w.group.Columns)-1].MetaData.Statistics = m.Statistics
	return nil
}

// copyPages writes the pages, each compared with its checksum. It looks at the
// values where nothing tells their bounds.
func (c *columnChunk) copyPages(src io.ReaderAt, m *format.ColumnMetaData, limit int64, offsets *format.OffsetIndex, look bool) error {
	in := &c.w.copying
	var words []byte // of the dictionary
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
		if look {
			if words, err = c.doubles(&p, words); err != nil {
				return err
			}
		}
		start := c.w.offset
		if p.Dictionary {
			c.meta.DictionaryPageOffset = start
			c.meta.Encoding = append(c.meta.Encoding, format.RLEDictionary)
			h := dictionaryHeader(p.Values)
			h.CRC = p.crc
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
		h.CRC = p.crc
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
// its statistics, or where those leave them out, as they are long, its index. It
// reports false where nothing says them and they are asked for: of doubles, where
// some are NaN.
func (c *columnChunk) boundsOf(m *format.ColumnMetaData) bool {
	b := &c.b
	if b.nulls == b.values || c.leaf.maxRep > 0 || b.told(c.leaf.typ, m.Statistics.MinValue, m.Statistics.MaxValue) {
		return true
	}
	switch {
	case c.leaf.typ == format.Double:
		return false
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
	return true
}

// doubles takes in the values of a page of doubles. words are those of its
// dictionary, which it returns.
func (c *columnChunk) doubles(p *Page, words []byte) ([]byte, error) {
	w := c.w
	body, err := w.Decoder.Decompress(p, nil)
	if err != nil {
		return nil, err
	}
	if p.Dictionary {
		if len(body) != 8*p.Values {
			return nil, invalidf("a dictionary of %d bytes has %d entries", len(body), p.Values)
		}
		return body, nil
	}
	if err := w.copyVals.Decode(p, body, 0, c.leaf.maxDef, len(words)/8); err != nil {
		return nil, err
	}
	v := &w.copyVals
	if v.Indexed {
		for _, i := range v.Index {
			c.b.double(math.Float64frombits(binary.LittleEndian.Uint64(words[8*i:])))
		}
		return words, nil
	}
	if len(v.Data) != 8*v.Present {
		return nil, invalidf("a page has %d bytes of %d values", len(v.Data), v.Present)
	}
	for i := range v.Present {
		c.b.double(math.Float64frombits(binary.LittleEndian.Uint64(v.Data[8*i:])))
	}
	return words, nil
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
