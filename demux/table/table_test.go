package table

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/storetest"
)

func TestFirstCommitMakesTheTable(t *testing.T) {
	w := openLocal(t)
	if _, err := Open(t.Context(), w, w.uri, typ); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("open: got %v, want fs.ErrNotExist", err)
	}
	tbl := w.open(t, w)
	next := mustCommit(t, w, tbl, "run-1", 0, schema.Column{Name: "thread", Type: schema.String})
	if next.Version() != 1 {
		t.Errorf("version: got %d, want 1", next.Version())
	}
	got, err := Open(t.Context(), w, w.uri+"/", typ)
	if err != nil {
		t.Fatal(err)
	}
	wantRuns(t, got, 1)
	if want := tbl.PlanColumns([]schema.Column{{Name: "thread", Type: schema.String}}); !slices.Equal(got.Columns(), want) {
		t.Errorf("columns: got %+v, want %+v", got.Columns(), want)
	}
	if want := w.uri + "/tables/" + typ; got.Location() != want {
		t.Errorf("location: got %s, want %s", got.Location(), want)
	}
	if types, err := List(t.Context(), w); err != nil || !slices.Equal(types, []string{typ}) {
		t.Errorf("list: got %v, %v, want %s", types, err, typ)
	}
	runs := got.Runs()
	if len(runs) != 1 || runs[0].ID != "run-1" || runs[0].Records != 10 || runs[0].Files != 1 ||
		runs[0].Summary["akupara.sinks"] != "3" || time.Since(runs[0].Time) > time.Minute {
		t.Errorf("runs: got %+v, want one of run-1 with 10 rows in 1 file", runs)
	}
	if !got.HasRun("run-1") || got.HasRun("run-2") {
		t.Errorf("has run-1, run-2: got %v, %v, want true, false", got.HasRun("run-1"), got.HasRun("run-2"))
	}
}

func TestCommitOnAnOldVersionConflictsAndLeavesNothing(t *testing.T) {
	w := openLocal(t)
	old := mustCommit(t, w, w.open(t, w), "run-1", 0)
	cur := mustCommit(t, w, old, "run-2", 1)
	before := storetest.Tree(t, w, "")
	at := start.Add(time.Hour)
	f := rows(t, w, DataPath(typ, HourOf(at.UnixMicro()), "run-3", 0), old.Columns(), at, 10, "s", 300)
	_, err := old.Commit(t.Context(), Commit{RunID: "run-3", Files: []DataFile{f}, Delta: delta("s", 300, 400)})
	if !errors.Is(err, ErrConflict) {
		t.Fatalf("commit on the old version: got %v, want ErrConflict", err)
	}
	if err := w.Remove(t.Context(), f.Path); err != nil {
		t.Fatal(err)
	}
	if after := storetest.Tree(t, w, ""); !slices.Equal(after, before) {
		t.Errorf("left behind: got %v, want %v", after, before)
	}
	wantRuns(t, w.open(t, w), 2)
	// Facts, too, are committed on the exact version only.
	facts := coverage.Set{}
	facts.Stream("s", "h", "x").Tell(chunk.End, chunk.Range{First: 200, Last: 200})
	if _, err := old.Commit(t.Context(), Commit{RunID: "run-4", Delta: facts}); !errors.Is(err, ErrConflict) {
		t.Fatalf("commit of a fact on the old version: got %v, want ErrConflict", err)
	}
	next, err := cur.Commit(t.Context(), Commit{RunID: "run-4", Delta: facts})
	if err != nil {
		t.Fatal(err)
	}
	wantRuns(t, next, 2)
	set, err := next.Coverage(t.Context())
	if err != nil || !set["s"].Complete() || !next.HasRun("run-4") {
		t.Errorf("after the fact: got %+v, %v, want a complete stream of run-4", set["s"], err)
	}
}

func TestSecondCreatorOfATableConflicts(t *testing.T) {
	w := openLocal(t)
	a, b := w.open(t, w), w.open(t, w)
	mustCommit(t, w, a, "run-1", 0)
	if _, err := commitRows(t, w, b, "run-2", 1); !errors.Is(err, ErrConflict) {
		t.Fatalf("second creation: got %v, want ErrConflict", err)
	}
	wantRuns(t, w.open(t, w), 1)
}

