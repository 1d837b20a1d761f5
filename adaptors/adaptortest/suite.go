package adaptortest

import (
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// Kind is what the suite needs of a kind of adaptor.
type Kind struct {
	// New makes an adaptor whose source is the caller's own.
	New func(t *testing.T) adaptors.Adaptor
	// Feed makes the source yield at least one chunk more. It may be nil where
	// chunks come by themselves.
	Feed func(t *testing.T)
	// Finish ends the source of what was fed, and Lose destroys it while no Run is
	// on. A Replayer's must be there, or Endless and Lossless say why it has none.
	Finish, Lose      func(t *testing.T)
	Endless, Lossless string
}

// patience bounds every wait of the suite, on a machine that has other work.
const patience = 90 * time.Second

// Test holds an adaptor against the contract of adaptors.Adaptor and, where it
// is one, of adaptors.Replayer.
func Test(t *testing.T, k Kind) {
	t.Run("StatusIsSafeBeforeRun", func(t *testing.T) {
		_ = k.New(t).Status()
	})
	t.Run("RunReturnsNilWhenItsContextIsDoneAndLeavesNothing", func(t *testing.T) {
		l := launch(t, k)
		l.feedUntil("no chunk came", func() bool { return len(l.rec.Chunks()) > 0 })
		l.stop()
		_ = l.a.Status()
	})
	t.Run("RunReturnsNilWhenItsContextWasDoneBefore", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		env := NewRecorder().Env()
		env.Log = slog.New(slog.DiscardHandler)
		if err := k.New(t).Run(ctx, env); err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
	})
	t.Run("RunEndsWhileTheOutputBlocks", func(t *testing.T) {
		l := prepare(t, k)
		var entered atomic.Int64
		l.block = func(ctx context.Context, _ *chunk.Chunk) error {
			entered.Add(1)
			<-ctx.Done()
			return ctx.Err()
		}
		l.run()
		l.feedUntil("nothing was sent", func() bool { return entered.Load() > 0 })
		l.stop()
		if n := len(l.rec.Chunks()); n != 0 {
			t.Errorf("%d chunks were taken, want none", n)
		}
	})
	t.Run("RunGoesOnWhereItStopped", func(t *testing.T) {
		l := launch(t, k)
		l.feedUntil("no chunk came", func() bool { return len(l.rec.Chunks()) > 0 })
		l.stop()
		before := len(l.rec.Chunks())
		l.run()
		l.feedUntil("no chunk came in the second run", func() bool { return len(l.rec.Chunks()) > before })
		l.stop()
	})
	if _, ok := k.New(t).(adaptors.Replayer); ok { // else the spool before it takes everything
		testReplayer(t, k)
	}
}

// life is an adaptor with its agent.
type life struct {
	t      *testing.T
	name   string // of the adaptor
	kind   Kind
	a      adaptors.Adaptor
	rec    *Recorder
	block  func(ctx context.Context, c *chunk.Chunk) error
	cancel context.CancelFunc
	done   chan error
}

func prepare(t *testing.T, k Kind) *life {
	l := &life{t: t, name: "test", kind: k, a: k.New(t), rec: NewRecorder()}
	t.Cleanup(func() {
		if l.cancel != nil {
			l.stop()
		}
		for _, p := range l.rec.Problems() {
			t.Error(p)
		}
	})
	return l
}

func launch(t *testing.T, k Kind) *life {
	l := prepare(t, k)
	l.run()
	return l
}

// gate asks before it passes a chunk on.
type gate struct {
	adaptors.Output
	l *life
}

func (g gate) Send(ctx context.Context, c *chunk.Chunk) error {
	if g.l.block != nil {
		if err := g.l.block(ctx, c); err != nil {
			return err
		}
	}
	return g.Output.Send(ctx, c)
}

func (l *life) run() {
	env := l.rec.EnvOf(l.name)
	env.Log = slog.New(slog.DiscardHandler)
	if _, ok := l.a.(adaptors.Replayer); !ok {
		env.Out = &spooled{rec: l.rec}
	}
	env.Out = gate{env.Out, l}
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel, l.done = cancel, make(chan error, 1)
	go func() { l.done <- l.a.Run(ctx, env) }()
}

func (l *life) stop() {
	l.t.Helper()
	l.cancel()
	l.cancel = nil
	select {
	case err := <-l.done:
		if err != nil {
			l.t.Errorf("Run: got %v, want nil", err)
		}
	case <-time.After(patience):
		l.t.Fatalf("Run did not return within %v after its context was done", patience)
	}
	l.wait("goroutines of the adaptor are still running: "+goroutines(), func() bool { return goroutines() == "" })
}

// goroutines returns the stacks that are in an adaptor's Run or were started
// there.
func goroutines() string {
	buf := make([]byte, 1<<20)
	var out []string
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(g, ").Run(") && strings.Contains(g, "/adaptors/") && !strings.Contains(g, "testing.") {
			out = append(out, g)
		}
	}
	return strings.Join(out, "\n\n")
}

func (l *life) feedUntil(what string, is func() bool) {
	l.t.Helper()
	if l.kind.Feed != nil {
		l.kind.Feed(l.t)
	}
	l.wait(what, is)
}

func (l *life) wait(what string, is func() bool) {
	l.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case err := <-l.done:
			l.done <- err
			l.t.Fatalf("Run returned %v: %s", err, what)
		case <-deadline:
			l.t.Fatalf("after %v: %s; status %+v", patience, what, l.a.Status())
		}
	}
}

// spooled stands for the agent's spool: it gives the chunks of an adaptor that
// is no Replayer their stream and their offsets.
type spooled struct {
	rec *Recorder
	ids atomic.Pointer[string]
	off atomic.Int64
}

func (s *spooled) Send(ctx context.Context, c *chunk.Chunk) error {
	env := s.rec.Env()
	if s.ids.Load() == nil {
		st, err := env.Streams.Open(ctx, adaptors.Stream{Source: "spool"})
		if err != nil {
			return err
		}
		s.ids.Store(&st.ID)
	}
	out := *c
	out.Stream, out.Source = *s.ids.Load(), "spool"
	out.Last = s.off.Add(int64(len(c.Body)))
	out.First = out.Last - int64(len(c.Body))
	if out.Type == "" {
		out.Type = "test"
	}
	if err := env.Streams.Sent(out.Stream, out.Last, 0); err != nil {
		return err
	}
	return env.Out.Send(ctx, &out)
}
