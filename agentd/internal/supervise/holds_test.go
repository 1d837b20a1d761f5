package supervise

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/chunk"
)

// parties are adaptors of one kind under one supervisor, each with its streams
// at hand.
type parties struct {
	*Supervisor
	t *testing.T
}

// meet runs adaptors of these names.
func meet(t *testing.T, names []string, test func(p parties)) {
	t.Helper()
	var specs []Spec
	for _, name := range names {
		specs = append(specs, spec(name, &fake{run: untilDone}))
	}
	inBubble(t, nil, specs, func(t *testing.T, s *Supervisor) { test(parties{s, t}) })
}

func (p parties) of(name string) streams {
	p.t.Helper()
	u, err := p.unit(name)
	if err != nil {
		p.t.Fatal(err)
	}
	return streams{u}
}

func (p parties) open(name string) string {
	p.t.Helper()
	st, err := p.of(name).Open(p.t.Context(), adaptors.Stream{Source: "/x", Identity: []byte("i"), Type: "x"})
	if err != nil {
		p.t.Fatal(err)
	}
	return st.ID
}

// has checks what an adaptor has of its own.
func (p parties) has(name, when string, want ...string) {
	p.t.Helper()
	if got := idsOf(p.of(name).Known()); !slices.Equal(got, want) {
		p.t.Errorf("%s: known to %s: got %q, want %q", when, name, got, want)
	}
}

// takes checks whether an adaptor may take a stream; held is the adaptor that
// holds it, empty where it may.
func (p parties) takes(name, when, id, held string) {
	p.t.Helper()
	if !slices.Contains(idsOf(p.of(name).Others()), id) {
		p.t.Errorf("%s: %s does not see the stream of another", when, name)
	}
	st, err := p.of(name).Take(id)
	var holder adaptors.HeldError
	switch {
	case held == "" && (err != nil || st.ID != id):
		p.t.Errorf("%s: %s takes it: got %+v, %v", when, name, st, err)
	case held != "" && (!errors.Is(err, adaptors.ErrHeld) || !errors.As(err, &holder) || holder.Adaptor != held):
		p.t.Errorf("%s: %s takes it: got %v, want that %s holds it", when, name, err, held)
	}
}

func idsOf(list []adaptors.Stream) (ids []string) {
	for _, st := range list {
		ids = append(ids, st.ID)
	}
	return ids
}

func TestStreamsOfAnAdaptorThatIsStoppedRemovedOrReplacedAreForOthers(t *testing.T) {
	for name, leave := range map[string]func(p parties) error{
		"stopped": func(p parties) error { return p.Stop(p.t.Context(), "a") },
		"removed": func(p parties) error { return p.Remove(p.t.Context(), "a") },
	} {
		t.Run(name, func(t *testing.T) {
			meet(t, []string{"a", "b"}, func(p parties) {
				id := p.open("a")
				p.takes("b", "while a runs", id, "a")
				version := p.env.Claims.Version()
				if err := leave(p); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if p.env.Claims.Version() == version {
					t.Error("nothing told the others to look again")
				}
				p.takes("b", name, id, "")
				p.has("b", "after it took it", id)
				if name == "stopped" {
					if err := p.Start("a"); err != nil {
						t.Fatal(err)
					}
					p.has("a", "started again")
					p.takes("a", "started again", id, "b")
					if err := p.of("a").Sent(id, 1, 1); !errors.Is(err, adaptors.ErrHeld) {
						t.Errorf("a journals what b holds: got %v, want ErrHeld", err)
					}
				}
			})
		})
	}
	t.Run("replaced", func(t *testing.T) {
		meet(t, []string{"a", "b"}, func(p parties) {
			id := p.open("a")
			change, err := p.Prepare([]Spec{spec("a", &fake{run: untilDone})}, nil, func(string) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			p.Apply(change)
			p.takes("b", "while a is replaced", id, "a")
			synctest.Wait()
			p.takes("b", "after a was replaced", id, "a")
			p.has("a", "replaced", id)
		})
	})
}

func TestAdaptorThatStillStopsHoldsItsStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stubborn := &fake{run: func(ctx context.Context, _ adaptors.Env) error { <-ctx.Done(); <-release; return nil }}
		s := supervisor(t, nil)
		for _, sp := range []Spec{spec("a", stubborn), spec("b", &fake{run: untilDone})} {
			if err := s.Add(sp, true); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		synctest.Wait()
		p := parties{s, t}
		id := p.open("a")
		short, stop := context.WithTimeout(ctx, 1)
		defer stop()
		if err := s.Remove(short, "a"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("remove: got %v, want that it is still stopping", err)
		}
		p.takes("b", "while a stops", id, "a")
		close(release)
		synctest.Wait()
		p.takes("b", "after a has stopped", id, "")
		cancel()
		<-done
	})
}

