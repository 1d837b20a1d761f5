package spool

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"
)

// ErrTooManyTypes says that other data types have all the places there are:
// this one's batches are refused, those of the others are not.
var ErrTooManyTypes = errors.New("no more data types are taken")

// maxRefused bounds the data types that are remembered as refused.
const maxRefused = 1000

// RefusedFor is how long a data type counts as refused after its last batch
// that was: longer than an agent waits before it tries again.
const RefusedFor = 3 * time.Minute

// places are who has one of the places for data types: whoever has an open
// segment, and for a moment longer than that, so that a type that brings data
// all the time keeps its place while one segment is sealed and the next one not
// opened yet. Its methods are called with Spool.mu held.
type places struct {
	left    map[string]time.Time // by type without a segment: until when its place is kept
	refused map[string]refusal
}

type refusal struct {
	last  time.Time
	taken bool // since then
}

// leave keeps the place of a type whose segment is sealed.
func (p *places) leave(dataType string, until time.Time) { p.left[dataType] = until }

// take reports whether a type without a segment may open one, beside the open
// ones that there are already.
func (p *places) take(dataType string, open, most int, now time.Time) bool {
	if until, has := p.left[dataType]; has && until.After(now) || open+len(p.left) < most {
		delete(p.left, dataType)
		return true
	}
	return open+p.kept(now) < most
}

// kept is how many places are kept for types without a segment.
func (p *places) kept(now time.Time) int {
	maps.DeleteFunc(p.left, func(_ string, until time.Time) bool { return !until.After(now) })
	return len(p.left)
}

// refuse notes that a type found no place; first reports whether that is news.
func (p *places) refuse(dataType string, now time.Time) (first bool) {
	was, known := p.refused[dataType]
	if !known && len(p.refused) >= maxRefused {
		p.forget(now)
		if len(p.refused) >= maxRefused {
			return false
		}
	}
	p.refused[dataType] = refusal{last: now}
	return !known || now.Sub(was.last) >= RefusedFor
}

// admit notes that a type has a place; was reports whether it had none before.
func (p *places) admit(dataType string) (was bool) {
	r, known := p.refused[dataType]
	if !known || r.taken {
		return false
	}
	r.taken = true
	p.refused[dataType] = r
	return true
}

func (p *places) forget(now time.Time) {
	maps.DeleteFunc(p.refused, func(_ string, r refusal) bool { return now.Sub(r.last) >= RefusedFor })
}

// list returns the types that find no place, sorted.
func (p *places) list(now time.Time) []string {
	p.forget(now)
	out := []string{}
	for dataType, r := range p.refused {
		if !r.taken {
			out = append(out, dataType)
		}
	}
	slices.Sort(out)
	return out
}

// newRoute makes the route of a type that has none, if it finds a place.
func (s *Spool) newRoute(dataType string, now time.Time) (*route, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.routes[dataType]; r != nil {
		return r, nil
	}
	places := s.rules.Load().MaxOpen
	if !s.places.take(dataType, len(s.routes), places, now) {
		if s.places.refuse(dataType, now) {
			s.Log.Warn("a data type is refused, as others have all the places; agents keep its data and try again. Raise collector.max_types, or send fewer types",
				"type", dataType, "max_types", places)
		}
		return nil, fmt.Errorf("%w: %d others have all the places (collector.max_types)", ErrTooManyTypes, places)
	}
	if s.places.admit(dataType) {
		s.Log.Info("a data type that was refused has a place now", "type", dataType)
	}
	r := &route{}
	s.routes[dataType] = r
	return r, nil
}
