// Package replay is the outgoing half of a stream whose source can be read
// again. It journals where a chunk ends before it sends it, sends the facts of
// the stream's beginning, losses and end, sends again what nobody holds any
// more, and knows when nothing of the stream is left to do. Which source is
// which stream, and what its bytes are, is up to the kind.
package replay

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
)

// phase is how far a stream's life is. Verbs move it forward; Reopen, and a
// request to send the End again, move it back.
type phase int

const (
	unopened   phase = iota // it has no id: nothing of it is sent
	opened                  // its source may grow
	ended                   // stored as ended: its length is what was sent
	endSent                 // its End fact is handed over
	endSettled              // and secured, with all that is before it
)

// Stream is one stream. One goroutine at a time uses it, but for the methods
// that say that they are safe at any time.
type Stream struct {
	// Tags are those of the stream's facts.
	Tags map[string]string
	// Why is the reason of its Begin fact; empty: "reading began here".
	Why string

	env       *adaptors.Env
	source    string
	dataType  string
	identity  []byte // as stored
	begin     int64
	doubt     int64  // bytes below may be in the table under another stream
	announced bool   // the facts of the beginning are sent, or there are none
	sent      int64  // journalled
	tail      uint64 // fingerprint of the bytes before sent
	reason    string // of the End

	mu      sync.Mutex // guards what is safe at any time
	id      string
	phase   phase
	off     int64 // handed over up to here
	settled int64
	size    int64
	asked   []chunk.Range // to be sent again
}

// New makes a stream that is not opened yet. env must stay as it is.
func New(env *adaptors.Env) *Stream { return &Stream{env: env, announced: true} }

// Restore makes the stream that a checkpoint holds. It goes on at its settled
// position, also where it has ended: Sent then tells its length.
func Restore(env *adaptors.Env, k adaptors.Stream) *Stream {
	s := &Stream{
		env: env, source: k.Source, dataType: k.Type, identity: k.Identity, begin: k.Begin, doubt: k.Doubt, sent: max(k.Sent, k.Begin), tail: k.Tail,
		announced: k.Settled > k.Begin || k.Begin == 0 && k.Doubt == 0,
		id:        k.ID, phase: opened, off: k.Settled, settled: k.Settled, size: max(k.Sent, k.Settled),
	}
	if k.Ended {
		s.phase = ended
	}
	return s
}

// Open stores the stream, durably, before its first byte is sent. Its type is
// that of its chunks.
func (s *Stream) Open(ctx context.Context, st adaptors.Stream) error {
	st.Settled, st.Sent = st.Begin, st.Begin
	st.Type = cmp.Or(st.Type, s.dataType, s.env.Type)
	got, err := s.env.Streams.Open(ctx, st)
	if err != nil {
		return fmt.Errorf("open a stream for %s: %w", ident.Text(st.Source), err)
	}
	s.source, s.identity, s.dataType = st.Source, st.Identity, st.Type
	s.begin, s.doubt, s.sent, s.tail = st.Begin, st.Doubt, st.Begin, st.Tail
	s.announced = false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.id, s.phase, s.off, s.settled = got.ID, opened, st.Begin, st.Begin
	return nil
}

// Source is the path or command that the stream was opened with.
func (s *Stream) Source() string { return s.source }

// Identity is what the kind finds the stream's source by, as stored.
func (s *Stream) Identity() []byte { return s.identity }

// Begin is where the stream starts.
func (s *Stream) Begin() int64 { return s.begin }

// Sent is the end of what was journalled.
func (s *Stream) Sent() int64 { return s.sent }

// Tail is the fingerprint of the bytes before Sent.
func (s *Stream) Tail() uint64 { return s.tail }

// SetType sets the data type of the stream's chunks, where it is neither the one
// it was opened with nor the adaptor's.
func (s *Stream) SetType(t string) { s.dataType = t }

// Type is the data type of its chunks.
func (s *Stream) Type() string { return cmp.Or(s.dataType, s.env.Type) }

// Await lets the stream go on behind all that was sent of it: that is sent again first,
// as Resend does, and nothing else is until the kind says so.
func (s *Stream) Await() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, chunk.Range{First: s.off, Last: s.sent})
	s.off = max(s.off, s.sent)
}

