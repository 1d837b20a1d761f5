package table

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/store"
)

// manifestReads counts the files of metadata/ that are opened, but for lists.
type manifestReads struct {
	store.FS
	n atomic.Int64
}

func (f *manifestReads) Open(ctx context.Context, path string) (store.Reader, error) {
	if strings.HasSuffix(path, ".avro") && kindOf(path) == KindManifest {
		f.n.Add(1)
	}
	return f.FS.Open(ctx, path)
}

// However few manifests are read, the newest and oldest rows are in the files.
func TestTheTopRowsAreInFewManifests(t *testing.T) {
	w := openLocal(t)
	reads := &manifestReads{FS: w.FS}
	tbl := w.open(t, reads)
	rnd := rand.New(rand.NewPCG(8, 9))
	const commits = 22 // of 10 rows each; fewer than are merged
	for n, i := range rnd.Perm(commits) {
		tbl = mustCommit(t, reads, tbl, fmt.Sprintf("run-%d", n), i*6) // an hour each
	}
	all, err := tbl.Files(t.Context(), nil, nil)
	if err != nil || len(all) != commits {
		t.Fatalf("got %d files, %v", len(all), err)
	}
	for range 200 {
		want := Wanted{Top: 1 + rnd.Int64N(60), Oldest: rnd.IntN(2) > 0}
		at := func() *time.Time {
			x := start.Add(time.Duration(rnd.IntN(commits*60)) * time.Minute)
			return &x
		}
		if rnd.IntN(3) == 0 {
			want.From = at()
		}
		if rnd.IntN(3) == 0 {
			want.To = at()
		}
		reads.n.Store(0)
		got, err := tbl.Select(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		if want.Top <= 20 && want.From == nil && want.To == nil && reads.n.Load() > manifestsAtOnce {
			t.Errorf("%d rows: %d manifests were read, want no more than %d", want.Top, reads.n.Load(), manifestsAtOnce)
		}
		// Each file's rows are a second apart.
		var times []time.Time
		for _, f := range all {
			for i := range f.Records {
				ts := f.MinTS.Add(time.Duration(i) * time.Second)
				if (want.From == nil || !ts.Before(*want.From)) && (want.To == nil || ts.Before(*want.To)) {
					times = append(times, ts)
				}
			}
		}
		slices.SortFunc(times, func(a, b time.Time) int {
			if want.Oldest {
				return a.Compare(b)
			}
			return b.Compare(a)
		})
		for _, ts := range times[:min(len(times), int(want.Top))] {
			if !slices.ContainsFunc(got, func(f File) bool { return !f.MinTS.After(ts) && !f.MaxTS.Before(ts) }) {
				t.Fatalf("%+v: the row of %v is in none of %d files", want, ts, len(got))
			}
		}
	}
}

func TestFilesWithoutATextAreLeftOut(t *testing.T) {
	w := openLocal(t)
	tbl := w.open(t, w)
	for i, stream := range []string{"alpha", "beta", "gamma, whose name is longer than bounds are", "gamma, whose name is another"} {
		f := rows(t, w, DataPath(typ, HourPartition(start.UnixMicro()), stream[:3], i), tbl.PlanColumns(nil), start, 10, stream, 0)
		var err error
		if tbl, err = tbl.Commit(t.Context(), Commit{RunID: fmt.Sprintf("run-%d", i), Files: []DataFile{f}, Delta: delta(stream, 0, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	ids := map[string]int{}
	for _, c := range tbl.Columns() {
		ids[c.Name] = c.ID
	}
	for _, c := range []struct {
		texts map[int][]string
		want  int
	}{
		{map[int][]string{ids["stream"]: {"beta"}}, 1},
		{map[int][]string{ids["stream"]: {"beta", "alpha", "none"}}, 2},
		{map[int][]string{ids["stream"]: {"gamma, whose name is longer than bounds are"}}, 2}, // they begin alike
		{map[int][]string{ids["stream"]: {"gamma"}}, 0},
		{map[int][]string{ids["stream"]: {"BETA"}}, 0},
		{map[int][]string{ids["message"]: {"none"}}, 4}, // without bounds
		{map[int][]string{ids["stream"]: {"beta"}, ids["message"]: {"none"}}, 1},
	} {
		got, err := tbl.Select(t.Context(), Wanted{Texts: c.texts})
		if err != nil || len(got) != c.want {
			t.Errorf("%v: got %d files, %v, want %d", c.texts, len(got), err, c.want)
		}
	}
}
