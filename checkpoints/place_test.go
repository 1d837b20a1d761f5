package checkpoints

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/disk/disktest"
)

// furnished is a store with something of everything in it.
func furnished(t *testing.T, fsys disk.Disk, dir string) *Store {
	t.Helper()
	s, err := open(fsys, dir, "", quiet())
	if err != nil {
		t.Fatal(err)
	}
	one := mustStream(t, s, "a", Stream{Source: "/one", Identity: []byte("1"), Type: "x"})
	two := mustStream(t, s, "b", Stream{Source: "/two", Identity: []byte("2"), Begin: 3})
	if err := errors.Join(s.Sent(one.ID, 10, 5), s.Settled(one.ID, 7), s.Sent(two.ID, 4, 6), s.Put("k", []byte("v"))); err != nil {
		t.Fatal(err)
	}
	return s
}

// all is what a store knows.
func all(s *Store) string { return fmt.Sprintf("%s %+v %q", s.AgentID(), s.OfKind("tail"), s.List()) }

func TestRemovedDirectoryIsMadeAnewFromMemory(t *testing.T) {
	for name, remove := range map[string]func(dir string) error{
		"the whole data directory": func(dir string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(dir))) },
		"the checkpoints":          os.RemoveAll,
		"what is in them": func(dir string) error {
			names, err := filepath.Glob(filepath.Join(dir, "*"))
			for _, name := range names {
				err = errors.Join(err, os.RemoveAll(name))
			}
			return err
		},
		"the journal": func(dir string) error { return removeGlob(filepath.Join(dir, "journal-*")) },
		"the lock":    func(dir string) error { return os.Remove(filepath.Join(dir, "lock")) },
		"moved away":  func(dir string) error { return os.Rename(dir, dir+".away") },
	} {
		for _, end := range []string{"kill", "close", "close before it was noticed"} {
			t.Run(name+", "+end, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "data", "agent", "checkpoints")
				s := furnished(t, disk.Local{}, dir)
				if err := s.Whole(); err != nil {
					t.Fatalf("before: %v", err)
				}
				if mended, err := s.Mend(); mended || err != nil {
					t.Fatalf("nothing to mend: %t, %v", mended, err)
				}
				if err := remove(dir); err != nil {
					t.Fatal(err)
				}
				if err := s.Whole(); !errors.Is(err, errRemoved) {
					t.Errorf("after: got %v, want that it was removed", err)
				}
				late := mustStream(t, s, "a", Stream{Source: "/late"}) // nobody has noticed yet
				if end != "close before it was noticed" {
					if mended, err := s.Mend(); !mended || err != nil {
						t.Fatalf("mend: %t, %v", mended, err)
					}
					if err := s.Whole(); err != nil {
						t.Errorf("mended: %v", err)
					}
				}
				if err := s.Sent(late.ID, 8, 8); err != nil {
					t.Fatal(err)
				}
				want := all(s)
				if end == "kill" {
					abandon(t, s)
				} else if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				s = mustOpen(t, dir)
				defer s.Close()
				if got := all(s); got != want || s.Damaged() != 0 {
					t.Errorf("after a start:\n got %s, %d damaged\nwant %s", got, s.Damaged(), want)
				}
			})
		}
	}
}

func removeGlob(pattern string) (err error) {
	names, err := filepath.Glob(pattern)
	for _, name := range names {
		err = errors.Join(err, os.Remove(name))
	}
	return err
}

