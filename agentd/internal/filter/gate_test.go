package filter

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
)

func gated(g *Gate, adaptor string) *Filter {
	return New(Config{}, env(func(e *Env) { e.Gate = g; e.Who = Who{Adaptor: adaptor, Persona: "pay"} }))
}

func TestQuotaIsSharedAndDropsWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		g := NewGate("pay", GateConfig{Quota: 100, Per: time.Hour}, Quota{}, slog.New(slog.NewTextHandler(&log, nil)))
		a, b := gated(g, "a"), gated(g, "b")
		ten := strings.Repeat("123456789\n", 6)
		want(t, through(t, a, data(0, ten)), `"`+strings.Repeat(`123456789\n`, 6)+`"`)
		want(t, through(t, b, data(0, ten)), `"`+strings.Repeat(`123456789\n`, 4)+`" dropped[40,60)(persona pay: quota)`)
		want(t, through(t, a, data(60, ten)), "dropped[60,120)(persona pay: quota)")
		if s := g.State(); !s.UsedUp || s.Used != 100 || s.DroppedBytes != 80 || s.DroppedRecords != 8 {
			t.Errorf("state %+v, want it used up with 80 bytes dropped", s)
		}
		if n := strings.Count(log.String(), "used up"); n != 1 {
			t.Errorf("it was logged %d times, want once:\n%s", n, log.String())
		}
		if n := b.Dropped().Reasons["persona pay: quota"]; n != (Count{20, 2}) {
			t.Errorf("the adaptor counted %+v, want its own 20 bytes", n)
		}
		time.Sleep(time.Hour)
		if s := g.State(); s.UsedUp || s.Used != 0 {
			t.Errorf("in the next period: %+v, want it unused", s)
		}
		want(t, through(t, a, data(120, "more\n")), `"more\n"`)
		// What was used is known after a restart.
		q, ok := g.Used()
		if again := NewGate("pay", GateConfig{Quota: 100, Per: time.Hour}, q, discard); !ok || again.State().Used != 5 {
			t.Errorf("after a restart: %+v, want 5 bytes used", again.State())
		}
	})
}

func TestQuotaMakesItsAdaptorsWaitUntilTheNextPeriodOrALargerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate("pay", GateConfig{Quota: 10, Per: time.Hour, Wait: true}, Quota{}, discard)
		f := gated(g, "a")
		through(t, f, data(0, "123456789\n"))
		started := time.Now()
		through(t, f, data(10, "123456789\n"))
		if took := time.Since(started); took > time.Hour || !time.Now().Truncate(time.Hour).After(started) {
			t.Errorf("it waited %v, want until the next hour", took)
		}
		done := make(chan struct{})
		go func() { defer close(done); through(t, f, data(20, "123456789\n")) }()
		synctest.Wait()
		select {
		case <-done:
			t.Error("it did not wait")
		default:
		}
		before := time.Now()
		g.Set(GateConfig{Quota: 100, Per: time.Hour, Wait: true})
		<-done
		if took := time.Since(before); took > time.Second {
			t.Errorf("it waited %v for a larger quota", took)
		}
		g.Set(GateConfig{})
		through(t, f, data(30, strings.Repeat("123456789\n", 100)))
	})
}

func TestPersonasRateHoldsForAllItsAdaptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate("pay", GateConfig{Bytes: 100}, Quota{}, discard)
		fs := []*Filter{gated(g, "a"), gated(g, "b")}
		kept, at := 0, int64(0)
		for range 60 {
			for _, f := range fs {
				for _, c := range through(t, f, data(at, strings.Repeat("123456789\n", 20))).chunks {
					if c.Kind == chunk.Data {
						kept += len(c.Body)
					} else if c.Reason != "persona pay: rate" {
						t.Errorf("reason %q", c.Reason)
					}
				}
			}
			at += 200
			time.Sleep(time.Second)
		}
		if kept < 5900 || kept > 100*(60+burst+1) {
			t.Errorf("%d bytes of a minute at 100 a second were kept", kept)
		}
	})
}

func TestClockThatJumpsBackBeginsNoPeriodUnlessFar(t *testing.T) {
	g := NewGate("pay", GateConfig{Quota: 10, Per: time.Hour}, Quota{}, discard)
	now := time.Now()
	g.quota = Quota{Since: now.Add(30 * time.Minute), Used: 10}
	if !g.State().UsedUp {
		t.Error("a jump of half an hour gave a new quota")
	}
	g.quota = Quota{Since: now.Add(1000 * time.Hour), Used: 10}
	if g.State().UsedUp {
		t.Error("a jump of weeks blocks for weeks")
	}
}

func TestStopEndsWaitingForAQuota(t *testing.T) {
	g := NewGate("pay", GateConfig{Quota: 1, Per: time.Hour, Wait: true}, Quota{Since: time.Now().Truncate(time.Hour), Used: 1}, discard)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := gated(g, "a").Send(ctx, data(0, "x\n"), (&sink{}).Send); err == nil {
		t.Error("sent although the quota is used up")
	}
}

// A chunk larger than what is left of a quota does not pass as a whole.
func TestQuotaHoldsWithinALargeChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewGate("pay", GateConfig{Quota: 1000, Per: time.Hour, Wait: true}, Quota{}, discard)
		f := gated(g, "a")
		want(t, through(t, f, data(0, strings.Repeat("123456789\n", 30))), `"`+strings.Repeat(`123456789\n`, 30)+`"`)
		sent, started := int64(300), time.Now()
		err := f.Send(t.Context(), data(300, strings.Repeat("123456789\n", 500)), func(_ context.Context, c *chunk.Chunk) error {
			if sent += c.Last - c.First; sent > 1015*int64(1+(time.Since(started)+time.Minute)/time.Hour) {
				t.Errorf("%d bytes within %v at 1000 an hour", sent, time.Since(started))
			}
			return nil
		})
		if err != nil || sent != 5300 {
			t.Errorf("%v, %d bytes were sent, want 5300", err, sent)
		}
	})
}
