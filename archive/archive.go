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
func Find(ctx context.Context, st store.FS, dataType string, id store.Segment) (*Found, error) {
	paths, err := Candidates(ctx, st, dataType, id)
	if err != nil {
		return nil, err
	}
	for _, p := range paths {
		index, err := Read(ctx, st, p)
		if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
			continue // what only it holds is not found
		}
		if err != nil {
			return nil, err
		}
		if part, ok := index.Part(string(id)); ok && len(index.Parts) > 0 {
			return &Found{p, index, part}, nil
		}
	}
	return nil, nil
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

// Doubles returns which files of one day of a data type are in regrouped files, too:
// a regrouping died before it removed them. Between that and its next time they count
// once for whoever adds up.
func Doubles(ctx context.Context, st store.FS, files []store.Info) (map[string]bool, error) {
	var out map[string]bool
	for _, f := range files {
		id := store.SegmentOf(f.Path)
		if !store.IsSink(f.Path) || !id.Regrouped() {
			continue
		}
		var index *chunk.Index
		for _, plain := range files {
			if !store.IsSink(plain.Path) || !id.MayHold(store.SegmentOf(plain.Path)) || store.SegmentOf(plain.Path).Regrouped() {
				continue
			}
			if index == nil {
				var err error
				if index, err = Read(ctx, st, f.Path); errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
					break
				} else if err != nil {
					return nil, err
				}
			}
			if _, in := index.Part(string(store.SegmentOf(plain.Path))); in {
				if out == nil {
					out = map[string]bool{}
				}
				out[plain.Path] = true
			}
		}
	}
	return out, nil
}
