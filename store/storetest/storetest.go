// Package storetest holds every store to the same contract, and breaks stores
// for those who build on them: Run is the conformance suite, Faulty crashes a
// store at its k-th mutation, Cluster is a real HDFS of the test's own, and
// Proxy breaks connections.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/akupara/akupara/store"
)

// Run checks that the stores that open gives do what store.FS promises. Each
// store must be empty and nobody else's.
func Run(t *testing.T, open func(t *testing.T) store.FS) {
	for _, c := range []struct {
		name string
		test func(*testing.T, store.FS)
	}{
		{"FileIsReadAsWritten", fileIsReadAsWritten},
		{"LargeFile", largeFile},
		{"ReadAtFromManyPlacesAtOnce", readAtFromManyPlacesAtOnce},
		{"CreateIsExclusive", createIsExclusive},
		{"OneOfManyCreatorsWins", oneOfManyCreatorsWins},
		{"ClosedFileTakesNoMore", closedFileTakesNoMore},
		{"MissingPaths", missingPaths},
		{"FileIsNoDirectory", fileIsNoDirectory},
		{"ListIsSortedAndDirect", listIsSortedAndDirect},
		{"RenameMovesFiles", renameMovesFiles},
		{"RenameMovesDirectories", renameMovesDirectories},
		{"RenameRefusals", renameRefusals},
		{"OneOfManyClaimersWins", oneOfManyClaimersWins},
		{"RemovedDirectoryIsNeverSeenEmpty", removedDirectoryIsNeverSeenEmpty},
		{"RemoveTakesAllBelow", removeTakesAllBelow},
		{"PathsStayInside", pathsStayInside},
		{"EndedContextEndsCalls", endedContextEndsCalls},
		{"ManyAtOnce", manyAtOnce},
		{"PublishIsWholeOrNothing", publishIsWholeOrNothing},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Put stores a whole file, for a test that only needs it there.
func Put(t testing.TB, s store.FS, p string, body []byte) {
	t.Helper()
	f, err := s.Create(t.Context(), p)
	if err != nil {
		t.Fatalf("create %s: %v", p, err)
	}
	if _, err := f.Write(body); err != nil {
		t.Fatalf("write %s: %v", p, err)
	}
	if err := f.Close(); err != nil {
		t.Fatalf("close %s: %v", p, err)
	}
}

// Get reads a whole file.
func Get(t testing.TB, s store.FS, p string) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), p)
	if err != nil {
		t.Fatalf("open %s: %v", p, err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		t.Fatalf("read %s: %v", p, err)
	}
	return b
}

// Tree lists all files below dir, sorted.
func Tree(t testing.TB, s store.FS, dir string) []string {
	t.Helper()
	infos, err := s.List(t.Context(), dir)
	if err != nil {
		t.Fatalf("list %q: %v", dir, err)
	}
	var files []string
	for _, i := range infos {
		if i.IsDir {
			files = append(files, Tree(t, s, i.Path)...)
		} else {
			files = append(files, i.Path)
		}
	}
	slices.Sort(files)
	return files
}

func missingPaths(t *testing.T, s store.FS) {
	if infos, err := s.List(t.Context(), ""); err != nil || len(infos) != 0 {
		t.Errorf("list an empty store = %v, %v; want none", infos, err)
	}
	Put(t, s, "there", nil)
	if _, err := s.Open(t.Context(), "d/no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.Stat(t.Context(), "d/no"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v, want fs.ErrNotExist", err)
	}
	if infos, err := s.List(t.Context(), "d/no"); err != nil || len(infos) != 0 {
		t.Errorf("list = %v, %v; want none", infos, err)
	}
	if err := s.Remove(t.Context(), "d/no"); err != nil {
		t.Errorf("remove: %v, want nil", err)
	}
	if err := s.Rename(t.Context(), "d/no", "e/f"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("rename: %v, want fs.ErrNotExist", err)
	}
	if got := Tree(t, s, ""); len(got) != 1 {
		t.Errorf("the store holds %v, want only the file put", got)
	}
}

func fileIsNoDirectory(t *testing.T, s store.FS) {
	Put(t, s, "f", []byte("x"))
	if _, err := s.Create(t.Context(), "f/g"); err == nil || errors.Is(err, fs.ErrExist) {
		t.Errorf("create below a file: %v, want an error other than fs.ErrExist", err)
	}
	if _, err := s.Stat(t.Context(), "f/g"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat below a file: %v, want fs.ErrNotExist", err)
	}
	if _, err := s.Open(t.Context(), "f/g"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open below a file: %v, want fs.ErrNotExist", err)
	}
	if err := s.Remove(t.Context(), "f/g"); err != nil {
		t.Errorf("remove below a file: %v, want nil", err)
	}
	if infos, err := s.List(t.Context(), "f"); err == nil {
		t.Errorf("list a file = %v, want an error", infos)
	}
	Put(t, s, "d/f", nil)
	if _, err := s.Open(t.Context(), "d"); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open a directory: %v, want an error other than fs.ErrNotExist", err)
	}
}

