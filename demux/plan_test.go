package demux

import (
	"fmt"
	"maps"
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

func backlogOf(files ...*sinkFile) *backlog {
	b := newBacklog(coverage.Set{}, &isolation{})
	b.files = files
	return b
}

func TestWhatCameTwiceIsTakenOnce(t *testing.T) {
	p := backlogOf(
		indexed([]chunk.Entry{data("s", 0, 100), data("s", 100, 200)}),
		indexed([]chunk.Entry{data("s", 50, 250), data("s", 100, 200)}),
		indexed([]chunk.Entry{data("s", 0, 100)}),
	).plan(1 << 30)
	if len(p.tasks) != 2 || len(p.finished) != 0 {
		t.Fatalf("got %d tasks and %d finished files, want 2 and none: the third file brings nothing", len(p.tasks), len(p.finished))
	}
	if got, want := p.tasks[1].want, []bool{true, false}; !slices.Equal(got, want) {
		t.Errorf("of the second file got %v, want %v", got, want)
	}
}

// A file whose bytes are only planned, by way of another file, must stay: that
// other file may turn out to be damaged.
func TestAFileIsFinishedOnlyWhenTheTableHoldsIt(t *testing.T) {
	first, again := indexed([]chunk.Entry{data("s", 0, 100)}), indexed([]chunk.Entry{data("s", 0, 100)})
	b := backlogOf(first, again)
	if p := b.plan(1 << 30); len(p.finished) != 0 {
		t.Fatalf("got %d finished files before a commit, want none", len(p.finished))
	}
	first.blame(0, "damaged")
	if p := b.plan(1 << 30); len(p.tasks) != 1 || p.tasks[0].file != again {
		t.Fatalf("got %+v, want the repetition to be read instead of the damaged block", p.tasks)
	}
	b.families.covered.Stream("s", "h", "/log").Cover(chunk.Range{First: 0, Last: 100}, data("s", 0, 100).CRC)
	p := b.plan(1 << 30)
	if !p.empty() || !slices.Equal(p.finished, []*sinkFile{first, again}) {
		t.Errorf("after the commit: got %d tasks and %d finished files, want 0 and 2", len(p.tasks), len(p.finished))
	}
}

// Bytes that no checksum vouches for are looked at, once.
func TestACoveredRangeIsReadUnlessAChecksumVouchesForIt(t *testing.T) {
	e := data("s", 0, 100)
	b := backlogOf(indexed([]chunk.Entry{e, data("other", 0, 10)}))
	b.families.covered.Stream("s", "h", "/log").Cover(e.Range(), e.CRC+1)
	p := b.plan(1 << 30)
	if len(p.tasks) != 1 || !slices.Equal(p.tasks[0].want, []bool{true, true}) {
		t.Fatalf("got %+v, want both chunks to be read", p.tasks)
	}
	b.files[0].finish(0)
	if p := b.plan(1 << 30); !p.empty() || len(p.finished) != 1 {
		t.Errorf("afterwards: got %d tasks, %d finished files, want 0 and 1", len(p.tasks), len(p.finished))
	}
}

func TestFactsAreToldOnce(t *testing.T) {
	fact := func(k chunk.Kind, first, last int64) chunk.Entry {
		return chunk.Entry{Kind: k, Host: "h", Source: "/log", Stream: "s", First: first, Last: last}
	}
	entries := []chunk.Entry{fact(chunk.Begin, 5, 5), fact(chunk.Lost, 5, 9), fact(chunk.Dropped, 9, 12), fact(chunk.End, 12, 12)}
	b := backlogOf(indexed(entries))
	p := b.plan(1)
	if len(p.facts) != 4 || len(p.finished) != 0 {
		t.Fatalf("got %d facts, %d finished files, want 4 and 0", len(p.facts), len(p.finished))
	}
	for _, e := range p.facts {
		b.families.covered.Stream(e.Stream, e.Host, e.Source).Tell(e.Kind, e.Range())
	}
	if p := b.plan(1); !p.empty() || len(p.finished) != 1 {
		t.Errorf("afterwards: got %d facts and %d finished files, want 0 and 1", len(p.facts), len(p.finished))
	}
}

// Whatever was sent and repeated in whatever order: the plans read each chunk that
// is not known by its checksum, once.
func TestPlansReadEachChunkOnce(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for range 200 {
		b := backlogOf()
		want := map[chunk.Entry]bool{}
		for range 1 + rnd.IntN(4) {
			var blocks [][]chunk.Entry
			for range 1 + rnd.IntN(4) {
				var entries []chunk.Entry
				for range 1 + rnd.IntN(5) {
					first := rnd.Int64N(500)
					e := data(fmt.Sprint("s", rnd.IntN(3)), first, first+1+rnd.Int64N(80))
					entries = append(entries, e)
					want[e] = true
				}
				blocks = append(blocks, entries)
			}
			b.files = append(b.files, indexed(blocks...))
		}
		got := map[chunk.Entry]bool{}
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
				for j, w := range task.want {
					e := task.file.sink.Index.Blocks[task.block].Entries[j]
					if !w {
						continue
					}
					if got[e] {
						t.Fatalf("%+v is read twice", e)
					}
					got[e] = true
					b.families.covered.Stream(e.Stream, e.Host, e.Source).Cover(e.Range(), e.CRC)
				}
				task.file.finish(task.block)
			}
		}
		if !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}
