package supervise

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// streams gives a replayable adaptor its part of the checkpoints, and lets the
// ledger know what is opened.
type streams struct{ u *unit }

// Known implements adaptors.Streams.
func (s streams) Known() []adaptors.Stream {
	known := s.u.holds.known(s.u.owner())
	out := make([]adaptors.Stream, len(known))
	for i := range known {
		out[i] = s.retyped(s.open(known[i].Stream), known[i].Of)
	}
	return out
}

// open announces a stored stream to the ledger.
func (s streams) open(st checkpoints.Stream) adaptors.Stream {
	// What settled since it was stored was told to whoever ran before.
	st.Settled = max(st.Settled, s.u.way().Ledger.Open(st.ID, s.u.source(), st.Settled))
	return adaptors.Stream(st)
}

// retyped lets a stream that had the type of its adaptor's entry go on as what
// the entry says now, from where it is settled. What lies below is the other
// type's.
func (s streams) retyped(st adaptors.Stream, was checkpoints.Owner) adaptors.Stream {
	now := s.u.owner()
	if was.Type == now.Type || st.Type != was.Type || len(st.Identity) == 0 || s.u.spec.Kind.Retypes && st.Settled < st.Sent {
		return st
	}
	if err := s.u.env.Checkpoints.Retype(st.ID, now, now.Type, st.Settled); err != nil {
		s.u.env.Log.Error("can't store that a stream has another data type now; the audit may show a gap at its beginning",
			"adaptor", s.u.spec.Name, "stream", st.ID, "error", err)
	}
	st.Type, st.Begin = now.Type, st.Settled
	return st
}

// Retype implements adaptors.Streams.
func (s streams) Retype(id string) (adaptors.Stream, error) {
	st, ok := s.u.env.Checkpoints.Owned(id)
	now := s.u.owner()
	switch {
	case !ok:
		return adaptors.Stream{}, fmt.Errorf("stream %q: %w", id, adaptors.ErrNoStream)
	case !st.Of.Is(now):
		return adaptors.Stream{}, fmt.Errorf("stream %q: %w", id, adaptors.HeldError{Adaptor: st.Of.Adaptor})
	case st.Settled < st.Sent:
		return adaptors.Stream{}, fmt.Errorf("stream %q is settled up to %d, and was sent up to %d as %s", id, st.Settled, st.Sent, st.Type)
	}
	if err := s.u.env.Checkpoints.Retype(id, now, now.Type, st.Settled); err != nil {
		return adaptors.Stream{}, err
	}
	s.u.env.Log.Info("a stream goes on as another data type", "adaptor", s.u.spec.Name, "stream", id, "source", st.Source,
		"before", st.Type, "type", now.Type, "offset", st.Settled)
	st.Type, st.Begin = now.Type, st.Settled
	return adaptors.Stream(st.Stream), nil
}

// Others implements adaptors.Streams.
func (s streams) Others() []adaptors.Stream {
	others := s.u.holds.others(s.u.owner())
	out := make([]adaptors.Stream, len(others))
	for i := range others {
		out[i] = adaptors.Stream(others[i].Stream)
	}
	return out
}

// Take implements adaptors.Streams.
func (s streams) Take(id string) (adaptors.Stream, error) {
	st, from, err := s.u.holds.take(id, s.u.owner())
	if err != nil {
		return adaptors.Stream{}, err
	}
	if from != s.u.spec.Name {
		s.u.env.Log.Info("a stream goes on under another adaptor, which found its source",
			"adaptor", s.u.spec.Name, "before", from, "stream", id, "source", st.Source)
	}
	return s.open(st), nil
}

// Release implements adaptors.Streams.
func (s streams) Release(id string) { s.u.holds.release(id, s.u.owner()) }

// Fresh implements adaptors.Streams.
func (s streams) Fresh() bool { return s.u.env.Checkpoints.Fresh() }

