package audit

import (
	"cmp"
	"path"
	"regexp"
	"slices"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// Fork is a stream whose bytes differ from those of another, Of, at the same
// offsets.
type Fork struct {
	Type   string `json:"type"`
	Host   string `json:"host"`
	Source string `json:"source"`
	Stream string `json:"stream"`
	Of     string `json:"of"`
	First  int64  `json:"first"` // where its own bytes begin
	Bytes  int64  `json:"bytes"` // that it has of its own
	Cause  string `json:"cause"`
}

// familiesOf returns the forks of a set's streams, by the stream that they all go
// back to.
func familiesOf(set coverage.Set) map[string][]string {
	var out map[string][]string
	for id := range set {
		if coverage.Base(id) != "" {
			if out == nil {
				out = map[string][]string{}
			}
			out[coverage.Root(id)] = append(out[coverage.Root(id)], id)
		}
	}
	return out
}

// family takes in a stream with all its forks. Repetitions of what one of them
// holds were dropped, whichever they came for: a hole is one of all of them.
func (a *auditor) family(dataType, root string, forks []string, known coverage.Set) {
	slices.Sort(forks)
	base := known[root]
	members := forks
	if base != nil {
		members = append([]string{root}, forks...)
	}
	first := known[members[0]]
	all := coverage.Set{root: coverage.NewStream(first.Host, first.Source)}
	for _, id := range members {
		all.Merge(coverage.Set{root: known[id]})
	}
	union := all[root]
	union.Host, union.Source = first.Host, first.Source
	if base != nil {
		union.Begin = base.Begin // a fork begins where it parts
	}
	a.gaps(dataType, root, union)
	for _, id := range members {
		st := known[id]
		a.stream(dataType, id, st, union.Ranges)
		if coverage.Base(id) == "" {
			continue
		}
		f := Fork{
			Type: dataType, Host: st.Host, Source: st.Source, Stream: id, Of: coverage.Base(id),
			Bytes: st.Ranges.Len(), Cause: cmp.Or(st.Cause, coverage.CutBack),
		}
		if len(st.Ranges) > 0 {
			f.First = st.Ranges[0].First
		}
		a.Forks = append(a.Forks, f)
	}
}

func (a *auditor) sortForks() {
	slices.SortFunc(a.Forks, func(x, y Fork) int {
		return cmp.Or(cmp.Compare(x.Type, y.Type), cmp.Compare(x.Host, y.Host), cmp.Compare(x.Source, y.Source), cmp.Compare(x.Stream, y.Stream))
	})
	a.ForksTotal, a.PerhapsDoubledTotal = int64(len(a.Forks)), int64(len(a.PerhapsDoubled))
	a.PerhapsDoubledBytes = length(a.PerhapsDoubled)
	a.Forks = a.Forks[:min(len(a.Forks), MaxForks)]
	a.PerhapsDoubled = a.PerhapsDoubled[:min(len(a.PerhapsDoubled), MaxDoubtful)]
}

// origin is whose a stream is, whatever its id. Its source is without what a
// rotation adds to a file's name: a copy holds what another stream of the log has.
type origin struct{ host, source string }

var rotation = regexp.MustCompile(`([-._]\d+)+|\.old$`)

func originOf(st *coverage.Stream) origin {
	dir, name := path.Split(st.Source)
	return origin{st.Host, dir + rotation.ReplaceAllString(name, "")}
}

// doubtful lists what may be in the table twice: what a fork has that could not
// be compared, and what an agent sent that had lost its state, where the table
// holds an older stream of the same host and source.
func (a *auditor) doubtful(dataType string, known, held coverage.Set) {
	older := map[origin][]string{}
	for _, st := range known {
		if len(st.Doubtful) > 0 {
			older[originOf(st)] = nil
		}
	}
	if len(older) == 0 {
		return
	}
	for id, st := range held {
		o := originOf(st)
		if list, wanted := older[o]; wanted && len(st.Ranges) > 0 {
			older[o] = append(list, id)
		}
	}
	for id, st := range known {
		var twice chunk.Ranges
		for _, r := range st.Doubtful {
			twice = twice.AddAll(st.Ranges.Covered(r))
		}
		if coverage.Base(id) == "" && !slices.ContainsFunc(older[originOf(st)], func(other string) bool {
			return coverage.Root(other) != id && !held[other].Since.After(since(held[id]))
		}) {
			continue
		}
		a.PerhapsDoubled = append(a.PerhapsDoubled, ranges(dataType, id, st, twice)...)
	}
}

// since is when a stream came into the table; one that is not there yet comes now.
func since(st *coverage.Stream) time.Time {
	if st == nil {
		return time.Now()
	}
	return st.Since
}
