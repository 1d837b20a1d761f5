package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

const fileSize = 1000

// origin is a store of n files of 1000 bytes, each of its own bytes.
func origin(t *testing.T, n int) (store.FS, []File) {
	t.Helper()
	l, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var files []File
	for i := range n {
		p := fmt.Sprintf("tables/a/data/%d.parquet", i)
		storetest.Put(t, l, p, bytes.Repeat([]byte{byte(i)}, fileSize))
		files = append(files, File{Path: p, Size: fileSize})
	}
	return l, files
}

func use(t *testing.T, c *Cache) *Use {
	t.Helper()
	u, err := c.Use()
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func get(t *testing.T, u *Use, files ...File) ([]string, int) {
	t.Helper()
	paths, fetched, err := u.Get(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range paths {
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		var n byte
		fmt.Sscanf(filepath.Base(files[i].Path), "%d.parquet", &n)
		if !bytes.Equal(b, bytes.Repeat([]byte{n}, fileSize)) {
			t.Errorf("%s: got other bytes", files[i].Path)
		}
	}
	return paths, fetched
}

func TestFilesInUseStayWhateverComesAfterThem(t *testing.T) {
	origin, files := origin(t, 6)
	c := New(origin, "hdfs://x", t.TempDir(), 3*fileSize, 2)
	first, second := use(t, c), use(t, c)
	held, _ := get(t, first, files[0], files[1])
	for _, f := range files[2:] {
		u := use(t, c)
		get(t, u, f)
		if err := u.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i, p := range held {
		if b, err := os.ReadFile(p); err != nil || len(b) != fileSize || b[0] != byte(i) {
			t.Errorf("a file in use: got %d bytes, %v", len(b), err)
		}
	}
	if _, _, err := second.Get(t.Context(), files[2:4]); !errors.Is(err, ErrFull) {
		t.Errorf("beside two files in use, two more in a cache of three: got %v, want %v", err, ErrFull)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	get(t, second, files[2:4]...)
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatWasUsedLongestAgoGoesFirst(t *testing.T) {
	origin, files := origin(t, 4)
	c := New(origin, "hdfs://x", t.TempDir(), 3*fileSize, 1)
	u := use(t, c)
	get(t, u, files[:3]...)
	for i, f := range files[:3] {
		old := time.Now().Add(time.Duration(i-10) * time.Hour)
		if err := os.Chtimes(c.path(f), old, old); err != nil {
			t.Fatal(err)
		}
	}
	get(t, u, files[0]) // used again
	u.Close()
	u = use(t, c)
	defer u.Close()
	get(t, u, files[3])
	if _, fetched := get(t, u, files[0], files[2]); fetched != 0 {
		t.Error("a file that was used after another went before it")
	}
	if _, err := os.Stat(c.path(files[1])); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file used longest ago: got %v, want that it is gone", err)
	}
}

func TestWhatADeadProcessLeftIsRemoved(t *testing.T) {
	origin, files := origin(t, 3)
	dir := t.TempDir()
	c := New(origin, "hdfs://x", dir, 2*fileSize, 1)
	u := use(t, c)
	get(t, u, files[0])
	if err := os.WriteFile(filepath.Join(u.Dir, "tmp-9"), make([]byte, fileSize), 0o600); err != nil {
		t.Fatal(err)
	}
	u.lock.Close() // as the death of the process does
	other := use(t, New(origin, "hdfs://x", dir, 2*fileSize, 1))
	defer other.Close()
	get(t, other, files[1], files[2])
	if _, err := os.Stat(u.Dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the dead process's use: got %v, want that it is gone", err)
	}
}

func TestACopyThatACrashCutIsFetchedAgain(t *testing.T) {
	origin, files := origin(t, 1)
	c := New(origin, "hdfs://x", t.TempDir(), 10*fileSize, 1)
	u := use(t, c)
	get(t, u, files[0])
	u.Close()
	if err := os.Truncate(c.path(files[0]), 10); err != nil {
		t.Fatal(err)
	}
	u = use(t, c)
	defer u.Close()
	if _, fetched := get(t, u, files[0]); fetched != 1 {
		t.Errorf("got %d fetched, want 1", fetched)
	}
}

func TestFailuresLeaveNothingBehind(t *testing.T) {
	origin, files := origin(t, 3)
	dir := t.TempDir()
	c := New(origin, "hdfs://x", dir, 10*fileSize, 2)
	u := use(t, c)
	if _, _, err := u.Get(t.Context(), []File{files[0], {Path: "tables/a/data/gone.parquet", Size: fileSize}}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is gone: got %v, want %v", err, fs.ErrNotExist)
	}
	if _, _, err := u.Get(t.Context(), []File{{Path: files[1].Path, Size: fileSize + 1}}); err == nil || !strings.Contains(err.Error(), "the table says 1001") {
		t.Errorf("a file of another length: got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := u.Get(ctx, files[2:]); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: got %v", err)
	}
	u.Close()
	var left []string
	filepath.WalkDir(filepath.Join(dir, "use"), func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			left = append(left, p)
		}
		return nil
	})
	if len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestStoresDoNotShareCopies(t *testing.T) {
	one, files := origin(t, 1)
	dir := t.TempDir()
	a := use(t, New(one, "hdfs://a", dir, 10*fileSize, 1))
	defer a.Close()
	get(t, a, files[0])
	b := use(t, New(one, "hdfs://b", dir, 10*fileSize, 1))
	defer b.Close()
	if _, fetched := get(t, b, files[0]); fetched != 1 {
		t.Errorf("got %d fetched, want 1", fetched)
	}
}

func TestManyUsersAtOnceStayWithinTheBound(t *testing.T) {
	origin, files := origin(t, 12)
	dir := t.TempDir()
	var wg sync.WaitGroup
	for p := range 4 { // as processes: a Cache each
		c := New(origin, "hdfs://x", dir, 8*fileSize, 2)
		wg.Go(func() {
			for i := range 25 {
				u, err := c.Use()
				if err != nil {
					t.Error(err)
					return
				}
				want := []File{files[(i+p)%12], files[(i*5+p)%12]}
				if want[0].Path == want[1].Path {
					want = want[:1]
				}
				paths, _, err := u.Get(t.Context(), want)
				if err != nil {
					t.Errorf("user %d, round %d: %v", p, i, err)
				}
				for j, path := range paths {
					b, err := os.ReadFile(path)
					if err != nil || len(b) != fileSize || fmt.Sprintf("tables/a/data/%d.parquet", b[0]) != want[j].Path {
						t.Errorf("user %d, round %d: got %d bytes, %v", p, i, len(b), err)
					}
				}
				if err := u.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	list, err := os.ReadDir(filepath.Join(dir, "files"))
	if err != nil || len(list) > 8 {
		t.Errorf("got %d copies, %v; want at most 8", len(list), err)
	}
}

func TestPartsOfFilesAreCopiedAloneAndCountAsSuch(t *testing.T) {
	l, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	const size, page = 1 << 20, 4096
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(i/page + 1)
	}
	storetest.Put(t, l, "a.parquet", body)
	file := func(part string, ranges ...Range) File {
		return File{Path: "a.parquet", Size: size, Part: part, Ranges: func(r io.ReaderAt, n int64) ([]Range, error) {
			if n != size {
				return nil, fmt.Errorf("got size %d", n)
			}
			return ranges, nil
		}}
	}
	look := func(paths []string, ranges ...Range) {
		t.Helper()
		b, err := os.ReadFile(paths[0])
		if err != nil || len(b) != size {
			t.Fatalf("got %d bytes, %v", len(b), err)
		}
		for _, r := range ranges {
			if !bytes.Equal(b[r.First:r.Last], body[r.First:r.Last]) {
				t.Errorf("bytes %v are others", r)
			}
		}
	}
	get := func(u *Use, f File) ([]string, int) {
		t.Helper()
		paths, fetched, err := u.Get(t.Context(), []File{f})
		if err != nil {
			t.Fatal(err)
		}
		return paths, fetched
	}
	c := New(l, "hdfs://x", t.TempDir(), 48*page, 2)
	u := use(t, c)
	ends := []Range{{First: size - page, Last: size + 5}, {First: 0, Last: page}, {First: page / 2, Last: 2 * page}}
	paths, fetched := get(u, file("ends", ends...))
	if look(paths, Range{First: 0, Last: 2 * page}, Range{First: size - page, Last: size}); fetched != 1 {
		t.Errorf("fetched %d", fetched)
	}
	middle := Range{First: 64 * page, Last: 96 * page}
	paths, _ = get(u, file("middle", middle))
	look(paths, middle)
	if _, fetched := get(u, file("ends", ends...)); fetched != 0 {
		t.Errorf("again: fetched %d", fetched)
	}
	// 35 pages of 48 are in use.
	if _, _, err := u.Get(t.Context(), []File{file("more", Range{First: 100 * page, Last: 120 * page})}); !errors.Is(err, ErrFull) {
		t.Errorf("got %v, want ErrFull", err)
	}
	if _, _, err := u.Get(t.Context(), []File{file("")}); !errors.Is(err, ErrFull) {
		t.Errorf("the whole file: got %v, want ErrFull", err)
	}
	get(u, file("less", Range{First: 100 * page, Last: 110 * page}))
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
	// Where the whole file is, its parts are not fetched.
	c = New(l, "hdfs://x", t.TempDir(), 2*size, 2)
	u = use(t, c)
	get(u, file(""))
	if paths, fetched := get(u, file("ends", ends...)); fetched != 0 {
		t.Errorf("a part of a whole copy: fetched %d", fetched)
	} else {
		look(paths, Range{First: 0, Last: size})
	}
	if err := u.Close(); err != nil {
		t.Fatal(err)
	}
}
