package demux

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// indexed makes a sink file that is its index only: all a plan looks at.
func indexed(blocks ...[]chunk.Entry) *sinkFile {
	f := &sinkFile{sink: &chunk.Sink{Index: chunk.Index{Type: "app"}}}
	for _, entries := range blocks {
		raw := 0
		for _, e := range entries {
			raw += int(e.Last - e.First)
		}
		f.sink.Index.Blocks = append(f.sink.Index.Blocks, chunk.Block{RawLen: raw, Entries: entries})
	}
	return f
}

func data(stream string, first, last int64) chunk.Entry {
	return chunk.Entry{Host: "h", Source: "/log", Stream: stream, First: first, Last: last, CRC: uint32(first*31 + last)}
}

func TestWhatCameTwiceIsTakenOnce(t *testing.T) {
	b := &backlog{covered: coverage.Set{}, files: []*sinkFile{
		indexed([]chunk.Entry{data("s", 0, 100), data("s", 100, 200)}),
		indexed([]chunk.Entry{data("s", 50, 250)}),
		indexed([]chunk.Entry{data("s", 0, 100)}),
	}}
	p := b.plan(1 << 30)
	if len(p.tasks) != 2 {
		t.Fatalf("got %d tasks, want 2: the third file brings nothing", len(p.tasks))
	}
	if got, want := p.tasks[1].keep[0], (chunk.Ranges{{First: 200, Last: 250}}); !slices.Equal(got, want) {
		t.Errorf("of the second file got %v, want %v", got, want)
	}
}

// A file whose bytes are only planned, by way of another file, must stay: that
// other file may turn out to be damaged.
func TestAFileIsFinishedOnlyWhenTheTableHoldsIt(t *testing.T) {
	first, again := indexed([]chunk.Entry{data("s", 0, 100)}), indexed([]chunk.Entry{data("s", 0, 100)})
	b := &backlog{covered: coverage.Set{}, files: []*sinkFile{first, again}}
	if p := b.plan(1 << 30); len(p.finished) != 0 {
		t.Fatalf("got %d finished files before a commit, want none", len(p.finished))
	}
	first.blame(0, -1, "damaged")
	if p := b.plan(1 << 30); len(p.tasks) != 1 || p.tasks[0].file != again {
		t.Fatalf("got %+v, want the repetition to be read instead of the damaged block", p.tasks)
	}
	b.covered.Stream("s", "h", "/log").Cover(chunk.Range{First: 0, Last: 100}, data("s", 0, 100).CRC)
	p := b.plan(1 << 30)
	if !p.empty() || !slices.Equal(p.finished, []*sinkFile{first, again}) {
		t.Errorf("after the commit: got %d tasks and %d finished files, want 0 and 2", len(p.tasks), len(p.finished))
	}
}

func TestOtherBytesForACoveredRangeAreBlamed(t *testing.T) {
	e := data("s", 0, 100)
	b := &backlog{covered: coverage.Set{}, files: []*sinkFile{indexed([]chunk.Entry{e, data("other", 0, 10)})}}
	b.covered.Stream("s", "h", "/log").Cover(e.Range(), e.CRC+1)
	p := b.plan(1 << 30)
	if len(p.tasks) != 1 || len(p.tasks[0].keep[0]) != 0 || len(p.tasks[0].keep[1]) != 1 {
		t.Errorf("got %+v, want only the other stream's chunk", p.tasks)
	}
	if f := b.files[0]; !f.faulty(0, 0) || f.faulty(0, 1) {
		t.Errorf("got faults %+v, want chunk 0 alone", f.faults)
	}
}

func TestFactsAreToldOnce(t *testing.T) {
	fact := func(k chunk.Kind, first, last int64) chunk.Entry {
		return chunk.Entry{Kind: k, Host: "h", Source: "/log", Stream: "s", First: first, Last: last}
	}
	entries := []chunk.Entry{fact(chunk.Begin, 5, 5), fact(chunk.Lost, 5, 9), fact(chunk.Dropped, 9, 12), fact(chunk.End, 12, 12)}
	b := &backlog{covered: coverage.Set{}, files: []*sinkFile{indexed(entries)}}
	p := b.plan(1)
	if len(p.facts) != 4 || len(p.finished) != 0 {
		t.Fatalf("got %d facts, %d finished files, want 4 and 0", len(p.facts), len(p.finished))
	}
	for _, e := range p.facts {
		b.covered.Stream(e.Stream, e.Host, e.Source).Tell(e.Kind, e.Range())
	}
	if p := b.plan(1); !p.empty() || len(p.finished) != 1 {
		t.Errorf("afterwards: got %d facts and %d finished files, want 0 and 1", len(p.facts), len(p.finished))
	}
}

// Whatever was sent, cut and repeated in whatever order: the plans cover each
// offset once, and all of them.
func TestPlansCoverEachOffsetOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		b := &backlog{covered: coverage.Set{}}
		want := map[string]chunk.Ranges{}
		for range 1 + rnd.IntN(4) {
			var blocks [][]chunk.Entry
			for range 1 + rnd.IntN(4) {
				var entries []chunk.Entry
				for range 1 + rnd.IntN(5) {
					first := rnd.Int64N(500)
					e := data(fmt.Sprint("s", rnd.IntN(3)), first, first+1+rnd.Int64N(80))
					entries = append(entries, e)
					want[e.Stream] = want[e.Stream].Add(e.Range())
				}
				blocks = append(blocks, entries)
			}
			b.files = append(b.files, indexed(blocks...))
		}
		for n := 0; ; n++ {
			p := b.plan(200)
			if p.empty() {
				if len(p.finished) != len(b.files) {
					t.Fatalf("%d of %d files are finished", len(p.finished), len(b.files))
				}
				break
			}
			if n > 1000 {
				t.Fatal("the plans do not come to an end")
			}
			for _, task := range p.tasks {
				for j, keep := range task.keep {
					e := task.file.sink.Index.Blocks[task.block].Entries[j]
					st := b.covered.Stream(e.Stream, e.Host, e.Source)
					for _, r := range keep {
						if twice := st.Ranges.Covered(r); len(twice) > 0 {
							t.Fatalf("stream %s: %v is taken twice", e.Stream, twice)
						}
						st.Ranges = st.Ranges.Add(r)
					}
				}
			}
		}
		for id, r := range want {
			if got := b.covered[id].Ranges; !slices.Equal(got, r) {
				t.Fatalf("stream %s: got %v, want %v", id, got, r)
			}
		}
	}
}
