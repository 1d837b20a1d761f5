package audit

import (
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// opener returns what a table holds as a source; done is to be called behind it.
type opener func() (src coverage.Source, done func(), err error)

// nothing is held by a table that is not there.
func nothing() (src coverage.Source, done func(), err error) {
	return coverage.SetSource(coverage.Set{}, nil), func() {}, nil
}

// judging is the look at all streams of one type, a family at a time.
type judging struct {
	*auditor
	dataType string
	root     string
	family   coverage.Set // what tables and sink files in raw/ hold, and quarantine tells of it
	doubts   doubts
	// asked are the families of which something is in quarantine, and what is held
	// of them.
	asked map[string]chunk.Ranges
}

// judge takes in the streams of one type: what its table holds, what published
// sink files hold, and what is in quarantine. Of the table's streams those of one
// family are in memory at a time.
func (a *auditor) judge(dataType string, open opener, published coverage.Set, aside []quarantined) error {
	j := judging{auditor: a, dataType: dataType, family: coverage.Set{}, asked: map[string]chunk.Ranges{}}
	told := coverage.Set{}
	for i := range aside {
		aside[i].tell(told)
		for _, p := range aside[i].parts {
			j.asked[coverage.Root(p.Stream)] = nil
		}
	}
	each := func(do func(id string, parts []*coverage.Stream)) error {
		src, done, err := open()
		if err != nil {
			return err
		}
		defer done()
		return coverage.Join(func(id string, parts []*coverage.Stream) error {
			do(id, parts)
			return nil
		}, src, coverage.SetSource(told, nil), coverage.SetSource(published, nil))
	}
	if err := each(j.stream); err != nil {
		return err
	}
	j.finish()
	if len(j.doubts.streams) > 0 {
		err := each(func(id string, parts []*coverage.Stream) {
			if held := parts[0]; held != nil {
				j.doubts.compare(id, held)
			}
		})
		if err != nil {
			return err
		}
		a.doubtful(dataType, &j.doubts)
	}
	for i := range aside {
		a.missing(dataType, &aside[i], j.asked)
	}
	return nil
}

// stream takes in one stream: what the table holds, what quarantine tells of it, and
// what is published.
func (j *judging) stream(id string, parts []*coverage.Stream) {
	if root := coverage.Root(id); root != j.root {
		j.finish()
		j.root = root
	}
	held, told, published := parts[0], parts[1], parts[2]
	known := held
	if told != nil || published != nil {
		all := coverage.Set{}
		for _, st := range parts {
			if st != nil {
				all.Merge(coverage.Set{id: st})
			}
		}
		known = all[id]
	}
	if held != nil {
		j.Bytes += held.Ranges.Len() - held.Filtered
	}
	if published != nil {
		has := chunk.Ranges(nil)
		if held != nil {
			has = held.Ranges
		}
		for _, r := range published.Ranges {
			j.Unpublished += has.Missing(r).Len()
		}
	}
	j.family[id] = known
	j.doubts.add(id, known, held)
}

// finish judges a family of which all streams are there.
func (j *judging) finish() {
	if len(j.family) == 0 {
		return
	}
	var forks []string
	for id, st := range j.family {
		if coverage.Base(id) != "" {
			forks = append(forks, id)
		}
		if has, asked := j.asked[j.root]; asked {
			j.asked[j.root] = has.AddAll(st.Ranges)
		}
	}
	if len(forks) > 0 {
		j.auditor.family(j.dataType, j.root, forks, j.family)
	} else {
		st := j.family[j.root]
		j.gaps(j.dataType, j.root, st)
		j.auditor.stream(j.dataType, j.root, st, st.Ranges)
		j.filtered(j.dataType, j.root, st, 0)
	}
	j.family = coverage.Set{}
}
