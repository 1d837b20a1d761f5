package table

import (
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/store/storetest"
)

func TestRowsAndCoverageOutliveSnapshots(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	const keep = 5
	const n = keep + 2*expireBatch + 3
	tbl.keep = keep
	for i := range n {
		tbl = mustCommit(t, w, tbl, fmt.Sprintf("run-%d", i), i)
	}
	tbl = w.open(t, w)
	wantRuns(t, tbl, n)
	if got := len(tbl.Runs()); got < keep || got > keep+expireBatch {
		t.Errorf("snapshots: got %d, want %d to %d", got, keep, keep+expireBatch)
	}
	if tbl.HasRun("run-0") || !tbl.HasRun(fmt.Sprintf("run-%d", n-1)) {
		t.Errorf("has the first run, the last: got %v, %v, want false, true", tbl.HasRun("run-0"), tbl.HasRun(fmt.Sprintf("run-%d", n-1)))
	}
	lists, versions := 0, 0
	for _, p := range storetest.Tree(t, w, "tables/"+typ+"/metadata") {
		if strings.HasPrefix(path.Base(p), "snap-") {
			lists++
		}
		if strings.HasSuffix(p, ".metadata.json") {
			versions++
		}
	}
	if lists != len(tbl.Runs()) {
		t.Errorf("manifest lists: got %d, want %d, one per snapshot", lists, len(tbl.Runs()))
	}
	if versions != keep+1 {
		t.Errorf("metadata files: got %d, want %d", versions, keep+1)
	}
	if files, err := tbl.coverageFiles(t.Context()); err != nil || len(files) != 1 {
		t.Errorf("coverage files: got %v, %v, want one", files, err)
	}
	if _, err := tbl.Sweep(t.Context(), orphansAlone); err != nil {
		t.Fatal(err)
	}
	wantOnlyNamed(t, w)
	wantRuns(t, w.open(t, w), n)
}

func TestOrphansAreRemovedAndNothingElse(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	tbl = mustCommit(t, w, tbl, "run-2", 1)
	orphans := []string{
		DataPath(typ, Partition{N: 5}, "dead", 1), "tables/" + typ + "/metadata/x-m0.avro", "tables/" + typ + "/_coverage/tree-dead.cov",
	}
	for _, p := range orphans {
		storetest.Put(t, w, p, []byte("x"))
	}
	keep := "tables/" + typ + "/data/README"
	storetest.Put(t, w, keep, []byte("x"))
	if got, err := tbl.Sweep(t.Context(), SweepOptions{Age: time.Hour, Grace: time.Hour}); err != nil || got != (Swept{}) {
		t.Fatalf("orphans older than an hour: got %+v, %v, want none", got, err)
	}
	if w.open(t, w).Version() != 2 {
		t.Error("there was nothing to remove, and still a commit")
	}
	if got, err := tbl.Sweep(t.Context(), orphansAlone); err != nil || got.Removed() != len(orphans)+1 {
		t.Fatalf("orphans: got %+v, %v, want %d, and the coverage that run-2 wrote anew", got, err, len(orphans))
	}
	if _, err := w.Stat(t.Context(), keep); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
	if err := w.Remove(t.Context(), keep); err != nil {
		t.Fatal(err)
	}
	wantOnlyNamed(t, w)
	wantRuns(t, w.open(t, w), 2)
	// A run that was under way can't commit any more: its files may be gone.
	if _, err := commitRows(t, w, tbl, "run-3", 2); !errors.Is(err, ErrConflict) {
		t.Fatalf("commit planned before the removal: got %v, want ErrConflict", err)
	}
}

// wantOnlyNamed checks that the table's folders hold what its metadata names,
// all of it, and nothing else.
func wantOnlyNamed(t *testing.T, w warehouse) {
	t.Helper()
	tbl := w.open(t, w)
	named, err := tbl.named(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, p := range storetest.Tree(t, w, "tables/"+typ) {
		p = strings.TrimSuffix(p, "/")
		base := path.Base(p)
		if strings.Contains(p, "/_claims/") || base == "version-hint.text" || path.Ext(base) == "" {
			continue
		}
		there[p] = true
		if !named.paths[p] {
			t.Errorf("%s is left behind", p)
		}
	}
	for p := range named.paths {
		if !there[p] {
			t.Errorf("%s is named and not there", p)
		}
	}
}
