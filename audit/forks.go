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
	late := map[string]int64{}
	for _, id := range forks {
		if st := known[id]; st.Cause == coverage.LeftOut {
			late[coverage.Base(id)] += st.Ranges.Len()
		}
	}
	for _, id := range members {
		st := known[id]
		a.filtered(dataType, id, st, late[id])
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

// doubts are the streams of one type of which something may be in the table twice:
// what a fork has that could not be compared, and what an agent sent that had lost
// its state, where the table holds an older stream of the same host and source.
type doubts struct {
	streams map[string]*doubt
	oldest  map[origin][2]aged // of those streams' origins, of two families
}

// doubt is what may be twice of one stream.
type doubt struct {
	stream *coverage.Stream
	twice  chunk.Ranges
	since  time.Time // when it came into the table
}

// aged is a stream's family, and when it came into the table.
type aged struct {
	root  string
	since time.Time
}

// add notes the doubtful parts of a stream; held is what the table has of it.
func (d *doubts) add(id string, known, held *coverage.Stream) {
	if len(known.Doubtful) == 0 {
		return
	}
	x := &doubt{stream: known, since: time.Now()} // one that is not there yet comes now
	if held != nil {
		x.since = held.Since
	}
	for _, r := range known.Doubtful {
		x.twice = x.twice.AddAll(known.Ranges.Covered(r))
	}
	if d.streams == nil {
		d.streams, d.oldest = map[string]*doubt{}, map[origin][2]aged{}
	}
	d.streams[id] = x
	d.oldest[originOf(known)] = [2]aged{}
}

// compare notes how old a stream is that the table holds.
func (d *doubts) compare(id string, held *coverage.Stream) {
	o := originOf(held)
	two, wanted := d.oldest[o]
	if !wanted || len(held.Ranges) == 0 {
		return
	}
	x := aged{coverage.Root(id), held.Since}
	switch {
	case two[0].root == "" || x.root == two[0].root && x.since.Before(two[0].since):
		two[0] = x
	case x.root == two[0].root:
	case x.since.Before(two[0].since):
		two[0], two[1] = x, two[0]
	case two[1].root == "" || x.since.Before(two[1].since):
		two[1] = x
	}
	d.oldest[o] = two
}

// tell lists them.
func (a *auditor) doubtful(dataType string, d *doubts) {
	for id, x := range d.streams {
		two := d.oldest[originOf(x.stream)]
		older := slices.ContainsFunc(two[:], func(other aged) bool {
			return other.root != "" && other.root != id && !other.since.After(x.since)
		})
		if older || coverage.Base(id) != "" {
			a.PerhapsDoubled = append(a.PerhapsDoubled, ranges(dataType, id, x.stream, x.twice)...)
		}
	}
}
