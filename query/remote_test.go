package query

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/demux/schema"
)

func TestOnlyFilesWithinTheBoundsAreFetchedAndOnlyOnce(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	for hour := range 24 {
		w.add("h", columns(), day(1, hour), 60, nil)
	}
	w.table("other", columns())
	w.add("other", columns(), day(1, 0), 5, nil)
	e := w.remote(Options{})
	sql := "select count(*), min(ts), max(ts) from h where ts >= '2026-03-01 05:00:30' and ts < '2026-03-01 07:00:00'"
	var b bytes.Buffer
	sum, err := e.Query(t.Context(), sql, "csv", &b)
	if err != nil {
		t.Fatal(err)
	}
	if want := "90,2026-03-01T05:00:30.000000Z,2026-03-01T06:00:59.000000Z"; !strings.Contains(b.String(), want) {
		t.Errorf("got %q, want %q", b.String(), want)
	}
	if sum.Files != 2 || sum.Fetched != 2 || w.fs.total() != 2 {
		t.Errorf("got %d files planned, %d fetched, %d opened; want 2 each", sum.Files, sum.Fetched, w.fs.total())
	}
	if sum, err = e.Query(t.Context(), sql, "csv", &b); err != nil || sum.Fetched != 0 || w.fs.total() != 2 {
		t.Errorf("again: got %d fetched, %d opened, %v; want 0, 2, nil", sum.Fetched, w.fs.total(), err)
	}
	if got := lines(t, e, "select count(*) from h"); got != "1440" || w.fs.total() != 24 {
		t.Errorf("got %s rows, %d files opened; want 1440, 24", got, w.fs.total())
	}
	if w.fs.opened["tables/other/data/f0.parquet"] != 0 {
		t.Error("a table that no statement names was fetched")
	}
}

func TestProcessesShareTheCache(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	for hour := range 6 {
		w.add("h", columns(), day(1, hour), 60, nil)
	}
	dir := t.TempDir()
	one, two := w.remote(Options{CacheDir: dir}), w.remote(Options{CacheDir: dir})
	lines(t, one, "select count(*) from h")
	if got := lines(t, two, "select count(*) from h"); got != "360" || w.fs.total() != 6 {
		t.Errorf("got %s rows, %d files opened; want 360, 6", got, w.fs.total())
	}
}

func TestTheCacheIsBoundedAndStatementsThatDoNotFitSaySo(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	var size int64
	for hour := range 10 {
		size = w.add("h", columns(), day(1, hour), 60, nil).Size
	}
	dir := t.TempDir()
	e := w.remote(Options{CacheDir: dir, CacheBytes: size*3 + size/2})
	for hour := range 10 {
		sql := fmt.Sprintf("select count(*) from h where ts >= '2026-03-01 %02d:00' and ts < '2026-03-01 %02d:30'", hour, hour)
		sql = strings.ReplaceAll(strings.ReplaceAll(sql, ":00'", ":00:00'"), ":30'", ":30:00'")
		if got := lines(t, e, sql); got != "60" {
			t.Errorf("hour %d: got %s rows, want 60", hour, got)
		}
		if n := diskUse(t, dir); n > size*4 {
			t.Errorf("after hour %d the cache holds %d bytes, the bound is %d", hour, n, size*3+size/2)
		}
	}
	// What does not fit goes through it.
	for sql, want := range map[string]string{
		"select * from h order by message limit 0":                             "",
		"select count(*), min(ts), max(message), sum(seq) from h":              "600,2026-03-01T00:00:00.000000Z,line 9,177000",
		"select count(*) from h a join h b on a.ts = b.ts and a.tags = b.tags": "600",
		"select tags, count(*) from (from h) group by all":                     `"{""dc"":""a""}",600`,
	} {
		if got := lines(t, e, sql); got != want {
			t.Errorf("%s: got %s, want %s", sql, got, want)
		}
		if n := diskUse(t, dir); n > size*4 {
			t.Errorf("after %s the cache holds %d bytes, the bound is %d", sql, n, size*3+size/2)
		}
	}
	small := w.remote(Options{CacheBytes: size / 2})
	_, err := small.Query(t.Context(), "select * from h", "csv", new(writeNothing))
	var theirs *Error
	if !errors.As(err, &theirs) || !strings.Contains(err.Error(), "cache is too small") || !strings.Contains(err.Error(), "web.cache") {
		t.Errorf("got %v, want an *Error that the cache is too small", err)
	}
}

