package versions

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"testing"

	"github.com/akupara/akupara/store/storetest"
)

// five returns a log of five versions.
func five(t *testing.T) *Log {
	t.Helper()
	l := newLog(onDisk(t))
	for n := 1; n <= 5; n++ {
		publish(t, l, n, fmt.Sprint(n))
	}
	return l
}

func remove(t *testing.T, l *Log, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if err := l.fs.Remove(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
}

func setHint(t *testing.T, l *Log, hint string) {
	t.Helper()
	remove(t, l, l.HintPath())
	storetest.Put(t, l.fs, l.HintPath(), []byte(hint))
}

func TestVersionThatIsGoneIsMissedAndNotGoneOnFrom(t *testing.T) {
	for name, c := range map[string]struct {
		damage  func(l *Log)
		missing int
	}{
		"the newest":               {func(l *Log) { remove(t, l, l.Path(5)) }, 5},
		"with a hint that lags":    {func(l *Log) { remove(t, l, l.Path(5)); setHint(t, l, "4") }, 5},
		"without a hint":           {func(l *Log) { remove(t, l, l.Path(5), l.HintPath()) }, 5},
		"the newest two":           {func(l *Log) { remove(t, l, l.Path(5), l.Path(4)) }, 5},
		"two, and the older claim": {func(l *Log) { remove(t, l, l.Path(5), l.Path(4), l.claim(4)) }, 5},
		"all":                      {func(l *Log) { remove(t, l, path.Join(dirT, "metadata")) }, 5},
		"the claims, too":          {func(l *Log) { remove(t, l, l.Path(5), l.claims()) }, 5},
		"an old one":               {func(l *Log) { remove(t, l, l.Path(3)) }, 0},
		"nothing but claims":       {func(l *Log) { remove(t, l, l.claims()) }, 0},
		"nothing but the hint":     {func(l *Log) { remove(t, l, l.HintPath()) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			l := five(t)
			c.damage(l)
			if got, err := l.Missing(t.Context()); err != nil || got != c.missing {
				t.Errorf("missing: got %d, %v, want %d", got, err, c.missing)
			}
			if ok, err := l.Exists(t.Context()); err != nil || !ok {
				t.Errorf("exists: got %v, %v, want true", ok, err)
			}
			n, err := l.Settle(t.Context())
			if c.missing > 0 && !errors.Is(err, ErrMissing) {
				t.Errorf("settle: got %d, %v, want ErrMissing", n, err)
			}
			if c.missing == 0 && (err != nil || n != 5) {
				t.Errorf("settle: got %d, %v, want 5", n, err)
			}
		})
	}
}

func TestLogWithoutAnythingDoesNotExist(t *testing.T) {
	l := newLog(onDisk(t))
	if ok, err := l.Exists(t.Context()); err != nil || ok {
		t.Errorf("exists: got %v, %v, want false", ok, err)
	}
	if n, err := l.Settle(t.Context()); err != nil || n != 0 {
		t.Errorf("settle: got %d, %v, want 0", n, err)
	}
}

func TestJunkInTheHintIsMendedAndNotBelieved(t *testing.T) {
	for _, hint := range []string{"7", "99999999999999", "x", "", "-3", "0"} {
		l := five(t)
		remove(t, l, l.Path(2))
		setHint(t, l, hint)
		if n, err := l.Settle(t.Context()); err != nil || n != 5 {
			t.Fatalf("settle with the hint %q: got %d, %v, want 5", hint, n, err)
		}
		if got, err := l.Hint(t.Context()); hint != "x" && hint != "" && hint != "-3" && hint != "0" && (err != nil || got != 5) {
			t.Errorf("the hint %q: got %d, %v, want it mended", hint, got, err)
		}
	}
	l := five(t)
	remove(t, l, l.Path(2))
	setHint(t, l, "2")
	if n, err := l.Settle(t.Context()); err != nil || n != 5 {
		t.Fatalf("settle with the hint of a version that was removed: got %d, %v, want 5", n, err)
	}
	if got, err := l.Hint(t.Context()); err != nil || got != 5 {
		t.Errorf("the hint of a version that was removed: got %d, %v, want it mended", got, err)
	}
}

func TestVersionsGoOnAboveAGap(t *testing.T) {
	l := five(t)
	remove(t, l, l.Path(4), l.Path(5))
	if top, err := l.Top(t.Context()); err != nil || top != 5 {
		t.Fatalf("top: got %d, %v, want 5", top, err)
	}
	publish(t, l, 6, "6")
	for _, hint := range []string{"6", "5", "3", "9", "x"} {
		setHint(t, l, hint)
		for range 2 { // also after it was mended
			if n, err := l.Settle(t.Context()); err != nil || n != 6 {
				t.Fatalf("settle with the hint %s: got %d, %v, want 6", hint, n, err)
			}
		}
	}
	publish(t, l, 7, "7")
	wantNewest(t, l, 7)
	if got, err := l.Present(t.Context()); err != nil || !slices.Equal(got, []int{1, 2, 3, 6, 7}) {
		t.Errorf("present: got %v, %v", got, err)
	}
}

func TestClaimAboveAMissingVersionIsPublished(t *testing.T) {
	l := five(t)
	f := storetest.NewFaulty(l.fs)
	f.FailWith(func(op, p string) error {
		if op == "rename" && p == l.Path(6) {
			return errors.New("the store is away")
		}
		return nil
	})
	if err := newLog(f).Publish(t.Context(), 6, []byte("6")); !errors.Is(err, ErrUnknown) {
		t.Fatalf("publish: got %v, want ErrUnknown", err)
	}
	remove(t, l, l.Path(5))
	if n, err := l.Missing(t.Context()); err != nil || n != 0 {
		t.Errorf("missing: got %d, %v, want 0: version 6 holds all of it", n, err)
	}
	if n, err := l.Settle(t.Context()); err != nil || n != 6 {
		t.Fatalf("settle: got %d, %v, want 6", n, err)
	}
	wantData(t, l, 6, "6")
}
