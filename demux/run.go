package demux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// Report says what the runs of one call did with one data type.
type Report struct {
	ID          string        `json:"id"` // of the last run that committed
	Type        string        `json:"type"`
	Started     time.Time     `json:"started"`
	Took        time.Duration `json:"took_ns"`
	Commits     int           `json:"commits"`
	Version     int           `json:"version"` // of the table, afterwards
	Sinks       int           `json:"sinks"`   // sink files looked at
	Archived    int           `json:"archived"`
	Quarantined int           `json:"quarantined"` // sink files that could not be used whole
	Records     int64         `json:"records"`
	ParseErrors int64         `json:"parse_errors"`
	Bytes       int64         `json:"bytes"`    // of raw log that became rows
	Repeated    int64         `json:"repeated"` // bytes that came again and were dropped
	Files       int           `json:"files"`    // data files added
	FileBytes   int64         `json:"file_bytes"`
	Error       string        `json:"error,omitempty"`
}

const (
	// maxRowBytes bounds the rows of a run in memory: short records take much
	// more there than in the log.
	maxRowBytes = 256 << 20
	// maxSinks bounds the sink files that are open at a time: their indexes
	// are in memory. What is left over comes next.
	maxSinks     = 256
	maxConflicts = 8
)

// runType brings all sink files of a data type into its table, in as many
// commits as memory demands. The report is good also beside an error.
func (d *Demux) runType(ctx context.Context, dataType string) (rep Report, err error) {
	rep = Report{Type: dataType, Started: time.Now().UTC()}
	defer func() {
		rep.Took = time.Since(rep.Started)
		if err != nil {
			rep.Error = err.Error()
		}
	}()
	// Looking comes before the lease: most looks find nothing.
	if idle, err := d.idle(ctx, dataType); err != nil || idle {
		return rep, err
	}
	release, err := d.leases.take(ctx, dataType)
	if err != nil {
		return rep, err
	}
	defer release()
	if err := d.sweep(ctx, dataType); err != nil {
		return rep, err
	}
	defer func() {
		if err != nil {
			d.swept.forget(dataType) // the failed run may have left files
		}
	}()
	for conflicts := 0; ; {
		more, err := d.runSinks(ctx, dataType, &rep)
		switch {
		case errors.Is(err, table.ErrConflict) && conflicts < maxConflicts:
			// The table moved: everything is planned anew from what it is now.
			conflicts++
			d.log.Info("another commit came first, planning anew", "type", dataType)
		case err != nil:
			return rep, err
		case !more:
			return rep, nil
		}
	}
}

// sweepEvery is how often a table is swept, beside the first run of a process
// and the one after a failure.
const sweepEvery = time.Hour

func (d *Demux) idle(ctx context.Context, dataType string) (bool, error) {
	if d.swept.due(dataType, sweepEvery) {
		return false, nil
	}
	paths, err := listSinks(ctx, d.fs, dataType)
	return len(paths) == 0, err
}

// sweep removes what runs that died left behind, and the archive's days that
// have expired. It needs the lease: it would make the run of another process
// fail.
func (d *Demux) sweep(ctx context.Context, dataType string) error {
	if !d.swept.due(dataType, sweepEvery) {
		return nil
	}
	days, err := expireArchive(ctx, d.fs, dataType, d.cfg.KeepArchive.Std(), time.Now())
	if err != nil {
		return err
	}
	if days > 0 {
		d.log.Info("expired archived sink files", "type", dataType, "days", days)
	}
	t, err := d.open(ctx, dataType)
	if errors.Is(err, fs.ErrNotExist) {
		d.swept.note(dataType)
		return nil
	}
	if err != nil {
		return err
	}
	n, err := t.RemoveOrphans(ctx, 0)
	if err != nil {
		return err
	}
	if n > 0 {
		d.log.Info("removed what dead runs left behind", "type", dataType, "files", n)
	}
	d.swept.note(dataType)
	return nil
}

func (d *Demux) open(ctx context.Context, dataType string) (*table.Table, error) {
	t, err := table.Open(ctx, d.fs, d.baseURI, dataType)
	if err != nil {
		return nil, fmt.Errorf("open table %s: %w", dataType, err)
	}
	return t.Patient(d.patience), nil
}

