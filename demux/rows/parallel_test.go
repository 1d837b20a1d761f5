package rows

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"
)

// Files are the same bytes, however many processors encode them.
func TestFilesEncodedSideBySideAreTheSame(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	b := NewBuilder(Options{})
	for _, do := range someRows(rand.New(rand.NewPCG(3, 3)), 25_000) {
		do(b)
	}
	cols := plan(b)
	for _, l := range []Layout{{GroupRows: 5000}, {GroupRows: 8000, FileBytes: 100_000}} {
		runtime.GOMAXPROCS(1)
		files, want := writeAll(t, b, cols, l)
		for _, n := range []int{3} {
			runtime.GOMAXPROCS(n)
			again, got := writeAll(t, b, cols, l)
			if len(got) != len(want) {
				t.Fatalf("%d files by %d processors, want %d", len(got), n, len(want))
			}
			for i := range got {
				if !bytes.Equal(got[i].Bytes(), want[i].Bytes()) || again[i].Stats.MinTS != files[i].Stats.MinTS {
					t.Errorf("file %d by %d processors is another", i, n)
				}
			}
		}
	}
}

// What fails in the middle of encoding ahead ends it.
func TestEncodingAheadEndsWithItsFile(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	b := NewBuilder(Options{})
	for _, do := range someRows(rand.New(rand.NewPCG(3, 3)), 15_000) {
		do(b)
	}
	_, err := b.WriteFiles(t.Context(), func(context.Context, int64, int) (io.WriteCloser, string, error) {
		return failing{}, "x", nil
	}, plan(b), Layout{GroupRows: 5000})
	if err == nil {
		t.Error("no error of a disk that is full")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = b.WriteFiles(ctx, func(context.Context, int64, int) (io.WriteCloser, string, error) {
		return &memFile{}, "x", nil
	}, plan(b), Layout{GroupRows: 5000})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want that the context is done", err)
	}
	writeAll(t, b, plan(b), Layout{GroupRows: 5000})
}
