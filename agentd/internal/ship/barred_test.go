package ship

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

func TestATypeThatACollectorRefusesIsSaidOnceAndWaitsAlone(t *testing.T) {
	c := collectortest.New(t, "a")
	var tries atomic.Int32
	var take atomic.Bool
	c.Answer(func(b *chunk.Batch) (int, any) {
		if b.Type != "extra" || take.Load() {
			return 0, nil
		}
		tries.Add(1)
		return http.StatusConflict, wire.Error{Error: "no place for it", Permanent: true, Reason: wire.TooManyTypes}
	})
	r := start(t, Config{RetryEvery: 100 * time.Millisecond, BatchBytes: 10}, 5*time.Second, c.URL)
	sent := int64(0)
	for { // until the type's senders wait
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err := r.Send(ctx, piece("extra", sent, "refused line\n"))
		cancel()
		if err != nil {
			break
		}
		if sent += 13; sent > 13*100 {
			t.Fatal("a hundred batches of a type that is refused were taken, want its senders to wait")
		}
	}
	for i := range int64(50) {
		r.send(t, piece("good", 5*i, "line\n"))
	}
	c.Wait("the other type", covers("good", 250))
	if s := r.Stats(); s.Failures != 0 {
		t.Errorf("%d posts count as failures of the collector, want none", s.Failures)
	}
	if got := r.Barred(); len(got) != 1 || got[0].Type != "extra" || got[0].Reason != "no place for it" || got[0].Collector != c.URL {
		t.Errorf("barred: %+v, want extra with its reason", got)
	}
	if why := r.Why("extra"); !strings.Contains(why, "no place for it") || r.Why("good") != "" {
		t.Errorf("why: %q and %q", why, r.Why("good"))
	}
	take.Store(true)
	c.Wait("what was refused", covers("extra", sent))
	r.drain(t)
	r.send(t, piece("extra", sent, "line\n"))
	c.Wait("what comes after it", covers("extra", sent+5))
	if got := r.Barred(); len(got) != 0 {
		t.Errorf("barred after it was taken: %+v", got)
	}
	if n := strings.Count(r.log.String(), "no place for it"); n != 1 {
		t.Errorf("the refusal was logged %d times, want once", n)
	}
}
