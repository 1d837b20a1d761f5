package demux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// run turns one plan into one commit.
type run struct {
	*Demux
	*backlog
	id              string
	table           *table.Table
	plan            *plan
	worker          *worker
	rep             *Report
	bytes, forked   int64 // that became rows; of them, of forks
	records, failed int64 // rows; of them, with a parse_error
	hours           hours
	forks           []newFork
	stage           stage
	newParser       func() (parse.Parser, error)
	cuts            map[spot]coverage.Sum // what became rows of chunks of which not all did
	enough          atomic.Bool           // it takes no more
}

// newFork is a fork that begins with the run.
type newFork struct{ id, host, source, cause string }

func (r *run) do(ctx context.Context) (*table.Table, error) {
	var err error
	if r.worker, err = r.workers.take(ctx); err != nil {
		return nil, err
	}
	defer r.worker.done()
	now := time.Now().UTC()
	r.newParser = func() (parse.Parser, error) { return r.rowParser(r.rep.Type, now) }
	parser, err := r.newParser()
	if err != nil {
		return nil, err
	}
	b := r.worker.begin(r.rowOptions(r.rep.Type, r.table.Columns(), r.table.Keys()))
	r.conflicts(r.rep.Type, b.Conflicts())
	if err := r.parse(ctx, parser, b); err != nil {
		r.worker.broken = true
		return nil, err
	}
	r.stage = writing
	if b.Len() == 0 {
		for _, s := range r.families.delta {
			// No data file tells of bytes that are no record: blank lines.
			s.Dropped = s.Dropped.AddAll(s.Ranges)
		}
	}
	if r.tellFacts(now); len(r.families.delta) == 0 {
		return r.table, nil // all that was planned turned out to be damaged, or repeated
	}
	columns := r.table.PlanColumns(b.Columns())
	var files []table.DataFile
	err = guard(func() (err error) {
		files, err = r.write(ctx, b, columns)
		return err
	})
	if err != nil {
		r.worker.broken = true
		r.takeBack(ctx, files)
		return nil, err
	}
	r.records, r.failed = int64(b.Len()), b.Failed()
	// A commit waits for the store, mostly: others may have rows meanwhile.
	r.worker.done()
	return r.commit(ctx, r.table, columns, files)
}

// tellFacts adds the plan's facts to what the run's streams are said to be.
func (r *run) tellFacts(now time.Time) {
	for i := range r.plan.facts {
		f := &r.plan.facts[i]
		r.stream(f.Stream, f.Host, f.Source, "").Tell(f.Kind, f.Range())
	}
	for _, s := range r.families.delta {
		s.Seen = now.Truncate(time.Second)
	}
}

// commit commits the run's files on top of t, and takes them back where that fails.
func (r *run) commit(ctx context.Context, t *table.Table, columns []schema.Column, files []table.DataFile) (*table.Table, error) {
	r.stage = committing
	next, err := t.Commit(ctx, table.Commit{
		RunID: r.id, Columns: columns, Files: files, Delta: r.families.delta, Known: r.families.known, Sinks: r.sinks(),
		Summary: map[string]string{
			"akupara.parse-errors": strconv.FormatInt(r.failed, 10),
			"akupara.raw-bytes":    strconv.FormatInt(r.bytes, 10),
		},
	})
	if err != nil {
		if !errors.Is(err, table.ErrUnknown) {
			r.takeBack(ctx, files)
		}
		return nil, fmt.Errorf("commit run %s of table %s: %w", r.id, r.rep.Type, err)
	}
	r.tell(next, files)
	return next, nil
}

// tell adds what was committed to the report.
func (r *run) tell(next *table.Table, files []table.DataFile) {
	r.rep.ID, r.rep.Version = r.id, next.Version()
	r.rep.Commits++
	r.rep.Records += r.records
	r.rep.ParseErrors += r.failed
	r.rep.Bytes += r.bytes
	r.rep.ForkedBytes += r.forked
	r.tellForks()
	r.rep.Files += len(files)
	for _, f := range files {
		r.rep.FileBytes += f.Stats.Size
	}
}

// maxForksTold bounds the lines that one call writes to the log.
const maxForksTold = 10

func (r *run) tellForks() {
	for _, f := range r.forks {
		r.rep.Forks++
		if r.rep.Forks > maxForksTold {
			continue
		}
		r.log.Warn("bytes came that differ from what the table has at the same offsets of a stream; they are rows of a fork of it",
			"type", r.rep.Type, "host", f.host, "source", f.source, "stream", coverage.Base(f.id), "fork", f.id, "cause", f.cause)
	}
}

// block is a task with its block read; its buffers are used again.
type block struct {
	task      task
	chunks    []chunk.Chunk
	data, raw []byte
	err       error // what is wrong with the block
	held      int   // by how many parts, and by who takes its chunks
	whole     bool  // all of its chunks that are wanted were taken, so far
}

