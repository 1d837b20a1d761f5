package table

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	iceberg "github.com/apache/iceberg-go"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// compacted writes one file of a partition that has the rows of i to j, as
// commitRows puts them there, and returns what replaces theirs by it.
func compacted(t testing.TB, fsys store.FS, tbl *Table, day bool, i, j int) Replacement {
	t.Helper()
	at := start.Add(time.Duration(i) * 10 * time.Minute)
	last := start.Add(time.Duration(j) * 10 * time.Minute)
	part := HourPartition(at.UnixMicro())
	if day {
		part = DayPartition(at.UnixMicro())
	}
	r := Replacement{RunID: fmt.Sprintf("%08d-c%d", tbl.Version()+1, time.Now().UnixNano()), Kind: Compacted}
	path := DataPath(typ, part, r.RunID, 0)
	f := rows(t, fsys, path, tbl.Columns(), at, 10*(j-i+1), "s", int64(i)*100)
	f.Partition, f.Stats.MaxTS = part, last.Add(9*time.Second).UnixMicro()
	r.Files = []DataFile{f}
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !f.MinTS.Before(at) && !f.MinTS.After(last) {
			r.Remove = append(r.Remove, f.Path)
		}
	}
	return r
}

// wantRecords checks how many files and records the table has, and that each
// file is in the store.
func wantRecords(t testing.TB, tbl *Table, files, records int) {
	t.Helper()
	got, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	n := int64(0)
	for _, f := range got {
		n += f.Records
		if in, err := tbl.fs.Stat(t.Context(), f.Path); err != nil || in.Size != f.Size {
			t.Errorf("data file %s: %+v, %v", f.Path, in, err)
		}
	}
	if len(got) != files || n != int64(records) {
		t.Fatalf("got %d files with %d records, want %d with %d", len(got), n, files, records)
	}
}

func TestReplacedFilesLeaveTheTableInOneVersion(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 30)
	before, err := tbl.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next, err := tbl.Replace(t.Context(), compacted(t, w, tbl, false, 0, 5))
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, next, 25, 300)
	wantRecords(t, tbl, 30, 300) // who reads the version before
	if next, err = next.Replace(t.Context(), compacted(t, w, next, true, 6, 29)); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, w.open(t, w), 2, 300)
	got, err := next.Files(t.Context(), nil, nil)
	if err != nil || got[0].Partition.Day || !got[1].Partition.Day {
		t.Fatalf("files: got %+v, %v, want one of an hour and one of a day", got, err)
	}
	after, err := next.Coverage(t.Context())
	if err != nil || after["s"].Ranges.Len() != before["s"].Ranges.Len() {
		t.Errorf("coverage: got %v, %v, want %v", after["s"], err, before["s"])
	}
	s := next.meta.CurrentSnapshot()
	for key, want := range map[string]string{
		"added-data-files": "1", "deleted-data-files": "24", "added-records": "240", "deleted-records": "240",
		"total-data-files": "2", "total-records": "300", propReplaced: "compacted",
	} {
		if got := s.Summary.Properties[key]; got != want {
			t.Errorf("%s: got %q, want %s", key, got, want)
		}
	}
	if s.Summary.Operation != "replace" {
		t.Errorf("operation: got %s, want replace", s.Summary.Operation)
	}
	for _, r := range next.Runs() {
		if !strings.HasPrefix(r.ID, "run-") {
			t.Errorf("runs: got %s, which is none", r.ID)
		}
	}
	// Rows come after it as before, also into hours that were compacted.
	for i := 30; i < 34; i++ {
		next = mustCommit(t, w, next, runName(i), i)
	}
	wantRecords(t, next, 6, 340)
	wantHealthy(t, w, 36)
	expired := Replacement{RunID: fmt.Sprintf("%08d-x", next.Version()+1), Kind: Expired, Remove: []string{got[0].Path}}
	if next, err = next.Replace(t.Context(), expired); err != nil {
		t.Fatal(err)
	}
	wantRecords(t, next, 5, 280)
	if op := next.meta.CurrentSnapshot().Summary.Operation; op != "delete" {
		t.Errorf("operation: got %s, want delete", op)
	}
}

