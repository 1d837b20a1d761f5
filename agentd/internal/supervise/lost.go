package supervise

import (
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
)

// maxLost bounds the losses that are listed; all are counted.
const maxLost = 100

// Lost is what an adaptor's sources destroyed before it was read or secured,
// since the agent's start.
type Lost struct {
	Bytes  int64       `json:"bytes"`
	Ranges []LostRange `json:"ranges"` // the newest 100, oldest first
}

// LostRange is one range of a stream that is lost.
type LostRange struct {
	Stream string    `json:"stream"`
	Path   string    `json:"path"`
	First  int64     `json:"first"`
	Last   int64     `json:"last"`
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// losses counts the Lost facts of one adaptor. A fact that is sent again counts
// once, as long as it is listed.
type losses struct {
	mu   sync.Mutex
	lost Lost
}

func (l *losses) note(c *chunk.Chunk, now time.Time) {
	if c.Kind != chunk.Lost || c.Last <= c.First {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.lost.Ranges {
		if r.Stream == c.Stream && r.First <= c.First && c.Last <= r.Last {
			return
		}
	}
	l.lost.Bytes += c.Last - c.First
	if len(l.lost.Ranges) == maxLost {
		l.lost.Ranges = append(l.lost.Ranges[:0], l.lost.Ranges[1:]...)
	}
	l.lost.Ranges = append(l.lost.Ranges, LostRange{c.Stream, c.Source, c.First, c.Last, c.Reason, now.UTC()})
}

func (l *losses) view() Lost {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Lost{Bytes: l.lost.Bytes, Ranges: append([]LostRange{}, l.lost.Ranges...)}
}

// Lost is what each adaptor's sources destroyed since the start.
func (s *Supervisor) Lost() map[string]Lost {
	out := map[string]Lost{}
	for _, u := range s.all() {
		out[u.spec.Name] = u.history.losses.view()
	}
	return out
}
