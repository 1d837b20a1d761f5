package demux

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// mixed makes chunks of JSON lines whose keys have values of several types, of
// several streams in turn, some of them sent twice.
func mixed(rnd *rand.Rand, n int) (out []chunk.Chunk) {
	at := map[string]int64{}
	for range n {
		s := string(rune('a' + rnd.IntN(4)))
		c := chunk.Chunk{Type: "app", Host: "h", Source: "/log/" + s, Stream: s, First: at[s], Time: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
		for range 1 + rnd.IntN(8) {
			c.Body = fmt.Appendf(c.Body, `{"ts":%d,"n":%d,"id":"%x"`, 1767322800+rnd.IntN(9000), rnd.IntN(50), rnd.Uint64())
			switch rnd.IntN(6) {
			case 0:
				c.Body = fmt.Appendf(c.Body, `,"late":%v`, rnd.IntN(2) == 0)
			case 1:
				c.Body = fmt.Appendf(c.Body, `,"mixed":%d.5,"Late":1`, rnd.IntN(9))
			case 2:
				c.Body = fmt.Appendf(c.Body, `,"mixed":"text %d"`, rnd.IntN(9))
			case 3:
				c.Body = append(c.Body, `,`...)
			}
			c.Body = append(c.Body, "}\n"...)
		}
		c.Last = c.First + int64(len(c.Body))
		at[s] = c.Last
		out = append(out, c)
		if rnd.IntN(10) == 0 {
			out = append(out, c)
		}
	}
	return out
}

// wholeTable reads all columns of all rows.
func wholeTable(t *testing.T, st store.FS) []map[string]string { return wholeTableAt(t, st, baseURI) }

func wholeTableAt(t *testing.T, st store.FS, uri string) (out []map[string]string) {
	t.Helper()
	tab, err := table.Open(t.Context(), st, uri, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		r, err := st.Open(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		_ = r.Close()
		if err != nil {
			t.Fatal(err)
		}
		rows, err := rowstest.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rows...)
	}
	return out
}

// The table is the same however many processors there are, and is what it is by
// its chunks, one after the other.
func TestRowsAreTheSameWhateverTheNumberOfProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var want []map[string]string
	for _, n := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(n)
		st := testStore(t)
		chunks := mixed(rand.New(rand.NewPCG(seed, 1)), 300)
		publish(t, st, chunks[:100], chunks[100:150], chunks[150:151])
		publish(t, st, chunks[151:])
		d := testDemux(t, st, nil)
		d.parser = func(string, time.Time) (parse.Parser, error) {
			return parse.New(parse.MustSpec("json"), parse.Options{})
		}
		if rep := runOnce(t, d); rep.Commits != 1 {
			t.Fatalf("got %+v", rep)
		}
		got := wholeTable(t, st)
		if want == nil {
			want = got
		}
		if len(got) != len(want) {
			t.Fatalf("%d rows with %d processors, want %d", len(got), n, len(want))
		}
		for i := range got {
			if !maps.Equal(got[i], want[i]) {
				t.Fatalf("with %d processors, row %d is\n%v, want\n%v", n, i, got[i], want[i])
			}
		}
	}
}

// Nor does it matter how a run is cut: keys that differ in case alone go where the
// first of the run says, whichever part has it.
func TestRowsAreTheSameHoweverARunIsCut(t *testing.T) {
	random := rand.Uint64()
	t.Logf("seed %d", random)
	for _, seed := range []uint64{5940693201674764156, random} {
		var want []map[string]string
		for _, weight := range []int64{1 << 40, 1 << 12, 1} {
			st := testStore(t)
			publish(t, st, mixed(rand.New(rand.NewPCG(seed, 1)), 150))
			d := testDemux(t, st, nil)
			d.partWeight = weight
			d.parser = func(string, time.Time) (parse.Parser, error) {
				return parse.New(parse.MustSpec("json"), parse.Options{})
			}
			if rep := runOnce(t, d); rep.Commits != 1 {
				t.Fatalf("got %+v", rep)
			}
			got := wholeTable(t, st)
			if want == nil {
				want = got
			}
			if !slices.EqualFunc(got, want, maps.Equal[map[string]string]) {
				t.Fatalf("parts of weight %d: the rows of seed %d differ", weight, seed)
			}
		}
	}
}

