package coverage

import (
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/akupara/akupara/chunk"
)

// Want is what is to be known of streams: of each family, by its root, all that is
// near a range of offsets.
type Want map[string]chunk.Range

// Add wants all to be known that is near this range of a stream, or of its family.
func (w Want) Add(id string, r chunk.Range) {
	root := Root(id)
	if has, ok := w[root]; ok {
		r.First, r.Last = min(r.First, has.First), max(r.Last, has.Last)
	}
	w[root] = r
}

// Roots returns the families, in order.
func (w Want) Roots() []string { return slices.Sorted(maps.Keys(w)) }

// Known are the streams of some families, as a table had them at one time.
type Known struct {
	Set Set
	// Roots are the families of which Set has all that the table had; all of one
	// that it did not have, too. Of others a stream may lack ranges.
	Roots map[string]bool
}

// All reports whether all is known of a stream, and that it has no forks.
func (k *Known) All(id string) bool { return k != nil && k.Roots[id] }

// Found is what one file tells of one family.
type Found struct {
	Set     Set
	Whole   bool // older files don't count
	Partial bool // ranges that are not near were left out
}

// Family returns what the file tells of a family. Where near is not nil, of a root
// with very many ranges those far from there may be left out.
func (f *File) Family(root string, near *chunk.Range) (out Found, err error) {
	out.Set = Set{}
	var held *Piece // not the first of its stream: where it ends is not known
	decide := func(end int64) error {
		p := held
		held = nil
		if p == nil {
			return nil
		}
		if near != nil && p.ID == root && (end < near.First || p.From > near.Last) {
			out.Partial = true
			return nil
		}
		return out.Set.join(p)
	}
	for err = f.seek(root, 0); err == nil; err = f.next() {
		id := string(f.entries.id)
		if Root(id) != root {
			break
		}
		same := held != nil && held.ID == id
		end := int64(forever)
		if same {
			end = f.entries.from
		}
		if err := decide(end); err != nil {
			return out, err
		}
		p, err := f.entries.piece()
		if err != nil {
			return out, err
		}
		if p.From == 0 {
			out.Whole = out.Whole || p.Whole && id == root
			if err := out.Set.join(p); err != nil {
				return out, err
			}
			continue
		}
		held = p
		if near != nil && id == root {
			far, err := f.jump(root, p.From, *near)
			if err != nil {
				return out, err
			}
			out.Partial = out.Partial || far
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return out, err
	}
	return out, decide(forever)
}

// jump skips blocks that have nothing but pieces of a root that are not near. The
// next piece may be any of that file's that lies not behind the first one that is.
func (f *File) jump(root string, at int64, near chunk.Range) (far bool, err error) {
	to := f.cur
	switch {
	case at > near.Last: // to the forks
		to = f.blockOf(root+ForkMark, 0)
	case at < near.First:
		to = f.blockOf(root, near.First) - 1 // where it begins may be before
	}
	if to <= f.cur {
		return false, nil
	}
	return true, f.load(to)
}
