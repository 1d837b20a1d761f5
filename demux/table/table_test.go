package table

import (
	"errors"
	"io/fs"
	"slices"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
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
