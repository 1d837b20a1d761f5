package datafile_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

const path = "tables/app/data/ts_hour=2026-03-01-10/run-00000.parquet"

// onefile is a store of one file.
type onefile struct {
	store.FS
	b      []byte
	failAt int64 // reads that reach this offset fail, if it is not 0
}

var errStore = errors.New("connection reset")

func (o *onefile) Open(context.Context, string) (store.Reader, error) {
	return open{o, bytes.NewReader(o.b)}, nil
}

type open struct {
	*onefile
	r *bytes.Reader
}

func (o open) Size() int64  { return o.r.Size() }
func (o open) Close() error { return nil }
func (o open) ReadAt(b []byte, at int64) (int, error) {
	if o.failAt > 0 && at <= o.failAt && o.failAt < at+int64(len(b)) {
		return 0, errStore
	}
	return o.r.ReadAt(b, at)
}

type buffer struct{ bytes.Buffer }

func (*buffer) Close() error { return nil }

// sealed returns a file of n rows as the demux writes it.
func sealed(t *testing.T, n int) []byte {
	t.Helper()
	return wide(t, n, 1)
}

// wide returns one with so many columns beside those that all have.
func wide(t *testing.T, n, columns int) []byte {
	t.Helper()
	b := rows.NewBuilder(rows.Options{})
	b.Origin("h", "/f", "s", map[string]string{"pod": "x"})
	for i := range n {
		b.Row(1772359200_000_000+int64(i), int64(i*10))
		b.Message(fmt.Appendf(nil, "hello %d", i%3))
		b.Column("n").Long(int64(i))
		for c := range columns - 1 {
			b.Column(fmt.Sprint("n", c)).Long(int64(i))
		}
		b.Attr("k", []byte("v"))
	}
	b.Covers(0, chunk.Ranges{{First: 0, Last: int64(n * 10)}})
	var out buffer
	create := func(context.Context, int64, int) (io.WriteCloser, string, error) { return &out, path, nil }
	if _, err := b.WriteFiles(t.Context(), create, schema.Plan(nil, b.Columns(), 0), rows.Layout{}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// old is a file of 4 rows as it was written before files had checksums. Its
// messages, and so its footer, have the names of keys that came later.
func old(t *testing.T) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/ts_hour=2026-03-01-10/run-00000.parquet")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// flips calls try with each byte of a file changed: in one bit of a page, in each
// bit of what has no checksum that other readers know.
func flips(whole []byte, try func(bad []byte, at, bit int)) (n int) {
	footer := len(whole) - 8 - int(binary.LittleEndian.Uint32(whole[len(whole)-8:]))
	bad := bytes.Clone(whole)
	for at := range bad {
		for bit := range 8 {
			if at < footer && bit != at%8 {
				continue
			}
			bad[at] ^= 1 << bit
			try(bad, at, bit)
			bad[at] ^= 1 << bit
			n++
		}
	}
	return n
}

func TestFootersOfAnyLengthAreRead(t *testing.T) {
	least := len(mustOpen(t, sealed(t, 4), nil).Columns)
	for _, columns := range []int{1, 80, 160, 400} {
		whole := wide(t, 4, columns)
		for _, memory := range [][]byte{nil, make([]byte, len(whole)), make([]byte, 10)} {
			f := mustOpen(t, whole, memory)
			if len(f.Columns) != least+columns-1 || f.Stats.Records != 4 || !f.Sealed {
				t.Errorf("%d columns, in %d bytes of memory: got %d columns of %d rows", columns, len(memory), len(f.Columns), f.Stats.Records)
			}
			if got := f.Slice(0, 4); (got != nil) != (len(memory) == len(whole)) {
				t.Errorf("%d columns, in %d bytes of memory: it starts with %q", columns, len(memory), got)
			}
		}
	}
}

func mustOpen(t *testing.T, whole, memory []byte) *datafile.File {
	t.Helper()
	f, err := datafile.Open(t.Context(), &onefile{b: whole}, path, nil, memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f
}

func TestFlippedBitsAreFound(t *testing.T) {
	whole := sealed(t, 4)
	if _, err := datafile.Verify(t.Context(), &onefile{b: whole}, path); err != nil {
		t.Fatalf("the whole file: %v", err)
	}
	flips(whole, func(bad []byte, at, bit int) {
		if _, err := datafile.Verify(t.Context(), &onefile{b: bad}, path); !errors.Is(err, datafile.ErrDamaged) {
			t.Errorf("byte %d of %d (%q), bit %d: got %v, want ErrDamaged", at, len(whole), whole[at], bit, err)
		}
	})
}

func TestFilesCutAnywhereAreDamaged(t *testing.T) {
	for name, whole := range map[string][]byte{"sealed": sealed(t, 4), "old": old(t)} {
		for n := range whole {
			if _, err := datafile.Read(t.Context(), &onefile{b: whole[:n]}, path); !errors.Is(err, datafile.ErrDamaged) {
				t.Errorf("%s, %d of %d bytes: got %v, want ErrDamaged", name, n, len(whole), err)
			}
		}
		for n := 1; n < len(whole); n += 7 { // the start is gone, or the middle
			if _, err := datafile.Verify(t.Context(), &onefile{b: whole[n:]}, path); !errors.Is(err, datafile.ErrDamaged) {
				t.Errorf("%s, without its first %d bytes: got %v, want ErrDamaged", name, n, err)
			}
		}
	}
}

func TestFilesOfOlderVersionsAreRead(t *testing.T) {
	for what, do := range map[string]func(context.Context, store.FS, string) (*datafile.Info, error){"Read": datafile.Read, "Verify": datafile.Verify} {
		info, err := do(t.Context(), &onefile{b: old(t)}, path)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		st := info.Stats
		if info.Sealed || info.Ranges != nil || info.Run != "run" || st.Records != 4 || st.MinTS != 1772359200_000_000 || st.MaxTS != 1772359200_000_003 {
			t.Errorf("%s: got %+v", what, info)
		}
		now, err := do(t.Context(), &onefile{b: sealed(t, 4)}, path)
		if err != nil {
			t.Fatal(err)
		}
		if !now.Sealed || now.Ranges["s"] == nil || fmt.Sprint(now.Columns) != fmt.Sprint(info.Columns) {
			t.Errorf("%s: got %+v, want the columns of an old file, %v", what, now, info.Columns)
		}
	}
}

// What an older version wrote has no checksums: much damage of its pages shows
// when they are decompressed, and nothing that is in them stops the process.
func TestFlippedBitsOfOldFilesAreErrorsOrNotSeen(t *testing.T) {
	whole := old(t)
	found := 0
	n := flips(whole, func(bad []byte, at, bit int) {
		_, err := datafile.Verify(t.Context(), &onefile{b: bad}, path)
		if errors.Is(err, datafile.ErrDamaged) {
			found++
		} else if err != nil {
			t.Errorf("byte %d, bit %d: got %v, want ErrDamaged or none", at, bit, err)
		}
	})
	t.Logf("of %d flips %d were found", n, found)
	if found < n/4 {
		t.Errorf("of %d flips %d were found", n, found)
	}
}

func TestAFailingStoreIsNoDamage(t *testing.T) {
	for name, whole := range map[string][]byte{"sealed": sealed(t, 40), "old": old(t)} {
		for at := 1; at < len(whole); at += 11 {
			_, err := datafile.Verify(t.Context(), &onefile{b: whole, failAt: int64(at)}, path)
			if !errors.Is(err, errStore) || errors.Is(err, datafile.ErrDamaged) {
				t.Fatalf("%s, reads of byte %d fail: got %v, want the store's error", name, at, err)
			}
		}
	}
}

func TestVerifyEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, whole := range map[string][]byte{"sealed": sealed(t, 40), "old": old(t)} {
		if _, err := datafile.Verify(ctx, &onefile{b: whole}, path); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
