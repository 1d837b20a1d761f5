package repair

import (
	"fmt"
	"maps"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
)

// beginDeciding cuts the windows anew where files were adopted.
func (s *survey) beginDeciding() {
	for _, d := range s.plan.Damaged {
		if d.Kind == table.KindManifest || d.Kind == table.KindManifestList {
			s.rowsLost = true
		}
	}
	s.cut()
}

// decide makes a window's new coverage, and says what is to be taken in again.
func (s *survey) decide() {
	p := s.plan
	s.coverSilent()
	lost := coverage.Set{} // what the table had, and its files have not
	if s.rowsLost {
		lost = missing(withRows(s.known), s.held)
		if p.Unsure > 0 {
			// Rows that are there without their neighbours don't tell how far they
			// reach: gone for sure are only chunks of which no row is there.
			lost = common(lost, s.archive)
		}
	}
	set := missing(s.known, lost)
	addRanges(set, s.held)
	s.facts(set)
	s.redo(set, lost)
	for _, id := range lost.IDs() {
		st := lost[id]
		for _, r := range st.Ranges {
			p.Lost += r.Len()
			if len(p.Missing) < MaxMissing {
				p.Missing = append(p.Missing, Missing{st.Host, st.Source, id, r.First, r.Last})
			}
		}
	}
	s.set = set
}

// conclude makes the rest of the table's new content.
func (s *survey) conclude() {
	p := s.plan
	p.Redone = append(p.Redone, slices.Sorted(maps.Keys(s.wanted))...)
	for _, f := range s.good {
		p.content.Files = append(p.content.Files, f.DataFile)
		p.Records += f.Stats.Records
	}
	p.Kept = len(s.good) - len(p.Adopted)
	given := 0
	if p.base != nil {
		p.content.Columns, given = p.base.Columns(), p.base.LastColumnID()
	}
	p.content.Columns = columnsOf(p.content.Columns, given, s.good)
	p.content.Note = fmt.Sprintf("%d damaged files", len(p.SetAside))
}

// facts adds what is known of the streams beside their ranges.
func (s *survey) facts(set coverage.Set) {
	forked := map[string]bool{} // families, by root
	for _, of := range []coverage.Set{set, s.known} {
		for id := range of {
			if coverage.Base(id) != "" {
				forked[coverage.Root(id)] = true
			}
		}
	}
	add := func(from coverage.Set, archived bool) {
		for id, st := range from {
			ranges := set.Stream(id, st.Host, st.Source).Ranges
			facts := st.Clone()
			facts.Ranges = nil
			// Bytes are vouched for where they are in the table. Of a family with
			// forks the archive does not say of which stream they became rows.
			facts.Sums = slices.DeleteFunc(facts.Sums, func(x coverage.Sum) bool {
				return archived && forked[coverage.Root(id)] || !ranges.Contains(chunk.Range{First: x.First, Last: x.Last})
			})
			set.Merge(coverage.Set{id: facts})
		}
	}
	for _, k := range s.archive {
		add(k.set, true)
	}
	add(s.known, false) // the newest checksums last
}

// redo selects the archived files that hold what the table has not, and takes what
// they hold out of lost.
func (s *survey) redo(set, lost coverage.Set) {
	families := map[string]chunk.Ranges{} // what the family's streams hold, by root
	for id, st := range set {
		root := coverage.Root(id)
		families[root] = families[root].AddAll(st.Ranges)
	}
	had, heirs := lost.Clone(), heirs(lost)
	for _, k := range s.archive {
		// Several may have chunks of a range: a fork's are known by its root.
		wanted := sharesAny(had, heirs, k.set)
		takeOut(lost, heirs, k.set)
		for id, st := range k.set {
			for _, r := range st.Ranges {
				wanted = wanted || !families[coverage.Root(id)].Contains(r)
			}
		}
		if wanted {
			s.wanted[k.path] = true
		}
	}
	for _, k := range s.raw {
		takeOut(lost, heirs, k.set) // it comes by itself
	}
}

// heirs maps each stream to those of the set that have bytes of its sink files: to
// itself, and to its forks, which sink files don't know when the demux made them.
func heirs(set coverage.Set) map[string][]string {
	out := map[string][]string{}
	for id := range set {
		for of := id; of != ""; of = coverage.Base(of) {
			out[of] = append(out[of], id)
		}
	}
	return out
}

// sharesAny reports whether a sink file holds any ranges of a set with these heirs.
func sharesAny(set coverage.Set, heirs map[string][]string, sink coverage.Set) bool {
	for of, has := range sink {
		for _, id := range heirs[of] {
			if slices.ContainsFunc(has.Ranges, set[id].Ranges.Overlaps) {
				return true
			}
		}
	}
	return false
}

// takeOut removes what a sink file holds from a set with these heirs.
func takeOut(from coverage.Set, heirs map[string][]string, sink coverage.Set) {
	for of, has := range sink {
		for _, id := range heirs[of] {
			st := from[id]
			for _, r := range has.Ranges {
				if st.Ranges.Overlaps(r) {
					st.Ranges = st.Ranges.Remove(r)
				}
			}
		}
	}
}

// common returns what of a set's ranges lies in chunks of these sink files.
func common(set coverage.Set, sinks []sink) coverage.Set {
	out := coverage.Set{}
	heirs := heirs(set)
	for _, k := range sinks {
		for of, has := range k.set {
			for _, id := range heirs[of] {
				st := set[id]
				for _, r := range has.Ranges {
					if c := st.Ranges.Covered(r); len(c) > 0 {
						to := out.Stream(id, st.Host, st.Source)
						to.Ranges = to.Ranges.AddAll(c)
					}
				}
			}
		}
	}
	return out
}

// withRows returns the ranges that have rows: what counts as held and as dropped
// had no record in it.
func withRows(set coverage.Set) coverage.Set {
	out := coverage.Set{}
	for id, st := range set {
		ranges := st.Ranges
		for _, r := range st.Dropped {
			ranges = ranges.Remove(r)
		}
		if len(ranges) > 0 {
			out.Stream(id, st.Host, st.Source).Ranges = ranges
		}
	}
	return out
}

func lenOf(set coverage.Set) (n int64) {
	for _, st := range set {
		n += st.Ranges.Len()
	}
	return n
}
