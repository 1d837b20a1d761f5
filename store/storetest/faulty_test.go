package storetest_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

func open(t *testing.T) store.FS {
	t.Helper()
	s, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestFaultyWithoutFaultsIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.FS { return storetest.NewFaulty(open(t)) })
}

// publish is five mutations, of which a crash at any must leave the file whole
// or absent.
func publish(t *testing.T, s store.FS, attempt string, body []byte) error {
	return store.Publish(t.Context(), s, store.Temp("f", attempt), "f", func(w io.Writer) error {
		for _, part := range [][]byte{body[:len(body)/2], body[len(body)/2:]} {
			if _, err := w.Write(part); err != nil {
				return err
			}
		}
		return nil
	})
}

func TestCrashStrikesEachMutationOnce(t *testing.T) {
	body := []byte("0123456789")
	for _, when := range []storetest.When{storetest.Before, storetest.After, storetest.Torn} {
		present := 0
		k := 0
		for ; ; k++ {
			inner := open(t)
			f := storetest.NewFaulty(inner)
			f.CrashAt(k, when)
			err := publish(t, f, "1", body)
			if !f.Crashed() {
				if err != nil || f.Mutations() != 5 {
					t.Errorf("%v: without a crash: %v after %d mutations, want nil after 5", when, err, f.Mutations())
				}
				break
			}
			if !errors.Is(err, storetest.ErrCrashed) {
				t.Errorf("%v %d: %v, want ErrCrashed", when, k, err)
			}
			if _, err := f.Stat(t.Context(), "f"); !errors.Is(err, storetest.ErrCrashed) {
				t.Errorf("%v %d: a call after the crash: %v, want ErrCrashed", when, k, err)
			}
			if _, err := inner.Stat(t.Context(), "f"); err == nil {
				present++
			}
			f.Reset()
			if err := publish(t, f, "2", body); err != nil {
				t.Errorf("%v %d: after the restart: %v", when, k, err)
			}
			if got := storetest.Get(t, inner, "f"); !bytes.Equal(got, body) {
				t.Errorf("%v %d: recovered to %q", when, k, got)
			}
		}
		crashes, want := 5, 0
		switch when {
		case storetest.After:
			want = 1 // the rename happened, its reply was lost
		case storetest.Torn:
			crashes = 2
		}
		if k != crashes || present != want {
			t.Errorf("%v: %d crashes, %d of them after publication; want %d and %d", when, k, present, crashes, want)
		}
	}
}

func TestFileOfADeadProcessStaysDead(t *testing.T) {
	f := storetest.NewFaulty(open(t))
	file, err := f.Create(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	f.CrashAt(0, storetest.Torn)
	if _, err := file.Write([]byte("0123456789")); !errors.Is(err, storetest.ErrCrashed) {
		t.Errorf("write: %v, want ErrCrashed", err)
	}
	f.Reset()
	if err := file.Close(); !errors.Is(err, storetest.ErrCrashed) {
		t.Errorf("close after the restart: %v, want ErrCrashed", err)
	}
	if got := string(storetest.Get(t, f, "f")); got != "01234" {
		t.Errorf("the torn write left %q, want its first half", got)
	}
}

func TestFailWithFailsWithoutACrash(t *testing.T) {
	f := storetest.NewFaulty(open(t))
	full := errors.New("disk full")
	f.FailWith(func(op, path string) error {
		if op == "rename" && path == "f" {
			return fmt.Errorf("rename: %w", full)
		}
		return nil
	})
	if err := publish(t, f, "1", []byte("ab")); !errors.Is(err, full) || f.Crashed() {
		t.Errorf("got %v, crashed %v; want the error alone", err, f.Crashed())
	}
	f.FailWith(nil)
	if err := publish(t, f, "2", []byte("ab")); err != nil {
		t.Error(err)
	}
}