func listIsSortedAndDirect(t *testing.T, s store.FS) {
	names := []string{"b", "a.avro", "a", "a-b", "B", "ü", "_x.tmp", "a b", "x=1", ".hidden"}
	for i, n := range names {
		if i%2 == 0 {
			Put(t, s, path.Join("dir", n), []byte("xy"))
		} else {
			Put(t, s, path.Join("dir", n, "below"), nil)
		}
	}
	infos, err := s.List(t.Context(), "dir")
	if err != nil {
		t.Fatal(err)
	}
	var got, want []string
	for _, i := range infos {
		got = append(got, i.Path)
		n := slices.Index(names, path.Base(i.Path))
		if i.IsDir != (n%2 == 1) || !i.IsDir && i.Size != 2 {
			t.Errorf("listed as %+v", i)
		}
	}
	for _, n := range names {
		want = append(want, "dir/"+n)
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("list:\n got %q\nwant %q", got, want)
	}
	root, err := s.List(t.Context(), "")
	if err != nil || len(root) != 1 || root[0].Path != "dir" {
		t.Errorf("list of the root = %+v, %v; want dir alone", root, err)
	}
}

func removeTakesAllBelow(t *testing.T, s store.FS) {
	for _, p := range []string{"a/b/c", "a/b/d/e", "a/f", "ab"} {
		Put(t, s, p, nil)
	}
	if err := s.Remove(t.Context(), "a/b/c"); err != nil {
		t.Error(err)
	}
	if got, want := Tree(t, s, ""), []string{"a/b/d/e", "a/f", "ab"}; !slices.Equal(got, want) {
		t.Errorf("after removing a file: %v, want %v", got, want)
	}
	if err := s.Remove(t.Context(), "a"); err != nil {
		t.Error(err)
	}
	if got, want := Tree(t, s, ""), []string{"ab"}; !slices.Equal(got, want) {
		t.Errorf("after removing a directory: %v, want %v", got, want)
	}
	if infos, err := s.List(t.Context(), ""); err != nil || len(infos) != 1 {
		t.Errorf("the root lists %v, %v; want ab alone", infos, err)
	}
}

func pathsStayInside(t *testing.T, s store.FS) {
	Put(t, s, "f", nil)
	ctx := t.Context()
	for _, p := range []string{"..", "../x", "a/../../x", "/f", "a/..", "x\x00"} {
		_, createErr := s.Create(ctx, p)
		_, openErr := s.Open(ctx, p)
		_, statErr := s.Stat(ctx, p)
		_, listErr := s.List(ctx, p)
		for i, err := range []error{createErr, openErr, statErr, listErr, s.Rename(ctx, p, "g"), s.Rename(ctx, "f", p), s.Remove(ctx, p)} {
			if !errors.Is(err, store.ErrPath) {
				t.Errorf("%q, call %d: %v, want ErrPath", p, i, err)
			}
		}
	}
	_, createErr := s.Create(ctx, "")
	for i, err := range []error{createErr, s.Remove(ctx, ""), s.Remove(ctx, "."), s.Rename(ctx, "", "g"), s.Rename(ctx, "f", "")} {
		if !errors.Is(err, store.ErrPath) {
			t.Errorf("the root, call %d: %v, want ErrPath", i, err)
		}
	}
	if info, err := s.Stat(ctx, ""); err != nil || !info.IsDir {
		t.Errorf("stat of the root = %+v, %v; want a directory", info, err)
	}
}

func endedContextEndsCalls(t *testing.T, s store.FS) {
	Put(t, s, "f", []byte("x"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, createErr := s.Create(ctx, "g")
	_, openErr := s.Open(ctx, "f")
	_, statErr := s.Stat(ctx, "f")
	_, listErr := s.List(ctx, "")
	for i, err := range []error{createErr, openErr, statErr, listErr, s.Rename(ctx, "f", "g"), s.Remove(ctx, "f")} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: %v, want context.Canceled", i, err)
		}
	}
	if got := Tree(t, s, ""); !slices.Equal(got, []string{"f"}) {
		t.Errorf("the store holds %v, want f alone", got)
	}
}

func manyAtOnce(t *testing.T, s store.FS) {
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			body := []byte(strings.Repeat(fmt.Sprint(g), 1000))
			for i := range 4 {
				tmp, final := fmt.Sprintf("m/_%d.%d.tmp", g, i), fmt.Sprintf("m/%d/%d", g, i)
				Put(t, s, tmp, body)
				if err := s.Rename(t.Context(), tmp, final); err != nil {
					t.Error(err)
				}
				if got := Get(t, s, final); !bytes.Equal(got, body) {
					t.Errorf("%s differs", final)
				}
				if i%2 == 0 {
					if err := s.Remove(t.Context(), final); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	group.Wait()
	if got := len(Tree(t, s, "")); got != 16 {
		t.Errorf("%d files are left, want 16", got)
	}
}

// FastDir returns a directory of the test's own, in memory where the system has
// such a place: for loops that sync thousands of times, where what is tested
// is the order of things and not the disk.
func FastDir(t testing.TB) string {
	const shm = "/dev/shm"
	dir, err := os.MkdirTemp(shm, "akupara-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
