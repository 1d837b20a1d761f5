package table

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

const typ = "hadoop"

// start is the first row's time in all tests.
var start = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

type warehouse struct {
	store.FS
	uri string
}

// parquetStore asks for real Parquet files: only a foreign reader needs them,
// and writing them takes most of a test's time.
type parquetStore struct{ store.FS }

func openLocal(t testing.TB) warehouse {
	t.Helper()
	dir := storetest.FastDir(t)
	l, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return warehouse{FS: l, uri: "file://" + dir}
}

// open returns the table of fsys, or version 0 of it.
func (w warehouse) open(t testing.TB, fsys store.FS) *Table {
	t.Helper()
	tbl, err := Open(t.Context(), fsys, w.uri, typ)
	if errors.Is(err, fs.ErrNotExist) {
		tbl, err = New(fsys, w.uri, typ)
	}
	if err != nil {
		t.Fatalf("open table: %v", err)
	}
	return tbl.Patient(0)
}

// rows writes a Parquet file of n rows, a second apart from at on, in the
// columns given, and tells of it what a commit must know. Its rows' seq
// continues from seq on; stream is the stream of all of them.
func rows(t testing.TB, fsys store.FS, path string, cols []schema.Column, at time.Time, n int, stream string, seq int64) DataFile {
	t.Helper()
	body := []byte("no reader looks at me")
	if _, ok := fsys.(parquetStore); ok {
		body = parquetOf(t, cols, at, n, stream, seq)
	}
	storetest.Put(t, fsys, path, body)
	last := at.Add(time.Duration(n-1) * time.Second)
	stats := schema.FileStats{
		Records: int64(n), Size: int64(len(body)), SplitOffsets: []int64{4},
		MinTS: at.UnixMicro(), MaxTS: last.UnixMicro(),
	}
	for _, c := range cols {
		s := schema.ColumnStats{ID: c.ID, Size: 100, Values: int64(n)}
		switch c.Name {
		case schema.TS:
			s.Lower, s.Upper = schema.LongBound(stats.MinTS), schema.LongBound(stats.MaxTS)
		case schema.Seq:
			s.Lower, s.Upper = schema.LongBound(seq), schema.LongBound(seq+int64(n-1)*10)
		case schema.Stream:
			s.Lower, s.Upper = schema.StringLower(stream), schema.StringUpper(stream)
		case schema.ParseError:
			s.Nulls = int64(n)
		}
		if c.Type == schema.Map {
			stats.Columns = append(stats.Columns,
				schema.ColumnStats{ID: c.KeyID, Size: 10, Values: int64(n)}, schema.ColumnStats{ID: c.ValueID, Size: 10, Values: int64(n)})
			continue
		}
		stats.Columns = append(stats.Columns, s)
	}
	return DataFile{Path: path, Partition: HourPartition(stats.MinTS), Stats: stats}
}

