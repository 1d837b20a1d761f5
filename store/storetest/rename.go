package storetest

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/akupara/akupara/store"
)

func renameMovesFiles(t *testing.T, s store.FS) {
	Put(t, s, "_a.tmp", []byte("one"))
	if err := s.Rename(t.Context(), "_a.tmp", "x/y/a"); err != nil {
		t.Fatalf("into a missing directory: %v", err)
	}
	Put(t, s, "_a.tmp", []byte("two"))
	if err := s.Rename(t.Context(), "_a.tmp", "x/y/a"); err != nil {
		t.Fatalf("over a file: %v", err)
	}
	if got := string(Get(t, s, "x/y/a")); got != "two" {
		t.Errorf("the file reads %q, want two", got)
	}
	if got, want := Tree(t, s, ""), []string{"x/y/a"}; !slices.Equal(got, want) {
		t.Errorf("the store holds %v, want %v", got, want)
	}
}

func renameMovesDirectories(t *testing.T, s store.FS) {
	Put(t, s, "from/f", []byte("1"))
	Put(t, s, "from/g/h", nil)
	if err := s.Rename(t.Context(), "from", "p/to"); err != nil {
		t.Fatalf("into a missing directory: %v", err)
	}
	Put(t, s, "empty/f", nil)
	if err := s.Remove(t.Context(), "empty/f"); err != nil {
		t.Fatal(err)
	}
	if err := s.Rename(t.Context(), "p/to", "empty"); err != nil {
		t.Errorf("over an empty directory: %v", err)
	}
	if got, want := Tree(t, s, ""), []string{"empty/f", "empty/g/h"}; !slices.Equal(got, want) {
		t.Errorf("the store holds %v, want %v", got, want)
	}
}

func renameRefusals(t *testing.T, s store.FS) {
	Put(t, s, "d/f", []byte("d"))
	Put(t, s, "e/g", nil)
	Put(t, s, "file", []byte("file"))
	before := Tree(t, s, "")
	for _, c := range []struct {
		from, to string
		want     error
		why      string
	}{
		{"d", "e", fs.ErrExist, "a directory over one that is not empty"},
		{"d", "file", fs.ErrExist, "a directory over a file"},
		{"file", "d", fs.ErrExist, "a file over a directory"},
		{"file", "file", fs.ErrExist, "onto itself"},
		{"d", "d/in/itself", store.ErrPath, "into itself"},
		{"file/x", "y", fs.ErrNotExist, "from below a file"},
	} {
		if err := s.Rename(t.Context(), c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.why, err, c.want)
		}
	}
	if err := s.Rename(t.Context(), "d/f", "file/x"); err == nil {
		t.Error("a file moved to below a file")
	}
	if after := Tree(t, s, ""); !slices.Equal(after, before) {
		t.Errorf("the store holds %v, want %v", after, before)
	}
}

// The commit of a table: each committer renames a directory that is not empty
// to the same name.
func oneOfManyClaimersWins(t *testing.T, s store.FS) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	for round := range rounds {
		claim := fmt.Sprintf("_claims/v%d", round)
		var mu sync.Mutex
		var winners []string
		var group sync.WaitGroup
		for id := range 8 {
			group.Go(func() {
				me := fmt.Sprintf("%d-%d", round, id)
				Put(t, s, "_claims/tmp-"+me+"/"+me, []byte(me))
				err := s.Rename(t.Context(), "_claims/tmp-"+me, claim)
				switch {
				case err == nil:
					mu.Lock()
					winners = append(winners, me)
					mu.Unlock()
				case errors.Is(err, fs.ErrExist):
					if err := s.Remove(t.Context(), "_claims/tmp-"+me); err != nil {
						t.Error(err)
					}
				default:
					t.Errorf("claim: %v, want nil or fs.ErrExist", err)
				}
			})
		}
		group.Wait()
		if len(winners) != 1 {
			t.Fatalf("round %d: %v won, want exactly one", round, winners)
		}
		if got, want := Tree(t, s, claim), []string{claim + "/" + winners[0]}; !slices.Equal(got, want) {
			t.Fatalf("round %d: the claim holds %v, want %v", round, got, want)
		}
	}
}

// A directory that is emptied before it is removed could be replaced by a
// rename meanwhile: a claim would be given twice, and the second one emptied.
func removedDirectoryIsNeverSeenEmpty(t *testing.T, s store.FS) {
	rounds := 20
	if testing.Short() {
		rounds = 5
	}
	for range rounds {
		for i := range 4 {
			Put(t, s, fmt.Sprintf("claim/%d", i), nil)
		}
		Put(t, s, "next/mine", nil)
		var group sync.WaitGroup
		group.Go(func() {
			err := s.Rename(t.Context(), "next", "claim")
			for errors.Is(err, fs.ErrExist) {
				err = s.Rename(t.Context(), "next", "claim")
			}
			if err != nil {
				t.Error(err)
			}
		})
		if err := s.Remove(t.Context(), "claim"); err != nil {
			t.Error(err)
		}
		group.Wait()
		if got, want := Tree(t, s, ""), []string{"claim/mine"}; !slices.Equal(got, want) {
			t.Fatalf("the store holds %v, want %v", got, want)
		}
		if err := s.Remove(t.Context(), "claim"); err != nil {
			t.Error(err)
		}
	}
}
