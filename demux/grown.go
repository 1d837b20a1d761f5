package demux

import (
	"hash/maphash"
	"maps"
	"runtime"
	"sync"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// grown are chunks of which all became rows, in order, and of which nothing was held:
// what they add to their streams. There are millions of them, so that all processors add
// some, each those of streams of its own.
type grown struct {
	seed   maphash.Seed
	chunks [][]*chunk.Entry // by who adds them
	last   string           // the stream of the last one
	to     int              // who adds it
}

func newGrown() grown {
	return grown{seed: maphash.MakeSeed(), chunks: make([][]*chunk.Entry, runtime.GOMAXPROCS(0))}
}

func (g *grown) add(e *chunk.Entry) {
	if e.Stream != g.last {
		g.last, g.to = e.Stream, int(maphash.String(g.seed, e.Stream)%uint64(len(g.chunks)))
	}
	g.chunks[g.to] = append(g.chunks[g.to], e)
}

// addTo adds them to the run's deltas, of which none is of these streams yet. None of
// the streams contends with another.
func (g *grown) addTo(f *families) {
	deltas := make([]coverage.Set, len(g.chunks))
	var wg sync.WaitGroup
	for i, chunks := range g.chunks {
		deltas[i] = coverage.Set{}
		wg.Go(func() { addChunks(deltas[i], f.covered, chunks) })
	}
	wg.Wait()
	for _, d := range deltas {
		maps.Copy(f.delta, d)
	}
}

func addChunks(delta, covered coverage.Set, chunks []*chunk.Entry) {
	var st *coverage.Stream
	last := ""
	for _, e := range chunks {
		if st == nil || e.Stream != last {
			last = e.Stream
			if st = delta[last]; st == nil {
				st = delta.Stream(last, e.Host, e.Source)
				if known := covered[last]; known != nil {
					st.Cause = known.Cause
				}
			}
		}
		st.Append(e.Range(), e.CRC)
	}
}
