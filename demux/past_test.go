package demux

import (
	"context"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// opens counts how often archived files are opened.
type opens struct {
	store.FS
	archived atomic.Int64
}

func (o *opens) Open(ctx context.Context, path string) (store.Reader, error) {
	if strings.HasPrefix(path, store.Archive+"/") {
		o.archived.Add(1)
	}
	return o.FS.Open(ctx, path)
}

// After a collector's death thousands of ranges come again, cut anew: what they
// are held against is known by checksums, and each archived file is opened once.
func TestRepetitionsCutAnewOpenEachArchivedFileOnce(t *testing.T) {
	st := &opens{FS: testStore(t)}
	d := testDemux(t, st, nil)
	const files, perFile = 20, 30
	at := int64(0)
	for range files {
		var chunks []chunk.Chunk
		for range perFile {
			chunks = append(chunks, lines("a", at, 1))
			at += lineLen
		}
		publish(t, st, chunks)
		runOnce(t, d)
	}
	for round := range int64(4) {
		publish(t, st, []chunk.Chunk{lines("a", round*lineLen, int(files*perFile-round))})
		if rep := runOnce(t, d); rep.Quarantined != 0 || rep.Records != 0 {
			t.Errorf("round %d: got %+v, want the repetition to be dropped", round, rep)
		}
	}
	// Each of the repetitions is in the archive by then, too.
	if n := st.archived.Load(); n > files+4 {
		t.Errorf("archived files were opened %d times, want %d times at most", n, files+4)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": files * perFile})
}

// Once the archive has expired, what comes again can't be compared.
func TestWhatCannotBeComparedIsARepetitionUnlessTheStreamHasForks(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	forget := func() {
		t.Helper()
		if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
			t.Fatal(err)
		}
	}
	publish(t, st, []chunk.Chunk{lines2("a", 0, 20), lines2("b", 0, 20)})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{other(" no ", lines2("b", 10, 2))})
	runOnce(t, d)
	forget()
	publish(t, st, []chunk.Chunk{lines2("a", 5, 10), lines2("b", 5, 3), lines2("b", 8, 10)})
	rep := runOnce(t, d)
	set := cover(t, st)
	// Of b, what lies before its first fork was never in dispute.
	if got, want := summary(inLines(set)), "a [0,20), b [0,20), b~1 [10,12), b~2 [10,18)"; got != want {
		t.Errorf("coverage in lines: got %s, want %s", got, want)
	}
	if got, want := set["b~2"].Doubtful, (chunk.Ranges{span(10, 11)}); !slices.Equal(got, want) {
		t.Errorf("doubtful: got %v, want %v: what follows goes on from it", got, want)
	}
	if rep.Records != 8 || len(set["a"].Doubtful) != 0 {
		t.Errorf("got %+v, want 8 records", rep)
	}
	// And what it brought can be compared again.
	publish(t, st, []chunk.Chunk{lines2("b", 12, 3)})
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 {
		t.Errorf("sent again: got %+v, want nothing new", rep)
	}
}

// Where a checksum alone is left that says that bytes differ, they are rows.
func TestAChecksumAloneMakesAFork(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 3)})
	runOnce(t, d)
	if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
		t.Fatal(err)
	}
	publish(t, st, []chunk.Chunk{other(" no ", lines2("a", 0, 3))})
	if rep := runOnce(t, d); rep.Records != 3 || rep.Forks != 1 {
		t.Errorf("got %+v, want 3 records of a fork", rep)
	}
}

// A machine that was set back by days sends what differs from files that are far
// back in the archive.
func TestWhatIsFarBackInTheArchiveIsComparedToo(t *testing.T) {
	st := &opens{FS: testStore(t)}
	d := testDemux(t, st, nil)
	d.near = 2
	const files = 12
	for i := range files {
		publish(t, st, []chunk.Chunk{lines2("a", i*4, 4), lines2(string(rune('b'+i)), 0, 1)})
		runOnce(t, d)
	}
	st.archived.Store(0)
	publish(t, st, []chunk.Chunk{lines2("a", 5, 6)})
	if rep := runOnce(t, d); rep.Records != 0 {
		t.Errorf("the same: got %+v, want nothing new", rep)
	}
	// Each once for its index, and two for their bytes.
	if n := st.archived.Load(); n > files+4 {
		t.Errorf("archived files were opened %d times, want %d times at most", n, files+4)
	}
	st.archived.Store(0)
	publish(t, st, []chunk.Chunk{other(" no ", lines2("a", 5, 6))})
	if rep := runOnce(t, d); rep.Records != 6 || rep.Forks != 1 {
		t.Errorf("other bytes: got %+v, want 6 records of a fork", rep)
	}
	publish(t, st, []chunk.Chunk{other(" no ", lines2("b", 0, 1)), lines2("c", 0, 1)})
	if rep := runOnce(t, d); rep.Records != 1 || rep.Forks != 1 {
		t.Errorf("other bytes of another stream: got %+v, want a record of a fork", rep)
	}
	set := cover(t, st)
	if got, want := summary(inLines(coverage.Set{"a": set["a"], "a~1": set["a~1"], "b~1": set["b~1"]})), "a [0,48), a~1 [5,11), b~1 [0,1)"; got != want {
		t.Errorf("coverage in lines: got %s, want %s", got, want)
	}
	for _, id := range set.IDs() {
		if len(set[id].Doubtful) > 0 {
			t.Errorf("%s: %v is doubtful, and could be compared", id, set[id].Doubtful)
		}
	}
}
