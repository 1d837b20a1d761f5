package checkpoints

import (
	"os"
	"path/filepath"
	"testing"
)

// damaged opens a copy of src after f changed the newest journal.
func damaged(t *testing.T, src string, f func(path string, data []byte)) *Store {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(src)); err != nil {
		t.Fatal(err)
	}
	f(newest(t, dir, journalFile))
	s := mustOpenUnsynced(t, dir)
	t.Cleanup(func() { s.Close() })
	return s
}

func TestAFlippedBitInAJournalCostsOneRecordAtMost(t *testing.T) {
	t.Parallel()
	src := filled(t, 3)
	_, whole := newest(t, src, journalFile)
	frames := 0
	for rest := whole; len(rest) > 0; frames++ {
		var err error
		if _, rest, err = nextFrame(rest); err != nil {
			t.Fatal(err)
		}
	}
	for at := range whole {
		s := damaged(t, src, func(path string, data []byte) {
			data[at] ^= 0x10
			writeFile(t, path, string(data))
		})
		if got := len(s.Streams("a")); got < 5 {
			t.Fatalf("bit flipped at %d of %d, in one of %d records: %d streams, want 5 of 6 at least", at, len(whole), frames, got)
		} else if got < 6 && !s.Fresh() {
			t.Errorf("bit flipped at %d: a stream is gone, and the store holds what it knows for all there is", at)
		}
		if s.Damaged() != 1 {
			t.Errorf("bit flipped at %d: %d damaged, want 1", at, s.Damaged())
		}
	}
}

func TestAJournalThatIsNotThereIsTold(t *testing.T) {
	t.Parallel()
	src := filled(t, 3)
	for what, f := range map[string]func(path string, data []byte){
		"missing": func(path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"a folder": func(path string, _ []byte) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		},
		"another's": func(path string, _ []byte) {
			s := &Store{dir: filepath.Dir(path)}
			journals, err := filepath.Glob(filepath.Join(s.dir, journalFile+"*"))
			if err != nil || len(journals) < 2 {
				t.Fatalf("journals %v, %v; want two", journals, err)
			}
			older, err := os.ReadFile(journals[0])
			if err != nil {
				t.Fatal(err)
			}
			writeFile(t, path, string(older))
		},
	} {
		s := damaged(t, src, f)
		if got := len(s.Streams("a")); got != 3 {
			t.Errorf("%s: %d streams, want the 3 of the snapshot", what, got)
		}
		if !s.Fresh() || s.Damaged() == 0 {
			t.Errorf("%s: fresh %t, %d damaged; want it told", what, s.Fresh(), s.Damaged())
		}
	}
}

func TestAFolderInASnapshotsPlaceCostsNothing(t *testing.T) {
	t.Parallel()
	src := filled(t, 3)
	s := damaged(t, src, func(string, []byte) {})
	s.Close()
	path, _ := newest(t, s.dir, snapshotFile)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	again := mustOpenUnsynced(t, s.dir)
	defer again.Close()
	if got := len(again.Streams("a")); got != 6 || again.Damaged() != 1 || again.Fresh() {
		t.Errorf("%d streams, %d damaged, fresh %t; want 6, 1, false", got, again.Damaged(), again.Fresh())
	}
}
