package demux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
)

// redoRun parses the rows of some data files again, and replaces them.
type redoRun struct {
	*Demux
	table    *table.Table
	id       string
	dataType string
	dry      bool
	first    bool // of its redo: it shows some rows
	files    []redoFile
	wanted   map[string]chunk.Ranges

	columns      []schema.Column // wanted, beside the table's
	planned      []schema.Column
	written      []table.DataFile
	samples      *samples // of a dry run
	ranges       map[string][]chunk.Range
	rows, failed int64
}

func (r *redoRun) do(ctx context.Context, parts []redoPart) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, table.ErrUnknown) {
			r.takeBack(ctx)
		}
	}()
	parse := r.here
	if r.engine != nil && !r.dry && fileBytes(r.files) >= r.tasks.least {
		parse = r.away
	}
	if err := parse(ctx, r.kept(parts)); err != nil || r.dry {
		return err
	}
	if err := r.readBack(ctx); err != nil {
		return err
	}
	if why := r.differs(); why != "" {
		return fmt.Errorf("%w: %s", errRedoLeft, why)
	}
	return r.commit(ctx)
}

// kept are the parts without what is of files that are left.
func (r *redoRun) kept(parts []redoPart) (out []redoPart) {
	for _, p := range parts {
		var keep chunk.Ranges
		for _, k := range p.keep {
			keep = append(keep, r.wanted[p.stream].Covered(k)...)
		}
		if len(keep) > 0 {
			p.keep = keep
			out = append(out, p)
		}
	}
	return out
}

// here parses the parts in this process.
func (r *redoRun) here(ctx context.Context, parts []redoPart) error {
	r.planned = r.table.Columns()
	if r.dry && r.first {
		r.samples = r.sampled(ctx)
	}
	x := &reparse{
		Demux: r.Demux, dataType: r.dataType, id: r.id, now: time.Now().UTC(), dry: r.dry, samples: r.samples,
		options: func() rows.Options { return r.rowOptions(r.dataType, r.planned, r.table.Keys()) },
		plan: func(b *rows.Builder) ([]schema.Column, bool) {
			for _, c := range b.Columns() {
				if schema.Find(r.columns, c.Name) < 0 {
					r.columns = append(r.columns, c)
				}
			}
			r.planned = r.table.PlanColumns(r.columns)
			if r.samples != nil {
				r.samples.know(r.planned)
			}
			r.rows += int64(b.Len())
			r.failed += b.Failed()
			return r.planned, true
		},
	}
	err := x.do(ctx, parts)
	r.written = x.written
	return err
}

// readBack reads what the new data files say that they hold.
func (r *redoRun) readBack(ctx context.Context) error {
	r.ranges = map[string][]chunk.Range{}
	for _, f := range r.written {
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
		if got := chunk.Union(list); n != want.Len() || !slices.Equal(got, want) {
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
	if !r.dry && len(r.written) > 0 {
		r.removeFiles(ctx, r.dataType, r.written)
	}
}

func (r *redoRun) tell(rep *Redone) {
	rep.Files += len(r.files)
	rep.FilesAfter += len(r.written)
	rep.RowsAfter += r.rows
	rep.ParseErrors += r.failed
	for _, f := range r.files {
		rep.RowsBefore += f.Records
		rep.Bytes += f.bytes
	}
	if r.samples != nil {
		rep.Before, rep.After = r.samples.before, r.samples.after
	}
}
