package collectors

import (
	"errors"
	"testing"
	"time"
)

var errGone = errors.New("it is gone")

func TestAllAreAwayOnceEachHasFailed(t *testing.T) {
	l := NewList([]string{"a", "b"}, 0)
	first := time.Now()
	l.Failed("a", first, first, errGone)
	if away := l.Away(); away != nil {
		t.Errorf("one of two failed: got %+v, want nothing", away)
	}
	then := first.Add(time.Minute)
	l.Failed("b", then, then, errGone)
	l.Failed("b", then, then.Add(time.Minute), errGone)
	if away := l.Away(); away == nil || !away.Since.Equal(then) || away.Error != errGone.Error() {
		t.Errorf("both failed: got %+v, want since %v and why", away, then)
	}
	l.Worked("a")
	if away := l.Away(); away != nil {
		t.Errorf("one is back: got %+v, want nothing", away)
	}
}

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
	if !l.Failed("a", now, now, errGone) {
		t.Error("the first failure is not told as the first")
	}
	pick("b")
	now = now.Add(time.Minute) // a may be tried again by now
	pick("b")
	l.Failed("b", now, now, errGone)
	pick("a")
	if !l.Worked("a") {
		t.Error("a came back, which is not told")
	}
}

func TestListWaitsWhenAllFailAndNeverForLong(t *testing.T) {
	l := NewList([]string{"a"}, 0)
	now := time.Now()
	for i := range 50 {
		l.Failed("a", now, now, errGone)
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
		l.Failed("a", started, started.Add(time.Second+time.Duration(i)), errGone)
	}
	if _, wait := l.Pick(started.Add(time.Second)); wait > 2*minBackoff {
		t.Errorf("wait %v after posts that failed together, want that of one failure", wait)
	}
}
