package compact_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/audit"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows/merge"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

// start is the hour that the tests' rows begin in.
var start = querytest.Start

// lines makes a chunk of n JSON lines from at on, a second apart.
func lines(stream string, first int64, at time.Time, n int, keys string) chunk.Chunk {
	var b strings.Builder
	for i := range n {
		ts := at.Add(time.Duration(i) * time.Second).UTC().Format("2006-01-02T15:04:05.000Z")
		fmt.Fprintf(&b, `{"ts":%q,"msg":"line %d of %s","id":"%s-%d"%s}`+"\n", ts, i, stream, stream, i, strings.ReplaceAll(keys, "#", fmt.Sprint(i)))
	}
	return querytest.Data("app", stream, first, b.String())
}

// grown returns a store with the commits of so many minutes: each of two streams,
// with keys that come and go.
func grown(t testing.TB, minutes int) *querytest.Store {
	t.Helper()
	s := querytest.New(t)
	fill(t, s, minutes)
	return s
}

func fill(t testing.TB, s *querytest.Store, minutes int) {
	t.Helper()
	at := map[string]int64{}
	for i := range minutes {
		var chunks []chunk.Chunk
		for _, stream := range []string{"a", "b"} {
			keys := []string{"", `,"n":#`, `,"f":#.5,"n":#`, `,"ok":true,"note":null`}[i%4]
			c := lines(stream, at[stream], start.Add(time.Duration(i)*time.Minute), 65, keys)
			at[stream] = c.Last
			chunks = append(chunks, c)
		}
		if i%5 == 4 {
			chunks = append(chunks, lines("a~1", at["a~1"], start.Add(time.Duration(i)*time.Minute), 3, ""))
			at["a~1"] = chunks[2].Last
		}
		s.Commit(t, "json", chunks...)
	}
}

