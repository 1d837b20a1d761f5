package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/checkpoints"
)

// Why a rewind is refused.
var (
	ErrNotRewindable = errors.New("its sources can't be read again from an earlier offset")
	ErrNoStream      = errors.New("it has no such stream")
)

// Rewind says which streams of an adaptor are set back, and to where.
type Rewind struct {
	Stream    string // this one alone
	Path      string // those of this source
	All       bool
	Offset    int64 // where to; of no meaning with Beginning
	Beginning bool  // to where each stream begins
}

// Rewound is what became of a rewind.
type Rewound struct {
	Adaptor string    `json:"adaptor"`
	Rewound []SetBack `json:"rewound"`
	Left    []Left    `json:"left"`
}

// SetBack is a stream that was set back.
type SetBack struct {
	Stream string `json:"stream"`
	Path   string `json:"path"`
	From   int64  `json:"from"`
	To     int64  `json:"to"`
}

// Left is a stream that was asked for and is left as it is.
type Left struct {
	Stream string `json:"stream"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Rewind sets streams back: it waits until the adaptor does not run, stores the
// positions durably, lets the ledger forget what it knew, and lets the adaptor
// run again where it is wanted. The same bytes are then sent under the same
// streams and offsets. It fails with ErrNotRewindable, ErrNoStream, ErrUnknown or
// ctx's error, and has then changed nothing.
func (s *Supervisor) Rewind(ctx context.Context, name string, r Rewind) (Rewound, error) {
	s.changing.Lock()
	defer s.changing.Unlock()
	u, err := s.unit(name)
	if err != nil {
		return Rewound{}, err
	}
	if !u.spec.Kind.Rewindable {
		return Rewound{}, fmt.Errorf("adaptor %q of kind %s: %w", name, u.spec.Kind.Name, ErrNotRewindable)
	}
	idle := u.hold(rewinding, true)
	defer u.hold(rewinding, false)
	if err := u.rests(ctx, idle); err != nil {
		return Rewound{}, err
	}
	// From here on no late word of a ledger reaches the checkpoints.
	fresh := &source{u, u.lives.next()}
	u.mu.Lock()
	u.src = fresh
	u.mu.Unlock()
	defer func() { // those that go on have the new one to talk to
		s.holds.each(u.owner(), func(st *checkpoints.Owned) { u.way().Ledger.Open(st.ID, fresh, st.Settled) })
	}()

	out, to := u.pick(r)
	if len(out.Rewound)+len(out.Left) == 0 && !r.All {
		return Rewound{}, fmt.Errorf("adaptor %q, %s: %w", name, r.Stream+r.Path, ErrNoStream)
	}
	gone, err := s.holds.rewind(u.owner(), to, u.env.Close)
	if err != nil {
		return Rewound{}, fmt.Errorf("rewind adaptor %q: %w", name, err)
	}
	out.drop(gone)
	u.env.Log.Info("streams were set back, and are sent again", "adaptor", name, "streams", len(to))
	return out, nil
}

// drop moves streams that could not be set back to those that were left.
func (r *Rewound) drop(gone map[string]bool) {
	r.Rewound = slices.DeleteFunc(r.Rewound, func(b SetBack) bool {
		if gone[b.Stream] {
			r.Left = append(r.Left, Left{b.Stream, b.Path, "another adaptor has found its source, or may"})
		}
		return gone[b.Stream]
	})
}

// rests waits until neither the unit runs nor those that it starts behind.
func (u *unit) rests(ctx context.Context, idle <-chan struct{}) error {
	for _, done := range append(slices.Clone(u.after), idle) {
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("adaptor %q is stopping: %w", u.spec.Name, ctx.Err())
		}
	}
	return nil
}

// pick finds the streams that are asked for, and where each is set back to.
func (u *unit) pick(r Rewind) (Rewound, map[string]int64) {
	out := Rewound{Adaptor: u.spec.Name, Rewound: []SetBack{}, Left: []Left{}}
	to := map[string]int64{}
	paths := map[string]string{} // where a file is now, which may not be where it was found
	for _, src := range u.adaptor.Status().Sources {
		paths[src.Stream] = src.Path
	}
	for _, st := range u.env.Checkpoints.Of(u.owner()) {
		path, known := paths[st.ID]
		if !known {
			path = st.Source
		}
		if !r.All && st.ID != r.Stream && (r.Path == "" || path != r.Path && st.Source != r.Path) {
			continue
		}
		at := r.Offset
		if r.Beginning {
			at = st.Begin
		}
		leave := func(format string, args ...any) {
			out.Left = append(out.Left, Left{st.ID, path, fmt.Sprintf(format, args...)})
		}
		switch {
		case len(st.Identity) == 0 && st.Sent == 0: // a kind's own note
		case st.Ended && !u.canReread(adaptors.Stream(st.Stream)):
			leave("it has ended, and its source is gone or not as it was read any more")
		case at < st.Begin:
			leave("it begins at %d: what comes before was never its own", st.Begin)
		case at >= st.Settled:
			leave("it is settled up to %d only, and read on from there", st.Settled)
		default:
			to[st.ID] = at
			out.Rewound = append(out.Rewound, SetBack{st.ID, path, st.Settled, at})
		}
	}
	return out, to
}

// canReread reports whether the source of an ended stream is still there.
func (u *unit) canReread(st adaptors.Stream) bool {
	r, ok := u.adaptor.(adaptors.Rereader)
	return ok && r.CanReread(st)
}
