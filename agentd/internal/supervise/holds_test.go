package supervise

import (
	"context"
	"errors"
	"log/slog"
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

// sees checks what an adaptor has, and what it could take.
func (p parties) sees(name, when string, known, others []string) {
	p.t.Helper()
	for what, pair := range map[string][2][]string{
		"known": {idsOf(p.of(name).Known()), known}, "others": {idsOf(p.of(name).Others()), others},
	} {
		if got, want := pair[0], pair[1]; len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			p.t.Errorf("%s: %s of %s: got %q, want %q", when, what, name, got, want)
		}
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
				p.sees("b", "while a runs", nil, nil)
				if _, err := p.of("b").Take(id); !errors.Is(err, adaptors.ErrHeld) {
					t.Errorf("take of what a holds: got %v, want ErrHeld", err)
				}
				version := p.env.Claims.Version()
				if err := leave(p); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				if p.env.Claims.Version() == version {
					t.Error("nothing told the others to look again")
				}
				p.sees("b", name, nil, []string{id})
				st, err := p.of("b").Take(id)
				if err != nil || st.ID != id || st.Type != "x" {
					t.Fatalf("take: got %+v, %v", st, err)
				}
				p.sees("b", "after it took it", []string{id}, nil)
				if name == "stopped" {
					if err := p.Start("a"); err != nil {
						t.Fatal(err)
					}
					p.sees("a", "started again", nil, nil)
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
			p.sees("b", "while a is replaced", nil, nil)
			synctest.Wait()
			p.sees("b", "after a was replaced", nil, nil)
			p.sees("a", "replaced", []string{id}, nil)
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
		p.sees("b", "while a stops", nil, nil)
		close(release)
		synctest.Wait()
		p.sees("b", "after a has stopped", nil, []string{id})
		cancel()
		<-done
	})
}

func TestReleasedStreamIsItsAdaptorsUntilAnotherTakesIt(t *testing.T) {
	meet(t, []string{"a", "b", "c"}, func(p parties) {
		id, other := p.open("a"), p.open("a")
		version := p.env.Claims.Version()
		p.of("b").Release(id) // not its own
		p.sees("b", "after a release by b", nil, nil)
		p.of("a").Release(id)
		if p.env.Claims.Version() == version {
			t.Error("nothing told the others to look again")
		}
		p.sees("b", "released", nil, []string{id})
		if _, err := p.of("a").Take(id); err != nil {
			t.Errorf("a takes back what it released: %v", err)
		}
		p.sees("b", "taken back", nil, nil)
		p.of("a").Release(id)
		p.sees("a", "known again", []string{id, other}, nil)
		p.sees("b", "after a asked what it has", nil, nil)
		p.of("a").Release(id)
		if _, err := p.of("b").Take(id); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"a", "c"} {
			if _, err := p.of(name).Take(id); !errors.Is(err, adaptors.ErrHeld) {
				t.Errorf("take by %s of what b holds: got %v, want ErrHeld", name, err)
			}
		}
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
		p.sees("b", "after a was removed", nil, nil)
		if _, err := p.of("b").Take(id); err == nil {
			t.Error("a stream of another kind was taken")
		}
		again := spec("a", &fake{run: untilDone})
		again.Kind.Name = "another"
		if err := s.Add(again, true); err != nil {
			t.Fatal(err)
		}
		p.sees("a", "of another kind", nil, nil)
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
