// Package archive finds archived sink files, on their own or regrouped: a regrouped
// file took the place of others of its data type and day, and lists their segments.
package archive

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// MinAge is how long ago a day must have ended before its files are regrouped:
// nobody looks for regrouped files of younger days, so that what is asked of new
// segments costs no listing. It leaves half a day for clocks that differ.
const (
	MinAge  = 24 * time.Hour
	lookAge = MinAge / 2
)

// Ended is how long ago the day ended whose folder, in archive/ or raw/, has the
// name. ok is false where it is no day's.
func Ended(name string, now time.Time) (ago time.Duration, ok bool) {
	day, err := time.Parse(time.DateOnly, name)
	return now.Sub(day.AddDate(0, 0, 1)), err == nil
}

// Day is the folder of a data type's archive that a segment belongs to.
func Day(dataType string, id store.Segment) string {
	return path.Dir(store.SinkPath(store.Archive, dataType, id))
}

// Found is a segment in a regrouped file.
type Found struct {
	Path  string
	Index *chunk.Index
	Part  chunk.Part
}

// Find looks for the regrouped file that holds a segment; nil says that there is
// none. It is asked when the segment has no file of its own.
func Find(ctx context.Context, st store.FS, dataType string, id store.Segment) (found *Found, err error) {
	list := func() ([]string, error) { return Candidates(ctx, st, dataType, id) }
	err = Among(id, list, func(p string) (bool, error) {
		index, err := Read(ctx, st, p)
		if errors.Is(err, chunk.ErrInvalid) {
			return false, nil // what only it holds is not found
		}
		if err != nil {
			return false, err
		}
		part, ok := index.Part(string(id))
		if ok = ok && len(index.Parts) > 0; ok {
			found = &Found{p, index, part}
		}
		return ok, nil
	})
	return found, err
}

// Among calls look with the regrouped files of a list that may hold a segment, until one
// does. A file may be gone, as fs.ErrNotExist says: another one took its place, or it
// expired. Then they are listed anew, until none goes that was not gone before.
func Among(id store.Segment, list func() ([]string, error), look func(p string) (holds bool, err error)) error {
	for gone := map[string]bool{}; ; {
		paths, err := list()
		if err != nil {
			return err
		}
		again := false
		for _, p := range paths {
			if !store.SegmentOf(p).MayHold(id) {
				continue
			}
			holds, err := look(p)
			if errors.Is(err, fs.ErrNotExist) {
				again = again || !gone[p]
				gone[p] = true
			} else if err != nil || holds {
				return err
			}
		}
		if !again {
			return nil
		}
	}
}

// Candidates lists the regrouped files that may hold a segment.
func Candidates(ctx context.Context, st store.FS, dataType string, id store.Segment) (paths []string, err error) {
	if !Old(id, time.Now()) {
		return nil, nil
	}
	paths, err = Regrouped(ctx, st, Day(dataType, id))
	return slices.DeleteFunc(paths, func(p string) bool { return !store.SegmentOf(p).MayHold(id) }), err
}

// Old reports whether a segment's file may have been regrouped, by its day.
func Old(id store.Segment, now time.Time) bool {
	ago, ok := Ended(path.Base(Day("", id)), now)
	return ok && ago >= lookAge
}

// Regrouped lists the regrouped files in a day's folder.
func Regrouped(ctx context.Context, st store.FS, day string) (paths []string, err error) {
	files, err := st.List(ctx, day)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", day, err)
	}
	for _, f := range files {
		if store.IsSink(f.Path) && store.SegmentOf(f.Path).Regrouped() {
			paths = append(paths, f.Path)
		}
	}
	return paths, nil
}

// Read reads the index of a sink file. chunk.ErrInvalid says that the file is damaged,
// or another's in its place.
func Read(ctx context.Context, st store.FS, p string) (*chunk.Index, error) {
	r, err := st.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open sink file %s: %w", p, err)
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err == nil {
		err = Check(sink, p)
	}
	if err != nil {
		return nil, fmt.Errorf("read sink file %s: %w", p, err)
	}
	return &sink.Index, nil
}

