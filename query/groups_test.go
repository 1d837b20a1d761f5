package query

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/compact"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/store/local"
)

// compacted makes the table h of two days with hourly files, of which the first day's
// are compacted into files with bloom filters, and the others have many row groups. It
// returns the root of the store and texts that are in it.
func compacted(t *testing.T, rnd *rand.Rand) (root string, ids []string) {
	t.Helper()
	root = t.TempDir()
	st, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	tbl, err := table.New(st, root, "h")
	if err != nil {
		t.Fatal(err)
	}
	start := day(1, 0)
	for hour := range 30 {
		build := rows.NewBuilder(rows.Options{Existing: tbl.Columns()})
		trace, n := build.Typed("trace_id", schema.String), build.Typed("n", schema.Long)
		build.Origin(fmt.Sprintf("web-%d", hour%5), "/log", fmt.Sprintf("s%d", hour), nil)
		for i := range 600 {
			build.Row(start.Add(time.Duration(hour)*time.Hour).UnixMicro()+int64(rnd.IntN(3600))*1e6+int64(i), int64(i))
			build.SetLevel([]rows.Level{rows.Info, rows.Warn, rows.Error}[rnd.IntN(3)])
			build.Message(fmt.Appendf(nil, "hour %02d", hour))
			id := fmt.Sprintf("%x-ü-%d", rnd.Uint64(), i)
			if i%200 == 0 {
				ids = append(ids, id)
			}
			trace.String([]byte(id))
			n.Long(int64(rnd.IntN(1000)))
		}
		c := table.Commit{RunID: fmt.Sprintf("%08d-test", tbl.Version()+1), Columns: build.Columns(), Delta: coverage.Set{}}
		create := func(ctx context.Context, hour int64, n int) (io.WriteCloser, string, error) {
			p := table.DataPath("h", table.Partition{N: int(hour)}, c.RunID, n)
			w, err := st.Create(ctx, p)
			return w, p, err
		}
		files, err := build.WriteFiles(t.Context(), create, tbl.PlanColumns(build.Columns()), rows.Layout{GroupRows: 50 + rnd.IntN(300)})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			c.Files = append(c.Files, table.DataFile{Path: f.Path, Partition: table.Partition{N: int(f.Hour)}, Stats: f.Stats})
		}
		if tbl, err = tbl.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		if hour == 23 {
			o := compact.Options{FS: st, BaseURI: root, Type: "h", Bloom: []string{"trace_id"}, FileBytes: 100 << 10}
			if _, err := compact.Run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			if tbl, err = table.Open(t.Context(), st, root, "h"); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root, ids
}

// plainOver is DuckDB over the files that a table has now.
func plainOver(t *testing.T, root, name string) *duck.Conn {
	t.Helper()
	st, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	tbl, err := table.Open(t.Context(), st, root, name)
	if err != nil {
		t.Fatal(err)
	}
	files, err := tbl.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, f := range files {
		paths = append(paths, quote(filepath.Join(root, f.Path)))
	}
	db, err := duck.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	for _, sql := range []string{"SET TimeZone = 'UTC'", fmt.Sprintf("CREATE VIEW %s AS FROM read_parquet([%s], hive_partitioning = false)", name, strings.Join(paths, ", "))} {
		if err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// Whatever row groups are left out, by bounds, filters or the order of ts, a statement
// gives what DuckDB gives over all of the table's files.
func TestRowGroupsLeftOutChangeNoResult(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 2))
	root, ids := compacted(t, rnd)
	c := plainOver(t, root, "h")
	st, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	var engines []*Engine
	for _, uri := range []string{root, "hdfs://nowhere:8020/store"} {
		e, err := Open(st, root, Options{Threads: 2, CacheDir: filepath.Join(t.TempDir(), "cache")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		if uri != root { // as one whose files are copied
			e.local = ""
		}
		e.searchRows, e.searchFiles, e.largeFile = 100, 4, 1
		engines = append(engines, e)
	}
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	id := func() string { return quote(pick(ids...)) }
	fewer := 0
	for i := range 40 {
		var conds []string
		for range rnd.IntN(3) {
			conds = append(conds, pick("trace_id = "+id(), id()+" = trace_id", "trace_id in ("+id()+", "+id()+", 'none')", "trace_id = 'none'",
				"h.trace_id = "+id(), "trace_id in ("+id()+", lower("+id()+"))", "not trace_id = "+id(), "level = 'ERROR'", "level in ('WARN', 'FATAL')", "level = 'error'",
				"message = 'hour 07'", "stream = 's7'", "host = 'web-3'", "n = 77", "ts < '2026-03-01 09:30:00'", "ts >= '2026-03-02 02:00:00'", "ts between '2026-03-01 20:00:00' and '2026-03-02 01:00:00'",
				"(level = 'INFO' or n < 5)", "trace_id is not null", "source = NULL", "parse_error = ''"))
		}
		where := strings.Join(conds, " and ")
		if where != "" {
			where = " where " + where
		}
		var sql string
		switch rnd.IntN(6) {
		case 0:
			sql = "select date_trunc(" + pick("'hour'", "'minute'", "'day'", "'second'") + ", ts) as b, level, count(*), sum(n) from h" + where + " group by all order by all"
		case 1:
			sql = "select date_trunc(" + pick("'hour'", "'minute'", "'day'") + ", ts), " + pick("level, ", "host, lower(level), ", "") + "count(*) from h" + where + " group by all order by all"
		case 2:
			sql = "select count(*), min(ts), max(ts), sum(n), count(distinct host) from h" + where
		case 3:
			sql = "select ts, n, 'x' as " + pick("level", "trace_id", "other") + " from h" + where + " order by h.ts desc, n, seq limit " + pick("1", "40", "1000")
		case 4:
			sql = "select a.n, b.level from h a join (select * from h" + where + ") b using (trace_id) order by all"
		default:
			sql = "select * from h" + where + " order by ts" + pick("", " desc") + ", n, seq limit " + pick("1", "7", "200", "3000") + pick("", " offset 3")
		}
		want, wantErr := rowsOf(t, c, sql)
		for _, e := range engines {
			var got strings.Builder
			sum, gotErr := e.Each(t.Context(), sql, func(_ []Column, row []Cell) error { fmt.Fprintln(&got, row); return nil })
			switch {
			case (gotErr == nil) != (wantErr == nil):
				t.Errorf("seed %d: %s: got %v, want %v", seed, sql, gotErr, wantErr)
			case gotErr == nil && got.String() != want:
				t.Errorf("seed %d: %s: over %d files got %.300s, want %.300s", seed, sql, sum.Files, got.String(), want)
			case gotErr == nil && len(conds) > 0 && sum.Files < 5:
				fewer++
			}
		}
		if i%8 == 0 && wantErr == nil {
			if got := ask(t, engines[i%2], "csv", "explain "+sql); !strings.Contains(got, " of ") {
				t.Errorf("explain %s: got %s", sql, got)
			}
		}
	}
	if fewer == 0 {
		t.Errorf("seed %d: %d statements left files out, want more", seed, fewer)
	}
	e := engines[0]
	for sql, wants := range map[string][]string{
		"select * from h where trace_id = " + quote(ids[0]):                           {" without a text that is looked for\n", " row groups; ", "without one by a bloom filter"},
		"select * from h where stream = 's26'":                                        {" without a text that is looked for\n", " row groups"},
		"select * from h where ts >= '2026-03-02 05:30:00'":                           {"h: 1 file (", "outside of the bounds on ts"},
		"select * from h where ts < '2026-03-02 05:30:00' order by ts desc limit 3":   {"without a row that ORDER BY ts LIMIT takes"},
		"select * from h where stream = 'a'":                                          {"h: 0 files (0.0 MB) of "},
		"select * from h where trace_id = " + quote(ids[89]) + " and stream = 'none'": {"h: 0 files"},
	} {
		got := ask(t, e, "csv", "explain "+sql)
		for _, want := range wants {
			if !strings.Contains(got, want) {
				t.Errorf("explain %s: got %s, want %q in it", sql, got[max(0, len(got)-600):], want)
			}
		}
	}
}
