package table

import (
	"context"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// dataFolders returns the names of the folders of data files.
func dataFolders(t testing.TB, w warehouse) (names []string) {
	t.Helper()
	infos, err := w.List(t.Context(), "tables/"+typ+"/data")
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range infos {
		names = append(names, path.Base(in.Path))
	}
	return names
}

func TestEmptyFoldersGo(t *testing.T) {
	for name, open := range map[string]func(*testing.T) warehouse{
		"local": func(t *testing.T) warehouse { return openLocal(t) },
		"HDFS":  openHDFS,
	} {
		t.Run(name, func(t *testing.T) {
			if name == "HDFS" && testing.Short() {
				t.Skip("needs a cluster")
			}
			w := open(t)
			tbl := grown(t, w, 4)
			tbl, err := tbl.Replace(t.Context(), compacted(t, w, tbl, true, 0, 3))
			if err != nil {
				t.Fatal(err)
			}
			files, err := tbl.Files(t.Context(), nil, nil)
			if err != nil || len(files) != 1 {
				t.Fatalf("files: %v, %v", files, err)
			}
			want := []string{path.Base(path.Dir(files[0].Path))}
			// What was in use a moment ago stays; nobody else's folder is touched.
			storetest.Put(t, w, "tables/"+typ+"/data/other/x", []byte("x"))
			if err := w.Remove(t.Context(), "tables/"+typ+"/data/other/x"); err != nil {
				t.Fatal(err)
			}
			before := dataFolders(t, w)
			sweepAll(t, w, SweepOptions{Grace: -time.Hour})
			if got := dataFolders(t, w); !slices.Equal(got, before) {
				t.Errorf("folders that were emptied just now: got %v, want %v", got, before)
			}
			sweepAll(t, w, all)
			sweepAll(t, w, all)
			if got := dataFolders(t, w); !slices.Equal(got, append([]string{"other"}, want...)) {
				t.Errorf("folders: got %v, want other and %v", got, want)
			}
			wantRecords(t, w.open(t, w), 1, 40)
		})
	}
}

// busy is a store in which something comes into a folder just before it is renamed.
type busy struct {
	store.FS
	before func(folder string)
}

func (b *busy) Rename(ctx context.Context, from, to string) error {
	if strings.Contains(to, emptied) {
		b.before(from)
	}
	return b.FS.Rename(ctx, from, to)
}

// A run that knows of no sweep writes into a folder, and commits, while that goes:
// its file is where it was at once, and after a crash with the next sweep.
func TestWhatComesIntoAnEmptyFolderIsPutBack(t *testing.T) {
	for crash := range 3 {
		w := openLocal(t)
		tbl := grown(t, w, 2)
		tbl, err := tbl.Replace(t.Context(), compacted(t, w, tbl, true, 0, 1))
		if err != nil {
			t.Fatal(err)
		}
		sweepAll(t, w, SweepOptions{Grace: -time.Hour}) // the folders are empty now
		came := false
		f := storetest.NewFaulty(w)
		b := &busy{FS: f, before: func(string) {
			if came {
				return
			}
			came = true
			tbl = mustCommit(t, w, w.open(t, w), "run-9", 0)
			if crash > 0 {
				f.CrashAt(crash-1, storetest.After)
			}
		}}
		_, err = w.open(t, b).Sweep(t.Context(), all)
		if crash == 0 && err != nil {
			t.Fatal(err)
		}
		if !came {
			t.Fatal("no folder was renamed")
		}
		if crash > 0 {
			sweepAll(t, w, all)
		}
		wantRecords(t, w.open(t, w), 2, 30)
		wantHealthy(t, w, w.open(t, w).Version())
	}
}
