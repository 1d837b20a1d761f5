package demux

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// reparse makes rows of archived chunks again, and writes them whenever they are many.
type reparse struct {
	*Demux
	dataType string
	id       string // of the files
	now      time.Time
	dry      bool
	// options are those of the rows that come next.
	options func() rows.Options
	// plan returns the columns of the files that the rows so far go into, unless
	// they are not to be written.
	plan func(b *rows.Builder) (columns []schema.Column, write bool)

	worker  *worker
	hours   hours
	written []table.DataFile
	samples *samples // of a dry run
}

// do parses the parts. The files are the caller's, also after an error.
func (r *reparse) do(ctx context.Context, parts []redoPart) (err error) {
	if r.worker, err = r.workers.take(ctx); err != nil {
		return err
	}
	defer r.worker.done()
	parser, err := r.rowParser(r.dataType, r.now)
	if err != nil {
		return err
	}
	r.worker.begin(r.options())
	if err := guard(func() error { return r.parse(ctx, parts, parser) }); err != nil {
		r.worker.broken = true
		return fmt.Errorf("parse again: %w", err)
	}
	return nil
}

// parse parses the parts, block by block.
func (r *reparse) parse(ctx context.Context, parts []redoPart, parser parse.Parser) error {
	sinks := openSinks{fs: r.fs}
	defer sinks.close()
	var file *sinkFile
	var body store.Reader
	var blk block
	at := -1
	for i := range parts {
		p := &parts[i]
		if file == nil || file.path != p.path {
			var err error
			if file, body, err = sinks.open(ctx, p.path); err != nil {
				return err
			}
			at = -1
		}
		if file.entry(p.block, p.chunk) == nil {
			return fmt.Errorf("%s has no chunk %d in a block %d", p.path, p.chunk, p.block)
		}
		if at != p.block {
			if err := blk.read(task{file: file, block: p.block}, body); err != nil {
				return fmt.Errorf("read %s: %w", p.path, err)
			}
			if blk.err != nil {
				return fmt.Errorf("block %d of %s: %w", p.block, p.path, blk.err)
			}
			at = p.block
		}
		if err := r.chunk(ctx, &blk.chunks[p.chunk], p.keep, parser); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

func (r *reparse) chunk(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, parser parse.Parser) error {
	b := r.worker.whole
	from := b.Len()
	part := keep
	if len(keep) == 1 && keep[0] == c.Range() {
		part = nil
	}
	if err := parser.Parse(ctx, c, part, b); err != nil {
		return fmt.Errorf("parse stream %s: %w", c.Stream, err)
	}
	b.Covers(from, keep)
	if b.Bytes() >= r.worker.share() || r.hours.grow(b) >= r.mostHours {
		return r.flush(ctx)
	}
	return nil
}

// flush writes the rows so far into data files.
func (r *reparse) flush(ctx context.Context) error {
	b := r.worker.whole
	if b.Len() == 0 {
		return nil
	}
	if columns, write := r.plan(b); write {
		if err := r.write(ctx, b, columns); err != nil {
			return fmt.Errorf("write rows of table %s: %w", r.dataType, err)
		}
	}
	r.worker.begin(r.options())
	r.hours = hours{}
	return nil
}

func (r *reparse) write(ctx context.Context, b *rows.Builder, columns []schema.Column) error {
	first := len(r.written)
	sampled := r.samples.hours(b)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	create := func(_ context.Context, hour int64, n int) (io.WriteCloser, string, error) {
		p := table.DataPath(r.dataType, table.Partition{N: int(hour)}, r.id, first+n)
		if r.dry {
			return &trial{samples: r.samples, kept: sampled[hour]}, p, gctx.Err()
		}
		return &output{ctx: gctx, fs: r.fs, path: p, behind: g}, p, gctx.Err()
	}
	written, err := b.WriteFiles(gctx, create, columns, rows.Layout{})
	if waited := g.Wait(); waited != nil {
		err = waited
	}
	for _, f := range written {
		r.written = append(r.written, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
	}
	return err
}

// takeBack removes the files.
func (r *reparse) takeBack(ctx context.Context) {
	if len(r.written) > 0 {
		r.removeFiles(ctx, r.dataType, r.written)
	}
}

// trial is a data file of a dry run. One that samples are taken from is kept in memory.
type trial struct {
	samples *samples
	kept    bool
	buf     bytes.Buffer
}

const maxTrialBytes = 64 << 20

// Write implements io.Writer.
func (f *trial) Write(b []byte) (int, error) {
	if f.kept = f.kept && f.buf.Len()+len(b) <= maxTrialBytes; f.kept {
		return f.buf.Write(b)
	}
	f.buf = bytes.Buffer{}
	return len(b), nil
}

// Close implements io.Closer.
func (f *trial) Close() error {
	if f.kept {
		f.samples.take(f.buf.Bytes())
	}
	return nil
}
