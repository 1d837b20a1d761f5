package adaptortest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"

	"github.com/akupara/akupara/adaptors"
)

// owned is a stored stream and whose it is.
type owned struct {
	adaptors.Stream
	adaptor  string
	released bool
}

// Known returns all streams that are stored, in the order they were opened.
func (r *Recorder) Known() []adaptors.Stream {
	return r.stored(func(*owned) bool { return true })
}

// KnownOf returns those of one of several adaptors.
func (r *Recorder) KnownOf(name string) []adaptors.Stream {
	return r.stored(func(o *owned) bool { return o.adaptor == name })
}

func (r *Recorder) stored(is func(*owned) bool) []adaptors.Stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []adaptors.Stream
	for _, id := range r.order {
		if o := r.known[id]; o != nil && is(o) {
			out = append(out, o.Stream)
		}
	}
	return out
}

// Known implements adaptors.Streams.
func (l *link) Known() []adaptors.Stream {
	return l.r.stored(func(o *owned) bool {
		if o.adaptor == l.adaptor {
			o.released = false
		}
		return o.adaptor == l.adaptor
	})
}

// Others implements adaptors.Streams.
func (l *link) Others() []adaptors.Stream {
	return l.r.stored(func(o *owned) bool {
		return o.adaptor != l.adaptor && len(o.Identity) > 0
	})
}

// Take implements adaptors.Streams.
func (l *link) Take(id string) (adaptors.Stream, error) {
	var out adaptors.Stream
	err := l.change(id, func(o *owned) error {
		if o.adaptor != l.adaptor && !o.released && l.r.held[o.adaptor] {
			return fmt.Errorf("take stream %q: %w", id, adaptors.HeldError{Adaptor: o.adaptor})
		}
		if o.adaptor != l.adaptor && l.r.takes != nil {
			return l.r.takes
		}
		o.adaptor, o.released = l.adaptor, false
		out = o.Stream
		return nil
	})
	return out, err
}

// FailTakes lets streams of other adaptors not be taken, as where that can't be
// stored; nil: they are again.
func (r *Recorder) FailTakes(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.takes = err
}

// Release implements adaptors.Streams.
func (l *link) Release(id string) {
	var claims *adaptors.Claims // Kill makes others
	err := l.own(id, func(o *owned) { o.released, claims = true, l.r.claims })
	if err == nil {
		claims.Released()
	}
}

// Fresh implements adaptors.Streams.
func (l *link) Fresh() bool {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.r.fresh
}

// Open implements adaptors.Streams.
func (l *link) Open(ctx context.Context, s adaptors.Stream) (adaptors.Stream, error) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := errors.Join(ctx.Err(), r.openErr); err != nil {
		return adaptors.Stream{}, err
	}
	if l.life != r.life {
		return adaptors.Stream{}, errKilled
	}
	defer r.signal()
	s.ID = ""
	if s.Origin != "" && s.Fork == "" {
		s.ID = fmt.Sprintf("d%x", sha256.Sum256([]byte(s.Type+"\x00"+s.Origin)))[:17]
	}
	if s.ID == "" || r.known[s.ID] != nil {
		r.opened++
		s.ID = fmt.Sprintf("s%d", r.opened)
	}
	if s.Fork != "" {
		s.ID = s.Fork + "~" + s.ID
	}
	s.Origin, s.Fork = "", ""
	s.Settled = max(s.Settled, s.Begin)
	r.known[s.ID] = &owned{Stream: s, adaptor: l.adaptor}
	if !slices.Contains(r.order, s.ID) {
		r.order = append(r.order, s.ID)
	}
	return s, nil
}

func (l *link) change(id string, f func(o *owned) error) error {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if l.life != r.life {
		return errKilled
	}
	o := r.known[id]
	if o == nil {
		return fmt.Errorf("stream %q: %w", id, adaptors.ErrNoStream)
	}
	if err := f(o); err != nil {
		return err
	}
	r.signal()
	return nil
}

// own is change for a stream that has to be the adaptor's own.
func (l *link) own(id string, f func(o *owned)) error {
	return l.change(id, func(o *owned) error {
		if o.adaptor != l.adaptor {
			return fmt.Errorf("stream %q: %w", id, adaptors.HeldError{Adaptor: o.adaptor})
		}
		f(o)
		return nil
	})
}

// Retype implements adaptors.Streams. The Recorder's streams keep their types.
func (l *link) Retype(id string) (adaptors.Stream, error) {
	return adaptors.Stream{}, fmt.Errorf("stream %q has no other type", id)
}

// Update implements adaptors.Streams.
func (l *link) Update(s adaptors.Stream) error {
	return l.own(s.ID, func(o *owned) { o.Source, o.Identity, o.Ended = s.Source, s.Identity, s.Ended })
}

// Sent implements adaptors.Streams.
func (l *link) Sent(id string, end int64, fingerprint uint64) error {
	return l.own(id, func(o *owned) { o.Sent, o.Tail = end, fingerprint })
}

// Forget implements adaptors.Streams.
func (l *link) Forget(id string) error {
	return l.own(id, func(*owned) { delete(l.r.known, id) })
}
