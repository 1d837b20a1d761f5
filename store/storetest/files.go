package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
)

func random(n int, seed uint64) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func fileIsReadAsWritten(t *testing.T, s store.FS) {
	for _, size := range []int{0, 1, 511, 513, 65536, 200_001} {
		p, want := fmt.Sprintf("raw/a type/d=%d/f.avro", size), random(size, 7)
		f, err := s.Create(t.Context(), p)
		if err != nil {
			t.Fatalf("create: %v", err)
		}
		for rest := want; len(rest) > 0; {
			n, err := f.Write(rest[:min(len(rest), 70_001)])
			if err != nil {
				t.Fatalf("write: %v", err)
			}
			rest = rest[n:]
		}
		if err := f.Close(); err != nil {
			t.Fatalf("close: %v", err)
		}
		if got := Get(t, s, p); !bytes.Equal(got, want) {
			t.Errorf("read %d bytes that differ from the %d written", len(got), len(want))
		}
		info, err := s.Stat(t.Context(), p)
		if err != nil || info.Size != int64(size) || info.IsDir || info.Path != p || time.Since(info.Mod).Abs() > time.Hour {
			t.Errorf("stat = %+v, %v; want a file %s of %d bytes of now", info, err, p, size)
		}
	}
	info, err := s.Stat(t.Context(), "raw/a type")
	if err != nil || !info.IsDir || info.Size != 0 {
		t.Errorf("stat of a directory = %+v, %v; want a directory of size 0", info, err)
	}
}

func largeFile(t *testing.T, s store.FS) {
	size := 40 << 20
	if testing.Short() {
		size = 5 << 20
	}
	block := random(1<<20, 3)
	f, err := s.Create(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	for range size / len(block) {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "large")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Size() != int64(size) {
		t.Fatalf("size %d, want %d", r.Size(), size)
	}
	b := make([]byte, len(block))
	for off := 0; off < size; off += len(block) {
		if _, err := r.ReadAt(b, int64(off)); err != nil && !(errors.Is(err, io.EOF) && off+len(b) == size) {
			t.Fatalf("read at %d: %v", off, err)
		}
		if !bytes.Equal(b, block) {
			t.Fatalf("wrong bytes at %d", off)
		}
	}
}

func readAtFromManyPlacesAtOnce(t *testing.T, s store.FS) {
	want := random(3<<20, 9)
	Put(t, s, "f", want)
	r, err := s.Open(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for g := range 6 {
		group.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(g), 2))
			for range 15 {
				off := rnd.Int64N(int64(len(want)))
				b := make([]byte, 1+rnd.IntN(300_000))
				n, err := r.ReadAt(b, off)
				short := off+int64(len(b)) > int64(len(want))
				if err != nil && !(errors.Is(err, io.EOF) && off+int64(n) == int64(len(want))) || short && !errors.Is(err, io.EOF) {
					t.Errorf("read %d at %d = %d, %v", len(b), off, n, err)
				}
				if !bytes.Equal(b[:n], want[off:off+int64(n)]) {
					t.Errorf("wrong bytes in [%d,%d)", off, off+int64(n))
				}
			}
		})
	}
	group.Wait()
	if n, err := r.ReadAt(make([]byte, 1), int64(len(want))); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end = %d, %v; want 0, EOF", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil {
		t.Error("a negative offset was read")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if _, err := r.ReadAt(make([]byte, 1), 0); err == nil {
		t.Error("a closed reader reads")
	}
}

func createIsExclusive(t *testing.T, s store.FS) {
	f, err := s.Create(t.Context(), "d/f")
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"open", "closed"} {
		if _, err := s.Create(t.Context(), "d/f"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("create where a file is %s: %v, want fs.ErrExist", when, err)
		}
		if when == "open" {
			if _, err := f.Write([]byte("one")); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := s.Create(t.Context(), "d"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create where a directory is: %v, want fs.ErrExist", err)
	}
	if got := string(Get(t, s, "d/f")); got != "one" {
		t.Errorf("the file has become %q", got)
	}
}

func oneOfManyCreatorsWins(t *testing.T, s store.FS) {
	var group sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 8 {
		group.Go(func() {
			f, err := s.Create(t.Context(), "a/b/f")
			if err == nil {
				err = f.Close()
				mu.Lock()
				won++
				mu.Unlock()
			} else if errors.Is(err, fs.ErrExist) {
				err = nil
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d creators won, want 1", won)
	}
}

func closedFileTakesNoMore(t *testing.T, s store.FS) {
	f, err := s.Create(t.Context(), "f")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("write after close: nil")
	}
	if err := f.Close(); err == nil {
		t.Error("second close: nil")
	}
	if got := Get(t, s, "f"); len(got) != 0 {
		t.Errorf("the file has %d bytes, want 0", len(got))
	}
}
