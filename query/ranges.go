package query

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/groups"
)

// Of a file in another store, a statement needs the footer and the pages of the
// columns that it names. A copy of these alone is as long as the file, and DuckDB
// is asked for no other column of it, so that it reads none of the holes: it takes a
// chunk of a column whole or not at all. Were there a hole in one, it would be no
// data either: no page's header is zeros.

// needed returns the columns that are, ts always, and a name for that choice; none
// for all.
func needed(cols []schema.Column, is func(*schema.Column) bool) (out []schema.Column, part string) {
	var b strings.Builder
	b.WriteString("columns")
	for i := range cols {
		if is(&cols[i]) || cols[i].Name == schema.TS {
			out = append(out, cols[i])
			fmt.Fprintf(&b, " %d", cols[i].ID)
		}
	}
	if len(out) == len(cols) {
		return cols, ""
	}
	return out, b.String()
}

// cacheFiles is what the cache is asked for; of files that cut names, the row groups
// that meet its span.
func cacheFiles(files []table.File, cols []schema.Column, part string, cut map[string]span) []cache.File {
	ids := map[int32]bool{}
	for _, c := range cols {
		ids[int32(c.ID)] = true
	}
	ts := 0
	if i := schema.Find(cols, schema.TS); i >= 0 {
		ts = cols[i].ID
	}
	out := make([]cache.File, len(files))
	for i, f := range files {
		out[i] = cache.File{Path: f.Path, Size: f.Size, Part: part}
		var within *span
		if s, ok := cut[f.Path]; ok && ts != 0 {
			within = &s
			out[i].Part = fmt.Sprintf("%s within %d-%d", part, s.from.UnixMicro(), s.to.UnixMicro())
		}
		out[i].Ranges = func(r io.ReaderAt, size int64) ([]cache.Range, error) { return columnRanges(r, size, ids, ts, within) }
	}
	return out
}

// tailBytes is what is read of a file's end at once; the footer is in it, mostly.
const tailBytes = 256 << 10

// openFooter reads the footer of a Parquet file, and says where it begins.
func openFooter(r io.ReaderAt, size int64) (f *parquet.File, footer int64, err error) {
	tail := &tail{r: r, from: max(0, size-tailBytes)}
	tail.bytes = make([]byte, size-tail.from)
	if n, err := r.ReadAt(tail.bytes, tail.from); n < len(tail.bytes) {
		return nil, 0, fmt.Errorf("read footer: %w", err)
	}
	// It says itself how long it is; no more is read than there is.
	footer = size - 8 - int64(footerLength(tail.bytes))
	if size < 12 || footer < 4 {
		return nil, 0, errors.New("read footer: the file is too short for it, or damaged")
	}
	f, err = parquet.OpenFile(tail, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, 0, fmt.Errorf("read footer: %w", err)
	}
	return f, footer, nil
}

// filterRanges finds the bloom filters of these columns in a Parquet file.
func filterRanges(r io.ReaderAt, size int64, ids map[int32]bool) ([]cache.Range, error) {
	f, footer, err := openFooter(r, size)
	if err != nil {
		return nil, err
	}
	out := []cache.Range{{First: footer, Last: size}}
	wanted := wantedLeaves(f.Metadata().Schema, ids)
	for _, g := range f.Metadata().RowGroups {
		for i, c := range g.Columns {
			if first := c.MetaData.BloomFilterOffset; i < len(wanted) && wanted[i] && first > 0 {
				out = append(out, cache.Range{First: first, Last: first + int64(c.MetaData.BloomFilterLength)})
			}
		}
	}
	return out, nil
}

// columnRanges finds the columns with these field ids in a Parquet file; where within
// is given, in row groups that have a ts from its start to its end, both inclusive.
func columnRanges(r io.ReaderAt, size int64, ids map[int32]bool, ts int, within *span) ([]cache.Range, error) {
	f, footer, err := openFooter(r, size)
	if err != nil {
		return nil, err
	}
	meta := f.Metadata()
	all := []cache.Range{{First: 0, Last: size}}
	wanted := wantedLeaves(meta.Schema, ids)
	out := []cache.Range{{First: 0, Last: 4}, {First: footer, Last: size}}
	for _, g := range meta.RowGroups {
		if len(g.Columns) != len(wanted) {
			return nil, fmt.Errorf("read footer: a row group has %d columns, the schema %d", len(g.Columns), len(wanted))
		}
		left := within != nil && outside(&g, groups.Leaves(meta.Schema), ts, *within)
		for i, c := range g.Columns {
			if !wanted[i] {
				continue
			}
			if c.MetaData.BloomFilterOffset > 0 && c.MetaData.BloomFilterLength <= 0 || c.MetaData.TotalCompressedSize <= 0 && c.MetaData.NumValues > 0 {
				return all, nil // nobody says how long it is
			}
			filter := cache.Range{First: c.MetaData.BloomFilterOffset, Last: c.MetaData.BloomFilterOffset + int64(c.MetaData.BloomFilterLength)}
			if left {
				out = append(out, filter) // DuckDB may ask it before the bounds of ts
				continue
			}
			first := c.MetaData.DataPageOffset
			if d := c.MetaData.DictionaryPageOffset; d > 0 {
				first = min(first, d)
			}
			out = append(out, cache.Range{First: first, Last: first + c.MetaData.TotalCompressedSize},
				filter,
				cache.Range{First: c.ColumnIndexOffset, Last: c.ColumnIndexOffset + int64(c.ColumnIndexLength)},
				cache.Range{First: c.OffsetIndexOffset, Last: c.OffsetIndexOffset + int64(c.OffsetIndexLength)})
		}
	}
	return out, nil
}

// outside reports whether no row of a row group is within a span, by its bounds.
func outside(g *format.RowGroup, leaves []int, ts int, within span) bool {
	at := slices.Index(leaves, ts)
	if at < 0 {
		return false
	}
	lo, hi, ok := groups.Bounds(&g.Columns[at].MetaData)
	return ok && (hi < within.from.UnixMicro() || lo > within.to.UnixMicro())
}

// footerLength is what the last bytes of a file say.
func footerLength(tail []byte) uint32 {
	if len(tail) < 8 {
		return 0
	}
	b := tail[len(tail)-8:]
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

// wantedLeaves says of each leaf of a schema whether the top-level column above it
// has one of the field ids.
func wantedLeaves(elements []format.SchemaElement, ids map[int32]bool) (leaves []bool) {
	at := 1 // the root
	var walk func(wanted bool)
	walk = func(wanted bool) {
		if at >= len(elements) {
			return
		}
		children := elements[at].NumChildren
		at++
		if !children.Valid || children.V == 0 {
			leaves = append(leaves, wanted)
			return
		}
		for range children.V {
			walk(wanted)
		}
	}
	for at < len(elements) {
		walk(ids[elements[at].FieldID])
	}
	return leaves
}

// tail serves the end of a file from memory.
type tail struct {
	r     io.ReaderAt
	from  int64
	bytes []byte
}

func (t *tail) ReadAt(p []byte, off int64) (int, error) {
	if off < t.from {
		return t.r.ReadAt(p, off)
	}
	if off-t.from >= int64(len(t.bytes)) {
		return 0, io.EOF
	}
	n := copy(p, t.bytes[off-t.from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
