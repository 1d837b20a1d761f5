package coverage

import (
	"errors"
	"io"
)

// Join calls do with each stream that any of the sources tells of, in order: parts
// has what each of them tells, nil where that is nothing. parts is good until do
// returns, what it names is not touched afterwards.
func Join(do func(id string, parts []*Stream) error, sources ...Source) error {
	in := make([]*streams, len(sources))
	for i, s := range sources {
		in[i] = &streams{src: s}
		if err := in[i].next(); err != nil {
			return err
		}
	}
	parts := make([]*Stream, len(sources))
	for {
		id := ""
		for _, s := range in {
			if s.stream != nil && (id == "" || compareIDs(s.id, id) < 0) {
				id = s.id
			}
		}
		if id == "" {
			return nil
		}
		for i, s := range in {
			parts[i] = nil
			if s.stream == nil || s.id != id {
				continue
			}
			parts[i] = s.stream
			if err := s.next(); err != nil {
				return err
			}
		}
		if err := do(id, parts); err != nil {
			return err
		}
	}
}

// streams puts the pieces of a source together.
type streams struct {
	src    Source
	id     string
	stream *Stream // nil: there is no more
	ahead  *Piece
	begun  bool
}

func (s *streams) next() error {
	if !s.begun {
		s.begun = true
		if err := s.read(); err != nil {
			return err
		}
	}
	if s.stream = nil; s.ahead == nil {
		return nil
	}
	if s.ahead.From != 0 {
		return invalidf("stream %s begins at %d", s.ahead.ID, s.ahead.From)
	}
	s.id, s.stream = s.ahead.ID, s.ahead.Stream
	for {
		if err := s.read(); err != nil || s.ahead == nil || s.ahead.ID != s.id {
			return err
		}
		s.stream.add(s.ahead.Stream)
	}
}

func (s *streams) read() (err error) {
	s.ahead, err = s.src.Next()
	if errors.Is(err, io.EOF) {
		s.ahead, err = nil, nil
	}
	return err
}
