package demux

import (
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// thin drops the lines of a chunk that drops says, by the offsets where they begin.
func thin(c chunk.Chunk, drops func(offset int64, line string) bool) chunk.Chunk {
	out := c
	out.Body, out.Reason = nil, "drop rule 1"
	for first, last := range c.Records() {
		if at := c.First + int64(first); drops(at, string(c.Body[first:last])) {
			out.AddDrop(c.First + int64(last))
		} else {
			out.Body = append(out.Body, c.Body[first:last]...)
		}
	}
	return out
}

// odd drops every other line of a stream with a name of one letter.
func odd(at int64, _ string) bool { return at/lineLen%2 == 1 }

func lineNumbers(rows []row, stream string) (out []int64) {
	for _, r := range rows {
		if r.Stream == stream {
			out = append(out, r.Seq/lineLen)
		}
	}
	return out
}

func evens(n int64) (out []int64) {
	for i := int64(0); i < n; i += 2 {
		out = append(out, i)
	}
	return out
}

func TestWhatIsDroppedWithinAChunkIsCoveredAndCounted(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{thin(lines2("a", 0, 100), odd), lines2("b", 0, 3)}, []chunk.Chunk{thin(lines2("a", 100, 101), odd)})
	rep := runOnce(t, d)
	if want := 101*lineLen + 3*lineLen; rep.Bytes != want || rep.Records != 104 || rep.Repeated != 0 {
		t.Errorf("got %+v, want 104 records of %d bytes", rep, want)
	}
	// Again, cut anew, with what comes behind.
	publish(t, st, []chunk.Chunk{thin(lines2("a", 50, 100), odd)}, []chunk.Chunk{thin(lines2("a", 181, 120), odd)}, []chunk.Chunk{thin(lines2("a", 0, 201), odd)})
	if rep := runOnce(t, d); rep.Records != 50 {
		t.Errorf("%d records came, want those of the last 100 lines", rep.Records)
	}
	if got := lineNumbers(tableRows(t, st), "a"); !slices.Equal(got, evens(301)) {
		t.Errorf("rows of the lines %v", got)
	}
	a := cover(t, st)["a"]
	if !slices.Equal(a.Ranges, chunk.Ranges{span(0, 301)}) || a.Filtered != 150*lineLen || a.Filters != "drop rule 1" || len(a.Certain) > 0 || len(a.Dropped) > 0 {
		t.Errorf("coverage %+v", a)
	}
}

// A filter is removed, and what it dropped is sent again, and again.
func TestWhatAFilterDroppedAndComesLaterBecomesRowsOfAFork(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{thin(lines2("a", 0, 60), odd)})
	runOnce(t, d)
	for range 3 {
		publish(t, st, []chunk.Chunk{lines2("a", 10, 30)}, []chunk.Chunk{lines2("a", 40, 10)})
		runOnce(t, d)
	}
	publish(t, st, []chunk.Chunk{thin(lines2("a", 5, 70), odd)})
	runOnce(t, d)
	rows := tableRows(t, st)
	if got := lineNumbers(rows, "a"); !slices.Equal(got, evens(75)) {
		t.Errorf("rows of the lines %v", got)
	}
	if got := lineNumbers(rows, "a~1"); len(got) != 20 || got[0] != 11 || got[19] != 49 || len(rows) != 38+20 {
		t.Errorf("rows of the fork: %v, %d in all", got, len(rows))
	}
	set := cover(t, st)
	if set["a~1"].Cause != coverage.LeftOut || set["a"].Filtered != 37*lineLen || len(set["a"].Doubtful)+len(set["a~1"].Doubtful) > 0 {
		t.Errorf("coverage %+v, %+v", set["a"], set["a~1"])
	}
}

// A line has a row, is dropped when it is sent again, and is sent once more when the
// file that it was taken from is gone: that it was dropped says nothing then.
func TestWhatWasDroppedAfterItBecameARowIsNoRowAgain(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines2("a", 0, 20)})
	runOnce(t, d)
	publish(t, st, []chunk.Chunk{thin(lines2("a", 3, 30), odd)})
	runOnce(t, d)
	files, err := listArchived(t, st)
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	if err := st.Remove(t.Context(), files[0]); err != nil {
		t.Fatal(err)
	}
	publish(t, st, []chunk.Chunk{lines2("a", 1, 32)})
	runOnce(t, testDemux(t, st, nil))
	rows := tableRows(t, st)
	rowsOnce(t, rows)
	seen := map[int64]int{}
	for _, r := range rows {
		seen[r.Seq/lineLen]++
	}
	for i := range int64(33) {
		if seen[i] != 1 {
			t.Errorf("line %d is %d rows, want one", i, seen[i])
		}
	}
	if got := cover(t, st)["a"].Certain; len(got) == 0 || got[0].First < 3*lineLen || got[len(got)-1].Last > 20*lineLen {
		t.Errorf("certain are %v", got)
	}
}

