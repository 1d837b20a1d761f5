package rounds

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestEachIsCalledAtItsIntervalAndASlowOneDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		started := time.Now()
		var mu sync.Mutex
		var first time.Duration
		calls := map[int]int{}
		err := Run(ctx, 3, time.Minute, func(ctx context.Context, i int) error {
			mu.Lock()
			calls[i]++
			first = max(first, time.Since(started))
			if calls[i] > 1 {
				first = 0
			}
			mu.Unlock()
			if i == 0 {
				select {
				case <-time.After(150 * time.Second):
				case <-ctx.Done():
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("Run: got %v, want nil", err)
		}
		// One that takes two and a half minutes comes every third.
		if calls[0] < 4 || calls[0] > 5 || calls[1] != 10 || calls[2] != 10 {
			t.Errorf("calls %v, want 4, 10 and 10", calls)
		}
		if first > maxSpread {
			t.Errorf("a first call came after %v, want at most %v", first, maxSpread)
		}
	})
}

func TestErrorEndsAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		err := Run(context.Background(), 2, time.Second, func(ctx context.Context, i int) error {
			if i == 0 {
				return broken
			}
			<-ctx.Done()
			return ctx.Err()
		})
		if !errors.Is(err, broken) {
			t.Errorf("Run: got %v, want broken", err)
		}
	})
}

func TestNothingToCallWaitsForItsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Run(ctx, 0, time.Second, nil); err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
}

func TestFailuresTellWhatIsWrongNow(t *testing.T) {
	var f Failures
	if f.String() != "" || f.Note("x", "") {
		t.Error("nothing is wrong, but something is told")
	}
	for i := range 7 {
		if name := string(rune('g' - i)); !f.Note(name, "broken") || f.Note(name, "broken") {
			t.Errorf("%s: want news once", name)
		}
	}
	if !f.Note("b", "") {
		t.Error("that b is well again is no news")
	}
	if got, want := f.String(), "a: broken; c: broken; d: broken; e: broken; f: broken; and 1 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
