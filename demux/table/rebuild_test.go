package table

import (
	"context"
	"testing"

	"github.com/akupara/akupara/store"
)

// grown returns a table of n commits of a file with 10 rows.
func grown(t testing.TB, w warehouse, n int) *Table {
	t.Helper()
	tbl := w.open(t, w)
	for i := range n {
		tbl = mustCommit(t, w, tbl, runName(i), i)
	}
	return tbl
}

// rescue rebuilds the table from what can be read of it. Data files that no
// manifest names any more are taken from lost.
func rescue(ctx context.Context, fsys store.FS, w warehouse, lost []DataFile) (*Table, error) {
	base, _, err := Newest(ctx, fsys, w.uri, typ)
	if err != nil {
		return nil, err
	}
	c := Content{Note: "test"}
	named := map[string]bool{}
	if base != nil {
		base.Patient(0)
		if c.Files, _, err = base.ReadableFiles(ctx); err != nil {
			return nil, err
		}
		if c.Coverage, _, err = base.ReadableCoverage(ctx); err != nil {
			return nil, err
		}
		c.Columns = base.Columns()
	}
	for _, f := range c.Files {
		named[f.Path] = true
	}
	for _, f := range lost {
		if !named[f.Path] {
			c.Files = append(c.Files, f)
		}
	}
	return Rebuild(ctx, fsys, w.uri, typ, base, c)
}

func TestRebuiltTableHoldsExactlyItsContent(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 3)
	files, bad, err := tbl.ReadableFiles(t.Context())
	if err != nil || len(files) != 3 || len(bad) != 0 {
		t.Fatalf("readable files: got %d, %v, %v, want 3", len(files), bad, err)
	}
	set := delta("s", 0, 200)
	next, err := Rebuild(t.Context(), w, w.uri, typ, tbl, Content{
		Files: files[:2], Columns: tbl.Columns(), Coverage: set, Note: "one is damaged",
	})
	if err != nil {
		t.Fatal(err)
	}
	wantRuns(t, next, 2)
	wantHealthy(t, w, 4)
	got := w.open(t, w)
	wantRuns(t, got, 2)
	if p := got.Runs()[0].Summary[propRepaired]; p != "one is damaged" {
		t.Errorf("the summary says %q", p)
	}
	wantRuns(t, mustCommit(t, w, got, "run-2", 2), 3)
	wantHealthy(t, w, 5)
}

func wantHealthy(t testing.TB, w warehouse, version int) {
	t.Helper()
	h, err := Check(t.Context(), w, w.uri, typ)
	if err != nil || len(h.Damaged) > 0 || h.Version != version {
		t.Fatalf("health: got version %d, %v, %v, want version %d and no damage", h.Version, h.Damaged, err, version)
	}
}
