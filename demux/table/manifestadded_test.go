package table

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	iceberg "github.com/apache/iceberg-go"

	"github.com/akupara/akupara/demux/schema"
)

// entriesOfNewest are the entries of the current snapshot, by path.
func entriesOfNewest(t *testing.T, tbl *Table) map[string]iceberg.ManifestEntry {
	t.Helper()
	out := map[string]iceberg.ManifestEntry{}
	io := tbl.io(t.Context())
	ms, err := manifestsOf(io, tbl.meta.CurrentSnapshot())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range ms {
		n := 0
		err := eachEntry(io, m, func(e iceberg.ManifestEntry) error {
			out[e.DataFile().FilePath()] = e
			n++
			return nil
		})
		if err != nil || n != int(m.AddedDataFiles()+m.ExistingDataFiles()) {
			t.Fatalf("manifest %s: %d entries, %v", m.FilePath(), n, err)
		}
	}
	return out
}

// Files that a commit adds together are described as those that come one by one, which
// iceberg-go describes; others read them, and leave out what can't match.
func TestFilesThatComeTogetherAreDescribedAsOneByOne(t *testing.T) {
	w := openLocal(t)
	const n = 9 // over two hours
	cols := []schema.Column{{Name: "ok", Type: schema.Boolean}, {Name: "took", Type: schema.Double}}
	tbl := w.open(t, w)
	var files []DataFile
	for i := range n {
		at := start.Add(time.Duration(i) * 10 * time.Minute)
		f := rows(t, parquetStore{w}, DataPath(typ, HourPartition(at.UnixMicro()), "00000001-a", i), tbl.PlanColumns(cols), at, 10, "s", int64(i)*100)
		last := &f.Stats.Columns[len(f.Stats.Columns)-1]
		last.NaNs, last.Lower, last.Upper = int64(i%2), schema.DoubleBound(float64(-i)), schema.DoubleBound(math.Pi)
		files = append(files, f)
	}
	together, err := tbl.Commit(t.Context(), Commit{RunID: "00000001-a", Columns: cols, Files: files, Delta: delta("s", 0, n*100)})
	if err != nil {
		t.Fatal(err)
	}
	got := entriesOfNewest(t, together)
	days := inDays(t, w, together, files)

	other := openLocal(t)
	tbl = other.open(t, other)
	for i, f := range files {
		f.Path = DataPath(typ, f.Partition, fmt.Sprintf("%08d-b", i+1), i)
		rows(t, parquetStore{other}, f.Path, tbl.PlanColumns(cols), start, 10, "s", int64(i)*100)
		in, err := other.Stat(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		f.Stats.Size = in.Size
		if tbl, err = tbl.Commit(t.Context(), Commit{RunID: fmt.Sprintf("%08d-b", i+1), Columns: cols, Files: []DataFile{f}, Delta: delta("s", int64(i)*100, int64(i+1)*100)}); err != nil {
			t.Fatal(err)
		}
		one := entriesOfNewest(t, tbl)[other.uri+"/"+f.Path].DataFile()
		compareFiles(t, got[w.uri+"/"+files[i].Path].DataFile(), one)
	}
	for p, e := range days {
		if v := e.DataFile().Partition(); len(v) != 1 || v[dayField] == nil {
			t.Errorf("%s is of the day %v", p, v)
		}
	}
	read := readByOthers(t, python(t), w, w.open(t, w))
	for key, want := range map[string]any{"rows": 10 * n, "files": n, "pruned": 2, "prunedRows": 20} {
		if fmt.Sprint(read[key]) != fmt.Sprint(want) {
			t.Errorf("others read %s: %v, want %v", key, read[key], want)
		}
	}
}

func compareFiles(t *testing.T, a, b iceberg.DataFile) {
	t.Helper()
	tell := func(d iceberg.DataFile) string {
		order := -1
		if d.SortOrderID() != nil {
			order = *d.SortOrderID()
		}
		return fmt.Sprintln(d.ContentType(), d.FileFormat(), d.Partition(), d.Count(), d.ColumnSizes(), d.ValueCounts(), d.NullValueCounts(),
			d.NaNValueCounts(), d.DistinctValueCounts(), d.LowerBoundValues(), d.UpperBoundValues(), string(d.KeyMetadata()), d.SplitOffsets(), d.EqualityFieldIDs(), order)
	}
	if got, want := tell(a), tell(b); got != want {
		t.Errorf("described as\n%s, want\n%s", got, want)
	}
}

// inDays puts the files of a table into days, and returns their entries.
func inDays(t *testing.T, w warehouse, tbl *Table, files []DataFile) map[string]iceberg.ManifestEntry {
	t.Helper()
	r := Replacement{Kind: Compacted, RunID: fmt.Sprintf("%08d-c", tbl.Version()+1)}
	for i, f := range files {
		r.Remove = append(r.Remove, f.Path)
		f.Partition = DayPartition(f.Stats.MinTS)
		f.Path = DataPath(typ, f.Partition, r.RunID, i)
		rows(t, parquetStore{w}, f.Path, tbl.Columns(), start.Add(time.Duration(i)*10*time.Minute), 10, "s", int64(i)*100)
		r.Files = append(r.Files, f)
	}
	slices.Sort(r.Remove)
	next, err := tbl.Replace(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return entriesOfNewest(t, next)
}
