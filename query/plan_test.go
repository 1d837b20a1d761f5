package query

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/query/internal/output"
)

// plain is DuckDB over all files of a table, as a view of the table's name.
func (w *world) plain(name string) *duck.Conn {
	w.t.Helper()
	db, err := duck.Open(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(db.Close)
	c, err := db.Connect()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(c.Close)
	for _, sql := range []string{"SET TimeZone = 'UTC'", fmt.Sprintf("CREATE VIEW %s AS FROM '%s/tables/%s/data/*.parquet'", name, w.root, name)} {
		if err := c.Exec(w.t.Context(), sql); err != nil {
			w.t.Fatal(err)
		}
	}
	return c
}

// overlapping makes the table h of 24 files, half of which overlap others, as late
// records make them.
func (w *world) overlapping() []schema.Column {
	cols := columns(schema.Column{Name: "n", Type: schema.Long})
	w.table("h", cols)
	rnd := rand.New(rand.NewPCG(3, 4))
	for i := range 24 {
		from := day(1, i)
		if i%2 == 1 {
			from = day(1, 0).Add(time.Duration(rnd.IntN(20*3600)) * time.Second)
		}
		w.add("h", cols, from, 10+rnd.IntN(4000), map[string]string{
			"ts": fmt.Sprintf("TIMESTAMPTZ '%s' + to_seconds(i) + to_microseconds(%d)", from.UTC().Format("2006-01-02 15:04:05+00"), i), // no two are equal
			"n":  fmt.Sprintf("%d + i", i*10000), "level": "['INFO', 'WARN', 'ERROR'][1 + (i * 7) % 3]", "host": fmt.Sprintf("'h%d'", i%5),
		})
		w.tables.tables["h"].files[i].MaxTS = w.tables.tables["h"].files[i].MaxTS.Add(time.Millisecond)
	}
	return cols
}

// Whatever files are left out, a statement gives what DuckDB gives over all of them.
func TestFilesLeftOutChangeNoResult(t *testing.T) {
	w := newWorld(t)
	w.overlapping()
	c := w.plain("h")
	e := w.engine(Options{Threads: 1})
	e.searchRows, e.searchFiles = 1000, 2
	// The same by copies of columns, and by a stream of files that don't fit.
	far, tiny := w.remote(Options{Threads: 2}), w.remote(Options{Threads: 2, CacheBytes: 150_000})
	far.searchRows, far.searchFiles, tiny.searchRows, tiny.searchFiles = 1000, 2, 1000, 2
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	pick := func(list ...string) string { return list[rnd.IntN(len(list))] }
	fewer := 0
	for i := range 60 {
		from := pick("h", "h", "h", "h as x", "(select * from h) h", "(select * from h order by ts desc limit 500) h")
		where := pick("", "", "ts >= '2026-03-01 20:00:00'", "ts < '2026-03-01 05:30:00'", "ts between '2026-03-01 03:00:00' and '2026-03-01 09:00:00'",
			"level = 'ERROR'", "n % 1000 = 7", "n = 30005", "n = -1", "host = 'h3' and ts < '2026-03-01 12:00:00'", "ts < '2026-03-02' or n = 5",
			"seq = 20 and ts >= try_cast('nonsense' as timestamptz)", "n > (select 50000)", "message like '%99'")
		if where != "" {
			where = " where " + where
		}
		what := pick("n, ts", "*", "ts, n, lower(host)", "date_trunc('hour', ts), n", "n as ts", "count(*), max(ts) as ts", "distinct on (host) host, n, ts",
			"n, row_number() over (order by ts, n)", "unnest([n]) as u", "n, attributes.ts", "* exclude (ts)", "* replace (n as ts)", "n, case when n > 5 then 1 end")
		order := pick("ts desc", "ts desc", "ts desc", "ts", "ts asc", "h.ts desc", "n desc", "ts desc nulls first", "-epoch(ts)") + ", n, all"
		order = strings.TrimSuffix(order, ", all")
		sql := "select " + what + " from " + from + where + " order by " + order + " limit " + pick("1", "3", "100", "700", "5000", "0", "1000000") + pick("", "", " offset 2", " offset 300")
		if rnd.IntN(8) == 0 {
			sql = "select count(*), min(n), max(n) from (" + sql + ") q"
		}
		if rnd.IntN(10) == 0 {
			sql = "with late as (" + sql + ") select * from late, (select count(*) as all_of_them from h)"
		}
		want, wantErr := rowsOf(t, c, sql)
		for _, e := range []*Engine{e, []*Engine{far, tiny}[i%2]} {
			var got strings.Builder
			sum, gotErr := e.Each(t.Context(), sql, func(_ []Column, row []Cell) error { fmt.Fprintln(&got, row); return nil })
			switch {
			case (gotErr == nil) != (wantErr == nil):
				t.Errorf("seed %d: %s: got %v, want %v", seed, sql, gotErr, wantErr)
			case gotErr == nil && got.String() != want:
				t.Errorf("seed %d: %s: over %d files got %.300s, want %.300s", seed, sql, sum.Files, got.String(), want)
			case gotErr == nil && sum.Files < 24:
				fewer++
			}
		}
	}
	if fewer < 8 {
		t.Errorf("seed %d: %d statements left files out, want more", seed, fewer)
	}
}

// rowsOf returns the rows of a statement as the engine shows them.
func rowsOf(t *testing.T, c *duck.Conn, sql string) (string, error) {
	t.Helper()
	s, err := c.Prepare(sql)
	if err != nil {
		return "", err
	}
	text, _ := output.Select(sql, s.Columns())
	s.Close()
	rows, err := c.Query(t.Context(), text)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for rows.Next() {
		fmt.Fprintln(&b, rows.Row())
	}
	return b.String(), rows.Close()
}

func TestTheNewestRowsAreReadFromTheNewestFiles(t *testing.T) {
	w := newWorld(t)
	h := w.table("h", columns())
	for hour := range 24 {
		w.add("h", columns(), day(1, hour), 60, map[string]string{"level": fmt.Sprintf("CASE WHEN i = %d THEN 'ERROR' ELSE 'INFO' END", hour)})
	}
	w.add("h", columns(), day(1, 3), 60, map[string]string{"message": "'late'"})
	e := w.engine(Options{})
	e.searchRows, e.searchFiles = 60, 1
	for sql, want := range map[string]int{
		"select * from h order by ts desc limit 60":                                                       1,
		"select * from h order by ts desc limit 61":                                                       2,
		"select * from h order by ts desc limit 50 offset 20":                                             2,
		"select * from h order by ts limit 10":                                                            1,
		"select message from h order by ts limit 10 offset 190":                                           5,
		"select * from h where ts < '2026-03-01 04:00:00' order by ts desc limit 10":                      2,
		"select * from h where ts < '2026-03-01 04:00:30' order by ts desc limit 10":                      3,
		"select count(*) from (select * from h order by ts desc limit 5)":                                 1,
		"select * from h where level = 'ERROR' order by ts desc limit 1":                                  1,
		"select * from h where level = 'ERROR' order by ts desc limit 4":                                  4,
		"select * from h where level = 'ERROR' order by ts desc limit 9":                                  24, // none in the late one
		"select * from h where level = 'ERROR' order by ts limit 3":                                       4,
		"select * from h where level in ('ERROR', 'WARN') order by ts limit 3":                            4,
		"select * from h where 'ERROR' = level":                                                           24,
		"select * from h where level = 'ERROR' or seq = 1":                                                25,
		"select * from h where level = lower('ERROR')":                                                    25,
		"select host as level from h where level = 'ERROR'":                                               25,
		"select * from h where level = 'FATAL'":                                                           0,
		"select * from h where message = 'late' order by ts desc limit 4":                                 1,
		"select * from h where message = 'late' union all select * from h":                                25,
		"select * from h order by seq desc limit 4":                                                       25,
		"select * from h order by ts desc":                                                                25,
		"select * from h order by ts desc limit 10%":                                                      25,
		"select level, count(*) from h group by level order by max(ts) desc limit 1":                      25,
		"select level, max(ts) as ts from h group by level order by ts desc limit 1":                      25,
		"select * from h where random() >= 0 order by ts desc limit 1":                                    25,
		"select * from h, (select max(ts) as last from h) order by ts desc limit 1":                       25,
		"select distinct level, ts from h order by ts desc limit 1":                                       25,
		"select * from h tablesample 100% order by ts desc limit 1":                                       25,
		"(select * from h order by ts desc limit 1) union all (select * from h order by ts desc limit 1)": 25,
	} {
		h.planned = nil
		sum, err := e.Query(t.Context(), sql, "csv", new(bytes.Buffer))
		if err != nil || sum.Files != want {
			t.Errorf("%s: read %d files, %v; want %d", sql, sum.Files, err, want)
		}
	}
	got := ask(t, e, "jsonl", "explain select * from h where ts >= '2026-03-01 02:00:00' order by ts desc limit 3")
	for _, want := range []string{"h: 1 file (", " of 25 files (", "; 2 files (", ") outside of the bounds on ts; 22 files (", "without a row that ORDER BY ts LIMIT takes"} {
		if !strings.Contains(got, want) {
			t.Errorf("explain: got %s, want %q in it", got, want)
		}
	}
}
