package demux

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// maxForks is how many forks the demux makes of one stream S: "S~1", "S~2" and
// so on, for bytes that come for S and differ from what the table holds. What fits none of
// them goes to forks of the last one: nothing that comes in has no place.
const maxForks = 1000

// Causes of the forks that the demux makes, as people read them.
const (
	causeSetBack = "the same host sent other bytes: its log or its checkpoint was set back, or there is a clone of the same name"
)

func causeClone(host, of string) string {
	return fmt.Sprintf("host %s sent other bytes than host %s: a clone", host, of)
}

// families are the streams of a table that a backlog is about, and those of the run
// that is under way, by their kinship.
type families struct {
	covered coverage.Set        // of the table's current version, near the backlog's offsets
	delta   coverage.Set        // of the run
	known   *coverage.Known     // covered, and of which families it is all; nil: of none
	forks   map[string][]string // ids of the forks, by that of the family's root
}

func newFamilies(covered coverage.Set) *families {
	f := &families{covered: covered, delta: coverage.Set{}, forks: map[string][]string{}}
	for id := range covered {
		if coverage.Base(id) != "" {
			root := coverage.Root(id)
			f.forks[root] = append(f.forks[root], id)
		}
	}
	for _, ids := range f.forks {
		// In the order in which the demux made them.
		slices.SortFunc(ids, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b)) })
	}
	return f
}

// commit takes the run's delta for committed.
func (f *families) commit() {
	for id, st := range f.delta {
		if f.covered[id] == nil {
			st.Since = st.Seen
			f.covered[id] = st
			delete(f.delta, id)
		}
	}
	f.covered.Merge(f.delta)
	f.delta = coverage.Set{}
}

// contested reports whether the stream's family has forks.
func (f *families) contested(id string) bool {
	return len(f.forks) > 0 && len(f.forks[coverage.Root(id)]) > 0 || coverage.Base(id) != ""
}

// each calls do with what is known of the streams of a family, until it says
// that it has enough.
func (f *families) each(id string, do func(*coverage.Stream) (more bool)) {
	one := func(id string) bool {
		for _, set := range [...]coverage.Set{f.covered, f.delta} {
			if st := set[id]; st != nil && !do(st) {
				return false
			}
		}
		return true
	}
	root := id
	if len(f.forks) > 0 || coverage.Base(id) != "" {
		root = coverage.Root(id)
	}
	if !one(root) {
		return
	}
	for _, fork := range f.forks[root] {
		if !one(fork) {
			return
		}
	}
}

// overlaps reports whether the family holds any part of r.
func (f *families) overlaps(id string, r chunk.Range) (yes bool) {
	f.each(id, func(st *coverage.Stream) bool {
		yes = st.Ranges.Overlaps(r)
		return !yes
	})
	return yes
}

// held is what the family holds of r.
func (f *families) held(id string, r chunk.Range) (held chunk.Ranges) {
	f.each(id, func(st *coverage.Stream) bool {
		held = held.AddAll(st.Ranges.Covered(r))
		return true
	})
	return held
}

// vouches reports whether the family holds exactly these bytes, as far as
// checksums tell.
func (f *families) vouches(id string, r chunk.Range, crc uint32) (yes bool) {
	f.each(id, func(st *coverage.Stream) bool {
		yes = st.Ranges.Overlaps(r) && st.Vouches(r, crc)
		return !yes
	})
	return yes
}

// disputed is where the family's streams part for the first time: from there
// on bytes that can't be compared are not taken for the same.
func (f *families) disputed(id string) int64 {
	if coverage.Base(id) != "" {
		return 0
	}
	from := int64(1<<63 - 1)
	for _, fork := range f.forks[coverage.Root(id)] {
		for _, set := range [...]coverage.Set{f.covered, f.delta} {
			if st := set[fork]; st != nil && len(st.Ranges) > 0 && st.Cause != coverage.LeftOut {
				from = min(from, st.Ranges[0].First)
			}
		}
	}
	return from
}

// free reports whether the stream itself holds nothing of r.
func (f *families) free(id string, r chunk.Range) bool {
	for _, set := range [...]coverage.Set{f.covered, f.delta} {
		if st := set[id]; st != nil && st.Ranges.Overlaps(r) {
			return false
		}
	}
	return true
}

// ends reports whether the stream holds the byte before offset.
func (f *families) ends(id string, offset int64) bool {
	return offset > 0 && !f.free(id, chunk.Range{First: offset - 1, Last: offset})
}

func (f *families) exists(id string) bool { return f.covered[id] != nil || f.delta[id] != nil }

// host returns the host of a stream, "" where it is not known.
func (f *families) host(id string) string {
	for _, set := range [...]coverage.Set{f.covered, f.delta} {
		if st := set[id]; st != nil {
			return st.Host
		}
	}
	return ""
}