// parquetOf encodes the rows.
func parquetOf(t testing.TB, cols []schema.Column, at time.Time, n int, stream string, seq int64) []byte {
	t.Helper()
	group := parquet.Group{}
	for _, c := range cols {
		var node parquet.Node
		switch c.Type {
		case schema.Timestamp:
			node = parquet.Timestamp(parquet.Microsecond)
		case schema.String:
			node = parquet.String()
		case schema.Long:
			node = parquet.Int(64)
		case schema.Double:
			node = parquet.Leaf(parquet.DoubleType)
		case schema.Boolean:
			node = parquet.Leaf(parquet.BooleanType)
		case schema.Map:
			node = parquet.Map(parquet.FieldID(parquet.String(), c.KeyID),
				parquet.FieldID(parquet.Optional(parquet.String()), c.ValueID))
		}
		if !c.Required {
			node = parquet.Optional(node)
		}
		group[c.Name] = parquet.FieldID(node, c.ID)
	}
	sc := parquet.NewSchema("table", group)
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[map[string]any](&buf, sc, parquet.Compression(&parquet.Zstd))
	leaves := sc.Columns()
	for i := range n {
		ts := at.Add(time.Duration(i) * time.Second)
		row := make(parquet.Row, 0, len(leaves))
		for j, p := range leaves {
			row = append(row, cell(cols, p, ts, stream, seq+int64(i)*10).Level(0, level(cols, p), j))
		}
		if _, err := w.WriteRows([]parquet.Row{row}); err != nil {
			t.Fatalf("write row: %v", err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatalf("write Parquet: %v", err)
	}
	return buf.Bytes()
}

func column(cols []schema.Column, path []string) schema.Column {
	return cols[slices.IndexFunc(cols, func(c schema.Column) bool { return c.Name == path[0] })]
}

// level is the definition level of a leaf's one value.
func level(cols []schema.Column, path []string) int {
	c := column(cols, path)
	switch {
	case c.Name == schema.ParseError, c.Required:
		return 0
	case c.Type == schema.Map && path[len(path)-1] == "value":
		return 3
	case c.Type == schema.Map:
		return 2
	}
	return 1
}

func cell(cols []schema.Column, path []string, ts time.Time, stream string, seq int64) parquet.Value {
	c := column(cols, path)
	switch {
	case c.Name == schema.ParseError:
		return parquet.NullValue()
	case c.Name == schema.TS:
		return parquet.Int64Value(ts.UnixMicro())
	case c.Name == schema.Stream:
		return parquet.ByteArrayValue([]byte(stream))
	case c.Name == schema.Seq || c.Type == schema.Long:
		return parquet.Int64Value(seq)
	case c.Type == schema.Double:
		return parquet.DoubleValue(float64(seq) / 4)
	case c.Type == schema.Boolean:
		return parquet.BooleanValue(seq%20 == 0)
	}
	return parquet.ByteArrayValue([]byte(fmt.Sprintf("%s %d", path[len(path)-1], seq)))
}

// delta is the coverage of one range of one stream.
func delta(stream string, first, last int64) coverage.Set {
	set := coverage.Set{}
	set.Stream(stream, "host-1", "/var/log/x").Cover(chunk.Range{First: first, Last: last}, 7)
	return set
}

// commitRows commits one file of 10 rows, at the i-th place of the time line
// and of one stream, on top of tbl.
func commitRows(t testing.TB, fsys store.FS, tbl *Table, run string, i int, want ...schema.Column) (*Table, error) {
	t.Helper()
	at := start.Add(time.Duration(i) * 10 * time.Minute)
	path := DataPath(typ, HourPartition(at.UnixMicro()), fmt.Sprintf("%s-%d", run, time.Now().UnixNano()), i)
	f := rows(t, fsys, path, tbl.PlanColumns(want), at, 10, "s", int64(i)*100)
	return tbl.Commit(t.Context(), Commit{
		RunID: run, Columns: want, Files: []DataFile{f}, Delta: delta("s", int64(i)*100, int64(i+1)*100),
		Summary: map[string]string{"akupara.sinks": "3"},
	})
}

func mustCommit(t testing.TB, fsys store.FS, tbl *Table, run string, i int, want ...schema.Column) *Table {
	t.Helper()
	next, err := commitRows(t, fsys, tbl, run, i, want...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// wantRuns checks that the table holds n files of 10 rows, and their coverage.
func wantRuns(t testing.TB, tbl *Table, n int) {
	t.Helper()
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var records int64
	for _, f := range files {
		records += f.Records
		if in, err := tbl.fs.Stat(t.Context(), f.Path); err != nil || in.Size != f.Size {
			t.Errorf("data file %s: %+v, %v", f.Path, in, err)
		}
	}
	if len(files) != n || records != int64(10*n) {
		t.Fatalf("got %d files with %d rows, want %d with %d", len(files), records, n, 10*n)
	}
	set, err := tbl.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := set["s"].Ranges.Len(); len(set) != 1 || got != int64(100*n) {
		t.Fatalf("coverage: got %d streams and %d bytes of s, want 1 and %d", len(set), got, 100*n)
	}
}

func runName(i int) string { return fmt.Sprintf("run-%d", i) }

// readable returns what can be read of a table's coverage.
func readable(ctx context.Context, t *Table) (coverage.Set, error) {
	out := coverage.Set{}
	_, err := t.EachReadable(ctx, "", func(_ string, family coverage.Set) bool {
		maps.Copy(out, family)
		return true
	})
	return out, err
}
