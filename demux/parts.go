package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
)

const (
	// partWeight is about the memory that a part's rows take. A chunk that weighs
	// maxWeights times as much is parsed alone, where it can be cut.
	partWeight = 4 << 20
	maxWeights = 8
	// What a chunk and a record weigh beside their bytes.
	chunkWeight  = 400
	recordWeight = 100
)

// parts parse a plan's chunks side by side. What is new of a chunk is decided in the
// order of the plan, and mostly by the indexes alone: it is all new. Such chunks
// are collected in parts, of which each becomes rows of its own; these are taken
// into the run's rows, and into its delta, in the order of the plan. A chunk that
// has to be compared with others waits until all before it are taken.
//
// What a part is depends on the plan alone, and so do the rows.
type parts struct {
	run    *run
	rows   *rows.Builder // of the run
	parser parse.Parser  // of what is parsed alone
	small  bool          // the plan is not worth parts

	open    *part
	ahead   []*part                  // those being parsed, in order
	weight  int64                    // of all parts that are not taken yet
	swell   float64                  // times its weight that a part's rows took, at most
	pending map[string]*chunk.Ranges // of the run's streams, of all parts
	todo    chan *part
	spare   chan *block
}

// part is some chunks of a plan.
type part struct {
	chunks []partChunk
	weight int64
	rows   *rows.Builder
	hours  hours
	whole  int           // how many of the chunks are rows, whole
	cut    *chunk.Ranges // what is of the one behind them; nil: nothing
	err    error
	done   chan struct{}
}

// partChunk is the i-th chunk of a block.
type partChunk struct {
	block *block
	i     int
}

// parse fills the run's rows from the plan's blocks, which are read ahead. Damaged
// ones are blamed and left out.
func (r *run) parse(ctx context.Context, parser parse.Parser, b *rows.Builder) error {
	g, ctx := errgroup.WithContext(ctx)
	n := runtime.GOMAXPROCS(0)
	x := &parts{
		run: r, rows: b, parser: parser, pending: map[string]*chunk.Ranges{}, swell: 1,
		todo: make(chan *part, max(n, 2)+1), spare: make(chan *block, 32),
	}
	raw := 0
	for _, t := range r.plan.tasks {
		raw += t.file.sink.Index.Blocks[t.block].RawLen
	}
	x.small = int64(raw) < r.partWeight
	if !x.small {
		for range n {
			g.Go(func() error { return guard(func() error { return x.work(ctx) }) })
		}
	}
	blocks := make(chan *block, 2)
	g.Go(func() error {
		defer close(blocks)
		return guard(func() error { return r.readAhead(ctx, x.spare, blocks) })
	})
	g.Go(func() error {
		defer close(x.todo)
		return guard(func() error {
			for blk := range blocks {
				if err := x.block(ctx, blk); err != nil {
					return err
				}
			}
			return x.drain(ctx)
		})
	})
	return g.Wait()
}

// block takes the chunks of a block that are wanted.
func (x *parts) block(ctx context.Context, blk *block) error {
	blk.held, blk.whole = 1, true
	defer x.release(blk)
	t := &blk.task
	if blk.err != nil {
		t.file.blame(t.block, blk.err.Error())
		blk.whole = false
		return nil
	}
	for i := range blk.chunks {
		if !t.want[i] {
			continue
		}
		if x.full() {
			blk.whole = false // the next run takes the rest of it
			return nil
		}
		c := &blk.chunks[i]
		w := weight(c)
		if !x.alone(c, w) {
			if err := x.add(ctx, partChunk{blk, i}, w); err != nil {
				return err
			}
			continue
		}
		if err := x.drain(ctx); err != nil {
			return err
		}
		whole := false
		if !x.full() {
			var err error
			if whole, err = x.run.parseChunk(ctx, blk, i, x.parser, x.rows); err != nil {
				return err
			}
		}
		if !whole {
			blk.whole = false
			return nil
		}
	}
	return nil
}

// release is called when one of those who hold a block needs it no more.
func (x *parts) release(blk *block) {
	if blk.held--; blk.held > 0 {
		return
	}
	if t := &blk.task; blk.whole && !t.rest {
		t.file.finish(t.block)
	}
	select {
	case x.spare <- blk:
	default:
	}
}

// full reports whether the run is to take no more.
func (x *parts) full() bool {
	full := x.run.enough.Load() || x.run.full(x.rows) || x.weight > 0 && x.rows.Bytes()+int64(x.swell*float64(x.weight)) >= x.run.worker.share()
	if full {
		x.run.enough.Store(true)
	}
	return full
}

// weight is about how much memory a chunk's rows take.
func weight(c *chunk.Chunk) int64 {
	records := len(c.Borders)
	if c.Borders == nil {
		records = bytes.Count(c.Body, []byte{'\n'})
	}
	return int64(len(c.Body)) + chunkWeight + recordWeight*int64(records)
}

// alone reports whether a chunk can't be part of others: what becomes rows of it
// depends on the chunks before it, or it is very large.
func (x *parts) alone(c *chunk.Chunk, weight int64) bool {
	f := x.run.families
	if x.small || weight > maxWeights*x.run.partWeight || f.contested(c.Stream) || f.overlaps(c.Stream, c.Range()) {
		return true
	}
	p := x.pending[c.Stream]
	return p != nil && p.Overlaps(c.Range())
}

