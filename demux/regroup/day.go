package regroup

import (
	"bytes"
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
	doubled map[string]double
	groups  map[string]*group // that are being filled, by their schema
	target  int64             // bytes of a group
	held    int64             // bytes of files in memory
	unread  int               // files that could not be read now
	changed bool
}

// double is what a regrouped file has of a file that is there, too.
type double struct {
	index *chunk.Index
	part  chunk.Part
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
	var small, large []store.Info // files that may be regrouped, and those that are
	for _, f := range files {
		switch {
		case f.IsDir:
		case isLeft(f.Path):
			// Of a regrouping that died: no other one is at work beside this.
			if err := d.FS.Remove(ctx, f.Path); err != nil {
				return fmt.Errorf("remove %s: %w", f.Path, err)
			}
			d.changed = true
		case !store.IsSink(f.Path):
		case store.SegmentOf(f.Path).Regrouped():
			large = append(large, f)
		case f.Size < d.Limits.Small && !d.Skip.has(f):
			small = append(small, f)
		}
	}
	if err := d.findDoubles(ctx, small, large); err != nil {
		return err
	}
	least := 2
	if len(large) > 0 {
		least = d.Limits.Late
	}
	if len(small)-len(d.doubled) < least {
		small = slices.DeleteFunc(small, func(f store.Info) bool { return d.doubled[f.Path].index == nil })
	}
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

// findDoubles looks for files that a regrouped file has, too.
func (d *day) findDoubles(ctx context.Context, small, large []store.Info) error {
	d.doubled = map[string]double{}
	for _, l := range large {
		var index *chunk.Index
		for _, f := range small {
			if !store.SegmentOf(l.Path).MayHold(store.SegmentOf(f.Path)) {
				continue
			}
			if index == nil {
				var err error
				index, err = archive.Read(ctx, d.FS, l.Path)
				if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
					d.leave(l.Path, err)
					break
				}
				if err != nil {
					return err
				}
			}
			if part, ok := index.Part(string(store.SegmentOf(f.Path))); ok {
				d.doubled[f.Path] = double{index, part}
			}
		}
	}
	return nil
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
		twice, known := d.doubled[in.Path]
		switch {
		case errors.Is(in.err, fs.ErrNotExist):
			d.drop(in) // expired, or somebody took it
		case in.err != nil:
			if err := d.fault(in); err != nil {
				return err
			}
		case known && twice.index.Holds(twice.part, in.sink.Index.Blocks) == len(in.sink.Index.Blocks):
			doubles = append(doubles, in.Info)
			d.drop(in)
		case known:
			in.err = fmt.Errorf("%w: a regrouped file has other blocks under its name", chunk.ErrInvalid)
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