// candidates are the streams that records which host sent for the stream id may
// be rows of, the preferred one first: the stream itself and the forks that the
// demux made of it for that host. late are those of what a filter had dropped first.
func (f *families) candidates(id, host string) (out, late []string) {
	out = []string{id}
	for _, fork := range f.forks[coverage.Root(id)] {
		switch {
		case !numbered(fork, id) || f.host(fork) != host:
		case f.causeOf(fork) == coverage.LeftOut:
			late = append(late, fork)
		default:
			out = append(out, fork)
		}
	}
	if of := f.host(id); len(out) > 1 && of != "" && of != host {
		out = append(out[1:], id)
	}
	return out, late
}

// causeOf returns why a fork is one.
func (f *families) causeOf(id string) string {
	for _, set := range [...]coverage.Set{f.covered, f.delta} {
		if st := set[id]; st != nil && st.Cause != "" {
			return st.Cause
		}
	}
	return ""
}

// filtered reports whether something of the family was dropped within chunks.
func (f *families) filtered(id string) (yes bool) {
	f.each(id, func(st *coverage.Stream) bool {
		yes = st.Filtered > 0 || len(st.Certain) > 0
		return !yes
	})
	return yes
}

// certain are the parts of r that have rows, or may have, though a chunk of the
// family's said that they were dropped.
func (f *families) certain(id string, r chunk.Range) (out chunk.Ranges) {
	f.each(id, func(st *coverage.Stream) bool {
		out = out.AddAll(st.Certain.Covered(r))
		if st.Cause == coverage.LeftOut {
			out = out.AddAll(st.Ranges.Covered(r))
		}
		return true
	})
	return out
}

// numbered reports whether the demux made fork from the stream id, or from such
// a fork of it.
func numbered(fork, id string) bool {
	rest, ok := strings.CutPrefix(fork, id+coverage.ForkMark)
	return ok && !strings.ContainsFunc(rest, func(r rune) bool { return (r < '0' || r > '9') && string(r) != coverage.ForkMark })
}

// place chooses the stream that a record which host sent for the stream id
// becomes a row of: one that holds nothing of its range. It prefers one that the
// record continues, of several the one of the record before it in its chunk,
// before. fresh says that there is none such yet.
func (f *families) place(id string, candidates []string, before string, r chunk.Range) (at string, fresh bool) {
	if before != "" && f.ends(before, r.First) && f.free(before, r) {
		return before, false
	}
	for _, c := range candidates {
		if f.ends(c, r.First) && f.free(c, r) {
			return c, false
		}
	}
	for _, c := range candidates {
		if f.free(c, r) {
			return c, false
		}
	}
	for base := id + coverage.ForkMark; ; base += strconv.Itoa(maxForks) + coverage.ForkMark {
		for n := 1; n <= maxForks; n++ {
			if fork := base + strconv.Itoa(n); !f.exists(fork) {
				return fork, true
			}
		}
		// They are too many to keep the hosts apart.
		for n := 1; n <= maxForks; n++ {
			if fork := base + strconv.Itoa(n); f.free(fork, r) {
				return fork, false
			}
		}
	}
}

// cause says why a record that host sent for the stream id begins a new fork.
func (f *families) cause(id, host string, candidates []string) string {
	if of := f.host(id); len(candidates) == 1 && of != "" && of != host {
		return causeClone(host, of)
	}
	return causeSetBack
}

// stream returns the run's delta of a stream, made if it is not there. fork tells
// of a fork that neither the table nor the run knew. While streams of a family
// contend, each keeps its host.
func (f *families) stream(id, host, source, cause string) (st *coverage.Stream, fork bool) {
	if st := f.delta[id]; st != nil {
		return st, false
	}
	known := f.covered[id]
	if known != nil && f.contested(id) {
		host, source = known.Host, known.Source
	}
	st = f.delta.Stream(id, host, source)
	if known != nil {
		st.Cause = known.Cause
	}
	if known != nil || coverage.Base(id) == "" {
		return st, false
	}
	st.Cause = cmp.Or(cause, coverage.CutBack)
	if f.known != nil {
		delete(f.known.Roots, coverage.Root(id)) // they have no forks
	}
	f.forks[coverage.Root(id)] = append(f.forks[coverage.Root(id)], id)
	return st, true
}

// rest chooses the stream that the rest of a record goes to which is held in
// part: the one that holds the part. "" says that none of the candidates does, or
// that it is not the only one.
func (f *families) rest(id string, candidates []string, r chunk.Range) string {
	holder := ""
	for _, member := range append([]string{coverage.Root(id)}, f.forks[coverage.Root(id)]...) {
		if f.free(member, r) {
			continue
		}
		if holder != "" {
			return ""
		}
		holder = member
	}
	if !slices.Contains(candidates, holder) {
		return ""
	}
	return holder
}

// sums returns the checksums that the family has of parts of r.
func (f *families) sums(id string, r chunk.Range) (sums []coverage.Sum) {
	f.each(id, func(st *coverage.Stream) bool {
		if st.Ranges.Overlaps(r) {
			for _, s := range st.Sums {
				if s.First >= r.First && s.Last <= r.Last {
					sums = append(sums, s)
				}
			}
		}
		return true
	})
	return sums
}