// Retype lets the stream begin anew as another data type, where all of it is settled.
func (s *Stream) Retype() error {
	st, err := s.env.Streams.Retype(s.ID())
	if err != nil {
		return fmt.Errorf("go on with %s as another data type: %w", ident.Text(s.source), err)
	}
	s.dataType, s.begin, s.announced = st.Type, st.Begin, st.Begin == 0
	return nil
}

// Update stores what the kind finds the source by from now on.
func (s *Stream) Update(identity []byte) error {
	before := s.identity
	s.identity = identity
	if err := s.store(); err != nil {
		s.identity = before
		return err
	}
	return nil
}

func (s *Stream) store() error {
	st := adaptors.Stream{
		ID: s.ID(), Source: s.source, Identity: s.identity, Begin: s.begin,
		Settled: s.Settled(), Sent: s.sent, Tail: s.tail, Ended: s.Ended(),
	}
	if err := s.env.Streams.Update(st); err != nil {
		return fmt.Errorf("store what is known of %s: %w", ident.Text(s.source), err)
	}
	return nil
}

// Doubt says that bytes below upTo may be in the table under another stream, where
// that is known after the stream was opened only. The kind stores it, and says it
// again after a start, until the stream is settled beyond.
func (s *Stream) Doubt(upTo int64) { s.doubt, s.announced = upTo, false }

// Announce sends the facts of the stream's beginning, if they are not sent yet.
// All that sends does it first.
func (s *Stream) Announce(ctx context.Context) error {
	if s.announced {
		return nil
	}
	if s.begin > 0 {
		if err := s.fact(ctx, chunk.Begin, chunk.Range{First: s.begin, Last: s.begin}, cmp.Or(s.Why, "reading began here")); err != nil {
			return err
		}
	}
	if rg := (chunk.Range{First: s.begin, Last: s.doubt}); !rg.Empty() {
		if err := s.fact(ctx, chunk.Doubtful, rg, "it was there when the agent, which knew of nothing that was sent before, began to read it"); err != nil {
			return err
		}
	}
	s.announced = true
	return nil
}

// Data sends a chunk, whose type, host, source, stream and time are set here.
// Where it ends and tail, the fingerprint of the bytes before that, are
// journalled before, unless it was sent before. Where the stream is in it, the
// stream goes on at its end.
func (s *Stream) Data(ctx context.Context, c chunk.Chunk, tail uint64) error {
	if err := s.Announce(ctx); err != nil {
		return err
	}
	if err := s.journal(c.Last, tail); err != nil {
		return err
	}
	c.Kind = chunk.Data
	if err := s.send(ctx, &c); err != nil {
		return err
	}
	s.pass(c.Range())
	return nil
}

// Lost reports that the source destroyed a range. Where the stream is in it, the
// stream goes on behind it.
func (s *Stream) Lost(ctx context.Context, rg chunk.Range, why string) error {
	if rg.Empty() {
		return nil
	}
	if err := s.Announce(ctx); err != nil {
		return err
	}
	if err := s.journal(rg.Last, 0); err != nil {
		return err
	}
	if err := s.fact(ctx, chunk.Lost, rg, why); err != nil {
		return err
	}
	if s.pass(rg) {
		s.env.Log.Warn("bytes of a source were destroyed before they could be read", "source", ident.Text(s.source),
			"stream", s.ID(), "first", rg.First, "last", rg.Last, "why", why)
	}
	return nil
}

// Missing reports as lost what is between where the stream is and upTo, and
// leaves the stream there: should its source come back, it is read after all.
func (s *Stream) Missing(ctx context.Context, upTo int64, why string) error {
	rg := chunk.Range{First: s.Off(), Last: upTo}
	if rg.Empty() {
		return nil
	}
	if err := s.Announce(ctx); err != nil {
		return err
	}
	return s.fact(ctx, chunk.Lost, rg, why)
}

// End stores that the stream ends where it is, and sends its End fact, both once.
// Of a stream that was never opened there is nothing to send.
func (s *Stream) End(ctx context.Context, why string) error {
	switch s.now() {
	case unopened:
		s.become(endSettled)
		return nil
	case endSent, endSettled:
		return nil
	case opened:
		s.become(ended)
		if err := s.store(); err != nil {
			s.become(opened)
			return err
		}
	}
	if err := s.Announce(ctx); err != nil {
		return err
	}
	s.reason = why
	// Before it is sent: its receipt may be faster than the return of Send.
	s.become(endSent)
	if err := s.fact(ctx, chunk.End, chunk.Range{First: s.Off(), Last: s.Off()}, why); err != nil {
		s.become(ended)
		return err
	}
	return nil
}

