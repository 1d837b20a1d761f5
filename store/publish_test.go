package store_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

// shortFS loses the last byte of what is written, and says nothing.
type shortFS struct{ store.FS }

type shortFile struct{ store.File }

func (s shortFS) Create(ctx context.Context, p string) (store.File, error) {
	f, err := s.FS.Create(ctx, p)
	return shortFile{f}, err
}

func (f shortFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b[:len(b)-1])
	return n + 1, err
}

func open(t *testing.T) store.FS {
	t.Helper()
	s, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFileThatIsShorterThanWhatWasWrittenIsNotPublished(t *testing.T) {
	s := open(t)
	err := store.PublishBytes(t.Context(), shortFS{s}, store.Temp("f", "1"), "f", []byte("0123456789"))
	if err == nil || !strings.Contains(err.Error(), "9 bytes, 10 were written") {
		t.Errorf("publish: %v, want the two lengths", err)
	}
	if infos, err := s.List(t.Context(), ""); err != nil || len(infos) != 0 {
		t.Errorf("the store holds %v, %v; want nothing", infos, err)
	}
}

func TestAFileOfAnothersUnderTheTemporaryNameStays(t *testing.T) {
	s, tmp := open(t), store.Temp("f", "1")
	storetest.Put(t, s, tmp, []byte("another's"))
	if err := store.PublishBytes(t.Context(), s, tmp, "f", []byte("ours")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("publish: %v, want fs.ErrExist", err)
	}
	if got := string(storetest.Get(t, s, tmp)); got != "another's" {
		t.Errorf("the other's file holds %q", got)
	}
}

func TestATemporaryFileThatStaysIsNamed(t *testing.T) {
	away := errors.New("the store is away")
	for _, op := range []string{"create", "write", "close", "rename"} {
		f := storetest.NewFaulty(open(t))
		broken := false
		f.FailWith(func(o, _ string) error {
			if broken = broken || o == op; broken {
				return away
			}
			return nil
		})
		err := store.Publish(t.Context(), f, store.Temp("a/f", "1"), "a/f", func(w io.Writer) error {
			_, err := io.WriteString(w, "text")
			return err
		})
		var left *store.LeftError
		if !errors.Is(err, away) || !errors.As(err, &left) || left.Temp != "a/_f.1.tmp" {
			t.Errorf("%s fails: %v, want it and the file that is left", op, err)
		}
	}
}