func TestManifestsAreMergedAndKeepEveryFileOnce(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	tbl.keep = 3
	const n = mergeCount*2 + 3
	sequences := map[string]int64{}
	for i := range n {
		tbl = mustCommit(t, w, tbl, runName(i), i)
		ms, err := manifestsOf(tbl.io(t.Context()), tbl.meta.CurrentSnapshot())
		if err != nil {
			t.Fatal(err)
		}
		if len(ms) > mergeCount+2 {
			t.Fatalf("after %d commits: %d manifests", i+1, len(ms))
		}
		for _, m := range ms {
			err := eachEntry(tbl.io(t.Context()), m, func(e iceberg.ManifestEntry) error {
				p := e.DataFile().FilePath()
				if seq, ok := sequences[p]; ok && seq != e.SequenceNum() || *e.FileSequenceNum() != e.SequenceNum() {
					t.Errorf("sequence number of %s: got %d, was %d", p, e.SequenceNum(), seq)
				}
				sequences[p] = e.SequenceNum()
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(sequences) != n {
		t.Errorf("files: got %d, want %d", len(sequences), n)
	}
	wantRuns(t, w.open(t, w), n)
}

func TestWrongReplacementsAreRefused(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 6)
	good := compacted(t, w, tbl, false, 0, 5)
	for name, c := range map[string]struct {
		change func(*Replacement)
		want   error
	}{
		"not in the table": {func(r *Replacement) { r.Remove = append(r.Remove, DataPath(typ, Partition{N: 5}, "x", 0)) }, ErrNotInTable},
		"twice":            {func(r *Replacement) { r.Remove = append(r.Remove, r.Remove[0]) }, nil},
		"added, too":       {func(r *Replacement) { r.Files[0].Path = r.Remove[0] }, nil},
		"fewer records":    {func(r *Replacement) { r.Remove = r.Remove[1:] }, nil},
		"kind":             {func(r *Replacement) { r.Kind = "other" }, nil},
		"run id":           {func(r *Replacement) { r.RunID = "c-1" }, nil},
		"rows that expire": {func(r *Replacement) { r.Kind = Expired }, nil},
		"other partition":  {func(r *Replacement) { r.Files[0].Partition.N++ }, nil},
		"coverage":         {func(r *Replacement) { r.Delta = delta("s", 0, 1) }, nil},
		"old":              {func(r *Replacement) { r.RunID = "00000001-x" }, ErrConflict},
	} {
		if name == "old" {
			storetest.Put(t, w, DataPath(typ, Partition{N: 5}, "00000001-x", 1), []byte("x"))
			if got, err := tbl.Sweep(t.Context(), orphansAlone); err != nil || got.Removed() < 2 {
				t.Fatalf("orphans: got %+v, %v, want 2 at least", got, err)
			}
			tbl = w.open(t, w)
			good = compacted(t, w, tbl, false, 0, 5)
		}
		r := good
		r.Files, r.Remove = slices.Clone(r.Files), slices.Clone(r.Remove)
		c.change(&r)
		_, err := tbl.Replace(t.Context(), r)
		if err == nil || errors.Is(err, ErrConflict) != errors.Is(c.want, ErrConflict) || errors.Is(err, ErrNotInTable) != errors.Is(c.want, ErrNotInTable) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	wantRecords(t, w.open(t, w), 6, 60)
}

func TestCrashAtEveryWriteOfAReplacement(t *testing.T) {
	made := openLocal(t)
	grown(t, made, 6)
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for k := 0; ; k++ {
				w, _ := copied(t, strings.TrimPrefix(made.uri, "file://"))
				tbl := w.open(t, w)
				r := compacted(t, w, tbl, true, 1, 4)
				f := storetest.NewFaulty(w)
				tbl = w.open(t, f)
				f.CrashAt(k, when)
				_, err := tbl.Replace(t.Context(), r)
				got := w.open(t, w)
				if err == nil || got.HasRun(r.RunID) {
					wantRecords(t, got, 3, 60)
				} else {
					wantRecords(t, got, 6, 60)
				}
				if err != nil && !errors.Is(err, ErrUnknown) && got.HasRun(r.RunID) {
					t.Fatalf("crash at write %d: replace said %v, but it is there", k, err)
				}
				if !got.HasRun(r.RunID) {
					if got, err = got.Replace(t.Context(), r); err != nil {
						t.Fatalf("crash at write %d: second try: %v", k, err)
					}
				}
				wantRecords(t, got, 3, 60)
				wantRecords(t, mustCommit(t, w, got, "run-6", 6), 4, 70)
				if _, err := got.Sweep(t.Context(), orphansAlone); err != nil {
					t.Fatal(err)
				}
				wantOnlyNamed(t, w)
				wantRecords(t, w.open(t, w), 4, 70)
				if !f.Crashed() {
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

// Runs commit, files are compacted, and sweeps remove what nobody names, all at
// once: each row stays in the table exactly once.
func TestCommitsReplacementsAndSweepsAtOnce(t *testing.T) {
	w := openLocal(t)
	mustCommit(t, w, w.open(t, w), "run-0", 0)
	const n = 12
	var wg sync.WaitGroup
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		for i := 1; i < n; {
			if _, err := commitRows(t, w, w.open(t, w), runName(i), i); err == nil {
				i++
			} else if !errors.Is(err, ErrConflict) && !errors.Is(err, fs.ErrNotExist) { // a sweep was first
				t.Errorf("run %d: %v", i, err)
				return
			}
		}
	})
	until := func(f func() error) {
		wg.Go(func() {
			for {
				if err := f(); err != nil && !errors.Is(err, ErrConflict) && !errors.Is(err, ErrNotInTable) && !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("beside runs: %v", err)
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for range 2 {
		until(func() error { return merge2(t, w) })
	}
	until(func() error {
		_, err := w.open(t, w).Sweep(t.Context(), SweepOptions{Age: -time.Hour, Grace: time.Hour})
		return err
	})
	wg.Wait()
	tbl := w.open(t, w)
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	wantRecords(t, tbl, len(files), 10*n)
	wantHealthy(t, w, tbl.Version())
	if _, err := tbl.Sweep(t.Context(), orphansAlone); err != nil {
		t.Fatal(err)
	}
	wantOnlyNamed(t, w)
}

// merge2 replaces two neighbours of the table by one file, as a job does that
// works on a version while others commit.
func merge2(t *testing.T, w warehouse) error {
	planned := w.open(t, w)
	files, err := planned.Files(t.Context(), nil, nil)
	if err != nil || len(files) < 2 {
		return err
	}
	i := rand.IntN(len(files) - 1)
	a, b := files[i], files[i+1]
	part := DayPartition(a.MinTS.UnixMicro())
	if !part.Holds(b.MaxTS.UnixMicro()) {
		return nil
	}
	r := Replacement{RunID: fmt.Sprintf("%08d-%d", planned.Version()+1, rand.Int64()), Kind: Compacted, Remove: []string{a.Path, b.Path}}
	f := rows(t, w, DataPath(typ, part, r.RunID, 0), planned.Columns(), a.MinTS, int(a.Records+b.Records), "s", 0)
	f.Partition, f.Stats.MaxTS = part, max(a.MaxTS.UnixMicro(), b.MaxTS.UnixMicro())
	r.Files = []DataFile{f}
	for {
		_, err = w.open(t, w).Replace(t.Context(), r)
		if !errors.Is(err, ErrConflict) || planned.Version() < w.open(t, w).Swept() {
			return err
		}
	}
}
