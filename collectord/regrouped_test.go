package collectord

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/demux/regroup"
	"github.com/akupara/akupara/store"
)

// A collector comes back after weeks, with segments whose sink files were published,
// archived and regrouped meanwhile: nothing is published twice, what is settled is
// told so, and what the store lacks gets a new name.
func TestSegmentsOfRegroupedFilesAreNotPublishedAgain(t *testing.T) {
	s := newSetup(t)
	day := time.Date(2025, 1, 2, 10, 0, 0, 0, time.UTC)
	var ids []store.Segment
	var batches [][]chunk.Batch
	for n := range 3 {
		id := store.NewSegment(day.Add(time.Duration(n)*time.Minute), "c0.1", uint64(n))
		stream := fmt.Sprint("s", n)
		of := []chunk.Batch{batch(t, "app", stream, 0, "one"), batch(t, "app", stream, 3, "two")}
		putSink(t, s.fs, "app", id, of)
		move(t, s.fs, store.Archive, store.SinkPath(store.Raw, "app", id))
		ids, batches = append(ids, id), append(batches, of)
	}
	if rep, err := regroup.Run(t.Context(), regroup.Options{FS: s.fs, Type: "app", Now: time.Now()}); err != nil || rep.Files != 3 {
		t.Fatal(rep, err)
	}
	dir := filepath.Join(s.dir, "collector", "spool", "app")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	more := batch(t, "app", "s1", 6, "more")
	for n, frames := range [][]byte{
		slices.Concat(batches[0][0].Frame, batches[0][1].Frame),
		slices.Concat(batches[1][0].Frame, batches[1][1].Frame, more.Frame),
	} {
		if err := os.WriteFile(filepath.Join(dir, string(ids[n])+".sealed"), frames, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r := s.start(t)
	r.drained(t)
	count := inStore(t, s.fs)
	for _, b := range append(slices.Concat(batches...), more) {
		if count[string(b.Block)] != 1 {
			t.Errorf("a batch is in the store %d times, want once", count[string(b.Block)])
		}
	}
	if got := sinks(t, s.fs); len(got) != 2 || !strings.HasPrefix(got[0], store.Raw) {
		t.Errorf("sink files %v, want the regrouped one and one of what it lacks", got)
	}
	r.stop()
	r = s.start(t) // remembers nothing
	nobodys := store.NewSegment(day.Add(time.Second), "c0.1", 9)
	young := store.NewSegment(time.Now(), "c0.1", 9)
	var queries []wire.Query
	var want []wire.State
	for _, id := range ids {
		queries = append(queries, query("app", id, 0), query("app", id, 1), query("app", id, 2))
		want = append(want, wire.Settled, wire.Settled, wire.Unknown)
	}
	queries = append(queries, query("app", nobodys, 0), query("app", young, 0), query("other", ids[0], 0))
	want = append(want, wire.Unknown, wire.Unknown, wire.Unknown)
	if got, answer := r.states(t, queries...); !slices.Equal(got, want) {
		t.Errorf("states %v, want %v (%s)", got, want, answer.body)
	}
}