func TestFactsAloneMakeATable(t *testing.T) {
	w := openLocal(t)
	facts := coverage.Set{}
	facts.Stream("s", "h", "x").Tell(chunk.Lost, chunk.Range{First: 0, Last: 100})
	if _, err := w.open(t, w).Commit(t.Context(), Commit{RunID: "run-1", Delta: facts}); err != nil {
		t.Fatal(err)
	}
	tbl := w.open(t, w)
	if files, err := tbl.Files(t.Context(), nil, nil); err != nil || len(files) != 0 {
		t.Errorf("files: got %v, %v, want none", files, err)
	}
	set, err := tbl.Coverage(t.Context())
	if err != nil || set["s"].Lost.Len() != 100 || set["s"].Seen.IsZero() {
		t.Errorf("coverage: got %+v, %v, want 100 lost bytes, seen now", set["s"], err)
	}
	if len(tbl.Columns()) != len(schema.Common()) || len(tbl.Runs()) != 0 {
		t.Errorf("got %d columns and %d runs, want the common ones and none", len(tbl.Columns()), len(tbl.Runs()))
	}
	same, err := tbl.Commit(t.Context(), Commit{RunID: "run-2"})
	if err != nil || same != tbl {
		t.Errorf("empty commit: got %v, %v, want the same version", same, err)
	}
	wantNext := mustCommit(t, w, tbl, "run-3", 0)
	if wantNext.Version() != 2 {
		t.Errorf("version: got %d, want 2", wantNext.Version())
	}
}

func TestColumnsAreAddedWithTheRows(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0, schema.Column{Name: "status", Type: schema.Long})
	first := tbl.Columns()
	tbl = mustCommit(t, w, tbl, "run-2", 1,
		schema.Column{Name: "STATUS", Type: schema.Double}, schema.Column{Name: "labels", Type: schema.Map},
		schema.Column{Name: "req.took", Type: schema.Double}, schema.Column{Name: "ok", Type: schema.Boolean, Doc: "it went well"})
	got := w.open(t, w).Columns()
	if !slices.Equal(got[:len(first)], first) {
		t.Errorf("first columns: got %+v, want %+v", got[:len(first)], first)
	}
	last := tbl.meta.LastColumnID()
	want := []schema.Column{
		{ID: last - 4, KeyID: last - 3, ValueID: last - 2, Name: "labels", Type: schema.Map},
		{ID: last - 1, Name: "req.took", Type: schema.Double},
		{ID: last, Name: "ok", Type: schema.Boolean, Doc: "it went well"},
	}
	if !slices.Equal(got[len(first):], want) {
		t.Errorf("added columns: got %+v, want %+v", got[len(first):], want)
	}
	wantRuns(t, w.open(t, w), 2)
}

func TestFilesAreSelectedByTime(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	for i := range 34 { // beyond what makes Iceberg merge manifests
		tbl = mustCommit(t, w, tbl, fmt.Sprintf("run-%d", i), i)
	}
	wantRuns(t, tbl, 34)
	at := func(minute, sec int) *time.Time {
		x := start.Add(time.Duration(minute)*time.Minute + time.Duration(sec)*time.Second)
		return &x
	}
	for _, c := range []struct {
		from, to *time.Time
		want     int
	}{
		{nil, nil, 34},
		{at(0, 0), at(5, 0), 1},
		{at(10, 9), at(20, 0), 1}, // the last row of the second file
		{at(10, 10), at(20, 0), 0},
		{at(10, 10), at(20, 1), 1},
		{at(-60, 0), at(0, 0), 0},
		{at(60, 0), nil, 28},
		{nil, at(60, 0), 6},
		{nil, at(60, 1), 7},
		{at(9000, 0), nil, 0},
		{at(5, 0), at(5, 0), 0},
	} {
		got, err := tbl.Files(t.Context(), c.from, c.to)
		if err != nil || len(got) != c.want {
			t.Errorf("files in [%v, %v): got %d, %v, want %d", c.from, c.to, len(got), err, c.want)
		}
		if !slices.IsSortedFunc(got, func(a, b File) int { return a.MinTS.Compare(b.MinTS) }) {
			t.Errorf("files in [%v, %v) are not in order", c.from, c.to)
		}
	}
	if got, err := tbl.Files(t.Context(), at(0, 0), at(5, 0)); err != nil || !got[0].MinTS.Equal(start) ||
		!got[0].MaxTS.Equal(start.Add(9*time.Second)) || got[0].Records != 10 || got[0].Hour != HourOf(start.UnixMicro()) {
		t.Errorf("first file: got %+v, %v", got, err)
	}
}

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
	files, err := tbl.coverageFiles()
	if err != nil || len(files) == 0 || len(files) > maxDeltas+1 {
		t.Errorf("coverage files: got %v, %v, want at most %d", files, err, maxDeltas+1)
	}
	if _, err := tbl.RemoveOrphans(t.Context(), -time.Hour); err != nil {
		t.Fatal(err)
	}
	wantOnlyNamed(t, w)
	wantRuns(t, w.open(t, w), n)
}

