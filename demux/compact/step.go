package compact

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// Away is where the tasks of large steps are done, instead of this process.
type Away struct {
	// Do does tasks, side by side, as a Doer does. It returns what came of them in
	// their order, nil for those that failed, also beside an error.
	Do func(ctx context.Context, s Step, tasks []Task) ([]*Outcome, error)
	// LeastBytes of data files are worth it. StepBytes is how much one commit
	// replaces, about.
	LeastBytes, StepBytes int64
}

// runner is one Run.
type runner struct {
	Options
	rep  Report
	doer *Doer // of tasks that are done here; nil before the first
	read int64 // bytes
	due  int64 // bytes, with those that were read
}

func (r *runner) close() {
	if r.doer != nil {
		r.doer.Close()
	}
}

const (
	stepBytes   = 256 << 20
	stepBatches = 64
	// awayBatches bounds what one commit replaces that is merged elsewhere.
	awayBatches = 2048
)

// next parts what one commit is to have from the rest.
func (r *runner) next(due []batch) (now, rest []batch) {
	most, batches := int64(stepBytes), stepBatches
	if r.large(due) {
		most, batches = r.Away.StepBytes, awayBatches
	}
	size := int64(0)
	for i, b := range due {
		if i > 0 && (size+b.bytes > most || i >= batches) {
			return due[:i], due[i:]
		}
		size += b.bytes
	}
	return due, nil
}

// large reports whether some batches are to be merged elsewhere.
func (r *runner) large(batches []batch) bool {
	return r.Away != nil && bytesOf(batches) >= r.Away.LeastBytes
}

// made is a file that is to take the place of others.
type made struct {
	file  table.DataFile
	of    []table.File
	bytes int64 // of them
}

// stage is a step while its files are made.
type stage struct {
	*runner
	step Step
	made []made
}

// step merges some batches and commits what comes of them, also where some of them
// fail. They were planned from the given version of the table.
func (r *runner) step(ctx context.Context, version int, batches []batch) error {
	t, err := table.Open(ctx, r.FS, r.BaseURI, r.Type)
	if err != nil {
		return err
	}
	s := &stage{runner: r, step: Step{
		Type: r.Type, ID: fmt.Sprintf("%08d-%s", t.Version()+1, store.NewID()), // as runs of the demux have it
		Version: version, Columns: t.Columns(), Bloom: t.Named(r.Bloom),
	}}
	do := s.here
	if r.large(batches) {
		do = s.away
	}
	failed := do(ctx, batches)
	if ctx.Err() != nil {
		s.remove(ctx, s.made)
		return errors.Join(failed, ctx.Err())
	}
	if err := s.commit(ctx); err != nil {
		return errors.Join(failed, err)
	}
	return failed
}

// here merges batches in this process.
func (s *stage) here(ctx context.Context, batches []batch) (err error) {
	if s.doer == nil {
		if s.doer, err = NewDoer(s.FS, s.BaseURI); err != nil {
			return err
		}
	}
	for _, b := range batches {
		out, err := s.doer.Do(ctx, s.step, b.task())
		if err != nil {
			return err
		}
		if err := s.take(ctx, b, out); err != nil {
			return err
		}
		s.progress(b.bytes)
	}
	return nil
}

func (s *stage) progress(n int64) {
	s.read += n
	s.due = max(s.due, s.read)
	if s.Progress != nil {
		s.Progress(s.read, s.due)
	}
}

// away has batches merged elsewhere.
func (s *stage) away(ctx context.Context, batches []batch) error {
	tasks := make([]Task, len(batches))
	for i := range batches {
		tasks[i] = batches[i].task()
	}
	outcomes, err := s.Away.Do(ctx, s.step, tasks)
	for i, o := range outcomes {
		if o == nil || i >= len(batches) {
			continue
		}
		if bad := s.take(ctx, batches[i], *o); bad != nil {
			err = errors.Join(err, bad)
		}
	}
	if ctx.Err() == nil {
		err = errors.Join(err, s.verify(ctx))
	}
	s.progress(bytesOf(batches))
	return err
}

// take notes what came of a batch.
func (s *stage) take(ctx context.Context, b batch, o Outcome) error {
	left := map[string]table.File{}
	for _, f := range b.files {
		left[f.Path] = f
	}
	var list []made
	for _, m := range o.Made {
		x := made{file: m.File}
		for _, p := range m.Of {
			f, ok := left[p]
			if !ok {
				Discard(ctx, s.FS, o)
				return fmt.Errorf("data file %s is said to be made of %s, which it can't be", m.File.Path, p)
			}
			delete(left, p)
			x.of = append(x.of, f)
			x.bytes += f.Size
		}
		list = append(list, x)
	}
	s.made = append(s.made, list...)
	for _, p := range o.Skip {
		s.Skip.add(p)
	}
	s.rep.Faults = append(s.rep.Faults, o.Faults...)
	return nil
}

// verify makes sure that the files which were made elsewhere are there, with as many
// rows as those that they take the place of. Who made them has compared all the rest.
func (s *stage) verify(ctx context.Context) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for _, m := range s.made {
		g.Go(func() error {
			info, err := datafile.Read(gctx, s.FS, m.file.Path)
			if err != nil {
				return fmt.Errorf("read back what was merged: %w", err)
			}
			want := int64(0)
			for _, f := range m.of {
				want += f.Records
			}
			if info.Stats.Records != want || m.file.Stats.Records != want || info.Stats.Size != m.file.Stats.Size {
				return fmt.Errorf("merged data file %s has %d rows and %d bytes, want %d and %d",
					m.file.Path, info.Stats.Records, info.Stats.Size, want, m.file.Stats.Size)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		s.remove(ctx, s.made)
		s.made = nil
		return err
	}
	return nil
}

// remove takes back files that are certainly in no version, also when ctx is done.
func (s *stage) remove(ctx context.Context, files []made) {
	var o Outcome
	for _, m := range files {
		o.Made = append(o.Made, Made{File: m.file})
	}
	Discard(ctx, s.FS, o)
}
