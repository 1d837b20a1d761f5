package collectors

import (
	"testing"
	"time"
)

func TestListStaysWithACollectorUntilItFails(t *testing.T) {
	l := NewList([]string{"a", "b"}, 0)
	now := time.Now()
	pick := func(want string) {
		t.Helper()
		if got, wait := l.Pick(now); got != want {
			t.Errorf("picked %q (or wait %v), want %q", got, wait, want)
		}
	}
	pick("a")
	pick("a")
	if !l.Failed("a", now, now) {
		t.Error("the first failure is not told as the first")
	}
	pick("b")
	now = now.Add(time.Minute) // a may be tried again by now
	pick("b")
	l.Failed("b", now, now)
	pick("a")
	if !l.Worked("a") {
		t.Error("a came back, which is not told")
	}
}

func TestListWaitsWhenAllFailAndNeverForLong(t *testing.T) {
	l := NewList([]string{"a"}, 0)
	now := time.Now()
	for i := range 50 {
		l.Failed("a", now, now)
		_, wait := l.Pick(now)
		if wait <= 0 || wait > MaxBackoff {
			t.Fatalf("wait %v after %d failures, want at most %v", wait, i+1, MaxBackoff)
		}
		if i > 10 && wait < MaxBackoff/4 {
			t.Errorf("wait %v after %d failures, want it to have grown", wait, i+1)
		}
		now = now.Add(wait)
		if url, _ := l.Pick(now); url != "a" {
			t.Errorf("not picked after its wait of %v", wait)
		}
	}
}

func TestPostsThatFailTogetherCountOnce(t *testing.T) {
	l := NewList([]string{"a"}, 0)
	started := time.Now()
	for i := range 8 {
		l.Failed("a", started, started.Add(time.Second+time.Duration(i)))
	}
	if _, wait := l.Pick(started.Add(time.Second)); wait > 2*minBackoff {
		t.Errorf("wait %v after posts that failed together, want that of one failure", wait)
	}
}
