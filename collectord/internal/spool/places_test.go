package spool_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/akupara/akupara/collectord/internal/spool"
)

func TestATypeBeyondTheBoundIsRefusedAlone(t *testing.T) {
	r := start(t, options(t, t.TempDir()))
	for i := range 4 {
		r.take(t, batch(t, fmt.Sprint("type", i), "s", 0, "x"))
	}
	b := batch(t, "type4", "s", 0, "x")
	if _, err := r.Append(&b); !errors.Is(err, spool.ErrTooManyTypes) || errors.Is(err, spool.ErrUnavailable) {
		t.Errorf("a fifth type: %v, want ErrTooManyTypes", err)
	}
	r.take(t, batch(t, "type0", "s", 1, "x"))
	if err := r.Ready(); err != nil {
		t.Errorf("the spool is not ready: %v", err)
	}
	if st := r.Status(); st.Types != 4 || !slices.Equal(st.Refused, []string{"type4"}) {
		t.Errorf("status: %d types, %q refused; want 4, and type4", st.Types, st.Refused)
	}
}

func TestABusyTypeKeepsItsPlaceWhileItsSegmentsAreSealed(t *testing.T) {
	o := options(t, t.TempDir())
	o.Rules.MaxOpen, o.Rules.SealBytes = 1, 1 // each batch is sealed at once
	r := start(t, o)
	for i := range 3 {
		r.take(t, batch(t, "busy", "s", int64(i), "x"))
		r.nextSealed(t)
		b := batch(t, "other", "s", 0, "x")
		if _, err := r.Append(&b); !errors.Is(err, spool.ErrTooManyTypes) {
			t.Fatalf("while the busy type has no segment open: %v, want ErrTooManyTypes", err)
		}
	}
}

func TestAQuietTypeMakesRoom(t *testing.T) {
	o := options(t, t.TempDir())
	o.Rules.MaxOpen, o.Rules.SealIdle = 1, 20*time.Millisecond
	r := start(t, o)
	r.take(t, batch(t, "quiet", "s", 0, "x"))
	b := batch(t, "other", "s", 0, "x")
	_, err := r.Append(&b)
	if err != nil && !errors.Is(err, spool.ErrTooManyTypes) {
		t.Fatal(err)
	}
	eventually(t, "the other type is taken", func() bool {
		b := batch(t, "other", "s", 0, "x")
		_, err := r.Append(&b)
		return err == nil
	})
	if st := r.Status(); st.Types != 1 || len(st.Refused) != 0 {
		t.Errorf("status: %d types, %q refused; want 1, and none", st.Types, st.Refused)
	}
}
