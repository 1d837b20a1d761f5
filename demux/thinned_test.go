package demux

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/repair"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// held says all that a table has: its rows, with their texts, and what its coverage
// tells the audit of each stream.
func held(t testing.TB, st store.FS) string {
	t.Helper()
	var b strings.Builder
	all := tableRows(t, st)
	slices.SortFunc(all, func(x, y row) int { return cmp.Or(cmp.Compare(x.Stream, y.Stream), cmp.Compare(x.Seq, y.Seq)) })
	for _, r := range all {
		fmt.Fprintln(&b, r.Stream, r.Seq, *r.Message, r.ParseError == nil)
	}
	set := cover(t, st)
	for _, id := range set.IDs() {
		s := set[id]
		fmt.Fprintln(&b, id, s.Host, s.Source, s.Ranges, s.Begin, s.End, s.Lost, s.Dropped, s.Doubtful, s.Filtered, s.Filters, s.Certain, s.Cause)
	}
	return b.String()
}

// archiveThinned makes a table of old sink files with chunks of which filters dropped
// lines: also such as were cut by a run's bound, came twice, or were dropped whole.
func archiveThinned(t *testing.T, st store.FS) {
	t.Helper()
	n := 0
	put := func(batches ...[]chunk.Chunk) {
		publishAt(t, st, longAgo.Add(time.Duration(n)*time.Minute), batches...)
		n++
	}
	third := func(at int64, _ string) bool { return at/lineLen%3 == 0 }
	other := thin(lines2("c", 0, 30), third)
	other.Reason = "drop rule 2"
	put([]chunk.Chunk{thin(lines2("a", 0, 40), odd), lines2("b", 0, 10)})
	put([]chunk.Chunk{other}, []chunk.Chunk{thin(lines2("a", 40, 40), odd)})
	runOnce(t, testDemux(t, st, nil))
	put([]chunk.Chunk{thin(lines2("a", 20, 90), odd), thin(lines2("b", 10, 30), odd)}) // some of it again
	fact := chunk.Chunk{Type: "app", Kind: chunk.Dropped, Host: "h", Source: "/log/b", Stream: "b", First: 40 * lineLen, Last: 45 * lineLen, Reason: "full"}
	put([]chunk.Chunk{fact, lines2("b", 45, 5)})
	put([]chunk.Chunk{thin(lines2("b", 50, 9), odd)}, []chunk.Chunk{thin(lines2("c", 30, 9), third)})
	runOnce(t, testDemux(t, st, func(c *Config) { c.RunBytes = 200 }))
}

// Whatever is done to a table whose chunks carry what filters dropped within them, it
// has the same rows, and tells the same bytes as dropped.
func TestWhatWasDroppedWithinChunksStaysSoWhateverIsDone(t *testing.T) {
	another := prepared(t, func(st store.FS) { archiveThinned(t, st) })
	redo := func(t *testing.T, st store.FS) {
		rep, err := testDemux(t, st, nil).Redo(t.Context(), Redo{Type: "app"}, 0)
		if err != nil || rep.LeftTotal > 0 || rep.Files == 0 {
			t.Errorf("redo: %+v, %v", rep, err)
		}
	}
	regroup := func(t *testing.T, st store.FS) { regroupOnce(t, st) }
	// mend damages the table, repairs it, and has the demux take in what came back.
	mend := func(damage func(t *testing.T, st store.FS, tab *table.Table)) func(t *testing.T, st store.FS) {
		return func(t *testing.T, st store.FS) {
			tab, err := table.Open(t.Context(), st, baseURI, "app")
			if err != nil {
				t.Fatal(err)
			}
			damage(t, st, tab)
			plan, err := repair.Survey(t.Context(), st, baseURI, "app", repair.Options{})
			if err != nil || !plan.Needed() || plan.Lost != 0 {
				t.Fatalf("survey: %+v, %v", plan, err)
			}
			if err := plan.Apply(t.Context(), func(string) {}); err != nil {
				t.Fatal(err)
			}
			runOnce(t, testDemux(t, st, nil))
		}
	}
	dataFiles := mend(func(t *testing.T, st store.FS, tab *table.Table) {
		files, err := tab.Files(t.Context(), nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err := st.Remove(t.Context(), f.Path); err != nil {
				t.Fatal(err)
			}
		}
	})
	coverageFiles := func(which func(n, of int) bool) func(t *testing.T, st store.FS) {
		return mend(func(t *testing.T, st store.FS, _ *table.Table) {
			files, err := st.List(t.Context(), "tables/app/_coverage")
			if err != nil {
				t.Fatal(err)
			}
			for i, f := range files {
				if which(i, len(files)) {
					if err := st.Remove(t.Context(), f.Path); err != nil {
						t.Fatal(err)
					}
				}
			}
		})
	}
	type step struct {
		name string
		do   func(t *testing.T, st store.FS)
	}
	parse := step{"redo", redo}
	for _, steps := range [][]step{
		{parse},
		{{"regroup", regroup}, parse},
		{{"data files lost", dataFiles}},
		{{"regroup", regroup}, {"data files lost", dataFiles}, parse},
		{{"all coverage lost", coverageFiles(func(int, int) bool { return true })}, parse},
		{{"some coverage lost", coverageFiles(func(n, of int) bool { return n == of-1 })}, {"data files lost", dataFiles}},
	} {
		var names []string
		for _, s := range steps {
			names = append(names, s.name)
		}
		t.Run(strings.Join(names, ", "), func(t *testing.T) {
			st := another()
			before := held(t, st)
			for _, s := range steps {
				s.do(t, st)
				if got := held(t, st); got != before {
					t.Fatalf("after %s: got\n%s\nwant\n%s", s.name, got, before)
				}
			}
		})
	}
}