func (r *run) readAhead(ctx context.Context, spare <-chan *block, out chan<- *block) error {
	var file *sinkFile
	var body store.Reader
	defer func() {
		if body != nil {
			_ = body.Close() // it was only read
		}
	}()
	for _, t := range r.plan.tasks {
		if r.enough.Load() {
			return nil
		}
		blk := &block{}
		select {
		case blk = <-spare:
		default:
		}
		if t.file != file {
			if body != nil {
				_ = body.Close()
			}
			var err error
			if body, err = t.file.body(ctx, r.fs); err != nil {
				body = nil
				return &fileError{t.file.path, err}
			}
			file = t.file
		}
		if err := blk.read(t, body); err != nil {
			return &fileError{t.file.path, fmt.Errorf("read %s: %w", t.file.path, err)}
		}
		select {
		case out <- blk:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// read fails only when the store does; damage is kept in blk.err.
func (blk *block) read(t task, body io.ReaderAt) error {
	blk.task, blk.err = t, nil
	s := t.file.sink
	data, err := s.ReadBlockFrom(body, t.block, blk.data)
	if err == nil {
		blk.data = data[:0]
		blk.chunks, blk.raw, err = s.Index.Blocks[t.block].DecodeInto(blk.chunks, s.Index.Type, data, blk.raw)
	}
	if errors.Is(err, chunk.ErrInvalid) {
		blk.err, err = err, nil
	}
	return err
}

// parseChunk makes rows of what is new of a block's chunk, after all before it. whole
// says that it was not too much for one run.
func (r *run) parseChunk(ctx context.Context, blk *block, i int, parser parse.Parser, b *rows.Builder) (whole bool, err error) {
	t, c := &blk.task, &blk.chunks[i]
	at := spot{t.file.path, int32(t.block), int32(i)}
	var shares []share
	err = guard(func() (err error) {
		shares, err = r.share(ctx, place{t.file, t.block, i}, c, parser)
		return err
	})
	if p := (*panicked)(nil); errors.As(err, &p) {
		return false, &inputError{at: &at, stage: parsing, err: err}
	}
	if err != nil {
		return false, err
	}
	err = guard(func() (err error) {
		whole, err = r.rows(ctx, c, t.file.sink.Index.Blocks[t.block].Entries[i].CRC, shares, parser, b)
		return err
	})
	if err != nil {
		return false, &inputError{at: &at, stage: parsing, err: err}
	}
	for _, s := range shares {
		n := s.keep.Len() - droppedOf(c, s.keep)
		r.bytes += n
		t.file.used += n
		if coverage.Base(s.stream) != "" {
			r.forked += n
		}
	}
	if !whole {
		r.cut(at, c, shares[len(shares)-1].keep)
	}
	if whole && t.rest && len(shares) == 0 {
		t.file.repeats(t.block, i) // no commit tells the next plan of it
	}
	return whole, nil
}

// share decides what of a chunk becomes rows, and of which streams: mostly all
// of it, of its own.
func (r *run) share(ctx context.Context, p place, c *chunk.Chunk, parser parse.Parser) ([]share, error) {
	f := r.families
	switch {
	case f.overlaps(c.Stream, c.Range()):
		return r.judge(ctx, p, c, parser.Records(c))
	case f.contested(c.Stream):
		candidates, _ := f.candidates(c.Stream, c.Host)
		at, _ := f.place(c.Stream, candidates, "", c.Range()) // its own stream has room
		return []share{{at, chunk.Ranges{c.Range()}}}, nil
	}
	return []share{{c.Stream, chunk.Ranges{c.Range()}}}, nil
}

// rows parses a chunk's shares and notes what they cover. A chunk whose rows are
// too much for one run is cut: whole says that it was not; its share says where.
func (r *run) rows(ctx context.Context, c *chunk.Chunk, crc uint32, shares []share, parser parse.Parser, b *rows.Builder) (whole bool, err error) {
	own := c.Stream
	defer func() { c.Stream = own }()
	// Where its records become rows of several streams, they can't be parted by
	// their offsets alone.
	bounded := &bound{Context: ctx, run: r, rows: b, hours: &r.hours, from: b.Len(), off: len(shares) > 1}
	for i := range shares {
		s := &shares[i]
		c.Stream = s.stream
		st := r.stream(s.stream, c.Host, c.Source, "")
		all := s.keep.Len() == c.Range().Len()
		keep := s.keep
		if all {
			keep = nil
		}
		from := b.Len()
		err := parser.Parse(bounded, c, keep, b)
		switch {
		case errors.Is(err, errFull):
			s.cut(c, st, parser.Records(c), b)
			all = false
		case err != nil:
			return false, fmt.Errorf("parse stream %s: %w", s.stream, err)
		}
		b.Covers(from, s.keep)
		st.Filter(droppedOf(c, s.keep), c.Reason)
		if all {
			st.Cover(c.Range(), crc)
			continue
		}
		for _, k := range s.keep {
			st.Cover(k, c.Sum(k))
		}
		if errors.Is(err, errFull) {
			return false, nil
		}
		if i == len(shares)-1 {
			st.Vouch(c.Range(), crc)
		}
	}
	return true, nil
}

// droppedOf returns how many bytes of parts of a chunk a filter dropped.
func droppedOf(c *chunk.Chunk, parts chunk.Ranges) (n int64) {
	if len(c.Drops) == 0 {
		return 0
	}
	for _, r := range parts {
		n += c.Dropped(r)
	}
	return n
}

// stream returns the run's delta of a stream, and notes when that is a new fork.
func (r *run) stream(id, host, source, cause string) *coverage.Stream {
	st, fork := r.families.stream(id, host, source, cause)
	if fork {
		r.forks = append(r.forks, newFork{id, host, source, st.Cause})
	}
	return st
}
