package archive

import (
	"cmp"
	"slices"

	"github.com/akupara/akupara/chunk"
)

// Place is where an archived chunk has bytes of a stream.
type Place struct {
	Stream  string
	Range   chunk.Range
	Segment string // in whose file it was first
	Thinned bool   // a filter dropped some of it
}

// Share says which archived chunks count for which bytes: of several that hold the same,
// the oldest, which the table has. One that a filter dropped nothing of comes before:
// where a stream has no forks, what any sending kept of it has a row. It calls do with
// each chunk that has some of what is left of its stream, and takes that out.
func Share[T any](chunks []T, place func(c *T) Place, left map[string]chunk.Ranges, do func(c *T, mine chunk.Ranges) error) error {
	order := make([]int, len(chunks))
	places := make([]Place, len(chunks))
	for i := range chunks {
		order[i], places[i] = i, place(&chunks[i])
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &places[i], &places[j]
		switch {
		case a.Thinned == b.Thinned:
			return cmp.Compare(a.Segment, b.Segment)
		case a.Thinned:
			return 1
		}
		return -1
	})
	for _, i := range order {
		p := &places[i]
		mine := left[p.Stream].Covered(p.Range)
		if len(mine) == 0 {
			continue
		}
		left[p.Stream] = left[p.Stream].Remove(p.Range)
		if err := do(&chunks[i], mine); err != nil {
			return err
		}
	}
	return nil
}
