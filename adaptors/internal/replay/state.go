package replay

import (
	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

// Take notes what the agent told of the stream. It is safe at any time.
func (s *Stream) Take(l *receipts.Letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.settled = max(s.settled, l.Settled)
	// The agent moves no position to an offset whose facts are not secured: the
	// position's being here again says that the End is.
	if s.phase == endSent && l.Receipts > 0 && l.Settled >= s.off {
		s.phase = endSettled
	}
	s.asked = append(s.asked, l.Resend...)
}

// Done reports whether nothing of the stream is left to do: its End and all
// before it are secured. It is safe at any time.
func (s *Stream) Done() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == endSettled && len(s.asked) == 0
}

// Asked reports whether something is to be sent again. It is safe at any time.
func (s *Stream) Asked() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked) > 0
}

// ID is empty until the stream is opened. It is safe at any time.
func (s *Stream) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Off is where the stream is: what is below was handed over. It is safe at any
// time.
func (s *Stream) Off() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.off
}

// Settled is the position below which everything is secured. It is safe at any
// time.
func (s *Stream) Settled() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settled
}

// Ended reports whether the stream is stored as ended. It is safe at any time.
func (s *Stream) Ended() bool { return s.now() >= ended }

// EndSent reports whether the End fact was handed over. It is safe at any time.
func (s *Stream) EndSent() bool { return s.now() >= endSent }

// SetSize tells people how many bytes there are. It is safe at any time.
func (s *Stream) SetSize(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = n
}

// Shown is what people see of the stream, but for the path. It is safe at any
// time.
func (s *Stream) Shown() adaptors.Source {
	s.mu.Lock()
	defer s.mu.Unlock()
	return adaptors.Source{Stream: s.id, Size: max(s.size, s.off), Read: s.off, Settled: s.settled}
}

func (s *Stream) now() phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase
}

func (s *Stream) become(p phase) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.phase = p
}
