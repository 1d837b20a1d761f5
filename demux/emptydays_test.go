package demux

import (
	"bytes"
	"context"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

// hurried is a store in which something happens just before a folder is renamed.
type hurried struct {
	store.FS
	before func()
}

func (h *hurried) Rename(ctx context.Context, from, to string) error {
	if strings.Contains(to, emptied) {
		h.before()
	}
	return h.FS.Rename(ctx, from, to)
}

// days returns the folders of raw/app.
func days(t *testing.T, st store.FS) (names []string) {
	t.Helper()
	dirs, err := st.List(t.Context(), path.Join(store.Raw, "app"))
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		names = append(names, path.Base(d.Path))
	}
	return names
}

// sinkBytes makes the bytes of a sink file, and the name it was published by.
func sinkBytes(t *testing.T, c chunk.Chunk) (name string, data []byte) {
	t.Helper()
	st := testStore(t)
	p := publish(t, st, []chunk.Chunk{c})
	r, err := st.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data = make([]byte, r.Size())
	if _, err := r.ReadAt(data, 0); err != nil {
		t.Fatal(err)
	}
	return path.Base(p), data
}

func TestEmptyFoldersOfPastDaysGo(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines("a", 0, 1)})
	d := testDemux(t, st, nil)
	runOnce(t, d)
	now := time.Now()
	if n, err := d.removeEmptyDays(t.Context(), "app", now); err != nil || n != 0 || len(days(t, st)) != 1 || strings.Contains(days(t, st)[0], emptied) {
		t.Fatalf("today's folder: removed %d, %v, left %v", n, err, days(t, st))
	}
	later := now.Add(72 * time.Hour)
	for i, want := range []int{0, 0, 1, 0} {
		at := later.Add(time.Duration(i) * emptiedAfter * 2 / 3)
		if n, err := d.removeEmptyDays(t.Context(), "app", at); err != nil || n != want {
			t.Errorf("look %d: removed %d, %v, want %d; left %v", i, n, err, want, days(t, st))
		}
	}
	if left := days(t, st); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
}

// What a collector publishes while a folder is on its way out is kept, found, and put
// back; also what it has not published yet.
func TestWhatComesIntoAFolderOnItsWayOutIsKept(t *testing.T) {
	h := &hurried{FS: testStore(t)}
	day := path.Join(store.Raw, "app", "2026-01-02")
	name, data := sinkBytes(t, lines("a", 0, 10))
	storetest.Put(t, h.FS, path.Join(day, name), data)
	d := testDemux(t, h, nil)
	runOnce(t, d)
	other, otherData := sinkBytes(t, lines("b", 0, 10))
	temp := "_" + name + ".c.1.tmp"
	h.before = func() {
		storetest.Put(t, h.FS, path.Join(day, other), otherData)
		storetest.Put(t, h.FS, path.Join(day, temp), []byte("half"))
	}
	now := time.Now()
	if _, err := d.removeEmptyDays(t.Context(), "app", now); err != nil {
		t.Fatal(err)
	}
	runOnce(t, d) // finds it where it is
	checkLines(t, tableRows(t, h), map[string]int{"a": 10, "b": 10})
	h.before = func() {}
	if n, err := d.removeEmptyDays(t.Context(), "app", now.Add(2*emptiedAfter)); err != nil || n != 0 {
		t.Fatalf("removed %d, %v", n, err)
	}
	r, err := h.Open(t.Context(), path.Join(day, temp))
	if err != nil {
		t.Fatalf("the unpublished file is not back: %v; %v", err, days(t, h))
	}
	defer r.Close()
	got := make([]byte, 4)
	if _, err := r.ReadAt(got, 0); err != nil || !bytes.Equal(got, []byte("half")) {
		t.Errorf("it is %q, %v", got, err)
	}
}

// A collector dies before it has published the first sink file of a type, or all that
// it publishes goes to quarantine.
func TestEmptyFoldersOfTypesWithoutATableGo(t *testing.T) {
	for name, bad := range map[string]bool{"nothing came": false, "what came is damaged": true} {
		t.Run(name, func(t *testing.T) {
			root := storetest.FastDir(t)
			disk, err := local.New(root)
			if err != nil {
				t.Fatal(err)
			}
			day := filepath.Join(root, store.Raw, "app", "2026-01-02")
			if err := os.MkdirAll(day, 0o755); err != nil {
				t.Fatal(err)
			}
			if bad {
				storetest.Put(t, disk, store.Raw+"/app/2026-01-02/20260102T000000.000000000Z-c0123456789ab-1.avro", []byte("damaged"))
			}
			synctest.Test(t, func(t *testing.T) {
				time.Sleep(time.Until(time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)))
				s := NewScheduler(newDemux(DefaultConfig(), disk, baseURI), Options{})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- s.Run(ctx) }()
				time.Sleep(5 * time.Hour)
				stop()
				if err := <-ended; err != nil {
					t.Error(err)
				}
			})
			if left := days(t, disk); len(left) > 0 {
				t.Errorf("left are %v", left)
			}
			if in, err := os.Stat(filepath.Join(root, store.Tables, "app")); !bad && err == nil {
				t.Errorf("%s was made", in.Name())
			}
		})
	}
}
