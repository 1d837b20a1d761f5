package table

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/storetest"
)

func TestCommitOnAnOldVersionConflictsAndLeavesNothing(t *testing.T) {
	w := openLocal(t)
	old := mustCommit(t, w, w.open(t, w), "run-1", 0)
	cur := mustCommit(t, w, old, "run-2", 1)
	before := storetest.Tree(t, w, "")
	at := start.Add(time.Hour)
	f := rows(t, w, DataPath(typ, HourPartition(at.UnixMicro()), "run-3", 0), old.Columns(), at, 10, "s", 300)
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

func TestWrongCommitsAreRefused(t *testing.T) {
	w := openLocal(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-1", 0)
	good := rows(t, w, DataPath(typ, HourPartition(start.UnixMicro()), "run-2", 0), tbl.Columns(), start, 10, "s", 100)
	for name, change := range map[string]func(*Commit, *DataFile){
		"run id":        func(c *Commit, _ *DataFile) { c.RunID = "a/b" },
		"missing file":  func(_ *Commit, f *DataFile) { f.Path += "x" },
		"other length":  func(_ *Commit, f *DataFile) { f.Stats.Size++ },
		"outside":       func(_ *Commit, f *DataFile) { f.Path = "raw/x.parquet" },
		"climbing":      func(_ *Commit, f *DataFile) { f.Path = "tables/hadoop/data/../../x.parquet" },
		"no records":    func(_ *Commit, f *DataFile) { f.Stats.Records = 0 },
		"other hour":    func(_ *Commit, f *DataFile) { f.Partition.N++ },
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
				if _, err := got.Sweep(t.Context(), orphansAlone); err != nil {
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
	f := rows(t, w, DataPath(typ, HourPartition(at.UnixMicro()), run+"-crashed", i), tbl.Columns(), at, 10, "s", int64(i)*100)
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
