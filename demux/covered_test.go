package demux

import (
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// filesCover checks that the data files of a table are whole, and that together
// they say of themselves what the table's coverage says, each byte once. What a
// run covered without a row is told as dropped.
func filesCover(t testing.TB, st store.FS, tab *table.Table, files []table.File) {
	t.Helper()
	said := map[string]chunk.Ranges{}
	for _, f := range files {
		info, err := datafile.Verify(t.Context(), st, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		for id, s := range info.Ranges {
			sum := said[id].Len() + s.Ranges.Len()
			if said[id] = said[id].AddAll(s.Ranges); said[id].Len() != sum {
				t.Errorf("%s covers of stream %s what another file covers: %v", f.Path, id, s.Ranges)
			}
		}
	}
	set, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id, s := range set {
		for _, r := range s.Ranges {
			for _, missing := range said[id].Missing(r) {
				if !s.Dropped.Contains(missing) {
					t.Errorf("no file covers %v of stream %s, the table does", missing, id)
				}
			}
		}
	}
	for id, ranges := range said {
		for _, r := range ranges {
			if s := set[id]; s == nil || !s.Ranges.Contains(r) {
				t.Errorf("files cover %v of stream %s, the table does not", r, id)
			}
		}
	}
}