// rows returns all of the table's rows as text, sorted.
func rows(t testing.TB, s *querytest.Store) []string {
	t.Helper()
	e, err := query.Open(s.FS, s.URI, query.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	var out []string
	_, err = e.Each(t.Context(), `SELECT app::VARCHAR FROM app`, func(_ []query.Column, row []query.Cell) error {
		out = append(out, strings.Clone(row[0].Text))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// whole checks by a deep audit that all is there once, and said rightly.
func whole(t testing.TB, s *querytest.Store) {
	t.Helper()
	e, err := query.Open(s.FS, s.URI, query.Options{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	r, err := audit.Run(t.Context(), s.FS, s.URI, e, audit.Options{Deep: true})
	if err != nil {
		t.Fatal(err)
	}
	if !r.OK() || len(r.Gaps) > 0 {
		t.Errorf("audit: %+v", r)
	}
}

func newest(t testing.TB, s *querytest.Store) *table.Table {
	t.Helper()
	tbl, err := table.Open(t.Context(), s.FS, s.URI, "app")
	if err != nil {
		t.Fatal(err)
	}
	return tbl
}

func files(t testing.TB, s *querytest.Store) []table.File {
	t.Helper()
	list, err := newest(t, s).Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// options are for a Run so long after the first row.
func options(s *querytest.Store, after time.Duration) compact.Options {
	return compact.Options{FS: s.FS, BaseURI: s.URI, Type: "app", Now: func() time.Time { return start.Add(after) }}
}

func mustRun(t testing.TB, o compact.Options) compact.Report {
	t.Helper()
	rep, err := compact.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return rep
}

func TestRowsStayTheSameWhileFilesBecomeFew(t *testing.T) {
	s := grown(t, 64)
	want := rows(t, s)
	for _, step := range []struct {
		after time.Duration
		files int
	}{
		{71 * time.Minute, 1 + 5}, // an hour that is over, and what goes on
		{3 * time.Hour, 2},
		{48 * time.Hour, 1},
	} {
		rep := mustRun(t, options(s, step.after))
		got := files(t, s)
		t.Logf("after %v: %d files, %+v", step.after, len(got), rep)
		if len(got) > step.files {
			t.Errorf("after %v: %d files, want %d at most", step.after, len(got), step.files)
		}
		if again := rows(t, s); !slices.Equal(again, want) {
			t.Fatalf("after %v: %d rows are others than the %d before", step.after, len(again), len(want))
		}
		whole(t, s)
		if rep := mustRun(t, options(s, step.after)); rep.Commits != 0 || rep.FilesIn != 0 {
			t.Errorf("after %v: a second run did %+v", step.after, rep)
		}
	}
	if f := files(t, s)[0]; !f.Partition.Day {
		t.Errorf("the file is of %v, want a day", f.Partition)
	}
}

func TestDamagedFilesAreLeftAndTold(t *testing.T) {
	s := grown(t, 12)
	list := files(t, s)
	var bad []string
	for i, where := range map[int]float64{2: 0.3, 5: 0.999} { // in a page, in the footer
		bad = append(bad, list[i].Path)
		p := filepath.Join(strings.TrimPrefix(s.URI, "file://"), list[i].Path)
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		b[int(float64(len(b)-9)*where)] ^= 4
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := options(s, 48*time.Hour)
	o.Skip = &compact.Skip{}
	rep := mustRun(t, o)
	var told []string
	for _, f := range rep.Faults {
		told = append(told, f.File)
		if !strings.Contains(f.Error, f.File) {
			t.Errorf("%s: %s", f.File, f.Error)
		}
	}
	slices.Sort(told)
	slices.Sort(bad)
	if !slices.Equal(told, bad) {
		t.Errorf("told %v, want %v", told, bad)
	}
	var left []string
	for _, f := range files(t, s) {
		left = append(left, f.Path)
	}
	if len(left) != 3 || !slices.Contains(left, bad[0]) || !slices.Contains(left, bad[1]) {
		t.Errorf("left are %v, want the damaged ones and one more", left)
	}
	if rep := mustRun(t, o); rep.Commits != 0 || len(rep.Faults) != 0 {
		t.Errorf("a second run did %+v", rep)
	}
}

func TestFilesThatDoNotSayWhatTheyCoverAreMergedAmongThemselves(t *testing.T) {
	s := querytest.New(t)
	at := int64(0)
	for i := range 8 {
		s.Silent = i < 4
		c := lines("a", at, start.Add(time.Duration(i)*time.Minute), 60, "")
		at = c.Last
		s.Commit(t, "json", c)
	}
	want := rows(t, s)
	o := options(s, 48*time.Hour)
	o.Skip = &compact.Skip{}
	mustRun(t, o)
	told := 0
	list := files(t, s)
	for _, f := range list {
		info, err := datafile.Read(t.Context(), s.FS, f.Path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Ranges != nil {
			told++
		}
	}
	if len(list) != 2 || told != 1 {
		t.Errorf("got %d files, of which %d say what they cover; want 2 and 1", len(list), told)
	}
	if got := rows(t, s); !slices.Equal(got, want) {
		t.Errorf("%d rows are others than the %d before", len(got), len(want))
	}
	whole(t, s)
	if rep := mustRun(t, o); rep.Commits != 0 {
		t.Errorf("a second run did %+v", rep)
	}
}

// Rows that are there twice stay visible for the audit.
func TestFilesThatCoverTheSameAreNotMerged(t *testing.T) {
	s := querytest.New(t)
	c := lines("a", 0, start, 60, "")
	s.Commit(t, "json", c)
	s.Commit(t, "json", c)
	s.Commit(t, "json", lines("a", c.Last, start, 60, ""))
	rep := mustRun(t, options(s, 48*time.Hour))
	if list := files(t, s); len(list) != 2 || len(rep.Faults) != 1 {
		t.Errorf("got %d files and %+v, want 2 and a fault", len(list), rep)
	}
}

// content is what a table's rows are known by.
type content struct {
	rows int64
	sum  datafile.RowSum
}

// sum looks at the rows without a query engine.
func sum(t testing.TB, s *querytest.Store) (out content) {
	t.Helper()
	m, err := merge.New()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, f := range files(t, s) {
		d, err := datafile.Open(t.Context(), s.FS, f.Path, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := m.Sum(t.Context(), f.Path, d)
		if err != nil {
			t.Fatal(err)
		}
		out.rows += d.Stats.Records
		out.sum += n
		d.Close()
	}
	return out
}

// copyOf returns a store with the same content.
func copyOf(t testing.TB, s *querytest.Store) *querytest.Store {
	t.Helper()
	c := querytest.New(t)
	if err := os.CopyFS(strings.TrimPrefix(c.URI, "file://"), os.DirFS(strings.TrimPrefix(s.URI, "file://"))); err != nil {
		t.Fatal(err)
	}
	return c
}

// orphans are the data files that the table does not name.
func orphans(t testing.TB, s *querytest.Store) (out []string) {
	t.Helper()
	named := map[string]bool{}
	for _, f := range files(t, s) {
		named[f.Path] = true
	}
	root := strings.TrimPrefix(s.URI, "file://")
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if rel, _ := filepath.Rel(root, p); strings.HasSuffix(p, ".parquet") && !named[rel] {
			out = append(out, rel)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestACrashAnywhereCostsNothing crashes a Run after each change of the store, and
// in writes.
func TestACrashAnywhereCostsNothing(t *testing.T) {
	s := grown(t, 2)
	want := sum(t, s)
	for k := 0; ; k++ {
		when := []storetest.When{storetest.After, storetest.Torn}[k%2]
		c := copyOf(t, s)
		f := storetest.NewFaulty(c.FS)
		f.CrashAt(k/2, when)
		o := options(c, 48*time.Hour)
		o.FS, o.Patience = f, time.Nanosecond
		_, err := compact.Run(t.Context(), o)
		if !f.Crashed() && when == storetest.After {
			if err != nil || k < 5 {
				t.Fatalf("a run of %d changes gives %v", k, err)
			}
			return
		}
		if got, n := sum(t, c), len(files(t, c)); got != want || n != 2 && n != 1 {
			t.Fatalf("%v %d: the rows are others, or in %d files", when, k, n)
		}
		mustRun(t, options(c, 48*time.Hour))
		if got, n := sum(t, c), len(files(t, c)); got != want || n != 1 {
			t.Fatalf("%v %d: the rows are others, or in %d files, want one", when, k, n)
		}
		if _, err := newest(t, c).Sweep(t.Context(), table.SweepOptions{Age: -time.Hour, Grace: time.Hour}); err != nil {
			t.Fatal(err)
		}
		for _, p := range orphans(t, c) {
			if strings.Contains(p, "-day-") { // what was merged stays for who reads the versions before
				t.Fatalf("%v %d: %s is left", when, k, p)
			}
		}
	}
}

func TestMissingFilesAreLeftAndTold(t *testing.T) {
	s := grown(t, 4)
	missing := files(t, s)[1].Path
	if err := s.FS.Remove(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	rep := mustRun(t, options(s, 48*time.Hour))
	if len(rep.Faults) != 1 || rep.Faults[0].File != missing || !strings.Contains(rep.Faults[0].Error, missing) || len(files(t, s)) != 2 {
		t.Errorf("got %+v and %d files, want a fault of %s and 2", rep, len(files(t, s)), missing)
	}
}

// meddled has something done before the first file is opened whose path has a part.
type meddled struct {
	store.FS
	part string
	once sync.Once
	do   func()
}

func (m *meddled) Open(ctx context.Context, p string) (store.Reader, error) {
	if strings.HasSuffix(p, ".parquet") && strings.Contains(p, m.part) {
		m.once.Do(m.do)
	}
	return m.FS.Open(ctx, p)
}

// What is merged, and what comes of it, may be removed while a compaction is at work:
// it gives way, as nothing is wrong.
func TestFilesThatASweepRemovesMeanwhileAreAConflict(t *testing.T) {
	for name, part := range map[string]string{"inputs": "", "the new file": "-day-"} {
		s := grown(t, 4)
		want := sum(t, s)
		o := options(s, 48*time.Hour)
		o.FS = &meddled{FS: s.FS, part: part, do: func() {
			mustRun(t, options(s, 48*time.Hour))
			for range 2 {
				if _, err := newest(t, s).Sweep(t.Context(), table.SweepOptions{Age: -time.Hour, Grace: -time.Hour}); err != nil {
					t.Error(err)
				}
			}
		}}
		rep, err := compact.Run(t.Context(), o)
		if !errors.Is(err, table.ErrConflict) || len(rep.Faults) > 0 {
			t.Errorf("%s: got %+v, %v, want ErrConflict and no faults", name, rep, err)
		}
		if got := sum(t, s); got != want || len(files(t, s)) != 1 {
			t.Errorf("%s: the rows are others, or in %d files", name, len(files(t, s)))
		}
	}
}

// TestRunsSweepsAndQueriesGoOnBesideIt commits while two compactions and a sweep
// are at work, and asks for the rows.
func TestRunsSweepsAndQueriesGoOnBesideIt(t *testing.T) {
	s := grown(t, 12)
	e := s.Engine(t, query.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lease sync.Mutex
	hold := func(context.Context) (func(), error) { lease.Lock(); return lease.Unlock, nil }
	var wg sync.WaitGroup
	again := func(what string, do func() error) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				if err := do(); err != nil && ctx.Err() == nil && !errors.Is(err, table.ErrConflict) {
					t.Errorf("%s: %v", what, err)
					return
				}
			}
		}()
	}
	for range 2 {
		again("compact", func() error {
			o := options(s, 20*time.Minute)
			o.Hold = hold
			_, err := compact.Run(ctx, o)
			return err
		})
	}
	again("sweep", func() error {
		lease.Lock()
		defer lease.Unlock()
		tbl, err := table.Open(ctx, s.FS, s.URI, "app")
		if err == nil {
			_, err = tbl.Sweep(ctx, table.SweepOptions{Age: -time.Hour, Grace: time.Hour})
		}
		return err
	})
	least := int64(0)
	again("query", func() error {
		n := int64(0)
		_, err := e.Each(ctx, `SELECT count(*), count(DISTINCT (stream, seq)) FROM app`, func(_ []query.Column, row []query.Cell) error {
			if row[0].Text != row[1].Text {
				return fmt.Errorf("%s rows, of which %s are different", row[0].Text, row[1].Text)
			}
			_, err := fmt.Sscan(row[0].Text, &n)
			return err
		})
		if err == nil && n < least {
			err = fmt.Errorf("%d rows after %d", n, least)
		}
		least = n
		return err
	})
	at := int64(0)
	for i := range 10 {
		c := lines("c", at, start.Add(time.Duration(i)*time.Minute), 30, "")
		at = c.Last
		lease.Lock()
		s.Commit(t, "json", c)
		lease.Unlock()
	}
	cancel()
	wg.Wait()
	mustRun(t, options(s, 48*time.Hour))
	if got, want := len(rows(t, s)), 12*2*65+2*3+10*30; got != want || len(files(t, s)) != 1 {
		t.Errorf("got %d rows in %d files, want %d in one", got, len(files(t, s)), want)
	}
	whole(t, s)
}

func TestATableOnHDFSIsCompacted(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a cluster")
	}
	uri := storetest.SharedCluster(t)
	hdfs, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := querytest.On(hdfs, uri)
	fill(t, s, 3)
	want := rows(t, s)
	mustRun(t, options(s, 3*time.Hour))
	if got := rows(t, s); !slices.Equal(got, want) || len(files(t, s)) != 1 {
		t.Errorf("%d rows in %d files, want the %d of before in one", len(got), len(files(t, s)), len(want))
	}
}

func TestNothingIsNoError(t *testing.T) {
	s := querytest.New(t)
	if rep := mustRun(t, options(s, time.Hour)); rep.Commits != 0 {
		t.Errorf("got %+v", rep)
	}
}