// Of a run of many parts, the very chunk that fails is left out.
func TestAChunkThatFailsInAPartIsLeftOutAlone(t *testing.T) {
	for name, how := range map[string]func() error{
		"panics": func() error { panic("out of range") },
		"fails":  func() error { return errors.New("no such column") },
	} {
		t.Run(name, func(t *testing.T) {
			st := testStore(t)
			want := map[string]int{}
			var chunks []chunk.Chunk
			for i := range 60 {
				s := string(rune('a' + i%6))
				c := lines(s, int64(i/6)*5*lineLen, 5)
				if want[s] += 5; i == 40 || i == 47 {
					want[s] -= 5
					copy(c.Body, "poison")
				}
				chunks = append(chunks, c)
			}
			publish(t, st, chunks[:25], chunks[25:45], chunks[45:])
			d := testDemux(t, st, nil)
			failOn(d, "poison", how)
			if rep := succeed(t, d, "app"); rep.Isolated != 2 {
				t.Errorf("%d chunks left out, want 2", rep.Isolated)
			}
			got := map[string]int{}
			for _, r := range tableRows(t, st) {
				got[r.Stream]++
			}
			if !maps.Equal(got, want) {
				t.Errorf("got %v rows, want %v", got, want)
			}
			list, err := quarantine.List(t.Context(), st)
			if err != nil || len(list) != 1 || len(list[0].Faults) != 2 {
				t.Fatalf("in quarantine: %+v, %v", list, err)
			}
			for i, f := range list[0].Faults {
				if c := &chunks[[2]int{40, 47}[i]]; f.Stream != c.Stream || f.Range == nil || *f.Range != c.Range() {
					t.Errorf("the fault is %+v, want that of stream %s at %v", f, c.Stream, c.Range())
				}
			}
		})
	}
}

// Parts whose rows are of more hours than a commit may have are left to the next, and
// one with too many of its own is cut.
func TestPartsOfManyHoursAreTakenInSeveralCommits(t *testing.T) {
	const mostHours = 64
	for perChunk, n := range map[int]int{2: mostHours + 16, mostHours + 8: 2 * (mostHours + 8)} {
		st := testStore(t)
		chunks := spread(n, perChunk, n)
		weights := int64(0)
		for i := range chunks {
			weights += weight(&chunks[i])
		}
		publish(t, st, chunks)
		d := testDemux(t, st, nil)
		d.partWeight, d.mostHours = weights/8, mostHours
		rep, err := d.RunType(t.Context(), "json")
		if err != nil {
			t.Fatal(err)
		}
		rows, _, most := records(t, st, "json")
		if rows != int64(n) || most > mostHours || rep.Commits < 2 || rep.Commits > 5 || rep.ParseErrors != 0 || rep.Forks != 0 {
			t.Errorf("chunks of %d: got %d rows in %d commits of up to %d files (%+v)", perChunk, rows, rep.Commits, most, rep)
		}
	}
}

// A run takes no more than its share of memory, by more than the parts that are parsed
// ahead.
func TestARunTakesItsShareOfMemory(t *testing.T) {
	st := testStore(t)
	var chunks []chunk.Chunk
	at := int64(0)
	for range 40 {
		body := bytes.Repeat([]byte("x\n"), 20_000)
		chunks = append(chunks, chunk.Chunk{Type: "app", Host: "h", Source: "s", Stream: "s", First: at, Last: at + int64(len(body)), Time: time.Now(), Body: body})
		at += int64(len(body))
	}
	publish(t, st, chunks)
	d := testDemux(t, st, nil)
	d.partWeight = 1 << 20
	d.workers.atWork = 1 << 20 // the least share
	rep := runOnce(t, d)
	if rows := int64(800_000); rep.Records != rows || rep.Commits < 3 || rep.Commits > 8 {
		t.Errorf("got %+v, want %d rows in several commits of about %d bytes", rep, rows, minRowBytes)
	}
}