func TestReplacedDirectoryGoesToQuarantine(t *testing.T) {
	dir, other := filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "c")
	s := furnished(t, disk.Local{}, dir)
	older := mustOpen(t, other)
	mustStream(t, older, "z", Stream{Source: "/of/another"})
	for range 5 { // its generations are far ahead
		older.Close()
		older = mustOpen(t, other)
	}
	older.Close()
	if err := errors.Join(os.Rename(dir, dir+".away"), os.Rename(other, dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Whole(); !errors.Is(err, errReplaced) {
		t.Errorf("got %v, want that it was replaced", err)
	}
	if mended, err := s.Mend(); !mended || err != nil {
		t.Fatalf("mend: %t, %v", mended, err)
	}
	kept, _ := filepath.Glob(filepath.Join(dir, "quarantine", "snapshot-*"))
	if len(kept) == 0 {
		t.Error("no snapshot of the other directory is in quarantine")
	}
	want := all(s)
	abandon(t, s)
	s = mustOpen(t, dir)
	defer s.Close()
	if got := all(s); got != want {
		t.Errorf("after a start:\n got %s\nwant %s", got, want)
	}
}

func TestDirectoryOfAnotherProcessIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := furnished(t, disk.Local{}, dir)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, dir)
	st := mustStream(t, other, "a", Stream{Source: "/of/the/other"})
	for range 2 {
		if mended, err := s.Mend(); mended || !errors.Is(err, ErrLocked) {
			t.Fatalf("mend: %t, %v, want ErrLocked", mended, err)
		}
	}
	if err := s.Whole(); !errors.Is(err, ErrLocked) {
		t.Errorf("whole: %v, want ErrLocked", err)
	}
	if _, err := s.Open(context.Background(), Owner{Adaptor: "a", Kind: "tail"}, Stream{}); !errors.Is(err, ErrLocked) {
		t.Errorf("open: %v, want that it can't be durable", err)
	}
	if err := s.Put("k", []byte("w")); !errors.Is(err, ErrLocked) {
		t.Errorf("put: %v, want that it can't be durable", err)
	}
	want := all(s)
	if _, ok := other.Stream(st.ID); !ok || other.Whole() != nil {
		t.Errorf("the other process's directory was touched: %v", other.Whole())
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if mended, err := s.Mend(); !mended || err != nil {
		t.Fatalf("mend, the other one gone: %t, %v", mended, err)
	}
	abandon(t, s)
	s = mustOpen(t, dir)
	defer s.Close()
	if got := all(s); got != want {
		t.Errorf("after a start:\n got %s\nwant %s", got, want)
	}
}

func TestDirectoryThatComesBackIsUsedAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "c")
	s := furnished(t, disk.Local{}, dir)
	if err := errors.Join(os.Rename(dir, dir+".away"), os.WriteFile(dir, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if mended, err := s.Mend(); mended || err == nil {
		t.Fatalf("mend where a file is in the way: %t, %v", mended, err)
	}
	if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
		t.Fatal(err)
	}
	if mended, err := s.Mend(); !mended || err != nil {
		t.Fatalf("mend: %t, %v", mended, err)
	}
	if err := s.Put("k", []byte("w")); err != nil || s.Whole() != nil {
		t.Errorf("after it came back: %v, %v", err, s.Whole())
	}
	s.Close()
}

// A mend that fails at any write is made good by the next.
func TestMendGoesOnAfterAFailureAtEveryWrite(t *testing.T) {
	for _, what := range []string{"removed", "replaced"} {
		for k := 0; ; k++ {
			dir, other := filepath.Join(t.TempDir(), "c"), filepath.Join(t.TempDir(), "c")
			d := quick(t)
			s := furnished(t, d, dir)
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if what == "replaced" {
				mustOpen(t, other).Close()
				if err := os.Rename(other, dir); err != nil {
					t.Fatal(err)
				}
			}
			want := all(s)
			changes := 0
			d.FailWith(func(string, string) error { // half of what is written, and nothing from then on
				if changes++; changes > k {
					return disktest.ErrTorn
				}
				return nil
			})
			_, failed := s.Mend()
			if failed != nil && !errors.Is(failed, disktest.ErrTorn) && !strings.Contains(failed.Error(), disktest.ErrTorn.Error()) {
				t.Fatalf("%s, write %d: %v", what, k, failed)
			}
			due := changes > k
			d.FailWith(nil)
			if _, err := s.Mend(); err != nil {
				t.Fatalf("%s, after write %d failed: %v", what, k, err)
			}
			abandon(t, s)
			s = mustOpen(t, dir)
			if got := all(s); got != want || s.Damaged() != 0 {
				t.Errorf("%s, after write %d failed: got %s, %d damaged, want %s", what, k, got, s.Damaged(), want)
			}
			s.Close()
			if !due {
				if k < 5 {
					t.Errorf("%s: %d writes in all, want at least 5", what, k)
				}
				break
			}
		}
	}
}