// Check makes sure that a sink file is whole, and that its place is its own.
func Check(sink *chunk.Sink, p string) error {
	switch dataType := path.Base(path.Dir(path.Dir(p))); {
	case sink.Damage != nil:
		return sink.Damage
	case sink.Index.Type != dataType:
		return fmt.Errorf("%w: it is of type %s", chunk.ErrInvalid, sink.Index.Type)
	case sink.Index.Segment != string(store.SegmentOf(p)):
		return fmt.Errorf("%w: it is segment %s in another's place", chunk.ErrInvalid, sink.Index.Segment)
	}
	return nil
}

// Doubles returns which files of one day of a data type are in regrouped files, too,
// as far as names tell, each with the one that has it: a regrouping died before it
// removed them. Between that and its next time they count once for whoever
// adds up. unread is told of regrouped files that are damaged or gone.
func Doubles(ctx context.Context, st store.FS, files []store.Info, unread func(p string, err error)) (map[string]*Holder, error) {
	d := doubles{ctx: ctx, st: st, unread: unread, parts: map[string][]chunk.Part{}}
	out := map[string]*Holder{}
	for _, f := range files {
		if id := store.SegmentOf(f.Path); store.IsSink(f.Path) && id.Regrouped() {
			others := slices.DeleteFunc(slices.Clone(files), func(o store.Info) bool {
				return o.Path == f.Path || out[o.Path] != nil || !store.IsSink(o.Path) || !id.MayHold(store.SegmentOf(o.Path))
			})
			if err := d.find(f.Path, others, out); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// Holder is a regrouped file that has others.
type Holder struct {
	index *chunk.Index
	parts map[string]chunk.Part // by segment
}

// Holds reports whether it has all of a file, block by block.
func (h *Holder) Holds(of *chunk.Index) bool {
	return !slices.ContainsFunc(of.AllParts(), func(p chunk.Part) bool {
		in, ok := h.parts[p.Segment]
		return !ok || h.index.Holds(in, of.Blocks[p.First:p.First+p.Blocks]) < p.Blocks
	})
}

// doubles is one search for them.
type doubles struct {
	ctx    context.Context
	st     store.FS
	unread func(p string, err error)
	parts  map[string][]chunk.Part // of regrouped files that were read
}

// find adds to out those of some files that are in a regrouped one.
func (d *doubles) find(in string, files []store.Info, out map[string]*Holder) error {
	if len(files) == 0 {
		return nil
	}
	index, err := d.read(in)
	if index == nil || err != nil {
		return err
	}
	h := &Holder{index, make(map[string]chunk.Part, len(index.Parts))}
	for _, p := range index.Parts {
		h.parts[p.Segment] = p
	}
	lacks := func(p chunk.Part) bool {
		_, has := h.parts[p.Segment]
		return !has
	}
	for _, f := range files {
		id := store.SegmentOf(f.Path)
		if !id.Regrouped() {
			if !lacks(chunk.Part{Segment: string(id)}) {
				out[f.Path] = h
			}
			continue
		}
		if _, known := d.parts[f.Path]; !known {
			if _, err := d.read(f.Path); err != nil {
				return err
			}
		}
		parts := d.parts[f.Path]
		// Of two that have the same, one is the other's double.
		less := len(parts) < len(index.Parts) || f.Path > in
		if len(parts) > 0 && less && !slices.ContainsFunc(parts, lacks) {
			out[f.Path] = h
		}
	}
	return nil
}

// read reads the index of a regrouped file, nil where it is damaged or gone.
func (d *doubles) read(p string) (*chunk.Index, error) {
	if parts, known := d.parts[p]; known && parts == nil {
		return nil, nil
	}
	index, err := Read(d.ctx, d.st, p)
	if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		d.parts[p] = nil
		d.unread(p, err)
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	d.parts[p] = index.Parts
	return index, nil
}
