package compact

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows/merge"
	"github.com/akupara/akupara/demux/table"
)

// runner is one Run.
type runner struct {
	Options
	rep    Report
	merger *merge.Merger
	read   int64 // bytes
	due    int64 // bytes, with those that were read
}

func (r *runner) close() {
	if r.merger != nil {
		r.merger.Close()
	}
}

// made is a file that is to take the place of others.
type made struct {
	file  table.DataFile
	of    []table.File
	bytes int64 // of them
}

// step merges some batches and commits what comes of them. They were planned from
// the given version of the table.
func (r *runner) step(ctx context.Context, version int, batches []batch) (err error) {
	if r.merger == nil {
		if r.merger, err = merge.New(); err != nil {
			return err
		}
	}
	t, err := table.Open(ctx, r.FS, r.BaseURI, r.Type)
	if err != nil {
		return err
	}
	s := &stage{runner: r, table: t, planned: version, id: newID(t)}
	for _, b := range batches {
		if err := s.merge(ctx, b); err != nil {
			s.remove(ctx, s.made)
			if errors.Is(err, fs.ErrNotExist) {
				err = cmp.Or(s.swept(ctx), err)
			}
			return err
		}
		r.read += b.bytes
		r.due = max(r.due, r.read)
		if r.Progress != nil {
			r.Progress(r.read, r.due)
		}
	}
	return s.commit(ctx)
}

// newID makes the id of a step planned from t, as runs of the demux have it.
func newID(t *table.Table) string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%08d-%s", t.Version()+1, hex.EncodeToString(b[:]))
}

// stage is a step while its files are made.
type stage struct {
	*runner
	table   *table.Table
	planned int // version
	id      string
	made    []made
	n       int // files that were begun
}

// swept fails with ErrConflict where a sweep has come since the step was planned: it
// may have removed files that another compaction replaced, and those of the step.
func (s *stage) swept(ctx context.Context) error {
	t, err := table.Open(ctx, s.FS, s.BaseURI, s.Type)
	if err != nil {
		return err
	}
	if t.Swept() > s.planned {
		return fmt.Errorf("%w: a sweep has removed files since version %d", table.ErrConflict, s.planned)
	}
	return nil
}

// merge makes the files of a batch: one, where its files are all alike.
func (s *stage) merge(ctx context.Context, b batch) error {
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
		s.Skip.add(silent.files[0].Path) // there may never be another one
	}
	by := map[string]*datafile.Info{}
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
func (s *stage) make(ctx context.Context, b batch, infos map[string]*datafile.Info) error {
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
				s.Skip.add(f.Path)
			}
			return nil
		case errors.Is(err, merge.ErrProgram):
			// It would be met again each time; others go on.
			for _, f := range b.files {
				s.Skip.add(f.Path)
			}
			s.fault(b.files[0].Path, fmt.Errorf("merge it and %d others: %w", len(b.files)-1, err))
			return nil
		default:
			return err
		}
	}
	return nil
}

func (s *stage) fault(path string, err error) {
	s.Skip.add(path)
	s.rep.Faults = append(s.rep.Faults, Fault{path, err.Error()})
}

// footersAtOnce is how many footers are read at a time.
const footersAtOnce = 8

// footers reads what the files say of themselves; nil for those that are damaged
// or missing.
func (s *stage) footers(ctx context.Context, files []table.File) ([]*datafile.Info, error) {
	infos := make([]*datafile.Info, len(files))
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for i, f := range files {
		g.Go(func() error {
			info, err := datafile.Read(gctx, s.FS, f.Path)
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
func union(files []table.File, infos map[string]*datafile.Info) (set coverage.Set, twice string) {
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
func (s *stage) one(ctx context.Context, b batch, infos map[string]*datafile.Info) error {
	ranges, twice := union(b.files, infos)
	if twice != "" {
		return &merge.InputError{Path: twice, Err: fmt.Errorf("data file %s is %w: it covers what another file does, too", twice, datafile.ErrDamaged)}
	}
	var inputs []merge.Input
	for _, f := range b.files {
		inputs = append(inputs, merge.Input{Path: f.Path, MinTS: f.MinTS.UnixMicro(), Open: func(ctx context.Context) (*datafile.File, error) {
			return datafile.Open(ctx, s.FS, f.Path)
		}})
	}
	path := table.DataPath(s.Type, b.part, s.id+"-"+levelNames[b.level], s.n)
	s.n++
	out := made{file: table.DataFile{Path: path, Partition: b.part}, of: b.files, bytes: b.bytes}
	res, err := s.write(ctx, path, inputs, merge.Options{Columns: s.table.Columns(), Ranges: ranges, Bloom: s.table.Named(s.Bloom)})
	if err == nil {
		out.file.Stats = res.Stats
		err = s.check(ctx, &out, res, ranges, infos)
	}
	if err != nil {
		s.remove(ctx, []made{out})
		return err
	}
	s.made = append(s.made, out)
	return nil
}

// write writes the merged file.
func (s *stage) write(ctx context.Context, path string, inputs []merge.Input, o merge.Options) (merge.Result, error) {
	w, err := s.FS.Create(ctx, path)
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
func (s *stage) check(ctx context.Context, m *made, res merge.Result, ranges coverage.Set, infos map[string]*datafile.Info) error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: merged data file %s: %s", merge.ErrProgram, m.file.Path, fmt.Sprintf(format, args...))
	}
	f, err := datafile.Open(ctx, s.FS, m.file.Path)
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

// removeLimit bounds the removal of files that were made for nothing.
const removeLimit = 30 * time.Second

// remove takes back files that are certainly in no version, also when ctx is done.
// What it can't remove is an orphan, which a sweep finds.
func (s *stage) remove(ctx context.Context, files []made) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), removeLimit)
	defer cancel()
	for _, m := range files {
		_ = s.FS.Remove(ctx, m.file.Path)
	}
}