// Reopen lets a stream that has ended go on: its source came back, or was
// written on to. That is stored with the next Update.
func (s *Stream) Reopen() {
	if s.now() > opened {
		s.become(opened)
	}
}

// GoBack lets the stream go on where it was at an earlier time, of which was is
// what was kept: what was reported as lost since is in the source again.
func (s *Stream) GoBack(was *Stream) error {
	if s.sent != was.sent {
		if err := s.env.Streams.Sent(s.ID(), was.sent, was.tail); err != nil {
			return fmt.Errorf("journal what was sent of %s: %w", ident.Text(s.source), err)
		}
		s.sent, s.tail = was.sent, was.tail
	}
	s.Reopen()
	s.Rewind(was.Off())
	return nil
}

// Rewind lets the stream go on at an earlier offset: what is there is sent again.
func (s *Stream) Rewind(to int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.off = min(s.off, max(to, s.begin))
}

// Resend sends again what was asked for, as far as it was sent before: facts by
// itself, ranges by read, which gives each to Data or, where it can't be read
// again, to Lost. What fails is still asked for.
func (s *Stream) Resend(ctx context.Context, read func(context.Context, chunk.Range) error) error {
	s.mu.Lock()
	asked := s.asked
	s.asked = nil
	s.mu.Unlock()
	for i, rg := range asked {
		if err := s.resend(ctx, rg, read); err != nil {
			s.mu.Lock()
			s.asked = append(asked[i:], s.asked...)
			s.mu.Unlock()
			return err
		}
	}
	return nil
}

func (s *Stream) resend(ctx context.Context, rg chunk.Range, read func(context.Context, chunk.Range) error) error {
	if !rg.Empty() {
		if rg = rg.Intersect(chunk.Range{First: s.begin, Last: s.Off()}); rg.Empty() {
			return nil // it is read anyway
		}
		if err := s.Announce(ctx); err != nil {
			return err
		}
		return read(ctx, rg)
	}
	if rg.First == s.begin {
		s.announced = false
	}
	if err := s.Announce(ctx); err != nil {
		return err
	}
	if rg.First != s.Off() || s.now() < endSent {
		return nil
	}
	s.become(ended)
	return s.End(ctx, s.reason)
}

// Forget drops the stream for good: nothing of it will be asked for again.
func (s *Stream) Forget() {
	if s.ID() == "" {
		return
	}
	if err := s.env.Streams.Forget(s.ID()); err != nil {
		s.env.Log.Warn("a finished stream can't be forgotten; trying at the next start", "stream", s.ID(), "error", err)
	}
}

// journal notes where what is sent next ends, and the fingerprint of the bytes
// before.
func (s *Stream) journal(end int64, tail uint64) error {
	if end <= s.sent {
		return nil
	}
	if s.Ended() {
		return fmt.Errorf("send %s up to %d: the stream has ended at %d", ident.Text(s.source), end, s.sent)
	}
	if err := s.env.Streams.Sent(s.ID(), end, tail); err != nil {
		return fmt.Errorf("journal what is sent of %s: %w", ident.Text(s.source), err)
	}
	s.sent, s.tail = end, tail
	return nil
}

func (s *Stream) fact(ctx context.Context, kind chunk.Kind, rg chunk.Range, why string) error {
	return s.send(ctx, &chunk.Chunk{Kind: kind, First: rg.First, Last: rg.Last, Reason: why, Tags: s.Tags})
}

func (s *Stream) send(ctx context.Context, c *chunk.Chunk) error {
	c.Type, c.Host, c.Source, c.Stream, c.Time = cmp.Or(s.dataType, s.env.Type), s.env.Host, ident.Text(s.source), s.ID(), time.Now()
	if err := s.env.Out.Send(ctx, c); err != nil {
		return fmt.Errorf("send %v %v of %s: %w", c.Kind, c.Range(), c.Source, err)
	}
	return nil
}

// pass lets the stream go on behind a range that it is in; moved reports whether
// it was.
func (s *Stream) pass(rg chunk.Range) (moved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if rg.First > s.off || rg.Last <= s.off {
		return false
	}
	s.off = rg.Last
	return true
}
