package demux

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// Two processes that ignore the lease, and streams that are forked.
func TestTwoDemuxesForkOnce(t *testing.T) {
	st := testStore(t)
	want := map[string]int{}
	for i := range 12 {
		chunks := []chunk.Chunk{lines2("a", i*10, 10), from("clone", other(" no ", lines2("a", i*10+5, 10))), lines2("a", i*8, 10)}
		for _, c := range chunks {
			for first, last := range c.Records() {
				want[fmt.Sprint("a ", c.First+int64(first), " ", string(c.Body[first:last-1]))] = 1
			}
		}
		publish(t, st, chunks[:1], chunks[1:])
	}
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			d := testDemux(t, st, func(c *Config) { c.RunBytes = 300 })
			for {
				rep := Report{Type: "app"}
				err := runListed(d, &rep)
				if !errors.Is(err, table.ErrConflict) {
					done <- err
					return
				}
			}
		}()
	}
	for range cap(done) {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	runOnce(t, testDemux(t, st, nil))
	if got := rowsOnce(t, tableRows(t, st)); !maps.Equal(got, want) {
		t.Errorf("got %d rows, want %d: %s", len(got), len(want), summary(cover(t, st)))
	}
}

// The process dies at any write while streams are forked, also where nothing
// can be compared any more: in the end each record is a row once.
func TestACrashAtAnyWriteDoublesNoFork(t *testing.T) {
	third := other(" 3rd", lines2("a", 4, 6))
	another := prepared(t, func(st store.FS) {
		publish(t, st, []chunk.Chunk{lines2("a", 0, 10), from("clone", other(" no ", lines2("a", 2, 8)))})
		runOnce(t, testDemux(t, st, nil))
		if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
			t.Fatal(err)
		}
		publish(t, st, halves(third)) // can't be compared
		publish(t, st, []chunk.Chunk{third}, []chunk.Chunk{from("clone", other(" no ", lines2("a", 10, 3)))})
		publish(t, st, []chunk.Chunk{lines2("a", 10, 2)}, halves(other(" no ", lines2("a", 10, 2))))
	})
	for _, when := range []storetest.When{storetest.After, storetest.Torn} {
		t.Run(when.String(), func(t *testing.T) {
			for k := 0; ; k++ {
				if testing.Short() && k > 0 {
					k += rand.IntN(5)
				}
				if !forkCrashAt(t, another(), third, k, when) {
					t.Logf("%d writes", k)
					return
				}
			}
		})
	}
}

func forkCrashAt(t *testing.T, inner store.FS, third chunk.Chunk, k int, when storetest.When) bool {
	st := storetest.NewFaulty(inner)
	st.CrashAt(k, when)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 100 })
	d.patience = 0
	_, err := d.RunType(t.Context(), "app")
	crashed := st.Crashed()
	if !crashed && err != nil {
		t.Fatalf("without a crash: %v", err)
	}
	_ = inner.Remove(t.Context(), lease.Path("app"))
	runOnce(t, testDemux(t, inner, nil))
	publish(t, inner, []chunk.Chunk{third, from("clone", other(" no ", lines2("a", 10, 3))), lines2("a", 10, 2)})
	runOnce(t, testDemux(t, inner, nil))
	want := map[string]int{}
	for _, c := range []chunk.Chunk{lines2("a", 0, 12), other(" no ", lines2("a", 2, 11)), third} {
		for first, last := range c.Records() {
			want[fmt.Sprint("a ", c.First+int64(first), " ", string(c.Body[first:last-1]))] = 1
		}
	}
	got := rowsOnce(t, tableRows(t, inner))
	for text := range want {
		if got[text] != 1 {
			t.Errorf("crash at %d (%v): %d rows %q, want 1", k, when, got[text], text)
		}
	}
	if len(got) != len(want) {
		t.Errorf("crash at %d (%v): %d rows, want %d: %s", k, when, len(got), len(want), summary(cover(t, inner)))
	}
	return crashed
}

// stuck is a store that lets nothing into the archive.
type stuck struct{ store.FS }

func (s stuck) Rename(ctx context.Context, from, to string) error {
	if strings.HasPrefix(to, store.Archive) {
		return errors.New("the process dies")
	}
	return s.FS.Rename(ctx, from, to)
}

// After a commit, and before its sink file is archived, the blocks that it took
// are known by their numbers: there may be more chunks than checksums, and no
// bytes to compare with but the file's own.
func TestABlockIsTakenOnceHoweverManyChunksItHas(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	const chunks = coverage.MaxSums + 44
	publish(t, st, []chunk.Chunk{lines2("a", 0, chunks), other(" no ", lines2("a", 0, 1))})
	runOnce(t, d)
	if err := st.Remove(t.Context(), path.Join(store.Archive, "app")); err != nil {
		t.Fatal(err)
	}
	var list []chunk.Chunk
	for i := range chunks - 1 {
		list = append(list, other(" 3rd", lines2("a", i+1, 1)))
	}
	p := publish(t, st, list[:100], list[100:])
	if _, err := testDemux(t, stuck{st}, nil).RunType(t.Context(), "app"); err == nil {
		t.Fatal("the file was archived")
	}
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 || rep.Archived != 1 {
		t.Errorf("the next process: got %+v, want nothing but the file archived", rep)
	}
	// Another file of the name is another.
	body := storetest.Get(t, st, publish(t, st, []chunk.Chunk{lines2("b", 0, 2)}, []chunk.Chunk{lines2("b", 2, 2)}))
	storetest.Put(t, st, p, body)
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 4 {
		t.Errorf("another file of the same name: got %+v, want its 4 records", rep)
	}
	got := rowsOnce(t, tableRows(t, st))
	if want := chunks + 1 + chunks - 1 + 4; len(got) != want {
		t.Errorf("%d rows, want %d", len(got), want)
	}
}
