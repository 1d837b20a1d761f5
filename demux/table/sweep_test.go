package table

import (
	"fmt"
	"math"
	"os"
	"path"
	"strings"
	"testing"
	"time"

	iceberg "github.com/apache/iceberg-go"
	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store/storetest"
)

// all sweeps whatever its age.
var all = SweepOptions{Age: -time.Hour, Grace: -time.Hour}

// orphansAlone sweeps what no version names, whatever its age.
var orphansAlone = SweepOptions{Age: -time.Hour, Grace: math.MaxInt64}

// sweepAll sweeps until nothing is left, and returns what that removed.
func sweepAll(t testing.TB, w warehouse, o SweepOptions) Swept {
	t.Helper()
	var sum Swept
	for range 10 {
		got, err := w.open(t, w).Sweep(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		sum.Data += got.Data
		sum.Metadata += got.Metadata
		sum.Snapshots += got.Snapshots
		sum.Temporary += got.Temporary
		if !got.More {
			return sum
		}
	}
	t.Fatal("the sweep does not come to an end")
	return sum
}

func TestSweepRemovesWhatTheTableDoesNotNeed(t *testing.T) {
	w := openLocal(t)
	grown(t, w, 6)
	sweepAll(t, w, all) // of coverage that was merged
	tbl := w.open(t, w)
	if got := sweepAll(t, w, all); got != (Swept{}) || w.open(t, w).Version() != tbl.Version() {
		t.Fatalf("sweep of a table without leftovers: got %+v", got)
	}
	tbl, err := tbl.Replace(t.Context(), compacted(t, w, tbl, true, 0, 5))
	if err != nil {
		t.Fatal(err)
	}
	dead := DataPath(typ, Partition{N: 5}, "00000003-dead", 0)
	working := DataPath(typ, Partition{N: 5}, "00000999-working", 0)
	base := "tables/" + typ + "/"
	kept := []string{working, base + "_trouble.json", base + "_lease"}
	for _, p := range append(kept, dead, base+"__lease.1.tmp", base+"__maintenance.2.tmp", base+"_coverage/delta-dead.cov") {
		storetest.Put(t, w, p, []byte("x"))
	}
	// Old versions can be read for a while.
	if got := sweepAll(t, w, SweepOptions{Age: -time.Hour, Grace: time.Hour}); got.Data != 1 || got.Snapshots != 0 || got.Temporary != 2 {
		t.Errorf("sweep within the grace: got %+v, want one data file and 2 temporary ones gone", got)
	}
	wantRecords(t, tbl, 1, 60)
	replaced := SweepOptions{Age: -time.Hour, Grace: time.Hour, Replaced: true}
	if got := sweepAll(t, w, replaced); got != (Swept{}) {
		t.Errorf("sweep of replaced files within the grace: got %+v, want none gone", got)
	}
	replaced.Grace = -time.Hour
	if got, err := w.open(t, w).Sweep(t.Context(), replaced); err != nil || got.Data != 6 || got.Snapshots != 6 || got.More {
		t.Errorf("sweep after the grace: got %+v, %v, want 6 data files and snapshots gone at once", got, err)
	}
	if got := sweepAll(t, w, all); got.Data != 0 || got.Snapshots != 0 {
		t.Errorf("one more sweep: got %+v, want no data files gone", got)
	}
	for _, p := range kept {
		if _, err := w.Stat(t.Context(), p); err != nil {
			t.Error(err)
		}
		if err := w.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	wantOnlyNamed(t, w)
	tbl = w.open(t, w)
	wantRecords(t, tbl, 1, 60)
	wantHealthy(t, w, tbl.Version())
	if got := sweepAll(t, w, all); got != (Swept{}) || w.open(t, w).Version() != tbl.Version() {
		t.Errorf("second sweep: got %+v, want nothing to do", got)
	}
	if v := w.open(t, w).meta.Properties()[propVacated]; v != "" {
		t.Errorf("folders to be looked at again: got %s, want none", v)
	}
}

// A replaced file is found in whatever folder it lies, without a look at all.
func TestSweepFindsReplacedFilesInOldFolders(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 12)
	if _, err := tbl.Replace(t.Context(), compacted(t, w, tbl, true, 0, 11)); err != nil {
		t.Fatal(err)
	}
	infos, err := w.List(t.Context(), "tables/"+typ+"/data")
	if err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-10 * recently)
	for _, in := range infos {
		if err := os.Chtimes(onDisk(w, in.Path), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if got := sweepAll(t, w, all); got.Data != 12 {
		t.Errorf("got %+v, want 12 data files gone", got)
	}
	wantRecords(t, w.open(t, w), 1, 120)
}

func TestCrashAtEveryWriteOfASweep(t *testing.T) {
	made := openLocal(t)
	tbl := grown(t, made, 3)
	if _, err := tbl.Replace(t.Context(), compacted(t, made, tbl, true, 0, 2)); err != nil {
		t.Fatal(err)
	}
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		t.Run(when.String(), func(t *testing.T) {
			t.Parallel()
			for k := 0; ; k++ {
				w, _ := copied(t, strings.TrimPrefix(made.uri, "file://"))
				f := storetest.NewFaulty(w)
				f.CrashAt(k, when)
				swept := w.open(t, f)
				for range 2 {
					_, _ = swept.Sweep(t.Context(), all)
				}
				wantRecords(t, w.open(t, w), 1, 30)
				tbl := mustCommit(t, w, w.open(t, w), "run-3", 3)
				sweepAll(t, w, all)
				wantOnlyNamed(t, w)
				wantRecords(t, tbl, 2, 40)
				wantHealthy(t, w, w.open(t, w).Version())
				if !f.Crashed() {
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

func TestSnapshotsOfReadersAreKeptForAWhile(t *testing.T) {
	snapshots := func(n int, replaced int) []ice.Snapshot {
		out := make([]ice.Snapshot, n)
		for i := range out {
			out[i] = ice.Snapshot{SnapshotID: int64(i + 1)}
			if i == replaced {
				out[i].Summary = &ice.Summary{Properties: iceberg.Properties{propReplaced: string(Compacted)}}
			}
		}
		return out
	}
	for _, c := range []struct{ n, replaced, want int }{{100, 95, 60}, {100, 30, 29}, {100, 1, 0}, {100, 0, 60}, {1000, 10, 880}, {30, 5, 0}} {
		if got := outdated(snapshots(c.n, c.replaced), 40); got != c.want {
			t.Errorf("%d snapshots, the %d. replaced files: got %d to go, want %d", c.n, c.replaced, got, c.want)
		}
	}
}

func TestOldSchemasGoWithTheirSnapshots(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	const n = 30
	for i := range n {
		var added []schema.Column
		for k := range 8 {
			added = append(added, schema.Column{Name: fmt.Sprintf("key_%d_%d", i, k), Type: schema.Long, Doc: strings.Repeat("x", 250)})
		}
		tbl = mustCommit(t, w, tbl, runName(i), i, added...)
	}
	tbl = w.open(t, w)
	wantRuns(t, tbl, n)
	in, err := w.Stat(t.Context(), tbl.MetadataPath())
	if err != nil || in.Size > 400<<10 {
		t.Errorf("metadata: got %d bytes, %v, want at most 400 KiB", in.Size, err)
	}
	if got := len(tbl.meta.Schemas()); got > 4 {
		t.Errorf("schemas: got %d, want those of few snapshots", got)
	}
	if got, want := len(tbl.Columns()), len(schema.Common())+8*n; got != want {
		t.Errorf("columns: got %d, want %d", got, want)
	}
	wantHealthy(t, w, n)
	// Where no more columns come, snapshots are kept again.
	for i := n; i < n+10; i++ {
		tbl = mustCommit(t, w, tbl, runName(i), i)
	}
	if got := len(tbl.meta.Snapshots()); got < 10 {
		t.Errorf("snapshots: got %d, want 10 of the same columns", got)
	}
	wantRuns(t, w.open(t, w), n+10)
}

// Rows that were replaced don't come back where a manifest is damaged later.
func TestReadableFilesAreNotThoseThatWereReplaced(t *testing.T) {
	w := openLocal(t)
	tbl := grown(t, w, 4)
	tbl, err := tbl.Replace(t.Context(), compacted(t, w, tbl, true, 0, 3))
	if err != nil {
		t.Fatal(err)
	}
	tbl = mustCommit(t, w, tbl, "run-4", 4)
	overwriteManifest(t, w, tbl, 0)
	files, bad, err := w.open(t, w).ReadableFiles(t.Context())
	if err != nil || len(bad) != 1 || len(files) != 1 || !files[0].Partition.Day {
		t.Errorf("readable: got %+v, %v, %v, want the file of a day", files, bad, err)
	}
	overwriteManifest(t, w, tbl, 1)
	files, bad, err = w.open(t, w).ReadableFiles(t.Context())
	if err != nil || len(bad) != 2 || len(files) != 0 {
		t.Errorf("readable: got %+v, %v, %v, want none", files, bad, err)
	}
}

// overwriteManifest overwrites the i-th manifest of the current snapshot that names files.
func overwriteManifest(t *testing.T, w warehouse, tbl *Table, i int) {
	t.Helper()
	io := tbl.io(t.Context())
	ms, err := manifestsOf(io, tbl.meta.CurrentSnapshot())
	if err != nil {
		t.Fatal(err)
	}
	p, err := io.rel(ms[i].FilePath())
	if err != nil || entriesOf(ms[i]) == 0 {
		t.Fatalf("manifest %s: %d files, %v", path.Base(p), entriesOf(ms[i]), err)
	}
	if err := os.WriteFile(onDisk(w, p), make([]byte, min(ms[i].Length(), math.MaxInt16)), 0o644); err != nil {
		t.Fatal(err)
	}
}
