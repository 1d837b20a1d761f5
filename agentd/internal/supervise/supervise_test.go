package supervise

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/chunk"
)

// fake is a replayable adaptor whose Run a test gives.
type fake struct {
	run   func(ctx context.Context, env adaptors.Env) error
	runs  atomic.Int32
	shown adaptors.Status
	mu    sync.Mutex
	calls []string
}

func (f *fake) Run(ctx context.Context, env adaptors.Env) error {
	f.runs.Add(1)
	return f.run(ctx, env)
}

func (f *fake) Status() adaptors.Status { return f.shown }

func (f *fake) Settled(stream string, _ int64) { f.note("settled " + stream) }

func (f *fake) Resend(stream string, _ chunk.Range) { f.note("resend " + stream) }

func (f *fake) note(s string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, s)
}

func spec(name string, f *fake) Spec {
	return Spec{Name: name, Type: "x", Tags: map[string]string{"team": "a"}, Kind: adaptors.Kind{
		Name: "fake", Replayable: true, New: func(any) (adaptors.Adaptor, error) { return f, nil },
	}}
}

func untilDone(ctx context.Context, _ adaptors.Env) error { <-ctx.Done(); return nil }

type blocked struct{ got chan chunk.Chunk }

func (b blocked) Send(ctx context.Context, c *chunk.Chunk) error {
	select {
	case b.got <- *c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func supervisor(t *testing.T, out adaptors.Output) *Supervisor {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	store, err := checkpoints.Open(t.TempDir(), log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	way := Route{Out: out, Ledger: ledger.New(ledger.Config{}, log)}
	return New(Env{Host: "h", Log: log, Route: func(string) Route { return way }, Close: way.Ledger.Close, Checkpoints: store})
}

// inBubble runs a supervisor under a clock of its own.
func inBubble(t *testing.T, out adaptors.Output, specs []Spec, test func(t *testing.T, s *Supervisor)) {
	synctest.Test(t, func(t *testing.T) {
		s := supervisor(t, out)
		for _, sp := range specs {
			if err := s.Add(sp, true); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		synctest.Wait()
		test(t, s)
		cancel()
		<-done
	})
}

func state(t *testing.T, s *Supervisor, name string, want State) {
	t.Helper()
	if v, err := s.Get(name); err != nil || v.State != want {
		t.Errorf("%s is %s (%v), want %s", name, v.State, err, want)
	}
}

func TestFailingPanickingAndEndingAdaptorsAreStartedAgainWithBackoff(t *testing.T) {
	for name, test := range map[string]struct {
		run  func(context.Context, adaptors.Env) error
		want string
	}{
		"error": {func(context.Context, adaptors.Env) error { return errors.New("no luck") }, "no luck"},
		"panic": {func(context.Context, adaptors.Env) error { panic("a bug") }, "a bug"},
		"end":   {func(context.Context, adaptors.Env) error { return nil }, "ended by itself"},
	} {
		t.Run(name, func(t *testing.T) {
			bad, good := &fake{run: test.run}, &fake{run: untilDone}
			inBubble(t, nil, []Spec{spec("bad", bad), spec("good", good)}, func(t *testing.T, s *Supervisor) {
				state(t, s, "bad", Failed)
				state(t, s, "good", Running)
				if v, _ := s.Get("bad"); !strings.Contains(v.LastErr, test.want) {
					t.Errorf("last error %q, want %q in it", v.LastErr, test.want)
				}
				time.Sleep(time.Hour) // of the bubble's clock
				if n := bad.runs.Load(); n < 360 || n > 800 {
					t.Errorf("%d runs within an hour, want one each 5 to 10 s", n)
				}
				if n := good.runs.Load(); n != 1 {
					t.Errorf("the other one ran %d times, want once", n)
				}
			})
		})
	}
}

func TestAdaptorWhoseChunkIsNotTakenIsWaiting(t *testing.T) {
	out := blocked{make(chan chunk.Chunk)}
	f := &fake{run: func(ctx context.Context, env adaptors.Env) error {
		c := chunk.Chunk{Stream: "s", Tags: map[string]string{"own": "b"}, Body: []byte("x"), Last: 1}
		if err := env.Out.Send(ctx, &c); err != nil {
			return err
		}
		return untilDone(ctx, env)
	}}
	// The channel belongs to the bubble.
	synctest.Test(t, func(t *testing.T) {
		out.got = make(chan chunk.Chunk)
		s := supervisor(t, out)
		if err := s.Add(spec("a", f), true); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { s.Run(ctx); close(done) }()
		synctest.Wait()
		state(t, s, "a", Running)
		time.Sleep(2 * waitingAfter)
		state(t, s, "a", Waiting)
		got := <-out.got
		synctest.Wait()
		state(t, s, "a", Running)
		if got.Host != "h" || got.Type != "x" || got.Tags["team"] != "a" || got.Tags["own"] != "b" {
			t.Errorf("sent %+v, want host, type and both tags", got)
		}
		cancel()
		<-done
	})
}

func TestStoppedAdaptorIsToldNothingAndStartsAgain(t *testing.T) {
	f := &fake{run: untilDone}
	inBubble(t, nil, []Spec{spec("a", f)}, func(t *testing.T, s *Supervisor) {
		if err := s.Stop(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		state(t, s, "a", Stopped)
		u, _ := s.unit("a")
		u.source().Resend("s", chunk.Range{Last: 1})
		if len(f.calls) > 0 {
			t.Errorf("told %q while it does not run", f.calls)
		}
		if err := s.Start("a"); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		state(t, s, "a", Running)
		u.source().Resend("s", chunk.Range{Last: 1})
		if len(f.calls) != 1 {
			t.Errorf("told %q while it runs, want one resend", f.calls)
		}
		if err := s.Add(spec("a", f), true); !errors.Is(err, ErrExists) {
			t.Errorf("a second of the name: %v, want ErrExists", err)
		}
		if err := s.Remove(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Get("a"); !errors.Is(err, ErrUnknown) {
			t.Errorf("after its removal: %v, want ErrUnknown", err)
		}
		if n := f.runs.Load(); n != 2 {
			t.Errorf("it ran %d times, want twice", n)
		}
	})
}

// An update does not wait until the adaptor it replaces has returned; a rewind
// that comes right behind it does, and what the old one's ledger says then does
// not undo it.
func TestRewindBehindAnUpdateWaitsForTheAdaptorThatWasReplaced(t *testing.T) {
	release := make(chan struct{})
	stubborn := &fake{run: func(ctx context.Context, _ adaptors.Env) error { <-ctx.Done(); <-release; return nil }}
	next := &fake{run: untilDone}
	s := supervisor(t, nil)
	store := s.env.Checkpoints
	kind := spec("log", stubborn)
	kind.Kind.Rewindable = true
	if err := s.Add(kind, true); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { s.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	for stubborn.runs.Load() == 0 {
		runtime.Gosched()
	}
	old, _ := s.unit("log")
	st, err := streams{old}.Open(ctx, adaptors.Stream{Source: "/a", Identity: []byte("i")})
	if err != nil {
		t.Fatal(err)
	}
	late := old.source()
	late.Settled(st.ID, 100)

	replaced := spec("log", next)
	replaced.Kind.Rewindable = true
	change, err := s.Prepare([]Spec{replaced}, nil, func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	s.Apply(change)
	short, stop := context.WithTimeout(ctx, 50*time.Millisecond)
	defer stop()
	if _, err := s.Rewind(short, "log", Rewind{All: true, Beginning: true}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while the old one runs: %v, want that it is waited for", err)
	}
	close(release)
	if _, err := s.Rewind(ctx, "log", Rewind{All: true, Beginning: true}); err != nil {
		t.Fatal(err)
	}
	late.Settled(st.ID, 100)
	if now, _ := store.Stream(st.ID); now.Settled != 0 {
		t.Errorf("the position is %d: a late receipt undid the rewind", now.Settled)
	}
	fresh, _ := s.unit("log")
	fresh.source().Settled(st.ID, 40)
	if now, _ := store.Stream(st.ID); now.Settled != 40 {
		t.Errorf("the position is %d, want the 40 that settled since", now.Settled)
	}
}
