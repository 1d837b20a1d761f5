package replay_test

import (
	"sync"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/adaptors/internal/replay"
	"github.com/akupara/akupara/chunk"
)

func TestAStreamThatWasNeverOpenedEndsWithoutAWord(t *testing.T) {
	rec := adaptortest.NewRecorder()
	env := rec.Env()
	s := replay.New(&env)
	if err := s.End(t.Context(), "never read"); err != nil || !s.Done() {
		t.Errorf("got %v, done: %v", err, s.Done())
	}
	s.Forget()
	if n := len(rec.Chunks()); n != 0 {
		t.Errorf("%d chunks were sent", n)
	}
}

func TestChunksSayWhoseTheyAre(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a\xff", Type: "other", Begin: 4})
	r.s.Tags, r.s.Why = map[string]string{"k": "v"}, "told so"
	r.ok(r.data(4, 8))
	r.restart(nil)
	r.ok(r.data(4, 8))
	for _, c := range r.rec.Chunks() {
		if c.Type != "other" || c.Source != `a\xff` || c.Host != r.env.Host || c.Stream != r.s.ID() || c.Time.IsZero() {
			t.Errorf("got %+v", c)
		}
	}
	if c := r.rec.Chunks()[0]; c.Kind != chunk.Begin || c.Tags["k"] != "v" || c.Reason != "told so" {
		t.Errorf("got the fact %+v", c)
	}
}

// With the race detector: while one goroutine sends, others tell and look.
func TestTheAgentAndPeopleAreSafeAtAnyTime(t *testing.T) {
	r := newRig(t, adaptors.Stream{Source: "a"})
	var others sync.WaitGroup
	stop := make(chan struct{})
	for range 2 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r.settle(r.s.Off())
				if !r.s.Asked() && !r.s.Done() {
					r.ask(span(0, 4))
				}
				r.s.SetSize(r.s.Shown().Read)
			}
		})
	}
	for _, last := range []int64{4, 8, 14, 19} {
		r.ok(r.data(r.s.Off(), last))
		r.ok(r.s.Resend(t.Context(), r.again))
	}
	r.ok(r.s.End(t.Context(), "over"))
	close(stop)
	others.Wait()
	r.ok(r.s.Resend(t.Context(), r.again))
	r.settle(19)
	if got := r.s.Shown(); !r.s.Done() || got.Read != 19 || got.Size != 19 || got.Settled != 19 || got.Stream == "" {
		t.Errorf("done %v, shown %+v", r.s.Done(), got)
	}
}
