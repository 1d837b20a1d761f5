package query

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

func TestOnlyTheNamedColumnsAreFetched(t *testing.T) {
	w := newWorld(t)
	cols := columns(schema.Column{Name: "id", Type: schema.String})
	w.table("h", cols)
	var size int64
	for hour := range 3 {
		size += w.add("h", cols, day(1, hour), 20_000, map[string]string{"id": "md5((i + " + fmt.Sprint(hour) + ")::VARCHAR)"}).Size
	}
	for _, c := range []struct {
		sql   string
		share float64 // of the files' bytes, at most
	}{
		{"select level, count(*) from h group by level", 0.35},
		{"select count(*) from h", 0.35},
		{"select max(h.id) from h where tags['dc'] = 'a'", 0.9},
		{"select max(id) from h", 0.9},
		{"select * from h limit 1", 1.1},
	} {
		dir := t.TempDir()
		e := w.remote(Options{CacheDir: dir})
		lines(t, e, c.sql)
		if n := diskUse(t, filepath.Join(dir, "files")); float64(n) > c.share*float64(size) {
			t.Errorf("%s: fetched %d of %d bytes, want at most %.0f%%", c.sql, n, size, 100*c.share)
		}
	}
}

// Of a large file only row groups are fetched that may hold what is looked for.
func TestOnlyRowGroupsWithinTheBoundsAreFetched(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	size := w.add("h", columns(), day(1, 0), 500_000, nil).Size
	near := w.engine(Options{})
	for _, sql := range []string{
		"select * from h where ts between '2026-03-01 20:00:00' and '2026-03-01 20:00:03' order by ts",
		"select * from h where host = 'h1' and message = 'line 20' and ts < '2026-03-01 00:01:00'",
		"select * from h order by ts desc limit 3",
		"select * from h where ts < '2026-03-02' order by ts desc limit 3",
		"select date_trunc('second', ts), host, count(*) from h where ts >= '2026-03-06 10:00:00' group by all order by all",
	} {
		dir := t.TempDir()
		e := w.remote(Options{CacheDir: dir})
		e.largeFile = 1
		got := lines(t, e, sql)
		if want := lines(t, near, sql); got != want {
			t.Errorf("%s: got %.300s, want %.300s", sql, got, want)
		}
		if n := diskUse(t, filepath.Join(dir, "files")); 4*n > size || n == 0 {
			t.Errorf("%s: fetched %d of %d bytes", sql, n, size)
		}
	}
}

// However a statement names what it needs, copies of parts give what whole files
// give, one after the other from one cache.
func TestCopiesOfPartsGiveWhatWholeFilesGive(t *testing.T) {
	w := newWorld(t)
	cols := columns(schema.Column{Name: "Bytes", Type: schema.Long}, schema.Column{Name: "user.name", Type: schema.String})
	w.table("h", cols)
	w.table("s", cols)
	for i := range 3 {
		w.add("h", cols, day(1, i), 100, map[string]string{"Bytes": "i * 3", "user.name": "'u' || i % 7"})
	}
	w.add("s", cols, day(1, 1), 50, map[string]string{"Bytes": "i", "user.name": "'u' || i"})
	local, far := w.engine(Options{Threads: 1}), w.remote(Options{Threads: 1})
	tiny := w.remote(Options{Threads: 2, CacheBytes: 40_000})
	for _, sql := range []string{
		"select count(*) from h", "select sum(bytes) from h", `select "USER.NAME", count(*) from h group by all order by all`, "select h.bytes from h order by 1",
		"select h from h order by ts limit 3", "select count(h) from h", "select x from h x order by x limit 2", "from h order by ts, seq limit 4", "table s",
		"select * exclude (bytes) from h order by ts limit 2", "select columns('by.*') from h order by ts limit 2", "select h.* from h order by ts limit 1",
		"select count(*) from h natural join s", "select count(*) from h join s using (bytes, level)", "select h.bytes, s.seq from h, s where h.seq = s.bytes order by all limit 5",
		"select n.bytes from (select * from h) n order by 1 limit 3", "with q as (from h) select max(bytes) from q", "select max(m) from (select ts, message as m from h)",
		"describe h", "describe select bytes from h", "select column_name from (describe h)", "select count(*) from (summarize h)",
		"select attributes, tags.dc from h order by ts limit 2", "select map_keys(tags) from h limit 1", "select distinct on (level) level, bytes from h order by level, bytes",
		"select bytes, sum(seq) over (order by ts rows 2 preceding) from h order by ts limit 5", "select level from h group by level having sum(bytes) > 3",
		"select (select max(bytes) from s where s.level = h.level) from h limit 1", "select bytes as level, level as bytes from h order by bytes, level limit 3",
		"select struct_pack(a := bytes) from h order by all limit 2", "select list(bytes order by seq desc)[1:3] from h", "select h.tags['dc'] from h limit 1",
		"select * from (values ('bytes')) v(c)", "select 'bytes' from h limit 1", "select r.k, count(*) from h, range(2) r(k) group by all order by all",
		"select row(bytes, level) from h order by ts limit 1", "(select bytes from h) union all (select seq from s) order by 1 limit 4", "select ts from h order by ts desc limit 2",
		"select nosuch from h", "select h.nosuch from h", "select bytes from h order by nosuch", "select max(message) from h, lateral (select h.bytes as b) where b > 5",
		"select * replace (bytes + 1 as bytes) from h order by ts limit 2", "select count(*) from h positional join s", "select a.bytes from h a asof join s b on a.bytes >= b.bytes order by 1 limit 2",
		"unpivot (select bytes, seq from h order by ts limit 2) on bytes, seq", "select bytes from h as renamed(a, b) limit 1", "select a from h as renamed(a, b) order by a limit 1",
	} {
		var out [3]string
		for i, e := range []*Engine{local, far, tiny} {
			var b strings.Builder
			_, err := e.Query(t.Context(), sql, "csv", &b)
			if out[i] = b.String(); err != nil {
				out[i] = "failed"
			}
		}
		if out[1] != out[0] || out[2] != out[0] {
			t.Errorf("%s: got\n%s and\n%s, want\n%s", sql, out[1], out[2], out[0])
		}
	}
}

// A file that is no Parquet file is refused, whatever its footer says.
func TestFootersOfCopiesAreChecked(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	f := w.add("h", columns(), day(1, 0), 100, nil)
	path := filepath.Join(w.root, f.Path)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(b []byte){
		"no magic":        func(b []byte) { b[len(b)-1] = 'X' },
		"a long footer":   func(b []byte) { b[len(b)-5] = 0x7f },
		"a footer of 0":   func(b []byte) { copy(b[len(b)-8:], "\x00\x00\x00\x00") },
		"another footer":  func(b []byte) { clear(b[len(b)-200 : len(b)-8]) },
		"nothing at all":  func(b []byte) { clear(b) },
		"short of a page": func(b []byte) { clear(b[4:2000]) },
	} {
		b := append([]byte{}, body...)
		change(b)
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		e := w.remote(Options{CacheDir: t.TempDir()})
		if _, err := e.Query(t.Context(), "select max(seq), max(message), max(host) from h", "csv", new(writeNothing)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
