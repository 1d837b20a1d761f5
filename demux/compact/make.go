package compact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows/merge"
	"github.com/akupara/akupara/demux/table"
)

// merge makes the files of a batch: one, where its files are all alike.
func (s *doing) merge(ctx context.Context, b batch) error {
	infos, err := s.footers(ctx, b.files)
	if err != nil {
		return err
	}
	told := batch{level: b.level, part: b.part}
	silent := told
	for i, f := range b.files {
		switch {
		case infos[i] == nil: // damaged or missing
		case infos[i].Ranges == nil:
			silent.add(f)
		default:
			told.add(f)
		}
	}
	if len(silent.files) == 1 {
		s.skip(silent.files[0].Path) // there may never be another one
	}
	by := map[string]*datafile.Footer{}
	for i, f := range b.files {
		by[f.Path] = infos[i]
	}
	for _, part := range []batch{told, silent} {
		if err := s.make(ctx, part, by); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) add(f table.File) {
	b.files = append(b.files, f)
	b.bytes += f.Size
}

func (b *batch) without(path string) batch {
	out := batch{level: b.level, part: b.part}
	for _, f := range b.files {
		if f.Path != path {
			out.add(f)
		}
	}
	return out
}

// make makes one file of a batch. What turns out to be damaged on the way is left
// out, and the others are merged without it.
func (s *doing) make(ctx context.Context, b batch, infos map[string]*datafile.Footer) error {
	for len(b.files) >= 2 {
		err := s.one(ctx, b, infos)
		if err == nil {
			return nil
		}
		var in *merge.InputError
		switch {
		case errors.As(err, &in) && errors.Is(err, datafile.ErrDamaged):
			s.fault(in.Path, in.Err)
			b = b.without(in.Path)
		case errors.Is(err, merge.ErrRanges) && len(b.files) > 3:
			half := len(b.files) / 2
			for _, files := range [][]table.File{b.files[:half], b.files[half:]} {
				part := batch{level: fresh, part: b.part}
				for _, f := range files {
					part.add(f)
				}
				if err := s.make(ctx, part, infos); err != nil {
					return err
				}
			}
			return nil
		case errors.Is(err, merge.ErrRanges):
			for _, f := range b.files {
				s.skip(f.Path)
			}
			return nil
		case errors.Is(err, merge.ErrProgram):
			// It would be met again each time; others go on.
			for _, f := range b.files {
				s.skip(f.Path)
			}
			s.fault(b.files[0].Path, fmt.Errorf("merge it and %d others: %w", len(b.files)-1, err))
			return nil
		default:
			return err
		}
	}
	return nil
}

func (s *doing) skip(path string) { s.out.Skip = append(s.out.Skip, path) }

func (s *doing) fault(path string, err error) {
	s.skip(path)
	s.out.Faults = append(s.out.Faults, Fault{path, err.Error()})
}

// footersAtOnce is how many footers are read at a time.
const footersAtOnce = 8

// footers reads what the files say of themselves; nil for those that are damaged
// or missing.
func (s *doing) footers(ctx context.Context, files []table.File) ([]*datafile.Footer, error) {
	infos := make([]*datafile.Footer, len(files))
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for i, f := range files {
		g.Go(func() error {
			info, err := datafile.ReadFooter(gctx, s.fs, f.Path)
			if err == nil && info.Stats.Records != f.Records {
				err = fmt.Errorf("%w: it has %d rows, the table says %d", datafile.ErrDamaged, info.Stats.Records, f.Records)
			}
			missing := errors.Is(err, fs.ErrNotExist)
			if missing {
				if err := s.swept(gctx); err != nil {
					return err
				}
			}
			if missing || errors.Is(err, datafile.ErrDamaged) {
				mu.Lock()
				defer mu.Unlock()
				s.fault(f.Path, err)
				return nil
			}
			infos[i] = info
			return err
		})
	}
	return infos, g.Wait()
}

// union returns what all of the files cover; nil where they don't say. twice is a
// file that covers what one before it does, too.
func union(files []table.File, infos map[string]*datafile.Footer) (set coverage.Set, twice string) {
	if infos[files[0].Path].Ranges == nil {
		return nil, ""
	}
	set = coverage.Set{}
	for _, f := range files {
		for id, st := range infos[f.Path].Ranges {
			to := set.Stream(id, st.Host, st.Source)
			for _, r := range st.Ranges {
				if to.Ranges.Overlaps(r) {
					return nil, f.Path
				}
			}
			to.Ranges = to.Ranges.AddAll(st.Ranges)
		}
	}
	return set, ""
}

// one makes one file of all files of the batch, and checks it.
func (s *doing) one(ctx context.Context, b batch, infos map[string]*datafile.Footer) error {
	ranges, twice := union(b.files, infos)
	if twice != "" {
		return &merge.InputError{Path: twice, Err: fmt.Errorf("data file %s is %w: it covers what another file does, too", twice, datafile.ErrDamaged)}
	}
	var inputs []merge.Input
	for _, f := range b.files {
		inputs = append(inputs, merge.Input{Path: f.Path, MinTS: f.MinTS.UnixMicro(), Size: f.Size, Open: func(ctx context.Context, memory []byte) (*datafile.File, error) {
			return datafile.Open(ctx, s.fs, f.Path, infos[f.Path], memory)
		}})
	}
	path := table.DataPath(s.step.Type, b.part, s.id+"-"+levelNames[b.level], s.n)
	s.n++
	out := made{file: table.DataFile{Path: path, Partition: b.part}, of: b.files}
	res, err := s.write(ctx, path, inputs, merge.Options{Columns: s.step.Columns, Ranges: ranges, Bloom: s.step.Bloom})
	if err == nil {
		out.file.Stats = res.Stats
		err = s.check(ctx, &out, res, ranges, infos)
	}
	if err != nil {
		Discard(ctx, s.fs, Outcome{Made: []Made{{File: out.file}}})
		return err
	}
	m := Made{File: out.file}
	for _, f := range b.files {
		m.Of = append(m.Of, f.Path)
	}
	s.out.Made = append(s.out.Made, m)
	return nil
}

// write writes the merged file.
func (s *doing) write(ctx context.Context, path string, inputs []merge.Input, o merge.Options) (merge.Result, error) {
	w, err := s.fs.Create(ctx, path)
	if err != nil {
		return merge.Result{}, fmt.Errorf("create data file %s: %w", path, err)
	}
	res, err := s.merger.Merge(ctx, w, path, inputs, o)
	if closeErr := w.Close(); err == nil && closeErr != nil {
		err = fmt.Errorf("close data file %s: %w", path, closeErr)
	}
	return res, err
}

// check reads the new file back, and compares it with what it was made of: all
// its bytes with its checksums, the number of rows, of each column's values, what
// it covers, and a checksum of the rows' (stream, seq). What it takes the place of
// will be removed.
func (s *doing) check(ctx context.Context, m *made, res merge.Result, ranges coverage.Set, infos map[string]*datafile.Footer) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: merged data file %s: %s", merge.ErrProgram, m.file.Path, fmt.Sprintf(format, args...))
	}
	f, err := datafile.Open(ctx, s.fs, m.file.Path, nil, nil)
	if err != nil {
		return fmt.Errorf("read back what was merged: %w", err)
	}
	defer f.Close()
	records := int64(0)
	for _, in := range m.of {
		records += in.Records
	}
	if f.Stats.Records != records || res.Rows != records || res.Stats.Records != records {
		return wrong("it has %d rows, should have %d", f.Stats.Records, records)
	}
	sum, err := s.merger.Sum(ctx, m.file.Path, f)
	if err != nil {
		return err
	}
	if sum != res.Sum {
		return wrong("its rows are others than those of the files that it was made of")
	}
	want := map[int]int64{}
	for _, in := range m.of {
		for _, c := range infos[in.Path].Stats.Columns {
			want[c.ID] += c.Values - c.Nulls
		}
	}
	for _, c := range f.Stats.Columns {
		if got := c.Values - c.Nulls; got != want[c.ID] {
			return wrong("column %d has %d values, should have %d", c.ID, got, want[c.ID])
		}
	}
	for id, st := range ranges {
		if has := f.Ranges[id]; has == nil || has.Ranges.Len() != st.Ranges.Len() {
			return wrong("it says that it covers other bytes of stream %s", id)
		}
	}
	if (ranges == nil) != (f.Ranges == nil) || len(f.Ranges) != len(ranges) {
		return wrong("it says that it covers %d streams, should be %d", len(f.Ranges), len(ranges))
	}
	return nil
}
