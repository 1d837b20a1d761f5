package demux

import (
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// backlog is what the sink files of one data type hold, beside what its table
// holds. Plans are cut from it, one a run.
type backlog struct {
	files     []*sinkFile
	families  *families
	past      *past
	isolation *isolation
	// here are chunks that no task of an engine is to take: this process does.
	here map[spot]bool
}

func newBacklog(covered coverage.Set, s *isolation) *backlog {
	return &backlog{families: newFamilies(covered), isolation: s}
}

// wanted is what is to be known of the table's coverage to plan the files, and to
// judge what is in them.
func wanted(files []*sinkFile) coverage.Want {
	n := max(wantedAtOnce, (len(files)+runtime.GOMAXPROCS(0)-1)/runtime.GOMAXPROCS(0))
	parts := slices.Collect(slices.Chunk(files, n))
	wants := make([]coverage.Want, len(parts))
	var g errgroup.Group
	for i, part := range parts {
		g.Go(func() error {
			wants[i] = wantedIn(part)
			return nil
		})
	}
	_ = g.Wait() // none fails
	want := coverage.Want{}
	for _, w := range wants {
		if len(want) == 0 {
			want = w
			continue
		}
		for id, r := range w {
			want.Add(id, r)
		}
	}
	return want
}

// wantedAtOnce is of how many files one tells what is wanted of them; others tell it of
// more beside it.
const wantedAtOnce = 1024

func wantedIn(files []*sinkFile) coverage.Want {
	want := coverage.Want{}
	for _, f := range files {
		for i := range f.sink.Index.Blocks {
			entries := f.sink.Index.Blocks[i].Entries
			for len(entries) > 0 {
				// A stream's chunks follow on each other.
				id, r := entries[0].Stream, entries[0].Range()
				n := 1
				for ; n < len(entries) && entries[n].Stream == id; n++ {
					r.First, r.Last = min(r.First, entries[n].First), max(r.Last, entries[n].Last)
				}
				want.Add(id, r)
				entries = entries[n:]
			}
		}
	}
	return want
}

// task is one block to be read.
type task struct {
	file  *sinkFile
	block int
	// want says which of the block's chunks are to be looked at: those that may
	// hold something that the table does not.
	want wanting
	// rest says that some of the block is left to other runs, or left out.
	rest bool
}

// plan is what one run takes.
type plan struct {
	tasks []task
	facts []fact
	// taken is how many chunks and facts that is.
	taken int
	// unvouched is of how many chunks the table may remember no checksum.
	unvouched int
	// finished are the files of which nothing is left to do: all of it is in
	// the table, told or damaged.
	finished []*sinkFile
	raw      int64 // bytes of its blocks
}

// fact is a chunk without a body.
type fact struct {
	*chunk.Entry
	at spot
}

func (p *plan) empty() bool { return len(p.tasks) == 0 && len(p.facts) == 0 }

// spots are where all that it takes lies.
func (p *plan) spots() []spot {
	out := make([]spot, 0, p.taken)
	for _, f := range p.facts {
		out = append(out, f.at)
	}
	for _, t := range p.tasks {
		for i, wanted := range t.want {
			if wanted {
				out = append(out, spot{t.file.path, int32(t.block), int32(i)})
			}
		}
	}
	return out
}

// taken is what a plan takes of one stream, beside what is known of it.
type taken struct {
	ranges    chunk.Ranges
	chunks    int
	sums      []coverage.Sum            // of its chunks; of none in a plan of what is apart
	known     map[coverage.Sum]struct{} // the same, for the first chunks of sums
	covered   *coverage.Stream          // of the table; nil: none
	contested bool
}

// twice reports whether the plan has just this chunk already.
func (t *taken) twice(s coverage.Sum) bool {
	if t.known == nil {
		t.known = map[coverage.Sum]struct{}{}
	}
	for _, x := range t.sums[len(t.known):] {
		t.known[x] = struct{}{}
	}
	_, twice := t.known[s]
	return twice
}

const (
	// maxSpots bounds the chunks and facts of a plan: where each is a single line,
	// what is kept of them takes more memory than they do.
	maxSpots = 1 << 18

	// maxNamed bounds the sink files of a plan that a commit has to name, beside
	// those it takes a part of. See backlog.sinks.
	maxNamed = 1000
)

// plan selects, from the indexes alone, the next blocks of at most maxRaw bytes
// (but one at least). What a chunk holds beyond the table is decided when its
// bytes are there; a chunk of which a checksum says that the table or the plan
// has it is not read.
//
// What is suspected of making runs fail is taken when nothing else is left, and
// each alone.
func (b *backlog) plan(maxRaw int64) *plan {
	of := bounds{raw: maxRaw, spots: maxSpots, named: maxNamed}
	p := b.cut(of)
	if p.empty() && len(b.isolation.suspects) > 0 {
		of.suspect = true
		return b.cut(of)
	}
	return p
}

// left reports whether a block of the files is not done with.
func (b *backlog) left() bool {
	return slices.ContainsFunc(b.files, func(f *sinkFile) bool {
		for i := range f.sink.Index.Blocks {
			if !f.isDone(i) && !f.faulty(i) {
				return true
			}
		}
		return false
	})
}

// bounds are what a plan may take.
type bounds struct {
	raw          int64
	spots, named int
	suspect      bool // one that is suspected, and nothing else
	apart        bool // only chunks of which the indexes tell that all of it is new
}

// known returns what is known of a stream of which nothing is taken.
func (b *backlog) known(id string) *taken {
	return &taken{covered: b.families.covered[id], contested: b.families.contested(id)}
}

// repeats reports whether the table holds exactly the chunk's bytes, as far as
// checksums tell.
func (b *backlog) repeats(s *taken, e *chunk.Entry) bool {
	if !s.contested {
		return s.covered != nil && s.covered.Ranges.Contains(e.Range()) && s.covered.Vouches(e.Range(), e.CRC)
	}
	return b.families.vouches(e.Stream, e.Range(), e.CRC)
}

// told reports whether the table knows the fact.
func (t *taken) told(e *chunk.Entry) bool {
	s := t.covered
	if s == nil {
		return false
	}
	switch e.Kind {
	case chunk.Begin:
		return s.Begin != coverage.Unknown && s.Begin <= e.First
	case chunk.End:
		return s.End >= e.First
	case chunk.Lost:
		return s.Lost.Contains(e.Range())
	case chunk.Doubtful:
		return s.Doubtful.Contains(e.Range())
	default:
		return s.Dropped.Contains(e.Range())
	}
}

// sinks tells of the files that stay in raw/ for now what the table holds of
// them: of those that it holds a part of, and of those whose chunks it would not
// know again by their checksums, after a crash before they are moved.
func (b *backlog) sinks() (out []table.Sink) {
	for _, f := range b.files {
		if len(f.done) > 0 && (f.partly() || !b.vouches(f)) {
			out = append(out, table.Sink{Segment: store.SegmentOf(f.path), CRC: f.crc(), Blocks: f.done})
		}
	}
	return out
}

// vouches reports whether the run's delta, alone, has the checksums of all chunks
// of a file that the table did not know before.
func (b *backlog) vouches(f *sinkFile) bool {
	if f.vouched {
		return true
	}
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			e := &f.sink.Index.Blocks[i].Entries[j]
			if e.Kind != chunk.Data || e.Range().Empty() {
				continue
			}
			if st := b.families.delta[e.Stream]; st == nil || !st.Vouches(e.Range(), e.CRC) {
				return false
			}
		}
	}
	return true
}
