package coverage

import (
	"errors"
	"io"
	"slices"
	"time"
)

// Source returns pieces, in order, and io.EOF behind the last one. Of each stream
// the first piece begins at 0. Pieces are the caller's to change.
type Source interface {
	Next() (*Piece, error)
}

// SetSource returns the streams of a set; whole says which roots are so, nil: none.
// The set must not change meanwhile.
func SetSource(s Set, whole func(root string) bool) Source {
	ids := s.IDs()
	slices.SortFunc(ids, compareIDs)
	return &setSource{s, ids, whole}
}

type setSource struct {
	set   Set
	ids   []string
	whole func(root string) bool
}

// Next implements Source.
func (s *setSource) Next() (*Piece, error) {
	if len(s.ids) == 0 {
		return nil, io.EOF
	}
	id := s.ids[0]
	s.ids = s.ids[1:]
	return &Piece{ID: id, Whole: s.whole != nil && Base(id) == "" && s.whole(id), Stream: s.set[id].Clone()}, nil
}

// Merger is the Source of all that several sources tell, in memory that does not
// grow with them.
type Merger struct {
	// Sums is how many checksums a stream keeps, the newest; 0: all that it may.
	Sums int
	// Settled is the time before which a stream was seen last that has ended, is
	// complete, and then keeps no checksums. Zero: none is.
	Settled time.Time

	inputs []*input // oldest first
	root   string
	begun  bool
	ready  []*Piece

	// The stream that is being merged.
	active []*input
	now    *Piece // what was merged of it, and is not ready; its ranges
}

// input is a source, its current piece, and the one behind.
type input struct {
	src       Source
	cur, next *Piece
}

// NewMerger merges these sources, the oldest first. What a newer one says is merged
// into what older ones say as Set.Merge does it.
func NewMerger(oldestFirst ...Source) *Merger {
	m := &Merger{}
	for _, s := range oldestFirst {
		m.inputs = append(m.inputs, &input{src: s})
	}
	return m
}

func (in *input) advance() error {
	in.cur = in.next
	var err error
	if in.next, err = in.src.Next(); errors.Is(err, io.EOF) {
		in.next, err = nil, nil
	}
	return err
}

// end is where the current piece ends.
func (in *input) end() int64 {
	if in.next != nil && in.next.ID == in.cur.ID {
		return in.next.From
	}
	return forever
}

// Next implements Source.
func (m *Merger) Next() (*Piece, error) {
	if !m.begun {
		m.begun = true
		for _, in := range m.inputs {
			for range 2 {
				if err := in.advance(); err != nil {
					return nil, err
				}
			}
		}
	}
	for len(m.ready) == 0 {
		if len(m.active) == 0 {
			if err := m.begin(); err != nil {
				return nil, err
			}
		}
		if err := m.step(); err != nil {
			return nil, err
		}
	}
	p := m.ready[0]
	m.ready = m.ready[1:]
	return p, nil
}

// first returns the lowest id that is left, "" for none.
func (m *Merger) first() (id string) {
	for _, in := range m.inputs {
		if in.cur != nil && (id == "" || compareIDs(in.cur.ID, id) < 0) {
			id = in.cur.ID
		}
	}
	return id
}

// begin selects the next stream, and merges all of it that is no range.
func (m *Merger) begin() error {
	id := m.first()
	if id == "" {
		return io.EOF
	}
	if root := Root(id); root != m.root {
		m.root = root
		if err := m.drop(root); err != nil {
			return err
		}
		id = m.first()
	}
	for _, in := range m.inputs {
		if in.cur == nil || in.cur.ID != id {
			continue
		}
		if in.cur.From != 0 {
			return invalidf("stream %s begins at %d", id, in.cur.From)
		}
		m.active = append(m.active, in)
		if m.now == nil {
			m.now = &Piece{ID: id, Stream: in.cur.head()}
		} else {
			m.now.merge(in.cur.head())
		}
		m.now.Whole = m.now.Whole || in.cur.Whole
	}
	return nil
}

// drop leaves out what a newer source knows to be all of a family.
func (m *Merger) drop(root string) error {
	for i, in := range slices.Backward(m.inputs) {
		if in.cur == nil || in.cur.ID != root || !in.cur.Whole {
			continue
		}
		for _, old := range m.inputs[:i] {
			for old.cur != nil && Root(old.cur.ID) == root {
				if err := old.advance(); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return nil
}

// step merges the ranges of the selected stream up to where the first of the
// current pieces ends.
func (m *Merger) step() error {
	to := int64(forever)
	for _, in := range m.active {
		to = min(to, in.end())
	}
	left := m.active[:0]
	for _, in := range m.active {
		ends := in.end() == to
		if to == forever {
			m.now.add(in.cur.Stream)
		} else {
			m.now.add(in.cur.cut(to))
		}
		if ends {
			if err := in.advance(); err != nil {
				return err
			}
		}
		if to != forever {
			left = append(left, in)
		}
	}
	m.active = left
	if to == forever {
		m.finish(m.now)
		m.now = nil
		return nil
	}
	if m.now.segments() >= maxSegments {
		m.finish(m.now)
		m.now = &Piece{ID: m.now.ID, From: to, Stream: &Stream{}}
	}
	return nil
}

// finish makes a merged piece ready.
func (m *Merger) finish(p *Piece) {
	if n := len(p.Sums) - m.Sums; m.Sums > 0 && n > 0 {
		p.Sums = slices.Clone(p.Sums[n:])
	}
	if whole := len(m.active) == 0 && p.From == 0; whole && len(p.Sums) > 0 && p.Seen.Before(m.Settled) && p.Complete() {
		p.Sums = nil
	}
	m.ready = append(m.ready, p.pieces()...)
}

// EachFamily calls do with all streams that a source tells of, a family at a time,
// in order.
func EachFamily(src Source, do func(root string, family Set) error) error {
	root, family := "", Set{}
	for {
		p, err := src.Next()
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		if len(family) > 0 && (end || Root(p.ID) != root) {
			if err := do(root, family); err != nil {
				return err
			}
			family = Set{}
		}
		if end {
			return nil
		}
		root = Root(p.ID)
		if err := family.join(p); err != nil {
			return err
		}
	}
}

// join adds the next piece of a source.
func (s Set) join(p *Piece) error {
	switch st := s[p.ID]; {
	case p.From == 0 && st == nil:
		s[p.ID] = p.Stream
	case p.From > 0 && st != nil:
		st.add(p.Stream)
	default:
		return invalidf("stream %s: a piece at %d is out of order", p.ID, p.From)
	}
	return nil
}
