package supervise

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

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
func meet(t *testing.T, names []string, test func(t *testing.T, p parties)) {
	t.Helper()
	var specs []Spec
	for _, name := range names {
		specs = append(specs, spec(name, &fake{run: untilDone}))
	}
	inBubble(t, nil, specs, func(t *testing.T, s *Supervisor) { test(t, parties{s, t}) })
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
			meet(t, []string{"a", "b"}, func(t *testing.T, p parties) {
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
		meet(t, []string{"a", "b"}, func(t *testing.T, p parties) {
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
	meet(t, []string{"a", "b", "c"}, func(t *testing.T, p parties) {
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
	meet(t, []string{"a"}, func(t *testing.T, p parties) {
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

func TestRewindActsOnTheStreamsThatTheAdaptorHolds(t *testing.T) {
	specs := []Spec{spec("a", &fake{run: untilDone}), spec("b", &fake{run: untilDone})}
	for i := range specs {
		specs[i].Kind.Rewindable = true
	}
	inBubble(t, nil, specs, func(t *testing.T, s *Supervisor) {
		p := parties{s, t}
		own, released, taken := p.open("a"), p.open("a"), p.open("a")
		for _, id := range []string{own, released, taken} {
			p.of("a").u.source().Settled(id, 50)
		}
		p.of("a").Release(released)
		p.of("a").Release(taken)
		p.takes("b", "released", taken, "")
		out, err := s.Rewind(t.Context(), "a", Rewind{All: true, Beginning: true})
		if err != nil || len(out.Rewound) != 1 || out.Rewound[0].Stream != own || len(out.Left) != 1 || out.Left[0].Stream != released {
			t.Errorf("rewind of a: got %+v, %v, want its own alone set back, and the released one left", out, err)
		}
		if _, err := s.Rewind(t.Context(), "a", Rewind{Stream: taken, Beginning: true}); !errors.Is(err, ErrNoStream) {
			t.Errorf("rewind of what b took: got %v, want ErrNoStream", err)
		}
		if out, err := s.Rewind(t.Context(), "b", Rewind{Stream: taken, Offset: 10}); err != nil || len(out.Rewound) != 1 {
			t.Errorf("rewind of b: got %+v, %v, want the stream set back that it took", out, err)
		}
		for id, want := range map[string]int64{own: 0, released: 50, taken: 10} {
			if st, _ := s.env.Checkpoints.Stream(id); st.Settled != want {
				t.Errorf("stream %s is settled to %d, want %d", id, st.Settled, want)
			}
		}
	})
}

func TestStreamsThatNobodyHoldsLeaveTheLedgerOnceTheyAreSettled(t *testing.T) {
	meet(t, []string{"a", "b"}, func(t *testing.T, p parties) {
		done, open, kept := p.open("a"), p.open("a"), p.open("b")
		way := p.of("a").u.way()
		if err := errors.Join(p.of("a").Sent(done, 50, 1), p.of("a").Sent(open, 50, 1), p.of("b").Sent(kept, 50, 1)); err != nil {
			t.Fatal(err)
		}
		for id, upTo := range map[string]int64{done: 50, open: 49} {
			p.of("a").u.source().Settled(id, upTo)
		}
		p.of("b").u.source().Settled(kept, 50)
		inLedger := func(id string) bool {
			return way.Ledger.(*ledger.Ledger).Sending(&chunk.Chunk{Stream: id, Body: []byte("x"), Last: 1}) == nil
		}
		if err := p.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		time.Sleep(2 * sampleEvery) // of the bubble's clock
		synctest.Wait()
		for id, want := range map[string]bool{done: false, open: true, kept: true} {
			if got := inLedger(id); got != want {
				t.Errorf("stream %s is in the ledger: %t, want %t", id, got, want)
			}
		}
		if n := len(p.env.Checkpoints.Streams("a")); n != 2 {
			t.Errorf("%d streams of a are stored, want both", n)
		}
		p.takes("b", "after a was removed", done, "")
		if !inLedger(done) {
			t.Error("what b took is not in the ledger")
		}
	})
}

func TestRenamedAdaptorStartsWhenTheOneBeforeHasReturned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		stubborn := &fake{run: func(ctx context.Context, _ adaptors.Env) error { <-ctx.Done(); <-release; return nil }}
		var id string
		taken := make(chan error, 1)
		next := &fake{run: func(ctx context.Context, env adaptors.Env) error {
			_, err := env.Streams.Take(id)
			taken <- err
			return untilDone(ctx, env)
		}}
		s := supervisor(t, nil)
		if err := s.Add(spec("before", stubborn), true); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		synctest.Wait()
		id = parties{s, t}.open("before")
		other := spec("other", &fake{run: untilDone})
		other.Kind.Name = "another"
		change, err := s.Prepare([]Spec{spec("after", next), other}, []string{"before"}, func(string) bool { return true })
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(change)
		synctest.Wait()
		if n := next.runs.Load(); n != 0 {
			t.Errorf("it runs %d times while the one before still stops", n)
		}
		if u, _ := s.unit("other"); u.adaptor.(*fake).runs.Load() != 1 {
			t.Error("one of another kind waits as well")
		}
		close(release)
		if err := <-taken; err != nil {
			t.Errorf("take of the stream of the one before: %v", err)
		}
		cancel()
		<-done
	})
}

func TestStoppedAdaptorShowsNoStreamThatAnotherTook(t *testing.T) {
	meet(t, []string{"a", "b"}, func(t *testing.T, p parties) {
		own, taken := p.open("a"), p.open("a")
		p.of("a").u.adaptor.(*fake).shown = adaptors.Status{LagBytes: 30, Sources: []adaptors.Source{
			{Stream: own, Size: 10}, {Stream: taken, Size: 20},
		}}
		if err := p.Stop(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		p.takes("b", "stopped", taken, "")
		v, err := p.Get("a")
		if err != nil || len(v.Position) != 1 || v.Position[0].Stream != own || v.LagBytes != 10 {
			t.Errorf("a shows %+v with a lag of %d (%v), want its own stream and 10", v.Position, v.LagBytes, err)
		}
	})
}