// wantOnlyNamed checks that the table's folders hold what its metadata names,
// all of it, and nothing else.
func wantOnlyNamed(t *testing.T, w warehouse) {
	t.Helper()
	tbl := w.open(t, w)
	named, err := tbl.named(t.Context())
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

func TestOrphansAreRemovedAndNothingElse(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	tbl = mustCommit(t, w, tbl, "run-2", 1)
	orphans := []string{
		DataPath(typ, 5, "dead", 1), "tables/" + typ + "/metadata/x-m0.avro", "tables/" + typ + "/_coverage/delta-dead.cov",
	}
	for _, p := range orphans {
		storetest.Put(t, w, p, []byte("x"))
	}
	keep := "tables/" + typ + "/data/README"
	storetest.Put(t, w, keep, []byte("x"))
	if n, err := tbl.RemoveOrphans(t.Context(), time.Hour); err != nil || n != 0 {
		t.Fatalf("orphans older than an hour: got %d, %v, want 0", n, err)
	}
	if w.open(t, w).Version() != 2 {
		t.Error("there was nothing to remove, and still a commit")
	}
	if n, err := tbl.RemoveOrphans(t.Context(), -time.Hour); err != nil || n != len(orphans) {
		t.Fatalf("orphans: got %d, %v, want %d", n, err, len(orphans))
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

func TestWrongCommitsAreRefused(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	good := rows(t, w, DataPath(typ, HourOf(start.UnixMicro()), "run-2", 0), tbl.Columns(), start, 10, "s", 100)
	for name, change := range map[string]func(*Commit, *DataFile){
		"run id":        func(c *Commit, _ *DataFile) { c.RunID = "a/b" },
		"missing file":  func(_ *Commit, f *DataFile) { f.Path += "x" },
		"other length":  func(_ *Commit, f *DataFile) { f.Stats.Size++ },
		"outside":       func(_ *Commit, f *DataFile) { f.Path = "raw/x.parquet" },
		"climbing":      func(_ *Commit, f *DataFile) { f.Path = "tables/hadoop/data/../../x.parquet" },
		"no records":    func(_ *Commit, f *DataFile) { f.Stats.Records = 0 },
		"other hour":    func(_ *Commit, f *DataFile) { f.Hour++ },
		"two hours":     func(_ *Commit, f *DataFile) { f.Stats.MaxTS += 3600e6 },
		"unknown field": func(_ *Commit, f *DataFile) { f.Stats.Columns = []schema.ColumnStats{{ID: 99}} },
		"twice":         func(c *Commit, f *DataFile) { c.Files = append(c.Files, *f) },
	} {
		c := Commit{RunID: "run-2", Files: []DataFile{good}, Delta: delta("s", 100, 200)}
		change(&c, &c.Files[0])
		if _, err := tbl.Commit(t.Context(), c); err == nil || errors.Is(err, ErrConflict) || errors.Is(err, ErrUnknown) {
			t.Errorf("%s: got %v, want it refused", name, err)
		}
	}
	if w.open(t, w).Version() != 1 {
		t.Error("a wrong commit went through")
	}
}

func TestOldTableIsNotCommittedOn(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	tbl.opened = time.Now().Add(-maxAge - time.Second)
	if _, err := commitRows(t, w, tbl, "run-2", 1); !errors.Is(err, ErrConflict) {
		t.Fatalf("commit on a table opened over an hour ago: got %v, want ErrConflict", err)
	}
}

func TestMovedStoreStillReads(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	moved := warehouse{FS: w.FS, uri: "hdfs://elsewhere:8020/akupara"}
	got := moved.open(t, w)
	wantRuns(t, got, 1)
	next := mustCommit(t, w, got, "run-2", 1)
	wantRuns(t, next, 2)
	if next.Location() != tbl.Location() {
		t.Errorf("location: got %s, want %s, as it was made", next.Location(), tbl.Location())
	}
}

func TestHourOf(t *testing.T) {
	for ts, want := range map[int64]int{0: 0, 3600e6 - 1: 0, 3600e6: 1, -1: -1, -3600e6: -1, -3600e6 - 1: -2} {
		if got := HourOf(ts); got != want {
			t.Errorf("hour of %d µs: got %d, want %d", ts, got, want)
		}
	}
}

// crashes tries each point at which a commit can be cut short.
func TestCrashAtEveryWriteOfACommit(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for k := 0; ; k++ {
				w := openLocal(t)
				mustCommit(t, w, w.open(t, w), "run-1", 0)
				f := storetest.NewFaulty(w)
				tbl := w.open(t, f)
				f.CrashAt(k, when)
				next, err := commitOnly(t, w, tbl, "run-2", 1)
				if err == nil {
					wantRuns(t, w.open(t, w), 2) // said so, is so
				}
				got := w.open(t, w) // the next process looks
				if errors.Is(err, ErrConflict) {
					t.Fatalf("crash at write %d: got %v, but nobody else commits", k, err)
				}
				if err != nil && !errors.Is(err, ErrUnknown) && got.HasRun("run-2") {
					t.Fatalf("crash at write %d: commit said %v, but it is there", k, err)
				}
				if !got.HasRun("run-2") {
					got = mustCommit(t, w, got, "run-2", 1)
				}
				wantRuns(t, got, 2)
				wantRuns(t, mustCommit(t, w, got, "run-3", 2), 3)
				if _, err := got.RemoveOrphans(t.Context(), -time.Hour); err != nil {
					t.Fatal(err)
				}
				wantOnlyNamed(t, w)
				wantRuns(t, w.open(t, w), 3)
				if !f.Crashed() {
					if next == nil {
						t.Fatalf("commit without a crash: %v", err)
					}
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

// commitOnly is commitRows with the data file written to w, past the faults of
// tbl's own file system.
func commitOnly(t *testing.T, w warehouse, tbl *Table, run string, i int) (*Table, error) {
	at := start.Add(time.Duration(i) * 10 * time.Minute)
	f := rows(t, w, DataPath(typ, HourOf(at.UnixMicro()), run+"-crashed", i), tbl.Columns(), at, 10, "s", int64(i)*100)
	return tbl.Commit(t.Context(), Commit{RunID: run, Files: []DataFile{f}, Delta: delta("s", int64(i)*100, int64(i+1)*100)})
}

func TestManyCommittersGetEachRunInOnce(t *testing.T) {
	const committers, each = 4, 5
	committersTest(t, openLocal(t), committers, each)
}

func committersTest(t *testing.T, w warehouse, committers, each int) {
	var wg sync.WaitGroup
	for c := range committers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for j := range each {
				i := c*each + j
				run := fmt.Sprintf("run-%d", i)
				for {
					tbl, err := Open(t.Context(), w, w.uri, typ)
					if errors.Is(err, fs.ErrNotExist) {
						tbl, err = New(w, w.uri, typ)
					}
					if err == nil && tbl.HasRun(run) {
						break
					}
					if err == nil {
						_, err = commitRows(t, w, tbl, run, i)
					}
					if err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrUnknown) {
						t.Errorf("%s: %v", run, err)
						return
					}
				}
			}
		}()
	}
	wg.Wait()
	tbl := w.open(t, w)
	wantRuns(t, tbl, committers*each)
	if tbl.Version() != committers*each {
		t.Errorf("version: got %d, want %d", tbl.Version(), committers*each)
	}
}
