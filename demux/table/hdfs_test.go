package table

import (
	"errors"
	"testing"

	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

func openHDFS(t *testing.T) warehouse {
	t.Helper()
	uri := storetest.SharedCluster(t)
	fs, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return warehouse{FS: fs, uri: uri}
}

func TestManyCommittersGetEachRunInOnceOnHDFS(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	committersTest(t, openHDFS(t), 3, 3)
}

// On HDFS a commit is cut short at each step of its publication; a local disk
// tries all of them, in all ways.
func TestCrashInAPublicationOnHDFS(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	w := openHDFS(t)
	tbl := mustCommit(t, w, w.open(t, w), "run-0", 0)
	n := 1
	for fromEnd := 1; fromEnd <= 9; fromEnd++ {
		f := storetest.NewFaulty(w)
		f.CrashAt(20-fromEnd, storetest.After) // a commit has 20 writes
		run := "run-" + string(rune('0'+fromEnd))
		_, err := commitOnly(t, w, w.open(t, f), run, n)
		if !f.Crashed() {
			t.Fatalf("commit with a crash %d writes before its end: %v, with %d writes", fromEnd, err, f.Mutations())
		}
		tbl = w.open(t, w)
		if err == nil && !tbl.HasRun(run) || err != nil && !errors.Is(err, ErrUnknown) && tbl.HasRun(run) {
			t.Fatalf("%s: commit said %v, it is there: %v", run, err, tbl.HasRun(run))
		}
		if !tbl.HasRun(run) {
			tbl = mustCommit(t, w, tbl, run, n)
		}
		n++
		wantRuns(t, tbl, n)
	}
	if _, err := tbl.Sweep(t.Context(), orphansAlone); err != nil {
		t.Fatal(err)
	}
	wantOnlyNamed(t, w)
	wantRuns(t, w.open(t, w), n)
}
