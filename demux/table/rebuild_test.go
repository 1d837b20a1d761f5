package table

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/storetest"
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

func TestTableIsBuiltFromNothingButItsFiles(t *testing.T) {
	dir, truth := lived(t)
	w, at := copied(t, dir)
	if err := os.RemoveAll(filepath.Join(at, "tables", typ, "metadata")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), w, w.uri, typ); !errors.Is(err, ErrDamaged) {
		t.Fatalf("open without metadata: got %v, want ErrDamaged", err)
	}
	if types, err := List(t.Context(), w); err != nil || len(types) != 1 {
		t.Errorf("tables: got %v, %v, want it listed", types, err)
	}
	h, err := Check(t.Context(), w, w.uri, typ)
	if err != nil || len(h.Needed()) != 1 || h.Version != damagedRuns+1 {
		t.Errorf("health: got %+v, %v, want version %d missing", h, err, damagedRuns+1)
	}
	if _, err := rescue(t.Context(), w, w, truth); err != nil {
		t.Fatal(err)
	}
	tbl := w.open(t, w)
	wantRuns(t, tbl, damagedRuns)
	wantHealthy(t, w, damagedRuns+2)
	if got := tbl.Columns(); !slices.Equal(got, truth.Columns) {
		t.Errorf("columns: got %v, want %v", got, truth.Columns)
	}
	added := schema.Column{Name: "later", Type: schema.Long}
	wantRuns(t, mustCommit(t, w, tbl, "run-7", 7, added), damagedRuns+1)
}

func TestRebuildKeepsTheIdsThatTheFilesHave(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-0", 0)
	old := tbl
	wide := mustCommit(t, w, tbl, "run-1", 1, schema.Column{Name: "labels", Type: schema.Map}, schema.Column{Name: "took", Type: schema.Double})
	files, _, err := wide.ReadableFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The newest version that is left may know less than the files, or nothing.
	for _, base := range []*Table{old, nil} {
		c := Content{Files: files, Columns: wide.Columns(), Coverage: delta("s", 0, 200)}
		got, err := Rebuild(t.Context(), w, w.uri, typ, base, c)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.Columns(), wide.Columns()) || got.meta.LastColumnID() != wide.meta.LastColumnID() {
			t.Errorf("columns: got %v up to %d, want %v up to %d", got.Columns(), got.meta.LastColumnID(), wide.Columns(), wide.meta.LastColumnID())
		}
		wantRuns(t, w.open(t, w), 2)
	}
}

func TestWrongRebuildsAreRefused(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 2)
	files, _, err := tbl.ReadableFiles(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	other := slices.Clone(files)
	other[0].Stats.Size++
	for name, c := range map[string]Content{
		"a file of another size": {Files: other, Columns: tbl.Columns()},
		"a file twice":           {Files: append(slices.Clone(files), files[0]), Columns: tbl.Columns()},
		"a file's column":        {Files: files, Columns: tbl.Columns()[:2]},
	} {
		if _, err := Rebuild(t.Context(), w, w.uri, typ, tbl, c); err == nil {
			t.Errorf("%s: rebuilt, want it refused", name)
		}
	}
	wantRuns(t, w.open(t, w), 2)
	wantHealthy(t, w, 2)
}

func TestCrashAtEveryWriteOfARebuild(t *testing.T) {
	dir, truth := lived(t)
	newest := filepath.Join("tables", typ, "metadata", fmt.Sprintf("v%d.metadata.json", damagedRuns+1))
	for name, damage := range map[string]func(at string) error{
		"truncated": func(at string) error { return os.Truncate(filepath.Join(at, newest), 100) },
		"missing": func(at string) error {
			// The hint lags behind, and the version that it names is not the newest.
			hint := filepath.Join(at, "tables", typ, "metadata", "version-hint.text")
			return errors.Join(os.Remove(filepath.Join(at, newest)), os.WriteFile(hint, []byte("7"), 0o644))
		},
	} {
		for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
			t.Run(name+" "+when.String(), func(t *testing.T) {
				t.Parallel()
				for k := 0; ; k++ {
					w, at := copied(t, dir)
					if err := damage(at); err != nil {
						t.Fatal(err)
					}
					if _, err := Open(t.Context(), w, w.uri, typ); !errors.Is(err, ErrDamaged) {
						t.Fatalf("open: got %v, want ErrDamaged", err)
					}
					f := storetest.NewFaulty(w)
					f.CrashAt(k, when)
					_, err := rescue(t.Context(), f, w, truth)
					if !f.Crashed() {
						if err != nil {
							t.Fatalf("rebuild without a crash: %v", err)
						}
						t.Logf("%d writes", k)
						return
					}
					// The next process finds the damage, or a whole table.
					tbl, openErr := Open(t.Context(), w, w.uri, typ)
					if err == nil && openErr != nil {
						t.Fatalf("crash at write %d: the rebuild said it was done, then: %v", k, openErr)
					}
					if openErr == nil && err != nil && !errors.Is(err, ErrUnknown) {
						t.Fatalf("crash at write %d: rebuild said %v, but it is there", k, err)
					}
					if openErr != nil {
						if !errors.Is(openErr, ErrDamaged) {
							t.Fatalf("crash at write %d: open: got %v, want ErrDamaged", k, openErr)
						}
						if tbl, err = rescue(t.Context(), w, w, truth); err != nil {
							t.Fatalf("crash at write %d: second rebuild: %v", k, err)
						}
					}
					wantRuns(t, tbl, damagedRuns)
					wantRuns(t, mustCommit(t, w, w.open(t, w), "run-7", damagedRuns), damagedRuns+1)
					if _, err := w.open(t, w).Sweep(t.Context(), orphansAlone); err != nil {
						t.Fatal(err)
					}
					wantOnlyNamed(t, w)
					if h, err := Check(t.Context(), w, w.uri, typ); err != nil || len(h.Damaged) > 0 {
						t.Fatalf("crash at write %d: health: got %v, %v, want no damage", k, h.Damaged, err)
					}
					wantRuns(t, w.open(t, w), damagedRuns+1)
				}
			})
		}
	}
}

func TestCommitsGoOnFromAVersionThatIsClaimedAboveAMissingOne(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 3)
	// A committer that died after its claim; then the version it was planned
	// from is lost.
	f := storetest.NewFaulty(w)
	dead := w.open(t, f)
	f.FailWith(func(op, p string) error {
		if op == "rename" && strings.HasSuffix(p, "v4.metadata.json") {
			return errBroken
		}
		return nil
	})
	if _, err := commitRows(t, w, dead, "run-3", 3); !errors.Is(err, ErrUnknown) {
		t.Fatalf("commit of the dead: got %v, want ErrUnknown", err)
	}
	if err := w.Remove(t.Context(), tbl.MetadataPath()); err != nil {
		t.Fatal(err)
	}
	got := w.open(t, w)
	wantRuns(t, got, 4)
	wantRuns(t, mustCommit(t, w, got, "run-4", 4), 5)
}