// runSinks takes the oldest sink files up to maxSinks and tells whether there
// are more.
func (d *Demux) runSinks(ctx context.Context, dataType string, rep *Report) (more bool, err error) {
	paths, err := listSinks(ctx, d.fs, dataType)
	if err != nil || len(paths) == 0 {
		return false, err
	}
	if more = len(paths) > maxSinks; more {
		paths = paths[:maxSinks]
	}
	t, err := d.open(ctx, dataType)
	if errors.Is(err, fs.ErrNotExist) {
		t, err = table.New(d.fs, d.baseURI, dataType)
	}
	if err != nil {
		return false, err
	}
	b := &backlog{}
	if b.covered, err = t.Coverage(ctx); err != nil {
		return false, fmt.Errorf("read coverage of table %s: %w", dataType, err)
	}
	defer b.close()
	for _, p := range paths {
		f, err := openSink(ctx, d.fs, p)
		if errors.Is(err, chunk.ErrInvalid) {
			err = d.quarantine(ctx, rep, &sinkFile{path: p, faults: []fault{{-1, -1, err.Error()}}})
		}
		if err != nil {
			return false, err
		}
		if f != nil {
			b.files = append(b.files, f)
			rep.Sinks++
		}
	}
	return more, d.runBacklog(ctx, t, b, rep)
}

// runBacklog plans, runs and commits until nothing of the backlog is left, and
// moves each sink file away that is finished.
func (d *Demux) runBacklog(ctx context.Context, t *table.Table, b *backlog, rep *Report) error {
	for {
		p := b.plan(int64(d.cfg.RunBytes))
		for _, f := range p.finished {
			if err := d.retire(ctx, rep, f); err != nil {
				return err
			}
			b.drop(f)
		}
		if p.empty() {
			return nil
		}
		r := &run{Demux: d, id: newRunID(t), table: t, plan: p, covered: b.covered, delta: coverage.Set{}, rep: rep}
		next, err := r.do(ctx)
		if err != nil {
			return err
		}
		t = next
		b.covered.Merge(r.delta)
	}
}

// newRunID makes the id of a run planned from t. It starts with the version
// that the run is to become, so that ids tell their order.
func newRunID(t *table.Table) string { return fmt.Sprintf("%08d-%s", t.Version()+1, newID()) }

func (d *Demux) retire(ctx context.Context, rep *Report, f *sinkFile) error {
	if len(f.faults) > 0 {
		return d.quarantine(ctx, rep, f)
	}
	if err := archive(ctx, d.fs, rep.Type, f.path); err != nil {
		return err
	}
	rep.Archived++
	rep.Repeated += f.bytes() - f.used
	return nil
}

func (d *Demux) quarantine(ctx context.Context, rep *Report, f *sinkFile) error {
	if err := quarantine(ctx, d.fs, rep.Type, f.path, f.faults); err != nil {
		return err
	}
	rep.Quarantined++
	d.log.Error("a sink file could not be used whole; it lies in quarantine, with the reasons beside it",
		"file", f.path, "faults", len(f.faults), "first", f.faults[0].Reason)
	return nil
}

// run turns one plan into one commit.
type run struct {
	*Demux
	id      string
	table   *table.Table
	plan    *plan
	covered coverage.Set
	delta   coverage.Set // what this run adds
	rep     *Report
	bytes   int64
}

func (r *run) do(ctx context.Context) (*table.Table, error) {
	// One run at a time in a process: the rows of one are what memory holds.
	r.working.Lock()
	defer r.working.Unlock()
	now := time.Now().UTC()
	parser, err := r.cfg.parser(r.rep.Type, now)
	if err != nil {
		return nil, err
	}
	b := r.builder
	b.ResetTo(rows.Options{Existing: r.table.Columns()})
	if err := r.parse(ctx, parser, b); err != nil {
		return nil, err
	}
	for i := range r.plan.facts {
		f := &r.plan.facts[i]
		r.delta.Stream(f.Stream, f.Host, f.Source).Tell(f.Kind, f.Range())
	}
	if len(r.delta) == 0 {
		return r.table, nil // all that was planned turned out to be damaged
	}
	for _, s := range r.delta {
		s.Seen = now.Truncate(time.Second)
	}
	columns := r.table.PlanColumns(b.Columns())
	files, err := r.write(ctx, b, columns)
	if err != nil {
		r.remove(ctx, files)
		return nil, err
	}
	next, err := r.table.Commit(ctx, table.Commit{
		RunID: r.id, Columns: columns, Files: files, Delta: r.delta,
		Summary: map[string]string{
			"akupara.parse-errors": strconv.FormatInt(b.Failed(), 10),
			"akupara.raw-bytes":    strconv.FormatInt(r.bytes, 10),
		},
	})
	if err != nil {
		if !errors.Is(err, table.ErrUnknown) {
			r.remove(ctx, files)
		}
		return nil, fmt.Errorf("commit run %s of table %s: %w", r.id, r.rep.Type, err)
	}
	r.count(next, b, files)
	return next, nil
}

func (r *run) count(next *table.Table, b *rows.Builder, files []table.DataFile) {
	r.rep.ID, r.rep.Version = r.id, next.Version()
	r.rep.Commits++
	r.rep.Records += int64(b.Len())
	r.rep.ParseErrors += b.Failed()
	r.rep.Bytes += r.bytes
	r.rep.Files += len(files)
	for _, f := range files {
		r.rep.FileBytes += f.Stats.Size
	}
}