func listArchived(t *testing.T, st store.FS) (out []string, err error) {
	days, err := st.List(t.Context(), path.Join(store.Archive, "app"))
	for _, day := range days {
		files, err := st.List(t.Context(), day.Path)
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			out = append(out, f.Path)
		}
	}
	return out, err
}

// Chunks are sent in any order, cut anew each time, by filters that change: each line
// that one of them kept is a row, once.
func TestEveryLineThatAFilterOnceKeptIsARowOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 3))
	for range 15 {
		st := testStore(t)
		filters := 1 + rnd.IntN(3)
		s := &sender{host: "h"}
		s.grow(rnd, 40)
		drops := func(n int) func(int64, string) bool {
			return func(at int64, line string) bool {
				return (uint64(at)*2654435761>>7+uint64(n))%4 > 1 && len(line)%2 == n%2
			}
		}
		var sends []chunk.Chunk
		want := map[string]int{}
		for range 30 {
			sends = append(sends, thin(s.cut(rnd, "a"), drops(rnd.IntN(filters))))
		}
		sends = append(sends, thin(s.chunk("a", 0, len(s.log)), drops(0)))
		for _, c := range sends {
			for first, last := range c.Records() {
				want[fmt.Sprint("a ", c.Offset(first), " ", strings.TrimSuffix(string(c.Body[first:last]), "\n"))] = 1
			}
		}
		d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
		for len(sends) > 0 {
			n := min(len(sends), 1+rnd.IntN(5))
			publish(t, st, sends[:n])
			if sends = sends[n:]; rnd.IntN(2) == 0 {
				runOnce(t, d)
			}
		}
		runOnce(t, d)
		got := rowsOnce(t, tableRows(t, st))
		for text := range want {
			if got[text] != 1 {
				t.Errorf("%d rows %q, want 1", got[text], text)
			}
		}
		set := cover(t, st)
		if a := set["a"]; len(got) != len(want) || !slices.Equal(a.Ranges, chunk.Ranges{{First: 0, Last: int64(len(s.log))}}) {
			t.Errorf("%d different rows, want %d; coverage %s", len(got), len(want), summary(set))
		}
		if a := set["a"]; filters == 1 && (len(set) > 1 || a.Filtered != int64(len(s.log))-rowBytes(got)) {
			t.Errorf("%d bytes are told as filtered, want %d; coverage %s", a.Filtered, int64(len(s.log))-rowBytes(got), summary(set))
		}
		if t.Failed() {
			return
		}
	}
}

// rowBytes is the length of the lines that texts of rowsOnce are of.
func rowBytes(texts map[string]int) (n int64) {
	for text := range texts {
		n += int64(len(text[strings.LastIndexByte(text, ' ')+1:])) + 1
	}
	return n
}

// A chunk with more hours than a run may have is cut, also where lines were dropped.
func TestAThinnedChunkIsCutWhereARunIsFull(t *testing.T) {
	const n, mostHours = 96, 64
	st := testStore(t)
	c := spread(n, n, n)[0]
	kept := 0
	publish(t, st, []chunk.Chunk{thin(c, func(_ int64, line string) bool {
		drop := strings.HasSuffix(line, "3}\n") || strings.HasSuffix(line, "4}\n")
		if !drop {
			kept++
		}
		return drop
	})})
	d := testDemux(t, st, nil)
	d.mostHours = mostHours
	rep, err := d.RunType(t.Context(), "json")
	if err != nil {
		t.Fatal(err)
	}
	if rows, _, most := records(t, st, "json"); int(rows) != kept || most > mostHours || rep.Commits < 2 {
		t.Errorf("%d rows in %d commits, up to %d files in one; want %d rows", rows, rep.Commits, most, kept)
	}
	publish(t, st, []chunk.Chunk{c})
	if _, err := d.RunType(t.Context(), "json"); err != nil {
		t.Fatal(err)
	}
	if rows, _, _ := records(t, st, "json"); rows != n {
		t.Errorf("%d rows when all came again without the filter; want %d", rows, n)
	}
}
