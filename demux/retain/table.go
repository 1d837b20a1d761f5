package retain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Rows says whose rows are to be dropped, and how the table is changed.
type Rows struct {
	FS     store.FS
	Limits Limits
	Now    time.Time
	// Open opens the table.
	Open func(ctx context.Context) (*table.Table, error)
	// Change calls do with the newest version while nobody else commits to it.
	Change func(ctx context.Context, do func(ctx context.Context, t *table.Table) error) error
	// RunID makes the id of a run planned from t.
	RunID func(t *table.Table) string
}

// DroppedRows is what was dropped of a table.
type DroppedRows struct {
	Files int   `json:"files"`
	Rows  int64 `json:"rows"`
	Bytes int64 `json:"bytes"`
	// Left are files that should have been dropped and stay: they don't say what
	// their rows cover, so that nobody could tell dropped rows from lost ones.
	Left int `json:"left,omitempty"`
}

const (
	filesAtOnce   = 256 // that one commit drops
	footersAtOnce = 8
)

// Drop drops the data files all of whose rows are older than the limit, and the
// oldest ones beyond the size. What they held stays covered: it is told as
// dropped in the same commit, so that nothing of it is taken again, or missed.
func (o *Rows) Drop(ctx context.Context, tell func(done, total int64)) (d DroppedRows, err error) {
	if o.Limits.None() {
		return d, nil
	}
	t, err := o.Open(ctx)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return d, err
	}
	files, err := t.Files(ctx, nil, nil)
	if err != nil {
		return d, fmt.Errorf("list data files: %w", err)
	}
	files = o.choose(files)
	total := int64(len(files))
	for done := int64(0); len(files) > 0; {
		batch := files[:min(len(files), filesAtOnce)]
		files = files[len(batch):]
		if err := o.drop(ctx, batch, &d); err != nil {
			return d, err
		}
		done += int64(len(batch))
		tell(done, total)
	}
	return d, nil
}

// choose selects the files to be dropped, those with the oldest rows first.
func (o *Rows) choose(files []table.File) []table.File {
	slices.SortFunc(files, func(a, b table.File) int {
		return cmp.Or(a.MaxTS.Compare(b.MaxTS), strings.Compare(a.Path, b.Path))
	})
	size := int64(0)
	for _, f := range files {
		size += f.Size
	}
	n := 0
	for ; n < len(files); n++ {
		old := o.Limits.Age > 0 && files[n].MaxTS.Before(o.Now.Add(-o.Limits.Age))
		if !old && (o.Limits.Size <= 0 || size <= o.Limits.Size) {
			break
		}
		size -= files[n].Size
	}
	return files[:n]
}

// drop drops some files in one commit.
func (o *Rows) drop(ctx context.Context, files []table.File, d *DroppedRows) error {
	infos, err := o.footers(ctx, files)
	if err != nil {
		return err
	}
	var batch DroppedRows
	var paths []string
	facts := coverage.Set{}
	for i, f := range files {
		if infos[i] == nil || infos[i].Ranges == nil {
			batch.Left++
			continue
		}
		for id, st := range infos[i].Ranges {
			to := facts.Stream(id, st.Host, st.Source)
			for _, r := range st.Ranges {
				to.Tell(chunk.Dropped, r)
			}
		}
		paths = append(paths, f.Path)
		batch.Files++
		batch.Rows += f.Records
		batch.Bytes += f.Size
	}
	if len(paths) > 0 {
		last := files[len(files)-1].MaxTS.UTC().Format(time.RFC3339Nano)
		err = o.Change(ctx, func(ctx context.Context, t *table.Table) error {
			_, err := t.Replace(ctx, table.Replacement{
				RunID: o.RunID(t), Remove: paths, Kind: table.Expired, Delta: facts,
				Summary: map[string]string{"akupara.expired-to": last},
			})
			return err
		})
	}
	if errors.Is(err, table.ErrNotInTable) {
		return nil // compacted meanwhile: the next time sees what is there then
	}
	if err != nil {
		return fmt.Errorf("drop %d data files: %w", len(paths), err)
	}
	d.Files += batch.Files
	d.Rows += batch.Rows
	d.Bytes += batch.Bytes
	d.Left += batch.Left
	return nil
}

// footers reads what the files say of themselves; nil where that is damaged.
func (o *Rows) footers(ctx context.Context, files []table.File) ([]*datafile.Info, error) {
	infos := make([]*datafile.Info, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for i := range files {
		g.Go(func() error {
			info, err := datafile.Read(gctx, o.FS, files[i].Path)
			if errors.Is(err, datafile.ErrDamaged) || errors.Is(err, fs.ErrNotExist) {
				return nil // the audit tells of it
			}
			if err != nil {
				return err
			}
			infos[i] = info
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("read what data files hold: %w", err)
	}
	return infos, nil
}
