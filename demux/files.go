package demux

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

const (
	// filesAtOnce is how many small data files are made at a time, and how many
	// are removed: most of what that takes is waiting for the store.
	filesAtOnce = 8
	// smallFile is up to how many bytes a data file is made in memory first.
	smallFile = 256 << 10
	// removeLimit bounds the removal of a failed run's files.
	removeLimit = 30 * time.Second
)

// write writes the run's rows into data files. After an error those begun so far
// are given with it: they are to be removed.
func (r *run) write(ctx context.Context, b *rows.Builder, columns []schema.Column) ([]table.DataFile, error) {
	if b.Len() == 0 {
		return nil, nil
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	create := func(_ context.Context, hour int64, n int) (io.WriteCloser, string, error) {
		p := table.DataPath(r.rep.Type, table.Partition{N: int(hour)}, r.id, n)
		return &output{ctx: gctx, fs: r.fs, path: p, behind: g}, p, gctx.Err()
	}
	written, err := b.WriteFiles(gctx, create, columns, rows.Layout{})
	if waited := g.Wait(); waited != nil {
		err = waited // what came of it otherwise is that its context ended
	}
	files := make([]table.DataFile, len(written))
	for i, f := range written {
		files[i] = table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats}
	}
	if err != nil {
		return files, fmt.Errorf("write rows of table %s: %w", r.rep.Type, err)
	}
	return files, nil
}

// output is a data file being written. A small one is made when it is whole, and
// while the next one is being written.
type output struct {
	ctx    context.Context
	fs     store.FS
	path   string
	behind *errgroup.Group
	buf    []byte
	file   store.File // nil: still a small one
}

func (o *output) Write(b []byte) (int, error) {
	if o.file == nil {
		if len(o.buf)+len(b) <= smallFile {
			o.buf = append(o.buf, b...)
			return len(b), nil
		}
		if err := o.begin(); err != nil {
			return 0, err
		}
	}
	return o.file.Write(b)
}

// begin creates the file and writes what came so far.
func (o *output) begin() (err error) {
	if o.file, err = o.fs.Create(o.ctx, o.path); err != nil {
		return fmt.Errorf("create data file %s: %w", o.path, err)
	}
	_, err = o.file.Write(o.buf)
	o.buf = nil
	return err
}

func (o *output) Close() error {
	if o.file != nil {
		return o.file.Close()
	}
	o.behind.Go(func() error { return guard(o.finish) })
	return nil
}

// finish makes a small file.
func (o *output) finish() error {
	err := o.begin()
	if o.file != nil {
		if closeErr := o.file.Close(); err == nil {
			err = closeErr
		}
	}
	if err != nil {
		return fmt.Errorf("write data file %s: %w", o.path, err)
	}
	return nil
}

// takeBack removes the files of a failed run; what is left expires.
func (r *run) takeBack(ctx context.Context, files []table.DataFile) {
	r.removeFiles(ctx, r.rep.Type, files)
}

// removeFiles takes back data files that are definitely not committed, also when ctx
// is done. What it can't remove is an orphan, which the job expire finds.
func (d *Demux) removeFiles(ctx context.Context, dataType string, files []table.DataFile) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	left := make([]error, len(files))
	var g errgroup.Group
	g.SetLimit(filesAtOnce)
	for i := range files {
		g.Go(func() error {
			left[i] = d.fs.Remove(ctx, files[i].Path)
			return nil
		})
	}
	_ = g.Wait() // it has none
	n := 0
	for _, err := range left {
		if err != nil {
			n++
		}
	}
	if n > 0 {
		d.orphaned.add(dataType)
		d.log.Warn("data files of a run that failed could not be removed; the job expire finds them",
			"type", dataType, "files", n, "error", errors.Join(left[:min(len(left), 3)]...))
	}
}
