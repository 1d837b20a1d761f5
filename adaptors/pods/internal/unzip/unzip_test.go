package unzip

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

func zipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.gz")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBytesAreReadAtAnyOffset(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 1<<20)
	for i := range data {
		data[i] = byte(rnd.IntN(7))
	}
	z, err := Open(write(t, zipped(t, data)))
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if z.Size() != int64(len(data)) {
		t.Errorf("got size %d, want %d", z.Size(), len(data))
	}
	at := int64(0)
	for range 60 {
		switch rnd.IntN(4) {
		case 0:
			at = rnd.Int64N(int64(len(data)) + 10)
		case 1:
			at = max(0, at-256)
		}
		buf := make([]byte, 1+rnd.IntN(200<<10))
		n, err := z.ReadAt(buf, at)
		want := data[min(at, int64(len(data))):min(at+int64(len(buf)), int64(len(data)))]
		if !bytes.Equal(buf[:n], want) || n < len(buf) && !errors.Is(err, io.EOF) || n == len(buf) && err != nil {
			t.Fatalf("%d bytes at %d: got %d, %v; want %d", len(buf), at, n, err, len(want))
		}
		at += int64(n)
	}
}

func FuzzOpen(f *testing.F) {
	whole := zipped(f, bytes.Repeat([]byte("line\n"), 1000))
	f.Add(whole, int64(100))
	f.Add(whole[:len(whole)/2], int64(0))
	f.Add([]byte("no gzip at all, but long enough"), int64(1))
	f.Fuzz(func(t *testing.T, data []byte, at int64) {
		z, err := Open(write(t, data))
		if err != nil {
			return
		}
		defer z.Close()
		if at < 0 || at > 1<<20 {
			return
		}
		buf := make([]byte, 1000)
		if n, err := z.ReadAt(buf, at); n < len(buf) && err == nil {
			t.Fatalf("got %d of %d bytes and no error", n, len(buf))
		}
	})
}

func TestDamageIsTold(t *testing.T) {
	whole := zipped(t, bytes.Repeat([]byte("line\n"), 100000))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 0xff
	for name, data := range map[string][]byte{"cut": whole[:len(whole)/2], "flipped": flipped, "empty": nil, "text": []byte("no gzip at all, but long")} {
		z, err := Open(write(t, data))
		if err == nil {
			_, err = z.ReadAt(make([]byte, 1<<20), 0)
			_ = z.Close()
		}
		if !Damaged(err) {
			t.Errorf("%s: got %v, want damage", name, err)
		}
	}
}
