package chunk

import (
	"cmp"
	"fmt"
	"slices"
)

// Range is the half-open interval [First, Last) of a stream's offsets.
type Range struct {
	First, Last int64
}

// Len is the number of bytes covered.
func (r Range) Len() int64 { return r.Last - r.First }

// Empty reports whether the range covers nothing.
func (r Range) Empty() bool { return r.Last <= r.First }

// Intersect is the part that both ranges cover; it is empty when there is none.
func (r Range) Intersect(o Range) Range {
	return Range{max(r.First, o.First), min(r.Last, o.Last)}
}

func (r Range) String() string { return fmt.Sprintf("[%d,%d)", r.First, r.Last) }

// Ranges is a set of offsets: sorted, disjoint, non-empty ranges that do not
// touch. The zero value is the empty set.
type Ranges []Range

// Add puts r into the set.
func (s Ranges) Add(r Range) Ranges {
	if r.Empty() {
		return s
	}
	// Streams grow at their end: the common case touches the last range only.
	if n := len(s); n == 0 || r.First > s[n-1].Last {
		return append(s, r)
	}
	i := s.search(r.First)
	j := i
	for ; j < len(s) && s[j].First <= r.Last; j++ {
		r.First = min(r.First, s[j].First)
		r.Last = max(r.Last, s[j].Last)
	}
	return slices.Replace(s, i, j, r)
}

// Union returns the set of what is in any of the ranges, which it sorts.
func Union(list []Range) (out Ranges) {
	slices.SortFunc(list, func(a, b Range) int { return cmp.Compare(a.First, b.First) })
	for _, r := range list {
		out = out.Add(r)
	}
	return out
}

// AddAll puts every range of o into the set.
func (s Ranges) AddAll(o Ranges) Ranges {
	const few = 16 // up to so many, one by one is faster
	if len(o) > few && len(s) > few && o[0].First <= s[len(s)-1].Last {
		return s.union(o)
	}
	for _, r := range o {
		s = s.Add(r)
	}
	return s
}

// union merges two sets in one pass, into memory of its own: one by one, ranges
// that lie between each other would be moved as often as there are.
func (s Ranges) union(o Ranges) Ranges {
	out := make(Ranges, 0, max(len(s), len(o)))
	for len(s) > 0 || len(o) > 0 {
		if len(s) == 0 || len(o) > 0 && o[0].First < s[0].First {
			s, o = o, s
		}
		out = out.Add(s[0])
		s = s[1:]
	}
	return out
}

// search finds the first range that ends at or after n, so that it may touch
// a range that starts at n.
func (s Ranges) search(n int64) int {
	i, _ := slices.BinarySearchFunc(s, n, func(r Range, n int64) int {
		if r.Last < n {
			return -1
		}
		return 1
	})
	return i
}

// Missing returns the parts of r that are not in the set, in order.
func (s Ranges) Missing(r Range) Ranges {
	var out Ranges
	for i := s.search(r.First); i < len(s) && s[i].First < r.Last; i++ {
		if s[i].First > r.First {
			out = append(out, Range{r.First, s[i].First})
		}
		r.First = max(r.First, s[i].Last)
	}
	if !r.Empty() {
		out = append(out, r)
	}
	return out
}

// Covered returns the parts of r that are in the set, in order.
func (s Ranges) Covered(r Range) Ranges {
	var out Ranges
	for i := s.search(r.First); i < len(s) && s[i].First < r.Last; i++ {
		if c := s[i].Intersect(r); !c.Empty() {
			out = append(out, c)
		}
	}
	return out
}

// Overlaps reports whether any part of r is in the set.
func (s Ranges) Overlaps(r Range) bool {
	i := s.search(r.First + 1) // one that ends at r.First only touches
	return i < len(s) && s[i].First < r.Last && !r.Empty()
}

// Contains reports whether all of r is in the set.
func (s Ranges) Contains(r Range) bool {
	if r.Empty() {
		return true
	}
	i := s.search(r.Last) // none touches another: one must have all of it
	return i < len(s) && s[i].First <= r.First
}

// Remove takes r out of the set. The result shares no memory with s.
func (s Ranges) Remove(r Range) Ranges {
	if r.Empty() {
		return slices.Clone(s)
	}
	out := make(Ranges, 0, len(s)+1)
	for _, x := range s {
		if left := (Range{x.First, min(x.Last, r.First)}); !left.Empty() {
			out = append(out, left)
		}
		if right := (Range{max(x.First, r.Last), x.Last}); !right.Empty() {
			out = append(out, right)
		}
	}
	return out
}

// Without returns what is in the set and not in the other one.
func (s Ranges) Without(o Ranges) (out Ranges) {
	if len(o) == 0 {
		return s
	}
	for _, r := range s {
		out = append(out, o.Missing(r)...)
	}
	return out
}

// Len is the number of offsets in the set.
func (s Ranges) Len() int64 {
	var n int64
	for _, r := range s {
		n += r.Len()
	}
	return n
}
