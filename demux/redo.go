package demux

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Redo says what is to be parsed again, by today's parser: the rows of the data
// files that have any with Since <= ts < Until.
type Redo struct {
	Type         string
	Since, Until time.Time // zero: no bound
	// DryRun parses, and changes nothing.
	DryRun bool
	// Tell is told how many of the files are done; nil: nobody is.
	Tell func(done, total int64)
}

// Redone is what a Redo did.
type Redone struct {
	Type        string `json:"type"`
	Files       int    `json:"files"`        // whose rows were parsed again
	FilesAfter  int    `json:"files_after"`  // that have them now
	RowsBefore  int64  `json:"rows_before"`  // in them
	RowsAfter   int64  `json:"rows_after"`   // that came of the same bytes
	ParseErrors int64  `json:"parse_errors"` // of RowsAfter
	Bytes       int64  `json:"bytes"`        // of raw log
	// Left are files whose rows stay as they are, with the reason; at most maxLeft.
	Left      []Left `json:"left,omitempty"`
	LeftTotal int    `json:"left_total,omitempty"`
	// Before and After are rows that begin at the same bytes, for a look.
	Before []SampleRow `json:"before,omitempty"`
	After  []SampleRow `json:"after,omitempty"`
}

// Left is a data file that was not redone.
type Left struct {
	File string `json:"file"`
	Why  string `json:"why"`
}

const (
	maxLeft = 100
	// redoBytes is how much raw log one commit of a redo replaces, about.
	redoBytes = 1 << 30
	// maxRedoChunks bounds the archived chunks that a redo knows at a time.
	maxRedoChunks = 4 << 20
)

func (d *Redone) leave(file string, format string, args ...any) {
	d.LeftTotal++
	if len(d.Left) < maxLeft {
		d.Left = append(d.Left, Left{file, fmt.Sprintf(format, args...)})
	}
}

func (d *Redone) String() string {
	var did []string
	if d.Files > 0 {
		did = append(did, fmt.Sprintf("parsed %d rows of %s again, into %d rows of %s", d.RowsBefore, count(d.Files, "data file"), d.RowsAfter, count(d.FilesAfter, "data file")))
	}
	if d.LeftTotal > 0 {
		did = append(did, fmt.Sprintf("left %s as they are: %s", count(d.LeftTotal, "data file"), d.Left[0].Why))
	}
	return strings.Join(did, "; ")
}

// Redo parses a table's rows again from the archived sink files, and puts them in
// the place of those that are there, in steps of one commit each. A data file is
// replaced only if all bytes that its rows cover are found, and each of them
// is in a row again. What is left is told. It waits up to wait for a job that is
// at work on the table.
func (d *Demux) Redo(ctx context.Context, o Redo, wait time.Duration) (Redone, error) {
	rep := Redone{Type: o.Type}
	if known, err := d.known(ctx, o.Type); err != nil || !known {
		return rep, cmp.Or(err, fmt.Errorf("there is no table %s", o.Type))
	}
	release, err := d.holdLease(ctx, jobLeasePath(o.Type), wait)
	if err != nil {
		return rep, err
	}
	defer release()
	err = d.redo(ctx, o, &rep)
	return rep, err
}

// redoJob is the job redo.
func (d *Demux) redoJob(ctx context.Context, req jobs.Request, tell func(done, total int64)) (jobs.Outcome, error) {
	if req.Since.IsZero() && req.Until.IsZero() {
		return jobs.Outcome{}, errors.New("say by since and until which rows are to be parsed again")
	}
	rep := Redone{Type: req.Type}
	err := d.redo(ctx, Redo{Type: req.Type, Since: req.Since, Until: req.Until, Tell: tell}, &rep)
	return jobs.Outcome{Did: rep.String(), Report: rep}, err
}

// redoFile is a data file whose rows are to be parsed again.
type redoFile struct {
	table.File
	ranges coverage.Set
	bytes  int64
}