func TestReleasedStreamIsItsAdaptorsUntilAnotherTakesIt(t *testing.T) {
	meet(t, []string{"a", "b", "c"}, func(p parties) {
		id, other := p.open("a"), p.open("a")
		version := p.env.Claims.Version()
		p.of("b").Release(id) // not its own
		p.takes("b", "after a release by b", id, "a")
		p.of("a").Release(id)
		if p.env.Claims.Version() == version {
			t.Error("nothing told the others to look again")
		}
		if _, err := p.of("a").Take(id); err != nil {
			t.Errorf("a takes back what it released: %v", err)
		}
		p.takes("b", "taken back", id, "a")
		p.of("a").Release(id)
		p.has("a", "released", id, other)
		p.takes("b", "after a asked what it has", id, "a")
		p.of("a").Release(id)
		p.takes("b", "released", id, "")
		p.takes("a", "taken by b", id, "b")
		p.takes("c", "taken by b", id, "b")
		if _, err := p.of("c").Take("none"); err == nil {
			t.Error("a stream that is not there was taken")
		}
	})
}

func TestStreamsGoToNoOtherKind(t *testing.T) {
	other := spec("b", &fake{run: untilDone})
	other.Kind.Name = "another"
	inBubble(t, nil, []Spec{spec("a", &fake{run: untilDone}), other}, func(t *testing.T, s *Supervisor) {
		p := parties{s, t}
		id := p.open("a")
		if err := s.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := p.of("b").Others(); len(got) != 0 {
			t.Errorf("b sees %q of another kind", idsOf(got))
		}
		if _, err := p.of("b").Take(id); err == nil {
			t.Error("a stream of another kind was taken")
		}
		again := spec("a", &fake{run: untilDone})
		again.Kind.Name = "another"
		if err := s.Add(again, true); err != nil {
			t.Fatal(err)
		}
		p.has("a", "of another kind")
	})
}

func TestNoLateReceiptReachesWhoGaveAStreamAway(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	inBubble(t, nil, []Spec{spec("a", &fake{run: untilDone}), spec("b", &fake{run: untilDone})}, func(t *testing.T, s *Supervisor) {
		// a and b have ways of their own, as with personas.
		p := parties{s, t}
		id := p.open("a")
		b := p.of("b").u
		b.bound = func() (Route, *filter.Filter) {
			return Route{Ledger: ledger.New(ledger.Config{}, log)}, nil
		}
		late := p.of("a").u.source()
		p.of("a").Release(id)
		if _, err := p.of("b").Take(id); err != nil {
			t.Fatal(err)
		}
		late.Settled(id, 100)
		if st, _ := s.env.Checkpoints.Stream(id); st.Settled != 0 {
			t.Errorf("settled to %d by a ledger that has the former adaptor, want 0", st.Settled)
		}
		late.Resend(id, chunk.Range{Last: 1})
		if f := p.of("a").u.adaptor.(*fake); len(f.calls) > 0 {
			t.Errorf("a was told %q of a stream of b", f.calls)
		}
		b.source().Settled(id, 7)
		if st, _ := s.env.Checkpoints.Stream(id); st.Settled != 7 {
			t.Errorf("settled to %d, want the 7 that b was told", st.Settled)
		}
	})
}

func TestStreamsGoOnAsTheTypeThatTheirAdaptorHasNow(t *testing.T) {
	meet(t, []string{"a"}, func(p parties) {
		id := p.open("a")
		other, err := p.of("a").Open(t.Context(), adaptors.Stream{Source: "/z", Identity: []byte("i"), Type: "z"}) // a type of the kind's own
		if err != nil {
			t.Fatal(err)
		}
		p.of("a").u.source().Settled(id, 40)
		p.of("a").u.source().Settled(other.ID, 50)
		typed := spec("a", &fake{run: untilDone})
		typed.Type = "y"
		change, err := p.Prepare([]Spec{typed}, nil, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		p.Apply(change)
		synctest.Wait()
		for range 2 { // also when it asks again
			got := p.of("a").Known()
			if len(got) != 2 || got[0].Type != "y" || got[0].Begin != 40 || got[0].Settled != 40 {
				t.Errorf("got %+v, want the first as y from 40 on", got)
			}
			if len(got) == 2 && (got[1].Type != "z" || got[1].Begin != 0 || got[1].Settled != 50) {
				t.Errorf("got %+v, want the second as it was", got[1])
			}
			p.of("a").u.source().Settled(other.ID, 50)
		}
		if st, _ := p.env.Checkpoints.Stream(id); st.Type != "y" || st.Begin != 40 {
			t.Errorf("stored is %+v, want it as y from 40 on", st)
		}
	})
}