// parse fills b from the plan's blocks; the next block is read and
// decompressed while one is parsed. Damaged blocks are blamed and left out.
func (r *run) parse(ctx context.Context, parser parse.Parser, b *rows.Builder) error {
	g, ctx := errgroup.WithContext(ctx)
	blocks := make(chan block, 1)
	free := make(chan block, 3)
	for range cap(free) {
		free <- block{}
	}
	g.Go(func() error {
		defer close(blocks)
		return r.readAhead(ctx, free, blocks)
	})
	g.Go(func() error {
		for blk := range blocks {
			switch {
			case blk.err != nil:
				blk.task.file.blame(blk.task.block, -1, blk.err.Error())
			case b.Bytes() < maxRowBytes: // else left to the next run
				r.parseBlock(&blk, parser, b)
			}
			select {
			case free <- blk:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	return g.Wait()
}

// block is a task with its block read; its buffers are used again.
type block struct {
	task      task
	chunks    []chunk.Chunk
	data, raw []byte
	err       error // what is wrong with the block
}

func (r *run) readAhead(ctx context.Context, free <-chan block, out chan<- block) error {
	for _, t := range r.plan.tasks {
		var blk block
		select {
		case blk = <-free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := blk.read(t); err != nil {
			return fmt.Errorf("read %s: %w", t.file.path, err)
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
func (blk *block) read(t task) error {
	blk.task, blk.err = t, nil
	s := t.file.sink
	data, err := s.ReadBlock(t.block, blk.data)
	if err == nil {
		blk.data = data[:0]
		blk.chunks, blk.raw, err = s.Index.Blocks[t.block].Decode(s.Index.Type, data, blk.raw)
	}
	if errors.Is(err, chunk.ErrInvalid) {
		blk.err, err = err, nil
	}
	return err
}

func (r *run) parseBlock(blk *block, parser parse.Parser, b *rows.Builder) {
	for i := range blk.chunks {
		c, keep := &blk.chunks[i], blk.task.keep[i]
		if len(keep) == 0 {
			continue
		}
		if reason := r.contradicts(c); reason != "" {
			blk.task.file.blame(blk.task.block, i, reason)
			continue
		}
		st := r.delta.Stream(c.Stream, c.Host, c.Source)
		if keep.Len() == c.Last-c.First {
			parser.Parse(c, nil, b)
			st.Cover(c.Range(), chunk.CRC(c.Body))
		} else {
			parser.Parse(c, keep, b)
			for _, k := range keep {
				st.Cover(k, chunk.CRC(c.Body[k.First-c.First:k.Last-c.First]))
			}
		}
		r.bytes += keep.Len()
		blk.task.file.used += keep.Len()
	}
}

// contradicts holds the chunk against the chunks inside its range that were
// committed before, or go into this run.
func (r *run) contradicts(c *chunk.Chunk) string {
	for _, set := range [...]coverage.Set{r.covered, r.delta} {
		st := set[c.Stream]
		if st == nil || len(st.Ranges.Covered(c.Range())) == 0 {
			continue
		}
		for _, s := range st.Sums {
			if s.First >= c.First && s.Last <= c.Last && chunk.CRC(c.Body[s.First-c.First:s.Last-c.First]) != s.CRC {
				return contradiction(c.Stream, c.Source, c.Host, chunk.Range{First: s.First, Last: s.Last})
			}
		}
	}
	return ""
}

func (r *run) write(ctx context.Context, b *rows.Builder, columns []schema.Column) ([]table.DataFile, error) {
	if b.Len() == 0 {
		return nil, nil
	}
	create := func(ctx context.Context, hour int64, n int) (io.WriteCloser, string, error) {
		p := table.DataPath(r.rep.Type, int(hour), r.id, n)
		w, err := r.fs.Create(ctx, p)
		if err != nil {
			return nil, p, fmt.Errorf("create data file %s: %w", p, err)
		}
		return w, p, nil
	}
	written, err := b.WriteFiles(ctx, create, columns, rows.Layout{})
	files := make([]table.DataFile, len(written))
	for i, f := range written {
		files[i] = table.DataFile{Path: f.Path, Hour: int(f.Hour), Stats: f.Stats}
	}
	if err != nil {
		return files, fmt.Errorf("write rows of table %s: %w", r.rep.Type, err)
	}
	return files, nil
}

// remove takes back the data files of a run that is definitely not committed.
// What it can't remove is an orphan, which the sweep finds.
func (r *run) remove(ctx context.Context, files []table.DataFile) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	for _, f := range files {
		if err := r.fs.Remove(ctx, f.Path); err != nil {
			r.log.Warn("a data file of a run that failed could not be removed", "file", f.Path, "error", err)
		}
	}
}
