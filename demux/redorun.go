package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// redoRun parses the rows of some data files again, and replaces them.
type redoRun struct {
	*Demux
	table    *table.Table
	id       string
	dataType string
	dry      bool
	files    []redoFile
	wanted   map[string]chunk.Ranges

	worker       *worker
	hours        hours
	columns      []schema.Column // wanted so far, beside the table's
	planned      []schema.Column
	written      []table.DataFile
	trial        [][]byte // of a dry run: the first files that would be written
	ranges       map[string][]chunk.Range
	rows, failed int64
}

func (r *redoRun) do(ctx context.Context, parts []redoPart) (err error) {
	if r.worker, err = r.workers.take(ctx); err != nil {
		return err
	}
	defer r.worker.done()
	defer func() {
		if err != nil && !errors.Is(err, table.ErrUnknown) {
			r.takeBack(ctx)
		}
	}()
	r.ranges = map[string][]chunk.Range{}
	r.planned = r.table.Columns()
	r.worker.begin(r.rowOptions(r.dataType, r.planned, r.table.Keys()))
	parser, err := r.Demux.parser(r.dataType, time.Now().UTC())
	if err != nil {
		return err
	}
	if err := guard(func() error { return r.parse(ctx, parts, parser) }); err != nil {
		r.worker.broken = true
		return fmt.Errorf("parse again: %w", err)
	}
	if r.dry {
		return nil
	}
	r.worker.done() // a commit waits for the store, mostly
	if why := r.differs(); why != "" {
		return fmt.Errorf("%w: %s", errRedoLeft, why)
	}
	return r.commit(ctx)
}

// parse parses the parts that are wanted, block by block, and writes the rows
// whenever they are many.
func (r *redoRun) parse(ctx context.Context, parts []redoPart, parser parse.Parser) error {
	sinks := openSinks{fs: r.fs}
	defer sinks.close()
	var file *sinkFile
	var body store.Reader
	var blk block
	at := -1
	for i := range parts {
		p := &parts[i]
		keep := chunk.Ranges{}
		for _, k := range p.keep {
			keep = append(keep, r.wanted[p.stream].Covered(k)...)
		}
		if len(keep) == 0 {
			continue // of files that are left
		}
		if file == nil || file.path != p.path {
			var err error
			if file, body, err = sinks.open(ctx, p.path); err != nil {
				return err
			}
			at = -1
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
		if err := r.chunk(ctx, &blk.chunks[p.chunk], keep, parser); err != nil {
			return err
		}
	}
	return r.flush(ctx)
}

func (r *redoRun) chunk(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, parser parse.Parser) error {
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
	if b.Bytes() >= r.worker.share() || r.hours.grow(b) >= maxHours {
		return r.flush(ctx)
	}
	return nil
}

// flush writes the rows so far into data files.
func (r *redoRun) flush(ctx context.Context) error {
	b := r.worker.whole
	if b.Len() == 0 {
		return nil
	}
	for _, c := range b.Columns() {
		if schema.Find(r.columns, c.Name) < 0 {
			r.columns = append(r.columns, c)
		}
	}
	r.planned = r.table.PlanColumns(r.columns)
	r.rows += int64(b.Len())
	r.failed += b.Failed()
	first := len(r.written)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	create := func(_ context.Context, hour int64, n int) (io.WriteCloser, string, error) {
		p := table.DataPath(r.dataType, table.Partition{N: int(hour)}, r.id, first+n)
		if r.dry {
			return &trial{r: r}, p, gctx.Err()
		}
		return &output{ctx: gctx, fs: r.fs, path: p, behind: g}, p, gctx.Err()
	}
	written, err := b.WriteFiles(gctx, create, r.planned, rows.Layout{})
	if waited := g.Wait(); waited != nil {
		err = waited
	}
	for _, f := range written {
		r.written = append(r.written, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
	}
	if err != nil {
		return fmt.Errorf("write rows of table %s: %w", r.dataType, err)
	}
	if err := r.readBack(ctx, r.written[first:]); err != nil {
		return err
	}
	r.worker.begin(r.rowOptions(r.dataType, r.planned, r.table.Keys()))
	r.hours = hours{}
	return nil
}

// readBack reads what the new data files say that they hold.
func (r *redoRun) readBack(ctx context.Context, files []table.DataFile) error {
	if r.dry {
		return nil
	}
	for _, f := range files {
		info, err := datafile.Read(ctx, r.fs, f.Path)
		if err != nil {
			return err
		}
		if info.Ranges == nil {
			return fmt.Errorf("data file %s can't say what its rows cover: they are scattered too much", f.Path)
		}
		for id, st := range info.Ranges {
			r.ranges[id] = append(r.ranges[id], st.Ranges...)
		}
	}
	return nil
}

// errRedoLeft says that the rows of some files stay as they are.
var errRedoLeft = errors.New("left")

// differs makes sure that the new rows cover exactly what the old ones did, each
// byte once: what it returns is empty then.
func (r *redoRun) differs() string {
	for id, want := range r.wanted {
		list := r.ranges[id]
		n := int64(0)
		for _, x := range list {
			n += x.Len()
		}
		if got := joined(list); n != want.Len() || !slices.Equal(got, want) {
			return fmt.Sprintf("the rows that came of stream %s cover other bytes than those of before", id)
		}
	}
	if len(r.ranges) > len(r.wanted) {
		return "rows came of streams that it does not have"
	}
	return ""
}

func (r *redoRun) commit(ctx context.Context) error {
	remove := make([]string, len(r.files))
	for i, f := range r.files {
		remove[i] = f.Path
	}
	release, err := r.hold(ctx, r.dataType)
	if err != nil {
		return err
	}
	defer release()
	t, err := r.open(ctx, r.dataType)
	if err != nil {
		return err
	}
	if !slices.Equal(t.PlanColumns(r.columns), r.planned) {
		return fmt.Errorf("%w: its columns changed", table.ErrConflict)
	}
	_, err = t.Replace(ctx, table.Replacement{
		RunID: r.id, Remove: remove, Files: r.written, Columns: r.planned, Kind: table.Redone,
		Summary: map[string]string{"akupara.parse-errors": fmt.Sprint(r.failed)},
	})
	return err
}

// takeBack removes the files of a redo that is not committed.
func (r *redoRun) takeBack(ctx context.Context) {
	if r.dry || len(r.written) == 0 {
		return
	}
	x := &run{Demux: r.Demux, rep: &Report{Type: r.dataType}}
	x.takeBack(ctx, r.written)
}

func (r *redoRun) tell(ctx context.Context, rep *Redone) {
	rep.Files += len(r.files)
	rep.FilesAfter += len(r.written)
	rep.RowsAfter += r.rows
	rep.ParseErrors += r.failed
	for _, f := range r.files {
		rep.RowsBefore += f.Records
		rep.Bytes += f.bytes
	}
	if r.dry && len(rep.Before) == 0 {
		r.sample(ctx, rep)
	}
}

// trial is a data file of a dry run; of the first ones the bytes are kept.
type trial struct {
	r   *redoRun
	buf bytes.Buffer
}

const (
	maxTrials     = 4
	maxTrialBytes = 64 << 20
)

func (f *trial) Write(b []byte) (int, error) {
	if len(f.r.trial) < maxTrials && f.buf.Len() < maxTrialBytes {
		return f.buf.Write(b)
	}
	return len(b), nil
}

func (f *trial) Close() error {
	if len(f.r.trial) < maxTrials && f.buf.Len() < maxTrialBytes {
		f.r.trial = append(f.r.trial, f.buf.Bytes())
	}
	return nil
}
