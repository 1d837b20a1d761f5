package datafile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/demux/schema"
)

// columns reads the columns out of a file's schema.
func columns(m *format.FileMetaData) ([]schema.Column, error) {
	var out []schema.Column
	elements := m.Schema
	if len(elements) == 0 {
		return nil, errors.New("it has no schema")
	}
	for i := 1; i < len(elements); i++ {
		e := &elements[i]
		c := schema.Column{
			ID: int(e.FieldID), Name: e.Name,
			Required: e.RepetitionType.Valid && e.RepetitionType.V == format.Required,
		}
		if e.NumChildren.Valid && e.NumChildren.V > 0 {
			if i+3 >= len(elements) || elements[i+1].Name != "key_value" {
				return nil, fmt.Errorf("column %q is a group, and no map", e.Name)
			}
			c.Type, c.KeyID, c.ValueID = schema.Map, int(elements[i+2].FieldID), int(elements[i+3].FieldID)
			i += 3
		} else {
			_, isTime := e.LogicalType.Value.(*format.TimestampType)
			_, isDate := e.LogicalType.Value.(*format.DateType)
			switch {
			case isTime:
				c.Type = schema.Timestamp
			case isDate && e.Type.V == format.Int32:
				c.Type = schema.Date
			case e.Type.V == format.ByteArray:
				c.Type = schema.String
			case e.Type.V == format.Int64:
				c.Type = schema.Long
			case e.Type.V == format.Double:
				c.Type = schema.Double
			case e.Type.V == format.Boolean:
				c.Type = schema.Boolean
			default:
				return nil, fmt.Errorf("column %q has type %v, which is none of ours", e.Name, e.Type.V)
			}
		}
		out = append(out, c)
	}
	return out, nil
}

// leaf is a column, or a map's keys or values.
type leaf struct {
	id    int
	typ   schema.Type
	isMap bool
}

func leavesOf(cols []schema.Column) []leaf {
	var out []leaf
	for _, c := range cols {
		if c.Type == schema.Map {
			out = append(out, leaf{c.KeyID, schema.String, true}, leaf{c.ValueID, schema.String, true})
		} else {
			out = append(out, leaf{c.ID, c.Type, false})
		}
	}
	return out
}

// stats adds up what the row groups' statistics tell.
func stats(m *format.FileMetaData, cols []schema.Column) schema.FileStats {
	st := schema.FileStats{Records: m.NumRows}
	leaves := leavesOf(cols)
	st.Columns = make([]schema.ColumnStats, len(leaves))
	for i, l := range leaves {
		c := &st.Columns[i]
		c.ID = l.id
		b := bound{leaf: l}
		for g := range m.RowGroups {
			chunks := m.RowGroups[g].Columns
			if i >= len(chunks) {
				continue
			}
			part := &chunks[i].MetaData
			c.Size += part.TotalCompressedSize
			c.Values += part.NumValues
			c.Nulls += part.Statistics.NullCount
			b.add(part)
		}
		c.Lower, c.Upper = b.encode()
	}
	for g := range m.RowGroups {
		st.SplitOffsets = append(st.SplitOffsets, m.RowGroups[g].FileOffset)
	}
	if ts := schema.Find(cols, schema.TS); ts >= 0 {
		for _, c := range st.Columns {
			if c.ID == cols[ts].ID && len(c.Lower) == 8 && len(c.Upper) == 8 {
				st.MinTS = int64(binary.LittleEndian.Uint64(c.Lower))
				st.MaxTS = int64(binary.LittleEndian.Uint64(c.Upper))
			}
		}
	}
	return st
}

// bound joins the least and greatest values of row groups. One group of values
// without them leaves none for the file.
type bound struct {
	leaf
	unknown  bool
	low, top []byte
}

func (b *bound) add(m *format.ColumnMetaData) {
	if m.Statistics.NullCount == m.NumValues {
		return // nulls only
	}
	low, top := m.Statistics.MinValue, m.Statistics.MaxValue
	if b.isMap || len(low) == 0 || len(top) == 0 {
		b.unknown = true
		return
	}
	if b.low == nil || b.less(low, b.low) {
		b.low = low
	}
	if b.top == nil || b.less(b.top, top) {
		b.top = top
	}
}

func (b *bound) less(x, y []byte) bool {
	if len(x) == 8 && len(y) == 8 {
		u, v := binary.LittleEndian.Uint64(x), binary.LittleEndian.Uint64(y)
		switch b.typ {
		case schema.Long, schema.Timestamp:
			return int64(u) < int64(v)
		case schema.Double:
			return math.Float64frombits(u) < math.Float64frombits(v)
		}
	}
	if b.typ == schema.Date && len(x) == 4 && len(y) == 4 {
		return int32(binary.LittleEndian.Uint32(x)) < int32(binary.LittleEndian.Uint32(y))
	}
	return bytes.Compare(x, y) < 0
}

func (b *bound) encode() (lower, upper []byte) {
	if b.unknown || b.low == nil {
		return nil, nil
	}
	if b.typ == schema.String {
		return schema.StringLower(string(b.low)), schema.StringUpper(string(b.top))
	}
	return b.low, b.top
}
