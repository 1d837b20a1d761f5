package repair_test

import (
	"testing"
	"time"

	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/chunk"
)

// merged: the table's files are merged; originals are left, some of them.
func TestReviewMergedFileBeforeItsParts(t *testing.T) {
	d := newDamaged(t, false)
	d.remove(t, d.sinks...)
	rep, err := compact.Run(t.Context(), compact.Options{FS: d.FS, BaseURI: d.URI, Type: "app", Now: func() time.Time { return querytest.Start.Add(48 * time.Hour) }})
	if err != nil || rep.Commits != 1 {
		t.Fatal(rep, err)
	}
	d.remove(t, d.files(t, "data", "run-4-")...) // as a sweep in its midst
	d.remove(t, d.files(t, "metadata", ".metadata.json")...)
	p := d.survey(t)
	t.Log(p.Adopted, p.SetAside, p.Lost)
	if p.Lost != 0 {
		t.Errorf("lost %d bytes that a whole data file holds: %v", p.Lost, p.SetAside)
	}
}

func TestReviewExpiredStay(t *testing.T) {
	d := newDamaged(t, false)
	d.remove(t, d.sinks...)
	tab, err := table.Open(t.Context(), d.FS, d.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	old := d.files(t, "data", "run-2-")
	delta := coverage.Set{}
	delta.Stream("s", "h1", "/var/log/s").Tell(chunk.Dropped, chunk.Range{First: 0, Last: 30})
	delta.Stream("t", "h1", "/var/log/t").Tell(chunk.Dropped, chunk.Range{First: 0, Last: 20})
	if _, err := tab.Replace(t.Context(), table.Replacement{RunID: "00000003-x", Remove: old, Kind: table.Expired, Delta: delta}); err != nil {
		t.Fatal(err)
	}
	d.remove(t, d.files(t, "metadata", "snap-")...)
	p := d.survey(t)
	t.Log(p.Adopted, p.SetAside, p.Lost)
	if len(p.Adopted) != 1 {
		t.Errorf("adopted %v", p.Adopted)
	}
}
