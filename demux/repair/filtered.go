package repair

import (
	"context"
	"fmt"
	"slices"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// What filters dropped within chunks is counted by stream, and where it is only the
// chunks say. So what a repair changes of a stream's ranges changes that count, too:
// ranges that the table does not hold any more are counted again when they are taken in
// again, and those of which the coverage is lost have to be counted anew.

// change is what a repair changes of a stream's ranges.
type change struct {
	gone, back chunk.Ranges
}

// placed is a chunk and its file.
type placed struct {
	piece
	path string
}

// refilter makes what the new coverage counts as dropped by filters right.
func (s *survey) refilter(ctx context.Context) error {
	changes := map[string]*change{}
	set := s.set
	for _, of := range []coverage.Set{set, s.known} {
		for id := range of {
			if c := s.changed(id); changes[id] == nil && c != nil {
				changes[id] = c
			}
		}
	}
	r := recount{fs: s.fs, dataType: s.dataType}
	defer r.close()
	left := make(map[string]chunk.Ranges, len(changes))
	for id, c := range changes {
		left[id] = slices.Clone(c.gone).AddAll(c.back)
	}
	place := func(p *placed) archive.Place {
		return archive.Place{Stream: p.stream, Range: p.Range, Segment: p.segment, Thinned: p.thinned}
	}
	err := archive.Share(s.touched(changes), place, left, func(p *placed, mine chunk.Ranges) error {
		if !p.thinned {
			return nil
		}
		if st := s.known[p.stream]; st != nil { // what counts there is not what this chunk says
			for _, r := range st.Certain {
				mine = mine.Remove(r)
			}
		}
		if len(mine) == 0 {
			return nil
		}
		body, err := r.chunk(ctx, *p)
		if err != nil || body == nil {
			return err
		}
		c, st := changes[p.stream], set.Stream(p.stream, body.Host, body.Source)
		for _, m := range mine {
			for _, back := range c.back.Covered(m) {
				st.Filter(body.Dropped(back), body.Reason)
			}
			for _, gone := range c.gone.Covered(m) {
				st.Filtered = max(0, st.Filtered-body.Dropped(gone))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for id, c := range changes {
		st := set[id]
		if st == nil {
			continue
		}
		for _, gone := range c.gone {
			st.Certain = st.Certain.Remove(gone) // with its rows
		}
		if len(st.Ranges) == 0 {
			st.Filtered, st.Filters = 0, ""
		}
	}
	return nil
}

// changed returns what the repair changes of a stream's ranges, nil: nothing.
func (s *survey) changed(id string) *change {
	var was, is chunk.Ranges
	if st := s.known[id]; st != nil {
		was = st.Ranges
	}
	if st := s.set[id]; st != nil {
		is = st.Ranges
	}
	c := &change{}
	for _, r := range was {
		c.gone = c.gone.AddAll(is.Missing(r))
	}
	for _, r := range is {
		c.back = c.back.AddAll(was.Missing(r))
	}
	if len(c.gone)+len(c.back) == 0 {
		return nil
	}
	return c
}

// touched returns the chunks in which changed ranges lie.
func (s *survey) touched(changes map[string]*change) (out []placed) {
	for _, k := range slices.Concat(s.archive, s.raw) {
		for _, p := range k.chunks {
			if c := changes[p.stream]; c != nil && (c.gone.Overlaps(p.Range) || c.back.Overlaps(p.Range)) {
				out = append(out, placed{p, k.path})
			}
		}
	}
	return out
}

// recount reads chunks of sink files, of which the last one stays open.
type recount struct {
	fs       store.FS
	dataType string
	path     string
	body     store.Reader
	sink     *chunk.Sink // nil: it can't be read
	block    int
	chunks   []chunk.Chunk // of that block; nil: they can't be read
}

func (r *recount) close() {
	if r.body != nil {
		_ = r.body.Close() // it was only read
		r.body = nil
	}
}

// chunk returns a chunk, nil where it can't be read any more.
func (r *recount) chunk(ctx context.Context, p placed) (*chunk.Chunk, error) {
	if p.path != r.path {
		r.close()
		r.path, r.sink, r.block = p.path, nil, -1
		var err error
		if r.body, err = r.fs.Open(ctx, p.path); err != nil {
			return nil, fmt.Errorf("open %s: %w", p.path, err)
		}
		if r.sink, err = chunk.ReadSink(r.body, r.body.Size()); err != nil {
			return nil, fmt.Errorf("read %s: %w", p.path, err)
		}
	}
	if p.block != r.block {
		r.block, r.chunks = p.block, nil
		if data, err := r.sink.ReadBlock(p.block, nil); err == nil {
			r.chunks, _, _ = r.sink.Index.Blocks[p.block].Decode(r.dataType, data, nil) // damaged ones tell nothing
		}
	}
	if ctx.Err() != nil || r.chunks == nil {
		return nil, ctx.Err()
	}
	return &r.chunks[p.chunk], nil
}
