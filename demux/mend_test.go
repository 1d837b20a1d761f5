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
	p, err := repair.Survey(t.Context(), st, baseURI, "app", repair.Options{})
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
