package local_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

func open(t *testing.T) (*local.FS, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	s, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

func TestLocalStoreDoesWhatStoresDo(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.FS { s, _ := open(t); return s })
}

func TestRelativeRootIsRefused(t *testing.T) {
	if _, err := local.New("data/store"); err == nil {
		t.Error("a relative root was taken: want an error")
	}
}

func TestLinksDoNotLeadOut(t *testing.T) {
	s, dir := open(t)
	outside := t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "secret"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, s, "f", []byte("in"))
	for name, to := range map[string]string{"out": outside, "abs": filepath.Join(outside, "secret"), "in": "f"} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Open(t.Context(), "out/secret"); !errors.Is(err, store.ErrPath) {
		t.Errorf("open through a link to outside: %v, want ErrPath", err)
	}
	if _, err := s.Open(t.Context(), "abs"); !errors.Is(err, store.ErrPath) {
		t.Errorf("open a link to outside: %v, want ErrPath", err)
	}
	if _, err := s.Create(t.Context(), "out/new"); !errors.Is(err, store.ErrPath) {
		t.Errorf("create through a link to outside: %v, want ErrPath", err)
	}
	if err := s.Rename(t.Context(), "f", "out/f"); !errors.Is(err, store.ErrPath) {
		t.Errorf("rename through a link to outside: %v, want ErrPath", err)
	}
	if got := string(storetest.Get(t, s, "in")); got != "in" {
		t.Errorf("a link inside reads %q, want %q", got, "in")
	}
	for _, name := range []string{"out", "abs"} {
		if err := s.Remove(t.Context(), name); err != nil {
			t.Errorf("remove the link %s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(outside, "secret")); err != nil {
		t.Errorf("removing a link took its target: %v", err)
	}
}

func TestFIFOIsRefusedAndNotWaitedFor(t *testing.T) {
	s, dir := open(t)
	storetest.Put(t, s, "f", nil)
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Skip(err)
	}
	if _, err := s.Open(t.Context(), "fifo"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a FIFO: %v, want a refusal", err)
	}
	if got := storetest.Tree(t, s, ""); len(got) != 1 {
		t.Errorf("listed %v, want f alone", got)
	}
}

func TestRemovalLeavesNoLitter(t *testing.T) {
	s, dir := open(t)
	storetest.Put(t, s, "a/b", nil)
	// What a process left that died in the middle of a removal.
	if err := os.MkdirAll(filepath.Join(dir, ".removed", "old", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if infos, err := s.List(t.Context(), ""); err != nil || len(infos) != 1 {
		t.Errorf("listed %v, %v; want a alone", infos, err)
	}
	if _, err := s.Stat(t.Context(), ".removed/old"); !errors.Is(err, store.ErrPath) {
		t.Errorf("stat below .removed: %v, want ErrPath", err)
	}
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 0 {
		t.Errorf("the directory holds %v, %v; want nothing", entries, err)
	}
}
