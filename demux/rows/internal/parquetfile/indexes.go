package parquetfile

import (
	"fmt"

	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// chunkIndex is what a leaf's part of a row group tells of its data pages.
type chunkIndex struct {
	offsets format.OffsetIndex
	column  format.ColumnIndex
	rows    int64 // before the next page
	next    int64 // rows of the next page
	unknown bool  // a page has no bounds: there is no column index
}

// rowsOf returns how many rows start in the levels from i to j.
func rowsOf(lv Levels, i, j int) int64 {
	if lv.Rep == nil {
		return int64(j - i)
	}
	return int64(count(lv.Rep[i:j], 0))
}

// note takes in a data page that was written, with its bounds in c.page.
func (c *columnChunk) note(start int64, levels, nulls int) {
	if !c.w.Indexes {
		return
	}
	x := &c.index
	x.offsets.PageLocations = append(x.offsets.PageLocations, format.PageLocation{
		Offset: start, CompressedPageSize: int32(c.w.offset - start), FirstRowIndex: x.rows,
	})
	x.rows += x.next
	low, top, ok := c.page.pageBounds(c.leaf)
	empty := nulls == levels
	x.unknown = x.unknown || !ok && !empty
	if empty || !ok {
		low, top = []byte{}, []byte{}
	}
	x.column.NullPages = append(x.column.NullPages, empty)
	x.column.MinValues, x.column.MaxValues = append(x.column.MinValues, low), append(x.column.MaxValues, top)
	x.column.NullCounts = append(x.column.NullCounts, int64(nulls))
}

// pageBounds returns the bounds of a page as a column index has them.
func (b *bounds) pageBounds(l *leaf) (low, top []byte, ok bool) {
	if !b.any || b.unknown || b.nans > 0 || l.maxRep > 0 {
		return nil, nil, false
	}
	if l.typ == format.ByteArray {
		low, top = schema.StringLower(string(b.minStr)), schema.StringUpper(string(b.maxStr))
		return low, top, top != nil
	}
	s := b.footer(l.typ)
	return s.MinValue, s.MaxValue, true
}

// writeIndexes writes the file's column and offset indexes, behind its row groups.
func (w *Writer) writeIndexes() {
	if !w.Indexes {
		return
	}
	for g := range w.groups {
		for i := range w.groups[g].Columns {
			if x := &w.indexes[g][i]; !x.unknown {
				c := &w.groups[g].Columns[i]
				c.ColumnIndexOffset, c.ColumnIndexLength = w.structure(&x.column)
			}
		}
	}
	for g := range w.groups {
		for i := range w.groups[g].Columns {
			c := &w.groups[g].Columns[i]
			c.OffsetIndexOffset, c.OffsetIndexLength = w.structure(&w.indexes[g][i].offsets)
		}
	}
}

func (w *Writer) structure(v any) (offset int64, length int32) {
	b, err := thrift.Marshal(new(thrift.CompactProtocol), v)
	if err != nil && w.err == nil {
		w.err = fmt.Errorf("encode index: %w", err)
	}
	offset = w.offset
	w.write(b)
	return offset, int32(len(b))
}
