package repair

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// sink is a sink file and what its index tells.
type sink struct {
	path   string
	set    coverage.Set // Ranges of all data, facts, checksums
	chunks []piece      // its data
}

// piece is the range of one chunk.
type piece struct {
	stream string
	chunk.Range
	thinned      bool   // a filter dropped some of it
	segment      string // in whose file it was first
	block, chunk int
}

// readSinks reads what the indexes of the type's sink files in an area tell of a
// window. One that can't
// be read holds nothing that could be taken from it.
func (s *survey) readSinks(ctx context.Context, area string, w window) ([]sink, error) {
	paths, err := s.filesBelow(ctx, path.Join(area, s.dataType), store.IsSink)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", area, err)
	}
	sinks := make([]sink, len(paths))
	err = s.each(ctx, paths, func(ctx context.Context, i int) error {
		r, err := s.fs.Open(ctx, paths[i])
		if err != nil {
			return ctx.Err()
		}
		defer r.Close()
		read, err := chunk.ReadSink(r, r.Size())
		if err != nil || read.Damage != nil || read.Index.Type != s.dataType || read.Index.Segment != string(store.SegmentOf(paths[i])) {
			return ctx.Err()
		}
		sinks[i] = sinkOf(paths[i], &read.Index, w)
		return nil
	})
	if err != nil {
		return nil, err
	}
	var out []sink
	for _, k := range sinks {
		if len(k.set) > 0 {
			out = append(out, k)
		}
	}
	return out, nil
}

func sinkOf(p string, index *chunk.Index, w window) sink {
	k := sink{path: p, set: coverage.Set{}}
	// An index's strings are parts of one: what is kept of it must not keep all of it.
	own := map[string]string{}
	clone := func(s string) string {
		c, ok := own[s]
		if !ok {
			c = strings.Clone(s)
			own[c] = c
		}
		return c
	}
	for i := range index.Blocks {
		segment, _ := index.Origin(i)
		segment = clone(segment)
		for j, e := range index.Blocks[i].Entries {
			if !w.has(e.Stream) {
				continue
			}
			e.Stream = clone(e.Stream)
			st := k.set.Stream(e.Stream, clone(e.Host), clone(e.Source))
			if e.Kind == chunk.Data {
				st.Cover(e.Range(), e.CRC)
				k.chunks = append(k.chunks, piece{e.Stream, e.Range(), e.Dropped > 0, segment, i, j})
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
	return k
}
