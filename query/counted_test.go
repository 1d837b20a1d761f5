package query

import (
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

// countedWorld has a table with files of an hour and a half, a day and a half, and a minute,
// the first one without the column zone; in it and in level there are nulls.
func countedWorld(t *testing.T) *world {
	w := newWorld(t)
	all := columns(schema.Column{Name: "zone", Type: schema.String}, schema.Column{Name: "status", Type: schema.Long})
	w.table("h", all)
	level := "CASE WHEN i % 7 < 3 THEN 'INFO' WHEN i % 7 < 5 THEN 'it''s' END"
	w.add("h", columns(), day(2, 22), 5400, map[string]string{"level": level})
	w.add("h", all, day(4, 0), 130_000, map[string]string{"level": level, "zone": "CASE WHEN i % 3 = 0 THEN 'eu' ELSE 'us' END", "status": "i % 5"})
	w.add("h", all, day(9, 5), 60, map[string]string{"zone": "NULL", "status": "1"})
	return w
}

func TestCountsAreThoseOfTheRows(t *testing.T) {
	w := countedWorld(t)
	for name, e := range map[string]*Engine{"local": w.engine(Options{}), "remote": w.remote(Options{})} {
		for _, sql := range []string{
			"select date_trunc('hour', ts) h, count(*) from h group by all order by all",
			"select date_trunc('minute', ts), level, count(*) from h group by all order by all desc",
			"select level, count(*) as n from h group by level order by n desc, level",
			"select lower(level) l, zone, count(*) from h group by all having count(*) > 100 order by count(*), l, zone",
			"select zone, count(*) from h x where x.level = 'it''s' group by x.zone order by 1",
			"select ts::date d, count(*) from h where level is null and zone in ('eu', 'ap') group by d order by d",
			"select date_trunc('week', h.ts) as week, datetrunc('day', ts) as day, count(*) from h group by all order by day limit 3 offset 1",
			"select time_bucket(interval '7 minutes', ts) b, count(*) from h where ts >= '2026-03-04 03:10:00' and ts < '2026-03-04 05:00:01' group by b order by b",
			"select time_bucket(interval 90 minutes, ts) b, date_trunc('hour', ts) h, count(*) from h where ts between '2026-03-02' and '2026-03-03' group by all order by all",
			"select count(*), count(*) as again from h where level like 'i%' and ts < now()",
			"select count(*) from h where level = 'none'",
			"select level, count(*) from h where level = 'none' group by all",
			"select distinct count(*) from h where ts > '2026-03-05 00:00:00.5' group by date_trunc('second', ts)",
		} {
			if got, want := ask(t, e, "csv", sql), ask(t, e, "csv", "select * from ("+sql+") q"); got != want {
				t.Errorf("%s: %s: got\n%.500swant\n%.500s", name, sql, got, want)
			}
			if e.local == "" || strings.Contains(sql, "'none'") {
				continue
			}
			if plan := ask(t, e, "csv", "explain "+sql); !strings.Contains(plan, "but counted") {
				t.Errorf("%s: %s: the rows are read: %s", name, sql, plan)
			}
		}
	}
}

func TestWhatIsMoreThanCountsIsNotCounted(t *testing.T) {
	w := countedWorld(t)
	e := w.engine(Options{})
	for _, sql := range []string{
		"select date_trunc('hour', ts) h, count(*), max(seq) from h group by all",
		"select date_trunc('hour', ts) h, count(status) from h group by all",
		"select status, count(*) from h group by all",
		"select ts, count(*) from h group by all",
		"select date_trunc('ms', ts), count(*) from h group by all",
		"select date_trunc('hour', ts) as ts, count(*) from h group by ts",
		"select date_trunc('hour', ts at time zone 'Europe/Berlin') b, count(*) from h group by all",
		"select level, count(*) from h where ts != '2026-03-04' group by all",
		"select level, count(*) from h where message like '%7%' group by all",
		"select level, count(*), random() > 2 from h group by all",
		"select level, count(*) filter (where zone = 'eu') from h group by all",
		"select level, count(*) over () from h",
		"select a.level, count(*) from h a, h b where a.seq = b.seq and a.zone = b.zone group by all",
		"with h as (select * from h limit 3) select level, count(*) from h group by all",
		"select message, count(*) from h group by all",
		"select level, count(*) from h tablesample 10% group by all",
		"select count(*) from h where h::varchar like '%7%'",
		"select h, count(*) from h group by h",
		"select date_trunc('day', ts) as today, count(*) from h where ts < today + interval 12 hours group by all",
	} {
		var b strings.Builder
		if _, err := e.Query(t.Context(), "explain "+sql, "csv", &b); err == nil && strings.Contains(b.String(), "but counted") {
			t.Errorf("%s: the rows are counted: %s", sql, b.String())
		}
	}
	// What is wrong with a statement is said of what was asked.
	for _, sql := range []string{"select lefel, count(*) from h group by all", "select level, count(*) from h", "select count(*) from h group by count(*)"} {
		_, err := e.Query(t.Context(), sql, "csv", new(writeNothing))
		if err == nil || strings.Contains(err.Error(), "akupara") {
			t.Errorf("%s: got %v", sql, err)
		}
	}
}