// Open implements adaptors.Streams.
func (s streams) Open(ctx context.Context, st adaptors.Stream) (adaptors.Stream, error) {
	stored, err := s.u.env.Checkpoints.Open(ctx, s.u.owner(), checkpoints.Stream(st))
	if err != nil {
		return adaptors.Stream{}, err
	}
	return s.open(stored), nil
}

// Update implements adaptors.Streams.
func (s streams) Update(st adaptors.Stream) error {
	if err := s.own(st.ID); err != nil {
		return err
	}
	return s.u.env.Checkpoints.Update(checkpoints.Stream(st))
}

// Sent implements adaptors.Streams.
func (s streams) Sent(id string, end int64, fingerprint uint64) error {
	if err := s.own(id); err != nil {
		return err
	}
	return s.u.env.Checkpoints.Sent(id, end, fingerprint)
}

// Forget implements adaptors.Streams.
func (s streams) Forget(id string) error {
	if err := s.own(id); err != nil {
		return err
	}
	s.u.env.Close(id)
	s.u.filter().Forget(id)
	s.u.holds.forget(id)
	return s.u.env.Checkpoints.Forget(id)
}

// own fails with ErrHeld if a stream is another adaptor's by now.
func (s streams) own(id string) error {
	if of, ok := s.u.env.Checkpoints.Owner(id); ok && !of.Is(s.u.owner()) {
		return fmt.Errorf("stream %q: %w", id, adaptors.HeldError{Adaptor: of.Adaptor})
	}
	return nil
}

func (u *unit) owner() checkpoints.Owner {
	return checkpoints.Owner{Adaptor: u.spec.Name, Kind: u.spec.Kind.Name, Type: u.spec.Type}
}

// replayer returns the adaptor while it runs: one that is started later reads on
// from its checkpoint, and so sends by itself what is not settled.
func (u *unit) replayer() adaptors.Replayer {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.running {
		return nil
	}
	r, _ := u.adaptor.(adaptors.Replayer)
	return r
}

// source is what a ledger tells of a unit's streams. A rewind begins another
// life, in which no late word of a ledger undoes it: those of former lives are
// not listened to, whichever of the adaptor's units and ledgers they come from.
type source struct {
	u    *unit
	life int64
}

// lives are those of the adaptors of one name.
type lives struct {
	mu  sync.Mutex   // held while a ledger is listened to
	now atomic.Int64 // changes under mu
}

// next begins another life.
func (l *lives) next() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now.Add(1)
}

// Settled implements ledger.Source.
func (s *source) Settled(stream string, upTo int64) {
	u := s.u
	u.lives.mu.Lock()
	defer u.lives.mu.Unlock()
	if s.life != u.lives.now.Load() {
		return
	}
	st, ok := u.env.Checkpoints.Owned(stream)
	if !ok || !st.Of.Is(u.owner()) {
		return // another adaptor reads on from what is stored
	}
	u.history.settle(max(0, upTo-st.Settled))
	if err := u.env.Checkpoints.Settled(stream, upTo); err != nil {
		u.env.Log.Error("can't write a checkpoint; after a restart more is sent again than need be",
			"adaptor", u.spec.Name, "stream", stream, "error", err)
	}
	if r := u.replayer(); r != nil {
		r.Settled(stream, upTo)
	}
}

// Resend implements ledger.Source.
func (s *source) Resend(stream string, r chunk.Range) {
	s.u.lives.mu.Lock()
	defer s.u.lives.mu.Unlock()
	if s.life != s.u.lives.now.Load() || (streams{s.u}).own(stream) != nil {
		return
	}
	if a := s.u.replayer(); a != nil {
		a.Resend(stream, r)
	}
}

// Adaptor implements ledger.Source.
func (s *source) Adaptor(string) string { return s.u.spec.Name }

func (u *unit) source() *source {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.src
}

// Level implements ledger.Source.
func (s *source) Level() ledger.Level { return ledger.Level(s.u.level.Load()) }

func (u *unit) spoolKey(dataType string) spool.Key {
	return spool.Key{Adaptor: u.spec.Name, Type: dataType, Persona: u.spec.Persona}
}
