package audit

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// What data files say is the same whether it was in memory, in files that were made
// when that was too much, or remembered.
func TestWhatDataFilesSayIsTheSameInMemoryAndInFiles(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		h := newHeld(filepath.Join(t.TempDir(), "audit"))
		want, twice := coverage.Set{}, map[string]chunk.Ranges{}
		for range 1 + rnd.IntN(20) {
			file := coverage.Set{}
			for range 1 + rnd.IntN(10) {
				st := file.Stream(fmt.Sprint("s", rnd.IntN(30)), "host", "/log")
				first := rnd.Int64N(1000)
				st.Ranges = st.Ranges.Add(chunk.Range{First: first, Last: first + 1 + rnd.Int64N(20)})
			}
			for id, st := range file {
				has := want.Stream(id, st.Host, st.Source)
				for _, r := range st.Ranges {
					twice[id] = twice[id].AddAll(has.Ranges.Covered(r))
				}
				has.Ranges = has.Ranges.AddAll(st.Ranges)
			}
			h.add(file)
			if rnd.IntN(3) == 0 {
				h.flush()
				h.spill()
			}
		}
		h.flush()
		if err := h.join(); err != nil {
			t.Fatal(err)
		}
		got := map[string]chunk.Ranges{}
		err := h.each(func(id string, st *coverage.Stream) {
			if got[id] = st.Ranges; st.Host != "host" || st.Source != "/log" {
				t.Errorf("stream %s: got %+v", id, st)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		for id, st := range want {
			if !slices.Equal(got[id], st.Ranges) || !slices.Equal(h.twice[id], twice[id]) {
				t.Errorf("stream %s: got %v, twice %v, want %v, twice %v", id, got[id], h.twice[id], st.Ranges, twice[id])
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %d streams, want %d", len(got), len(want))
		}
		h.close()
		if left, err := os.ReadDir(h.dir); err == nil && len(left) > 0 {
			t.Errorf("files are left: %v", left)
		}
	}
}