// add puts a chunk into the open part.
func (x *parts) add(ctx context.Context, k partChunk, weight int64) error {
	if x.open != nil && x.open.weight+weight > x.run.partWeight {
		if err := x.send(ctx); err != nil {
			return err
		}
	}
	if x.open == nil {
		x.open = &part{done: make(chan struct{})}
	}
	c := &k.block.chunks[k.i]
	p := x.pending[c.Stream]
	if p == nil {
		p = &chunk.Ranges{}
		x.pending[c.Stream] = p
	}
	*p = p.Add(c.Range())
	k.block.held++
	x.open.chunks = append(x.open.chunks, k)
	x.open.weight += weight
	x.weight += weight
	return nil
}

// send has the open part parsed. As many are ahead as there is room for in todo.
func (x *parts) send(ctx context.Context) error {
	if x.open == nil {
		return nil
	}
	for len(x.ahead) >= cap(x.todo) {
		if err := x.take(ctx); err != nil {
			return err
		}
	}
	x.open.rows = x.run.worker.part()
	x.ahead = append(x.ahead, x.open)
	x.todo <- x.open
	x.open = nil
	return nil
}

// drain takes all parts that there are.
func (x *parts) drain(ctx context.Context) error {
	if err := x.send(ctx); err != nil {
		return err
	}
	for len(x.ahead) > 0 {
		if err := x.take(ctx); err != nil {
			return err
		}
	}
	return nil
}

// take takes the first part's rows into those of the run.
func (x *parts) take(ctx context.Context) error {
	p := x.ahead[0]
	select {
	case <-p.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if p.err != nil {
		return p.err
	}
	h := &x.run.hours
	h.grow(x.rows)
	p.hours.grow(p.rows)
	if x.run.bytes > 0 && h.with(&p.hours) > x.run.mostHours {
		return x.leave(ctx)
	}
	x.ahead = x.ahead[1:]
	x.weight -= p.weight
	if p.weight > x.run.partWeight/4 { // what a builder is without rows says nothing
		x.swell = max(x.swell, float64(p.rows.Bytes())/float64(p.weight))
	}
	x.rows.Take(p.rows)
	h.add(&p.hours)
	x.run.worker.giveBack(p.rows)
	for i, k := range p.chunks {
		c := &k.block.chunks[k.i]
		switch t := &k.block.task; {
		case i < p.whole:
			x.run.covered(t, c, nil, t.file.sink.Index.Blocks[t.block].Entries[k.i].CRC)
		case i == p.whole && p.cut != nil:
			x.run.covered(t, c, *p.cut, 0)
			x.run.cut(spot{t.file.path, int32(t.block), int32(k.i)}, c, *p.cut)
			k.block.whole = false
		default:
			k.block.whole = false
		}
		x.release(k.block)
	}
	return nil
}

// leave leaves all parts to the next run.
func (x *parts) leave(ctx context.Context) error {
	x.run.enough.Store(true)
	for _, p := range x.ahead {
		select {
		case <-p.done:
		case <-ctx.Done():
			return ctx.Err()
		}
		x.run.worker.giveBack(p.rows)
		for _, k := range p.chunks {
			k.block.whole = false
			x.release(k.block)
		}
	}
	x.ahead, x.weight = nil, 0
	return nil
}

// covered notes that a chunk of a stream without forks became rows: all of it, or
// what of it is kept.
func (r *run) covered(t *task, c *chunk.Chunk, keep chunk.Ranges, crc uint32) {
	st := r.stream(c.Stream, c.Host, c.Source, "")
	if keep == nil {
		keep = chunk.Ranges{c.Range()}
		st.Cover(c.Range(), crc)
	} else {
		for _, k := range keep {
			st.Cover(k, c.Sum(k))
		}
	}
	dropped := droppedOf(c, keep)
	st.Filter(dropped, c.Reason)
	n := keep.Len() - dropped
	r.bytes += n
	t.file.used += n
}

// work parses parts until there are no more.
func (x *parts) work(ctx context.Context) error {
	var parser parse.Parser
	for p := range x.todo {
		if parser == nil {
			var err error
			if parser, err = x.run.newParser(); err != nil {
				return err
			}
		}
		for i, k := range p.chunks {
			if p.err = guard(func() error { return x.run.parsePart(ctx, p, &k.block.chunks[k.i], parser) }); p.err != nil {
				t := &k.block.task
				p.err = &inputError{at: &spot{t.file.path, int32(t.block), int32(k.i)}, stage: parsing, err: p.err}
			}
			if p.whole <= i {
				break
			}
		}
		close(p.done)
	}
	return nil
}

// parsePart makes rows of a chunk of a part, all of which is new.
func (r *run) parsePart(ctx context.Context, p *part, c *chunk.Chunk, parser parse.Parser) error {
	from := p.rows.Len()
	all := share{c.Stream, chunk.Ranges{c.Range()}}
	err := parser.Parse(&bound{Context: ctx, run: r, rows: p.rows, hours: &p.hours, from: from}, c, nil, p.rows)
	switch {
	case errors.Is(err, errFull):
		all.cut(c, nil, parser.Records(c), p.rows)
		p.cut = &all.keep
	case err != nil:
		return fmt.Errorf("parse stream %s: %w", c.Stream, err)
	default:
		p.whole++
	}
	p.rows.Covers(from, all.keep)
	return nil
}
