package audit

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
)

// held is what the data files of a table say that their rows cover. A data file
// never changes, so what it said once need not be asked again.
type held struct {
	// told are the files that say what their rows cover, and plain those that
	// don't, because an older version wrote them or it was too much to say. Both
	// by path, with their sizes.
	told, plain map[string]int64
	// files and ranges are what the rows of told cover: sorted files, in which most
	// of it is, and what came since.
	files  []*sortedFile
	ranges coverage.Set
	// hulls are, of each stream in plain, the offsets from its first row to behind
	// its last one.
	hulls coverage.Set

	dir     string                   // where files are made
	size    int                      // of ranges, in ranges
	pending map[string][]chunk.Range // to be added to ranges
	waiting int                      // of them
	twice   map[string]chunk.Ranges  // what two files have, by stream
	fresh   bool                     // there is something that is not remembered
}

func newHeld(dir string) *held {
	return &held{
		told: map[string]int64{}, plain: map[string]int64{}, ranges: coverage.Set{}, hulls: coverage.Set{}, dir: dir,
		pending: map[string][]chunk.Range{}, twice: map[string]chunk.Ranges{},
	}
}

// maxPending bounds the ranges that are kept to be added together: adding is
// linear in what a stream has.
const maxPending = 1 << 18

// maxStreams and maxRanges bound what is in memory of a table's data files.
const (
	maxStreams = 1 << 18
	maxRanges  = 1 << 21
)

// add takes in what one file covers.
func (h *held) add(set coverage.Set) {
	h.fresh = true
	for id, st := range set {
		h.ranges.Stream(id, st.Host, st.Source)
		h.pending[id] = append(h.pending[id], st.Ranges...)
		h.waiting += len(st.Ranges)
	}
	if h.waiting > maxPending || len(h.ranges) > maxStreams {
		h.flush()
	}
	if len(h.ranges) > maxStreams || h.size > maxRanges {
		h.spill()
	}
}

// flush adds what is pending, and notes what is there twice.
func (h *held) flush() {
	for id, list := range h.pending {
		slices.SortFunc(list, func(a, b chunk.Range) int { return cmp.Compare(a.First, b.First) })
		st := h.ranges[id]
		var all chunk.Ranges
		for _, r := range list {
			var both chunk.Ranges
			if n := len(all); n > 0 && r.First < all[n-1].Last {
				both = both.Add(r.Intersect(all[n-1]))
			}
			if n := len(all); n > 0 && r.First <= all[n-1].Last {
				all[n-1].Last = max(all[n-1].Last, r.Last)
			} else {
				all = append(all, r)
			}
			h.doubled(id, both.AddAll(st.Ranges.Covered(r)))
		}
		h.size -= len(st.Ranges)
		st.Ranges = st.Ranges.AddAll(all)
		h.size += len(st.Ranges)
	}
	clear(h.pending)
	h.waiting = 0
}

func (h *held) doubled(id string, ranges chunk.Ranges) {
	if len(ranges) > 0 {
		h.twice[id] = h.twice[id].AddAll(ranges)
	}
}

// knows reports whether the file was looked at.
func (h *held) knows(f table.File) bool {
	size, known := h.told[f.Path]
	if !known {
		size, known = h.plain[f.Path]
	}
	return known && size == f.Size
}

// readFooter is how an audit looks at a data file that it has not seen.
func (a *auditor) readFooter(ctx context.Context, f table.File) (*datafile.Info, error) {
	return datafile.Read(ctx, a.fs, f.Path)
}

// footersAtOnce is how many data files are looked at at a time.
const footersAtOnce = 8

// footers reads what these files say of themselves, and reports whether some of
// them don't say what their rows cover. What is damaged is told, and left out.
func (a *auditor) footers(ctx context.Context, dataType string, files []table.File, h *held,
	read func(context.Context, table.File) (*datafile.Info, error),
) (plain bool, err error) {
	// In the order they were written, ranges join soon.
	slices.SortFunc(files, func(x, y table.File) int { return cmp.Compare(path.Base(x.Path), path.Base(y.Path)) })
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(footersAtOnce)
	for _, f := range files {
		g.Go(func() error {
			info, err := read(gctx, f)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case gctx.Err() != nil:
				return gctx.Err()
			case err != nil:
				a.damage(dataType, f.Path, string(table.KindDataFile), unwrapped(err))
			case info.Ranges == nil:
				h.plain[f.Path], plain, h.fresh = f.Size, true, true
			default:
				h.told[f.Path] = f.Size
				h.add(info.Ranges)
			}
			return nil
		})
	}
	err = g.Wait()
	h.flush()
	return plain, err
}

// unwrapped keeps an error's own words where the store failed.
func unwrapped(err error) error {
	if errors.Is(err, datafile.ErrDamaged) {
		return err
	}
	return errors.New("can't be read: " + err.Error())
}

// compare holds what the data files say that they hold against what the table says
// that it holds.
func (a *auditor) compare(ctx context.Context, dataType string, h *held, t *table.Table) error {
	said, err := h.source()
	if err != nil {
		return err
	}
	covered, done, err := t.CoverageSource(ctx)
	if err != nil {
		return &unknownError{err}
	}
	defer done()
	before := a.Report
	err = coverage.Join(func(id string, parts []*coverage.Stream) error {
		a.compareStream(dataType, id, h, parts[0], parts[1])
		return nil
	}, said, covered)
	if err != nil {
		a.Report = before
		return &unknownError{err}
	}
	return nil
}

// unknownError says that it can't be known what a table holds.
type unknownError struct{ error }

func (e *unknownError) Unwrap() error { return e.error }

// compareStream compares what data files and the table say of one stream; nil is
// nothing.
func (a *auditor) compareStream(dataType, id string, h *held, has, covered *coverage.Stream) {
	if has != nil {
		var unknown chunk.Ranges
		for _, r := range has.Ranges {
			if covered != nil {
				unknown = append(unknown, covered.Ranges.Missing(r)...)
			} else {
				unknown = append(unknown, r)
			}
		}
		a.UncoveredTotal += int64(len(unknown))
		a.Uncovered = append(a.Uncovered, ranges(dataType, id, has, unknown[:min(len(unknown), MaxOverlaps-len(a.Uncovered))])...)
	}
	if covered == nil || len(h.plain) > 0 && (has == nil || h.hulls[id] != nil) {
		return // files that don't say may have the rest
	}
	var hidden chunk.Ranges
	for _, r := range covered.Ranges {
		if has != nil {
			hidden = append(hidden, has.Ranges.Missing(r)...)
		} else {
			hidden = append(hidden, r)
		}
	}
	for _, r := range hidden {
		// Bytes that are no record, in a run without any, count as dropped.
		rest := covered.Dropped.Missing(r)
		a.HiddenTotal += int64(len(rest))
		a.Hidden = append(a.Hidden, ranges(dataType, id, covered, rest[:min(len(rest), MaxOverlaps-len(a.Hidden))])...)
	}
}

// streamsOf returns the ids of streams, sorted, at most so many.
func streamsOf(set map[string]chunk.Ranges, most int) []string {
	ids := slices.Sorted(maps.Keys(set))
	return ids[:min(len(ids), most)]
}
