package supervise

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/checkpoints"
)

// holds says which adaptor holds which stored stream: the one that is stored as
// its owner, as long as that runs or is to run and has not released the stream.
type holds struct {
	store  *checkpoints.Store
	claims *adaptors.Claims
	// active reports whether an adaptor of that name and kind runs, or is to. It
	// is called with mu held.
	active func(of checkpoints.Owner) bool
	// lives are those of the adaptors of a name, nil if there never was one: no
	// ledger is listened to by them while a stream goes to another.
	lives func(adaptor string) *lives

	mu       sync.Mutex          // held while a stream changes hands
	released map[string]struct{} // ids of streams that their owner released
}

// known returns the streams of an adaptor, which holds all of them again.
func (h *holds) known(of checkpoints.Owner) []checkpoints.Owned {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.store.Of(of)
	for i := range own {
		delete(h.released, own[i].ID)
	}
	return own
}

// others returns the streams of other adaptors of the kind, whether they hold
// them or not. A stream without an identity is a note that a kind keeps for
// itself.
func (h *holds) others(of checkpoints.Owner) []checkpoints.Owned {
	return slices.DeleteFunc(h.store.OfKind(of.Kind), func(st checkpoints.Owned) bool {
		return st.Of.Is(of) || len(st.Identity) == 0
	})
}

// take makes a stream the adaptor's own, and returns whose it was.
func (h *holds) take(id string, by checkpoints.Owner) (st checkpoints.Stream, from string, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	was, ok := h.store.Owned(id)
	if !ok || was.Of.Kind != by.Kind {
		return st, "", fmt.Errorf("take stream %q: %w", id, adaptors.ErrNoStream)
	}
	from = was.Of.Adaptor
	if !was.Of.Is(by) {
		if _, released := h.released[id]; !released && h.active(was.Of) {
			return st, from, fmt.Errorf("take stream %q: %w", id, adaptors.HeldError{Adaptor: from})
		}
		if err := h.move(was, by); err != nil {
			if errors.Is(err, checkpoints.ErrUnknown) {
				err = adaptors.ErrNoStream // forgotten just now
			}
			return st, from, fmt.Errorf("take stream %q of adaptor %q: %w", id, from, err)
		}
	}
	delete(h.released, id)
	if st, ok = h.store.Stream(id); !ok {
		return st, from, fmt.Errorf("take stream %q: %w", id, adaptors.ErrNoStream)
	}
	return st, from, nil
}

// move changes a stream's owner. No late word that a ledger has for the former
// one moves the stream's position once it returns.
func (h *holds) move(st checkpoints.Owned, to checkpoints.Owner) error {
	if l := h.lives(st.Of.Adaptor); l != nil {
		l.mu.Lock()
		defer l.mu.Unlock()
	}
	return h.store.Move(st.ID, to)
}

// release lets others take one of the adaptor's streams.
func (h *holds) release(id string, of checkpoints.Owner) {
	h.mu.Lock()
	st, ok := h.store.Owned(id)
	if ok = ok && st.Of.Is(of); ok {
		h.released[id] = struct{}{}
	}
	h.mu.Unlock()
	if ok {
		h.claims.Released()
	}
}

// rewind sets streams of the adaptor back that it still has and has not
// released, and lets the ledgers forget them: no other adaptor takes one
// meanwhile. It returns those that it left alone.
func (h *holds) rewind(of checkpoints.Owner, to map[string]int64, closeStream func(id string)) (gone map[string]bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	gone = map[string]bool{}
	for id := range to {
		owner, ok := h.store.Owner(id)
		if _, released := h.released[id]; !ok || !owner.Is(of) || released {
			gone[id] = true
			delete(to, id)
		}
	}
	if err := h.store.Rewind(to); err != nil {
		return nil, err
	}
	for id := range to {
		closeStream(id)
	}
	return gone, nil
}

// each calls f for the adaptor's streams: none of them goes to another meanwhile.
func (h *holds) each(of checkpoints.Owner, f func(st *checkpoints.Owned)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	own := h.store.Of(of)
	for i := range own {
		f(&own[i])
	}
}

// sweep lets the ledgers forget streams that no adaptor holds, once all that was
// sent of them is settled. They stay stored; whoever takes one opens it again.
func (h *holds) sweep(closeStream func(id string)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, of := range h.store.Owners() {
		if h.active(of) {
			continue
		}
		for _, st := range h.store.Of(of) {
			if st.Settled >= st.Sent {
				closeStream(st.ID)
			}
		}
	}
}

// forget drops what is known of a stream that is gone.
func (h *holds) forget(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.released, id)
}
