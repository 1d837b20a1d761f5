package storetest

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/akupara/akupara/store"
)

func publishIsWholeOrNothing(t *testing.T, s store.FS) {
	const p = "m/new/folder/f"
	one, two := random(70_001, 1), random(33, 2)
	if err := store.PublishBytes(t.Context(), s, store.Temp(p, "1"), p, one); err != nil {
		t.Fatal(err)
	}
	no := errors.New("no more to write")
	err := store.Publish(t.Context(), s, store.Temp(p, "2"), p, func(w io.Writer) error {
		if _, err := w.Write(two); err != nil {
			return err
		}
		return no
	})
	if !errors.Is(err, no) {
		t.Errorf("publish with a write that fails: %v, want its error", err)
	}
	if got := Get(t, s, p); !bytes.Equal(got, one) {
		t.Errorf("a publish that failed changed the file")
	}
	if err := store.PublishBytes(t.Context(), s, store.Temp(p, "3"), p, two); err != nil {
		t.Fatal(err)
	}
	if got := Get(t, s, p); !bytes.Equal(got, two) {
		t.Errorf("the file is not the one that was published over it")
	}
	infos, err := s.List(t.Context(), "m/new/folder")
	if err != nil || len(infos) != 1 {
		t.Errorf("%v, %v are in the folder; want the file alone", infos, err)
	}
}
