package ship

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectors"
)

// Barred is a data type that a collector does not take at the moment, whatever
// a batch of it holds: it has as many types as it may have. The type's senders
// wait, and one of its batches is tried now and then.
type Barred struct {
	Type      string    `json:"type"`
	Collector string    `json:"collector"`
	Reason    string    `json:"reason"`
	Since     time.Time `json:"since"`
}

// bar notes that a type is refused; first reports whether that is news.
func (s *Shipper) bar(dataType, url string, refused *collectors.Refused) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, was := s.barred[dataType]
	if !was {
		b = Barred{Type: dataType, Since: time.Now().UTC()}
	}
	b.Collector, b.Reason = url, refused.Reason
	s.barred[dataType] = b
	return !was
}

// unbar notes that a batch of the type was taken: what else of it was refused
// is tried at once.
func (s *Shipper) unbar(dataType string) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.streak, dataType)
	if _, was = s.barred[dataType]; !was {
		return false
	}
	delete(s.barred, dataType)
	for _, b := range s.parked {
		if b.dataType == dataType {
			b.due = time.Time{}
		}
	}
	s.changed()
	s.work.Broadcast()
	return true
}

// Barred returns the types that collectors refuse at the moment, by name.
func (s *Shipper) Barred() []Barred {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Barred{}
	for dataType, b := range s.barred {
		if s.refused[dataType] > 0 {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b Barred) int { return cmp.Compare(a.Type, b.Type) })
	return out
}

// Why returns why a type is barred, "" if it is not.
func (s *Shipper) Why(dataType string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b, barred := s.barred[dataType]
	if !barred || s.refused[dataType] == 0 {
		return ""
	}
	return fmt.Sprintf("%s refuses the data type %s: %s", b.Collector, dataType, b.Reason)
}
