package regroup

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

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// filesAtOnce is how many files are read or removed at a time, and readAhead of how
// many the indexes are read before they are put into groups.
const (
	filesAtOnce = 8
	readAhead   = 64
)

// day is the work on one day of a data type's archive.
type day struct {
	*run
	dir     string
	doubled map[string]*archive.Holder // by path of a file: the regrouped one that has it
	groups  map[string]*group          // that are being filled, by their schema
	target  int64                      // bytes of a group
	held    int64                      // bytes of files in memory
	unread  int                        // files that could not be read now
	changed bool
}

// input is a small file with its index read.
type input struct {
	store.Info
	sink *chunk.Sink
	data []byte // all of it, where it is kept in memory
	err  error
}

func (d *day) do(ctx context.Context) error {
	files, err := d.FS.List(ctx, d.dir)
	if err != nil {
		return err
	}
	if len(files) == 0 {
		d.rep.Empty = append(d.rep.Empty, d.dir)
		return nil
	}
	var sinks, small []store.Info // small ones may be regrouped, also once more
	regrouped := false
	for _, f := range files {
		switch {
		case f.IsDir:
		case isLeft(f.Path):
			// Of a regrouping that died: no other one is at work beside this.
			if err := d.FS.Remove(ctx, f.Path); err != nil {
				return fmt.Errorf("remove %s: %w", f.Path, err)
			}
			d.changed = true
		case store.IsSink(f.Path):
			regrouped = regrouped || store.SegmentOf(f.Path).Regrouped()
			sinks = append(sinks, f)
			if f.Size < d.Limits.Small && !d.Skip.has(f) {
				small = append(small, f)
			}
		}
	}
	unread := func(p string, err error) {
		if _, told := d.Skip.files[p]; !told {
			d.leave(p, err)
		}
	}
	if d.doubled, err = archive.Doubles(ctx, d.FS, sinks, unread); err != nil {
		return err
	}
	small = d.due(small, regrouped)
	total := int64(0)
	for _, f := range small {
		total += f.Size
	}
	d.tell(0, total)
	groups := max(1, (total+d.Limits.Bytes-1)/d.Limits.Bytes)
	d.target = (total + groups - 1) / groups
	d.groups = map[string]*group{}
	for len(small) > 0 && !d.enough() {
		batch := small[:min(len(small), readAhead)]
		small = small[len(batch):]
		if err := d.take(ctx, batch); err != nil {
			return err
		}
	}
	for _, g := range d.groups {
		if err := d.merge(ctx, g); err != nil {
			return err
		}
	}
	return nil
}

// isLeft reports whether a file is a temporary one of a regrouping.
func isLeft(p string) bool {
	name := path.Base(p)
	id, _, ok := strings.Cut(strings.TrimPrefix(name, "_"), store.SinkExt+".")
	return ok && strings.HasPrefix(name, "_") && strings.HasSuffix(name, ".tmp") && store.Segment(id).Regrouped()
}

// due returns which of a day's small files are looked at: doubles, and those that are
// put together now, all of them the first time. Later they wait until they are some,
// and a regrouped file among them until the others are as many bytes: so a byte is
// copied a few times, and few files stay, whatever comes late.
func (d *day) due(small []store.Info, late bool) []store.Info {
	doubles, others := []store.Info{}, []store.Info{}
	for _, f := range small {
		if d.doubled[f.Path] != nil {
			doubles = append(doubles, f)
		} else {
			others = append(others, f)
		}
	}
	n := len(others)
	if late {
		slices.SortStableFunc(others, func(a, b store.Info) int { return cmp.Compare(a.Size, b.Size) })
		n = 0
		smaller := int64(0)
		for i, f := range others {
			if i+1 >= d.Limits.Late && smaller >= f.Size {
				n = i + 1
			}
			smaller += f.Size
		}
	}
	if n < 2 {
		n = 0
	}
	due := append(doubles, others[:n]...)
	slices.SortFunc(due, func(a, b store.Info) int { return strings.Compare(a.Path, b.Path) })
	return due
}

// take puts files into groups, and merges those that are full.
func (d *day) take(ctx context.Context, files []store.Info) error {
	inputs := make([]*input, len(files))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(filesAtOnce)
	for i, f := range files {
		keep := f.Size <= d.Limits.Held-d.held
		if keep {
			d.held += f.Size
		}
		g.Go(func() error {
			inputs[i] = d.read(gctx, f, keep)
			return gctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var doubles []store.Info
	for _, in := range inputs {
		twice := d.doubled[in.Path]
		switch {
		case errors.Is(in.err, fs.ErrNotExist):
			d.drop(in) // expired, or somebody took it
		case in.err != nil:
			if err := d.fault(in); err != nil {
				return err
			}
		case twice != nil && twice.Holds(&in.sink.Index):
			doubles = append(doubles, in.Info)
			d.drop(in)
		case twice != nil:
			in.err = fmt.Errorf("%w: a regrouped file has other blocks of its segment", chunk.ErrInvalid)
			if err := d.fault(in); err != nil {
				return err
			}
		default:
			if err := d.add(ctx, in); err != nil {
				return err
			}
		}
	}
	n, err := d.remove(ctx, doubles)
	d.rep.Doubles += n
	return err
}

// read reads the index of a file, and all of it where it is to be kept.
func (d *day) read(ctx context.Context, f store.Info, keep bool) *input {
	in := &input{Info: f}
	r, err := d.FS.Open(ctx, f.Path)
	if err != nil {
		in.err = err
		return in
	}
	defer r.Close()
	from := io.ReaderAt(r)
	if keep {
		data := make([]byte, min(r.Size(), f.Size))
		n, err := r.ReadAt(data, 0)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			in.err = err
			return in
		}
		in.data = data[:n]
		from = bytes.NewReader(in.data)
	}
	if in.sink, in.err = chunk.ReadSink(from, r.Size()); in.err != nil {
		return in
	}
	if in.err = archive.Check(in.sink, f.Path); in.err == nil {
		in.err = in.sink.CheckSchema()
	}
	return in
}

// drop forgets a file's bytes: it is done with.
func (d *day) drop(in *input) {
	if in.data != nil {
		d.held -= in.Size
		in.data = nil
	}
	d.run.tell(in.Size, 0)
}

// fault leaves a file as it is that is damaged, or that can't be read now.
func (d *day) fault(in *input) error {
	d.drop(in)
	d.leave(in.Path, in.err)
	if errors.Is(in.err, chunk.ErrInvalid) {
		d.Skip.files[in.Path] = in.Info
		return nil
	}
	if d.unread++; d.unread >= maxUnread {
		return fmt.Errorf("%d archived sink files can't be read, such as %s: %w", d.unread, in.Path, in.err)
	}
	return nil
}

// remove removes files that a regrouped file has, if they are the same still, and
// returns how many.
func (d *day) remove(ctx context.Context, files []store.Info) (n int, err error) {
	if len(files) == 0 {
		return 0, nil
	}
	d.changed = true
	list, err := d.FS.List(ctx, d.dir)
	if err != nil {
		return 0, err
	}
	now := make(map[string]store.Info, len(list))
	for _, f := range list {
		now[f.Path] = f
	}
	var g errgroup.Group // that one can't be removed keeps no other
	g.SetLimit(filesAtOnce)
	for _, f := range files {
		if !same(now[f.Path], f) {
			continue // sent again meanwhile: the next time looks at it
		}
		n++
		g.Go(func() error {
			if err := d.FS.Remove(ctx, f.Path); err != nil {
				return fmt.Errorf("remove %s: %w", f.Path, err)
			}
			return nil
		})
	}
	return n, g.Wait()
}
