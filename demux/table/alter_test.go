package table

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

func ownNames(tbl *Table) (out []string) {
	for _, c := range tbl.Columns()[len(schema.Common()):] {
		out = append(out, c.Name)
	}
	return out
}

// altered is a table of n commits whose column ok was renamed to fine, documented, and
// whose column gone was dropped.
func altered(t testing.TB, w warehouse, fsys store.FS, n int) *Table {
	t.Helper()
	tbl := w.open(t, fsys)
	for i := range n {
		tbl = mustCommit(t, fsys, tbl, runName(i), i, schema.Column{Name: "ok", Type: schema.Boolean}, schema.Column{Name: "gone", Type: schema.Long}, schema.Column{Name: "took", Type: schema.Double})
	}
	text := "whether it went well"
	for _, c := range []schema.Change{{Column: "ok", Name: "fine"}, {Column: "fine", Doc: &text}, {Column: "gone", Drop: true}} {
		var err error
		if tbl, err = tbl.Alter(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return tbl
}

func TestAlteredColumnsKeepTheirIDs(t *testing.T) {
	w := openLocal(t)
	tbl := altered(t, w, w, 3)
	id := tbl.Columns()[10].ID
	if got := ownNames(tbl); !slices.Equal(got, []string{"fine", "took"}) || tbl.Columns()[10].Doc != "whether it went well" {
		t.Errorf("got columns %v", tbl.Columns()[10:])
	}
	tbl = w.open(t, w)
	if want := fmt.Sprintf(`{"gone":0,"ok":%d}`, id); tbl.Keys().String() != want {
		t.Errorf("got keys %s, want %s", tbl.Keys(), want)
	}
	wantRuns(t, tbl, 3)
	// A file that was made before the column was dropped is taken still: compaction
	// may have begun then.
	old := tbl.Columns()
	old = append(old, schema.Column{ID: id + 1, Name: "gone", Type: schema.Long})
	r := compacted(t, w, tbl, false, 0, 2)
	f := rows(t, w, DataPath(typ, r.Files[0].Partition, r.RunID, 1), old, start, 30, "s", 0)
	f.Partition, f.Stats.MaxTS = r.Files[0].Partition, r.Files[0].Stats.MaxTS
	r.Files = []DataFile{f}
	tbl, err := tbl.Replace(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, tbl, 1, 30)
	// Ids are not given again, and what the config wants comes back as a new column.
	tbl = mustCommit(t, w, tbl, "run-3", 3, schema.Column{Name: "gone", Type: schema.String})
	if c := tbl.Columns()[12]; c.Name != "gone" || c.ID <= id+2 || tbl.Keys().String() != fmt.Sprintf(`{"ok":%d}`, id) {
		t.Errorf("got %+v, keys %s", c, tbl.Keys())
	}
	if same, err := tbl.Alter(t.Context(), schema.Change{Column: "fine", Doc: &tbl.Columns()[10].Doc}); err != nil || same.Version() != tbl.Version() {
		t.Errorf("a change that changes nothing made version %d of %d: %v", same.Version(), tbl.Version(), err)
	}
	rows, nulls, err := tbl.Nulls(t.Context())
	if err != nil || rows != 40 || nulls[tbl.Columns()[0].ID] != 0 || nulls[tbl.Columns()[12].ID] < 30 {
		t.Errorf("got %d rows, nulls %v, %v", rows, nulls, err)
	}
}

func TestAColumnIsAlteredOrNotAfterACrash(t *testing.T) {
	made := openLocal(t)
	tbl := made.open(t, made)
	for i := range 2 {
		tbl = mustCommit(t, made, tbl, runName(i), i, schema.Column{Name: "ok", Type: schema.Boolean})
	}
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		t.Run(fmt.Sprint(when), func(t *testing.T) {
			t.Parallel()
			for k := 0; ; k++ {
				w, _ := copied(t, strings.TrimPrefix(made.uri, "file://"))
				f := storetest.NewFaulty(w)
				tbl := w.open(t, f)
				f.CrashAt(k, when)
				change := schema.Change{Column: "ok", Name: "fine"}
				_, err := tbl.Alter(t.Context(), change)
				got := w.open(t, w)
				done := ownNames(got)[0] == "fine"
				if done != (len(got.Keys()) == 1) || err == nil && !done || err != nil && !errors.Is(err, ErrUnknown) && done {
					t.Fatalf("crash at write %d: it said %v, columns %v, keys %s", k, err, ownNames(got), got.Keys())
				}
				if !done {
					if got, err = got.Alter(t.Context(), change); err != nil {
						t.Fatalf("crash at write %d: second try: %v", k, err)
					}
				}
				wantRuns(t, mustCommit(t, w, got, runName(2), 2), 3)
				if _, err := got.Sweep(t.Context(), orphansAlone); err != nil {
					t.Fatal(err)
				}
				wantRuns(t, w.open(t, w), 3)
				if !f.Crashed() {
					return
				}
			}
		})
	}
}

// Of changes and commits that were planned from one version, one is made, and the
// others are told to try again.
func TestChangesOfColumnsAndCommitsExcludeEachOther(t *testing.T) {
	w := openLocal(t)
	mustCommit(t, w, w.open(t, w), runName(0), 0, schema.Column{Name: "c0", Type: schema.Long})
	const n = 8
	var done sync.WaitGroup
	done.Go(func() {
		for i := 1; i <= n; {
			if _, err := commitRows(t, w, w.open(t, w), runName(i), i); err == nil {
				i++
			} else if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknown) {
				t.Error(err)
				return
			}
		}
	})
	for i := 1; i <= n; {
		tbl := w.open(t, w)
		_, err := tbl.Alter(t.Context(), schema.Change{Column: fmt.Sprint("c", i-1), Name: fmt.Sprint("c", i)})
		if refused := (*schema.ChangeError)(nil); err == nil || errors.As(err, &refused) {
			i++ // by an outcome that was unknown, it was done before
		} else if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknown) {
			t.Fatal(err)
		}
	}
	done.Wait()
	tbl := w.open(t, w)
	wantRuns(t, tbl, n+1)
	if got := ownNames(tbl); !slices.Equal(got, []string{fmt.Sprint("c", n)}) || len(tbl.Keys()) != n {
		t.Errorf("got columns %v, keys %s", got, tbl.Keys())
	}
}

const alteredScript = `
import json, sys
from pyiceberg.table import StaticTable
t = StaticTable.from_metadata(sys.argv[1])
con = t.scan().to_duckdb("t")
con.execute("SET enable_progress_bar = false") # it would go to stdout
json.dump({
    "columns": [f.name for f in t.schema().fields][10:], "doc": t.schema().find_field("fine").doc,
    "rows": con.execute("select count(*), count(fine), count(took) from t").fetchone(),
    "fine": t.scan(row_filter="fine = true", selected_fields=("fine",)).to_arrow().num_rows,
}, sys.stdout)
`

func TestOtherReadersReadAlteredColumns(t *testing.T) {
	py := python(t)
	w := openLocal(t)
	tbl := altered(t, w, parquetStore{w}, 2)
	tbl = mustCommit(t, parquetStore{w}, tbl, runName(2), 2, schema.Column{Name: "fine", Type: schema.Boolean})
	cmd := exec.CommandContext(t.Context(), py, "-c", alteredScript, w.uri+"/"+tbl.MetadataPath())
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("read the table: %v", err)
	}
	want := `{"columns": ["fine", "took"], "doc": "whether it went well", "rows": [30, 30, 30], "fine": 15}`
	if string(out) != want {
		t.Errorf("got %s, want %s", out, want)
	}
}