func (d *Demux) redo(ctx context.Context, o Redo, rep *Redone) error {
	if o.Tell == nil {
		o.Tell = func(int64, int64) {}
	}
	t, err := d.open(ctx, o.Type)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no table %s", o.Type)
	}
	if err != nil {
		return err
	}
	files, err := t.Files(ctx, optional(o.Since), optional(o.Until))
	if err != nil {
		return fmt.Errorf("list data files: %w", err)
	}
	total := int64(len(files))
	for done := int64(0); len(files) > 0; {
		step, n, err := d.redoStep(ctx, files, rep)
		if err != nil {
			return err
		}
		files = files[n:]
		if err := d.redoFiles(ctx, o, step, rep); err != nil {
			return err
		}
		done += int64(n)
		o.Tell(done, total)
	}
	return nil
}

// optional is a bound of ts, nil for none.
func optional(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// redoStep takes the first of the files, as many as one commit replaces, and
// returns those that say what their rows cover.
func (d *Demux) redoStep(ctx context.Context, files []table.File, rep *Redone) (step []redoFile, n int, err error) {
	size := int64(0)
	for n < len(files) && (n == 0 || size < redoBytes) && len(step) < 1000 {
		f := files[n]
		n++
		info, err := datafile.Read(ctx, d.fs, f.Path)
		switch {
		case errors.Is(err, datafile.ErrDamaged), errors.Is(err, fs.ErrNotExist):
			rep.leave(f.Path, "%v", err)
			continue
		case err != nil:
			return nil, n, err
		case info.Ranges == nil:
			rep.leave(f.Path, "it does not say what its rows cover: an older version wrote it")
			continue
		}
		x := redoFile{File: f, ranges: info.Ranges}
		for _, st := range info.Ranges {
			x.bytes += st.Ranges.Len()
		}
		size += x.bytes
		step = append(step, x)
	}
	return step, n, nil
}

// redoFiles replaces the rows of some data files.
func (d *Demux) redoFiles(ctx context.Context, o Redo, step []redoFile, rep *Redone) error {
	t, err := d.open(ctx, o.Type)
	if err != nil {
		return err
	}
	step, err = d.withoutForks(ctx, t, step, rep)
	if err != nil || len(step) == 0 {
		return err
	}
	parts, err := d.findArchived(ctx, o.Type, wantedOf(step))
	if err != nil {
		return err
	}
	step = found(step, parts, rep)
	if len(step) == 0 {
		return nil
	}
	for tries := 1; ; tries++ {
		r := &redoRun{Demux: d, table: t, id: newRunID(t), dataType: o.Type, dry: o.DryRun, files: step, wanted: wantedOf(step)}
		err := r.do(ctx, parts)
		if err == nil {
			r.tell(ctx, rep)
			return nil
		}
		switch {
		case errors.Is(err, table.ErrNotInTable), errors.Is(err, errRedoLeft):
			for _, f := range step {
				rep.leave(f.Path, "%v", err)
			}
			return nil
		case !errors.Is(err, table.ErrConflict) || tries == commitTries:
			return err
		}
		if t, err = d.open(ctx, o.Type); err != nil {
			return err
		}
	}
}

// withoutForks leaves the files alone whose streams have forks: which archived bytes
// became their rows was decided by what came before.
func (d *Demux) withoutForks(ctx context.Context, t *table.Table, step []redoFile, rep *Redone) ([]redoFile, error) {
	want := coverage.Want{}
	for i := range step {
		for id, st := range step[i].ranges {
			for _, r := range st.Ranges {
				want.Add(id, r)
			}
		}
	}
	known, err := t.CoverageOf(ctx, want)
	if err != nil {
		return nil, fmt.Errorf("read coverage: %w", err)
	}
	forked := map[string]bool{}
	for id := range known.Set {
		if coverage.Base(id) != "" {
			forked[coverage.Root(id)] = true
		}
	}
	return slices.DeleteFunc(step, func(f redoFile) bool {
		for id := range f.ranges {
			if root := coverage.Root(id); forked[root] || root != id {
				rep.leave(f.Path, "stream %s has forks", root)
				return true
			}
		}
		return false
	}), nil
}

// wantedOf returns what the rows of the files cover.
func wantedOf(step []redoFile) map[string]chunk.Ranges {
	pieces := map[string][]chunk.Range{}
	for i := range step {
		for id, st := range step[i].ranges {
			pieces[id] = append(pieces[id], st.Ranges...)
		}
	}
	out := make(map[string]chunk.Ranges, len(pieces))
	for id, list := range pieces {
		out[id] = joined(list)
	}
	return out
}

// joined returns the union of ranges.
func joined(list []chunk.Range) (out chunk.Ranges) {
	slices.SortFunc(list, func(a, b chunk.Range) int { return cmp.Compare(a.First, b.First) })
	for _, r := range list {
		if n := len(out); n > 0 && r.First <= out[n-1].Last {
			out[n-1].Last = max(out[n-1].Last, r.Last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

// redoPart is what a redo takes of an archived chunk.
type redoPart struct {
	path         string
	block, chunk int
	stream       string
	keep         chunk.Ranges
}

// findArchived finds the archived chunks that hold what is wanted: of several that
// hold the same, the oldest, which the table has. They come in the order of their
// files.
func (d *Demux) findArchived(ctx context.Context, dataType string, wanted map[string]chunk.Ranges) ([]redoPart, error) {
	days, err := d.fs.List(ctx, path.Join(store.Archive, dataType))
	if err != nil {
		return nil, fmt.Errorf("list archive of %s: %w", dataType, err)
	}
	var paths []string
	for _, day := range days {
		files, err := d.fs.List(ctx, day.Path)
		if err != nil {
			return nil, fmt.Errorf("list archive of %s: %w", dataType, err)
		}
		for _, f := range files {
			if store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	hits := make([][]pastChunk, len(paths))
	total := 0
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(opensAtOnce)
	for i, p := range paths {
		g.Go(func() error {
			f, err := openSink(gctx, d.fs, p)
			if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
				return nil // what only it holds is not found
			}
			if err != nil {
				return err
			}
			for _, e := range pastChunks(f, nil) {
				if wanted[e.stream].Overlaps(e.Range) {
					hits[i] = append(hits[i], e)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if total += len(hits[i]); total > maxRedoChunks {
				return fmt.Errorf("more than %d archived chunks hold it: take a shorter time", maxRedoChunks)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	left := make(map[string]chunk.Ranges, len(wanted))
	for id, r := range wanted {
		left[id] = slices.Clone(r)
	}
	var parts []redoPart
	for _, list := range hits {
		for _, e := range list {
			keep := left[e.stream].Covered(e.Range)
			if len(keep) == 0 {
				continue
			}
			for _, k := range keep {
				left[e.stream] = left[e.stream].Remove(k)
			}
			parts = append(parts, redoPart{e.path, e.block, e.chunk, e.stream, keep})
		}
	}
	return parts, nil
}

// found leaves the files alone of which not all is in the archive.
func found(step []redoFile, parts []redoPart, rep *Redone) []redoFile {
	pieces := map[string][]chunk.Range{}
	for _, p := range parts {
		pieces[p.stream] = append(pieces[p.stream], p.keep...)
	}
	have := make(map[string]chunk.Ranges, len(pieces))
	for id, list := range pieces {
		have[id] = joined(list)
	}
	return slices.DeleteFunc(step, func(f redoFile) bool {
		for id, st := range f.ranges {
			if !containsAll(have[id], st.Ranges) {
				rep.leave(f.Path, "the archive has not all of stream %s of %s that it holds", id, st.Source)
				return true
			}
		}
		return false
	})
}

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
	r.worker.begin(rows.Options{Existing: r.planned})
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
	var file *sinkFile
	var body store.Reader
	defer func() {
		if body != nil {
			_ = body.Close() // it was only read
		}
	}()
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
			if body != nil {
				_ = body.Close()
				body = nil
			}
			var err error
			if file, err = openSink(ctx, r.fs, p.path); err != nil {
				return err
			}
			if body, err = file.body(ctx, r.fs); err != nil {
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
	r.worker.begin(rows.Options{Existing: r.planned})
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
