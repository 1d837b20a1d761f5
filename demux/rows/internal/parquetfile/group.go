package parquetfile

import (
	"bytes"

	"github.com/akupara/akupara/demux/schema"
	"github.com/parquet-go/parquet-go/format"
)

// Group is a row group that is encoded and part of no file yet.
type Group struct {
	Data   *bytes.Buffer // free when it is appended
	group  format.RowGroup
	bounds []bounds // of the leaves
}

// BeginAside starts a row group of files with these columns: its leaves and
// EndAside follow. So several Writers encode the groups of one file side by side. The
// group is in data until it is appended.
func (w *Writer) BeginAside(data *bytes.Buffer, cols []schema.Column) {
	data.Reset()
	w.to, w.aside = data, data
	w.begins(cols)
	w.BeginGroup()
}

// EndAside ends a row group of n rows.
func (w *Writer) EndAside(n int) (*Group, error) {
	if err := w.EndGroup(n); err != nil {
		return nil, err
	}
	g := &Group{Data: w.aside, group: w.group}
	for i := range w.leaves {
		g.bounds = append(g.bounds, w.leaves[i].bounds)
	}
	return g, nil
}

// Append writes a row group that was encoded aside, by a Writer with the same
// columns, into the file: the file is the same as if it had been encoded in place.
// Files with indexes, or with bloom filters, can't be made this way.
func (w *Writer) Append(g *Group) error {
	w.BeginGroup()
	shift := w.offset - int64(len(magic))
	for _, c := range g.group.Columns {
		c.MetaData.DataPageOffset += shift
		if c.MetaData.DictionaryPageOffset > 0 {
			c.MetaData.DictionaryPageOffset += shift
		}
		w.group.Columns = append(w.group.Columns, c)
	}
	for i := range w.leaves {
		w.leaves[i].bounds.merge(&g.bounds[i])
	}
	w.write(g.Data.Bytes()[len(magic):])
	w.next = len(w.leaves)
	return w.EndGroup(int(g.group.NumRows))
}
