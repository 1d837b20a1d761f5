package demux

import (
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/repair"
	"github.com/akupara/akupara/store"
)

// dataFiles lists the type's data files.
func dataFiles(t *testing.T, st store.FS) (out []string) {
	t.Helper()
	folders, err := st.List(t.Context(), "tables/app/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range folders {
		files, err := st.List(t.Context(), d.Path)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			out = append(out, f.Path)
		}
	}
	return out
}

// mend repairs the table of app.
func mend(t *testing.T, st store.FS) *repair.Plan {
	t.Helper()
	p, err := repair.Survey(t.Context(), st, baseURI, "app", repair.Options{Streams: 1})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Apply(t.Context(), func(step string) { t.Log(step) }); err != nil {
		t.Fatal(err)
	}
	return p
}

// The rows of a fork that were lost with their file come back from the archive.
func TestRowsOfAForkComeBackFromTheArchive(t *testing.T) {
	for name, both := range map[string]bool{"of the fork": false, "of both": true} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			publish(t, st, []chunk.Chunk{lines2("a", 0, 10)})
			d := testDemux(t, st, nil)
			runOnce(t, d)
			first := dataFiles(t, st)
			publish(t, st, []chunk.Chunk{from("clone", other(" no ", lines2("a", 0, 10)))})
			runOnce(t, d)
			for _, f := range dataFiles(t, st) {
				if both || f != first[0] {
					if err := st.Remove(t.Context(), f); err != nil {
						t.Fatal(err)
					}
				}
			}
			mend(t, st)
			runOnce(t, testDemux(t, st, nil))
			if texts := rowsOnce(t, tableRows(t, st)); len(texts) != 20 {
				t.Errorf("%d rows, want 20: coverage %s", len(texts), summary(cover(t, st)))
			}
		})
	}
}

// A chunk says of lines that they were dropped, which have rows from another one. Those
// rows are lost, and the other chunk, too: then the lines are dropped, until they come
// again.
func TestRowsThatAnotherChunkDroppedAreNotThereOnceTheyAreLost(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 20)})
	runOnce(t, d)
	rows := dataFiles(t, st)
	publish(t, st, []chunk.Chunk{thin(lines2("a", 3, 30), odd)})
	runOnce(t, d)
	archived, err := listArchived(t, st)
	if err != nil || len(archived) != 2 || len(cover(t, st)["a"].Certain) == 0 {
		t.Fatalf("%v, %v", archived, err)
	}
	for _, p := range []string{rows[0], archived[0]} {
		if err := st.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	mend(t, st)
	runOnce(t, testDemux(t, st, nil))
	if a := cover(t, st)["a"]; a.Filtered != 15*lineLen || len(a.Certain) > 0 {
		t.Errorf("%d bytes are told as filtered, certain are %v; want the 15 lines that the chunk left out", a.Filtered, a.Certain)
	}
	publish(t, st, []chunk.Chunk{lines2("a", 0, 33)})
	runOnce(t, testDemux(t, st, nil))
	if texts := rowsOnce(t, tableRows(t, st)); len(texts) != 33 {
		t.Errorf("%d rows, want 33: coverage %s", len(texts), summary(cover(t, st)))
	}
}