func diskUse(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.Walk(dir, func(p string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			n += min(info.Size(), info.Sys().(*syscall.Stat_t).Blocks*512)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A table's maintenance removes files that a plan has named: the statement is
// planned anew, once.
func TestFilesThatWereMergedMeanwhileArePlannedAnew(t *testing.T) {
	for _, kind := range []string{"local", "remote"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			h := w.table("h", columns())
			gone := w.add("h", columns(), day(1, 0), 10, nil)
			merged := w.add("h", columns(), day(1, 0), 10, nil)
			h.files = h.files[:1]
			if err := os.Remove(filepath.Join(w.root, gone.Path)); err != nil {
				t.Fatal(err)
			}
			h.onPlan = func() {
				if len(h.planned) == 1 {
					h.files[0] = merged
				}
			}
			e := w.engine(Options{})
			if kind == "remote" {
				e = w.remote(Options{})
			}
			if got := lines(t, e, "select count(*) from h"); got != "10" || len(h.planned) != 2 {
				t.Errorf("got %s rows in %d plans, want 10 in 2", got, len(h.planned))
			}
			h.files[0], h.onPlan = gone, nil
			if _, err := e.Query(t.Context(), "select count(*) from h", "csv", new(writeNothing)); err == nil || len(h.planned) != 2+tries {
				t.Errorf("a file that stays away: got %v in %d plans, want an error in %d", err, len(h.planned)-2, tries)
			}
		})
	}
}

func TestParquetResultsAreWhole(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	w.add("h", columns(), day(1, 0), 1000, nil)
	e := w.engine(Options{})
	var b bytes.Buffer
	sum, err := e.Query(t.Context(), "select ts, seq, tags from h where seq >= 100 order by seq desc -- the end", "parquet", &b)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquet.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if f.NumRows() != 990 || sum.Rows != 990 || len(f.Schema().Fields()) != 3 {
		t.Errorf("got %d rows (%d said) of %d columns, want 990 of 3", f.NumRows(), sum.Rows, len(f.Schema().Fields()))
	}
	for _, sql := range []string{"show tables", "describe h", "values (1)", "with x as (select 1) from x"} {
		b.Reset()
		if sum, err := e.Query(t.Context(), sql, "parquet", &b); err != nil || sum.Rows < 1 {
			t.Errorf("%s: got %d rows, %v", sql, sum.Rows, err)
		}
	}
}

func TestAQueryEndsAtItsTimeLimit(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{Timeout: 300 * time.Millisecond})
	_, err := e.Query(t.Context(), "select count(*) from range(1000000000) a, range(1000000000) b where (a.range*b.range)%7 = 3", "csv", new(writeNothing))
	if err == nil || !strings.Contains(err.Error(), "took longer than 300ms") {
		t.Errorf("got %v", err)
	}
}

func TestWhatDoesNotFitInMemoryIsSpilled(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{MemoryLimit: 64 << 20, Threads: 2})
	got := lines(t, e, "select count(*), sum(n) from (select s, count(*) as n from (select repeat(i::varchar, 8) as s from range(3000000) t(i)) group by s)")
	if got != "3000000,3000000" {
		t.Errorf("got %s", got)
	}
}

func TestQueriesRunBesideEachOther(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	for hour := range 4 {
		w.add("h", columns(), day(1, hour), 100, nil)
	}
	e := w.remote(Options{})
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			var b bytes.Buffer
			sql := fmt.Sprintf("select %d, count(*) from h", i)
			if _, err := e.Query(t.Context(), sql, "csv", &b); err != nil || !strings.HasSuffix(b.String(), fmt.Sprintf("\n%d,400\n", i)) {
				t.Errorf("%s: got %q, %v", sql, b.String(), err)
			}
		})
	}
	wg.Wait()
}

func TestEachGivesRowsInOrderAndEndsWithItsFunction(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{})
	var got []string
	stop := errors.New("enough")
	_, err := e.Each(t.Context(), "select i, case when i % 2 = 0 then 'even' end from range(10) t(i) order by i", func(cols []Column, row []Cell) error {
		got = append(got, fmt.Sprintf("%s:%s/%v", cols[0].Name, row[0].Text, row[1].Null))
		if len(got) == 3 {
			return stop
		}
		return nil
	})
	if want := "i:0/false i:1/true i:2/false"; strings.Join(got, " ") != want || !errors.Is(err, stop) {
		t.Errorf("got %q, %v; want %q, %v", got, err, want, stop)
	}
}

func TestPathsWithPatternsInThemAreTakenLiterally(t *testing.T) {
	w := newWorld(t)
	odd := filepath.Join(filepath.Dir(w.root), "st[o]re 'x*?")
	if err := os.Rename(w.root, odd); err != nil {
		t.Fatal(err)
	}
	w.root = odd
	w.table("h", columns(schema.Column{Name: "it's \"odd\"", Type: schema.String}))
	w.add("h", columns(), day(1, 0), 3, nil)
	e := w.engine(Options{})
	if got := lines(t, e, `select count(*), count("it's ""odd""") from h`); got != "3,0" {
		t.Errorf("got %s, want 3,0", got)
	}
}

func TestLongResultsStreamInOrderWithinTheMemoryLimit(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{MemoryLimit: 128 << 20, Threads: 2})
	before := peakRSS(t)
	next, sorted := 0, true
	sum, err := e.Each(t.Context(), "select i, repeat('x', 1000) from range(1000000) t(i)", func(_ []Column, row []Cell) error {
		sorted = sorted && row[0].Text == strconv.Itoa(next)
		next++
		return nil
	})
	if err != nil || sum.Rows != 1_000_000 || !sorted {
		t.Errorf("got %d rows, in order: %v, %v", sum.Rows, sorted, err)
	}
	if grown := peakRSS(t) - before; grown > 400<<20 {
		t.Errorf("a result of 1 GB made the process grow by %d MiB", grown>>20)
	}
	next, sorted = 299_999, true
	_, err = e.Each(t.Context(), "select i from range(300000) t(i) order by i desc", func(_ []Column, row []Cell) error {
		sorted = sorted && row[0].Text == strconv.Itoa(next)
		next--
		return nil
	})
	if err != nil || next != -1 || !sorted {
		t.Errorf("ordered: ended at %d, in order: %v, %v", next, sorted, err)
	}
}

// peakRSS is the most memory that the process has had.
func peakRSS(t *testing.T) int64 {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return u.Maxrss << 10
}
