package repair

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/store"
)

// Data files of older versions don't say what their rows cover. Where each row
// starts is in the rows, and how far it reaches follows from the sink files: a
// chunk is taken in one run, so one of which a row is there was taken.

// offsets are where rows start, by stream; sorted.
type offsets map[string][]int64

func offsetsOf(ctx context.Context, files store.FS, p string) (offsets, error) {
	o := offsets{}
	err := datafile.Offsets(ctx, files, p, func(stream string, seq int64) { o[stream] = append(o[stream], seq) })
	if err != nil {
		return nil, err
	}
	for _, list := range o {
		slices.Sort(list)
	}
	return o, nil
}

func (o offsets) add(more offsets) {
	for id, list := range more {
		joined := append(o[id], list...)
		slices.Sort(joined)
		o[id] = joined
	}
}

// in reports whether a row of the stream starts in r.
func (o offsets) in(stream string, r chunk.Range) bool {
	list := o[stream]
	i := sort.Search(len(list), func(i int) bool { return list[i] >= r.First })
	return i < len(list) && list[i] < r.Last
}

// within reports whether any row starts in a range of the set.
func (o offsets) within(set coverage.Set) bool {
	for id := range o {
		if st := set[id]; st != nil && slices.ContainsFunc(st.Ranges, func(r chunk.Range) bool { return o.in(id, r) }) {
			return true
		}
	}
	return false
}

// overlap reports whether a row is in both.
func (o offsets) overlap(with offsets) bool { return o.count(with) > 0 }

// contains reports whether all rows of the other are there, too.
func (o offsets) contains(other offsets) bool {
	n := 0
	for _, list := range other {
		n += len(list)
	}
	return other.count(o) == n
}

// count returns how many of the rows are in the other, too.
func (o offsets) count(in offsets) int {
	n := 0
	for id, list := range o {
		for _, at := range list {
			if _, ok := slices.BinarySearch(in[id], at); ok {
				n++
			}
		}
	}
	return n
}

// readSilent reads where the rows of the good files start that do not say what
// they cover, of the streams that are wanted. It takes 8 bytes of memory for each of
// them.
func (s *survey) readSilent(ctx context.Context, wanted func(id string) bool) error {
	s.silent = offsets{}
	var paths []string
	for _, f := range s.good {
		if !f.told {
			paths = append(paths, f.Path)
		}
	}
	var mu sync.Mutex
	err := s.each(ctx, paths, func(ctx context.Context, i int) error {
		return datafile.Offsets(ctx, s.fs, paths[i], func(stream string, seq int64) {
			if !wanted(stream) {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			s.silent[stream] = append(s.silent[stream], seq)
		})
	})
	if err != nil {
		return fmt.Errorf("read where rows start: %w", err)
	}
	for _, list := range s.silent {
		slices.Sort(list)
	}
	return nil
}

// coverSilent adds to held what the rows cover of files that don't say it. Of
// rows that no sink file holds any more, each reaches to the next one, if no sink
// file has anything between them.
func (s *survey) coverSilent() {
	if len(s.silent) == 0 {
		return
	}
	pieces := map[string][]chunk.Range{} // of sink files, by stream
	borders := map[string]chunk.Ranges{}
	whose := coverage.Set{}
	for _, k := range slices.Concat(s.archive, s.raw) {
		maps.Copy(whose, k.set)
		for _, c := range k.chunks {
			pieces[c.stream] = append(pieces[c.stream], c.Range)
			borders[c.stream] = borders[c.stream].Add(c.Range)
		}
	}
	for id, list := range s.silent {
		from := id
		for pieces[from] == nil && coverage.Base(from) != "" {
			from = coverage.Base(from)
		}
		var covered chunk.Ranges
		for _, r := range pieces[from] {
			if s.silent.in(id, r) {
				covered = covered.Add(r)
			}
		}
		known := chunk.Ranges{}
		host, source := "", ""
		for _, set := range []coverage.Set{s.known, s.held} {
			if st := set[id]; st != nil {
				known, host, source = known.AddAll(st.Ranges), st.Host, st.Source
			}
		}
		for i, at := range list {
			if covered.Overlaps(chunk.Range{First: at, Last: at + 1}) {
				continue
			}
			r := chunk.Range{First: at, Last: at + 1}
			if i+1 < len(list) && s.partial && !slices.ContainsFunc([]chunk.Ranges{known, borders[from]}, func(has chunk.Ranges) bool {
				return has.Overlaps(chunk.Range{First: at + 1, Last: list[i+1]})
			}) {
				r.Last = list[i+1]
			}
			covered = covered.Add(r)
		}
		if st := whose[from]; st != nil && source == "" {
			host, source = st.Host, st.Source
		}
		to := s.held.Stream(id, host, source)
		to.Ranges = to.Ranges.AddAll(covered)
	}
}
