package query

import (
	"fmt"
	"testing"
	"time"
)

func (a span) String() string {
	show := func(t *time.Time) string {
		if t == nil {
			return "-"
		}
		return t.UTC().Format("01-02T15:04:05.999999")
	}
	return show(a.from) + ".." + show(a.to)
}

func TestBoundsOnTSAreFoundAndOnlySafeOnes(t *testing.T) {
	const a, b = "03-02T00:00:00", "03-03T00:00:00"
	w := newWorld(t)
	h := w.table("h", columns())
	w.add("h", columns(), day(1, 0), 2, nil)
	w.add("h", columns(), day(2, 12), 2, nil)
	w.add("h", columns(), day(4, 0), 2, nil)
	w.table("s", columns())
	w.add("s", columns(), day(1, 0), 2, nil)
	pruning := w.engine(Options{Threads: 1})
	// The same files, of which the plan knows no times.
	all := &world{t: t, root: w.root, fs: w.fs, tables: &fakeTables{tables: map[string]*fakeTable{}}}
	for name, ft := range w.tables.tables {
		twin := all.table(name, ft.cols)
		for _, f := range ft.files {
			f.MinTS, f.MaxTS = day(1, 0).AddDate(-99, 0, 0), day(1, 0).AddDate(99, 0, 0)
			twin.files = append(twin.files, f)
		}
	}
	whole := all.engine(Options{Threads: 1})
	for sql, want := range map[string]string{
		// Found.
		"select * from h where ts >= '2026-03-02'":                                                                                              a + "..-",
		"select * from h where ts > '2026-03-02'":                                                                                               "03-02T00:00:00.000001..-",
		"select * from h where ts < timestamp '2026-03-03'":                                                                                     "-.." + b,
		"select * from h where ts <= timestamptz '2026-03-03 01:00:00+01'":                                                                      "-..03-03T00:00:00.000001",
		"select * from h where ts = date '2026-03-02'":                                                                                          "03-02T00:00:00..03-02T00:00:00.000001",
		"select * from h where ts between '2026-03-02' and '2026-03-03'":                                                                        "03-02T00:00:00..03-03T00:00:00.000001",
		"select * from h where '2026-03-02' <= ts and date '2026-03-03' > h.ts and level = 'INFO'":                                              a + ".." + b,
		"select * from h as x where x.ts >= '2026-03-02' and (x.ts < '2026-03-03' and seq > 3)":                                                 a + ".." + b,
		"select * from h where ts >= '2026-03-01' and ts >= '2026-03-02'":                                                                       a + "..-",
		"select * from h where TS >= '2026-03-02'::timestamptz":                                                                                 a + "..-",
		"select * from h where ts >= date '2026-03-01' + interval 1 day":                                                                        a + "..-",
		"select * from h where ts >= date_trunc('day', timestamptz '2026-03-02 15:00:00+00')":                                                   a + "..-",
		"select * from h where ts >= make_timestamp(2026, 3, 2, 0, 0, 0)":                                                                       a + "..-",
		"select * from h where ts >= to_timestamp(1772409600)":                                                                                  a + "..-",
		"select * from h where ts >= '2026-03-02' group by all having count(*) > 1 order by ts":                                                 a + "..-",
		"select count(*) from h where ts >= '2026-03-02' union all select count(*) from h where ts >= '2026-03-01 12:00' and ts < '2026-03-03'": "03-01T12:00:00..-",
		"with x as (select * from h where ts >= '2026-03-02') select * from x where ts < '2026-03-03'":                                          a + "..-",
		"select * from (select * from h where ts >= '2026-03-02') q where q.ts < '2026-03-03'":                                                  a + "..-",
		"select * from h, range(3) r(i) where ts >= '2026-03-02'":                                                                               a + "..-",
		"select * from h left join s on h.host = s.host where h.ts >= '2026-03-02' and s.ts >= '2026-03-01'":                                    a + "..-",
		"select * from s full join h on h.host = s.host where h.ts < '2026-03-03'":                                                              "-.." + b,
		"select * from h where not (ts < '2026-03-02')":                                                                                         a + "..-",
		"explain select * from h where ts >= '2026-03-02'":                                                                                      a + "..-",
		"select (select count(*) from h where h.ts >= '2026-03-02') from s":                                                                     a + "..-",
		"select count(*) from h semi join s on h.seq = s.seq":                                                                                   "-..-",
		// Not safe, or not understood.
		"select * from h": "-..-",
		"select * from h where ts >= '2026-03-02' or seq = 1":                                                                "-..-",
		"select * from h where ts::date = '2026-03-02'":                                                                      "-..-",
		"select * from h where ts >= try_cast(host as timestamptz)":                                                          "-..-",
		"select * from h where (select ts) >= '2026-03-02'":                                                                  "-..-",
		"select * from h x, h y where x.ts >= '2026-03-02'":                                                                  "-..-",
		"select * from h where seq >= 3 and case when true then ts > '2026-03-02' end":                                       "-..-",
		"select * from h as x(a, ts) where ts = '2026-03-02'":                                                                "-..-",
		"select * from h tablesample 50% where ts >= '2026-03-02'":                                                           "-..-",
		"select * from s asof join h on s.host = h.host and s.ts >= h.ts where h.ts < '2026-03-03'":                          "-..-",
		"select * from (select timestamptz '2026-03-01' as ts, 1 as seq) q anti join h using (seq) where ts >= '2026-03-02'": "-..-",
		"select * from s left join h using (ts) where ts >= '2026-03-02'":                                                    "-..-",
		"with h as (select * from h) select * from h where ts >= '2026-03-02'":                                               "-..-",
		"select * from h where ts >= (select max(ts) from s)":                                                                "-..-",
		"select * from h where ts >= 'infinity'":                                                                             "-..-",
		"select * from h where ts >= try_cast('garbage' as timestamptz)":                                                     "-..-",
		"select *, (select 1 where h.ts >= '2026-03-02') from h":                                                             "-..-",
		"select * from (select '2026-03-02'::timestamptz as current_date) q, h where h.ts >= current_date":                   "-..-",
		"select count(*) filter (where ts >= '2026-03-02') from h":                                                           "-..-",
		"select * from h qualify row_number() over (order by ts) > 1 and ts >= '2026-03-02'":                                 "-..-",
		"select * from h where ts >= '2026-03-02' union all select * from h":                                                 "-..-",
		"describe h": "-..-",
	} {
		h.planned = nil
		got := ask(t, pruning, "jsonl", sql)
		if sql[:7] == "explain" {
			h.planned = h.planned[:1] // the second is of the whole table, to say what is left out
		}
		if len(h.planned) != 1 || fmt.Sprint(h.planned[0]) != want {
			t.Errorf("%s: planned %v, want [%s]", sql, h.planned, want)
		}
		if want := ask(t, whole, "jsonl", sql); got != want && h.planned[0] != (span{}) && sql[:7] != "explain" {
			t.Errorf("%s: pruned gives\n%swhole gives\n%s", sql, got, want)
		}
	}
}

func TestBoundsRelativeToNowAreFound(t *testing.T) {
	w := newWorld(t)
	h := w.table("h", columns())
	e := w.engine(Options{})
	start := time.Now()
	for _, sql := range []string{
		"select * from h where ts >= now() - interval '1 hour'",
		"select * from h where ts > now() - interval 60 minutes",
		"select * from h where ts > current_timestamp - to_hours(1) and ts < now()",
		"select * from h where ts between current_timestamp - interval 1 hour and now()",
		"select * from h where ts > (now() - interval '1 hour')::timestamptz",
	} {
		h.planned = nil
		ask(t, e, "csv", sql)
		if len(h.planned) != 1 || h.planned[0].from == nil {
			t.Errorf("%s: planned %v, want a bound", sql, h.planned)
			continue
		}
		if d := h.planned[0].from.Sub(start.Add(-time.Hour)); d < -time.Millisecond || d > time.Minute {
			t.Errorf("%s: the bound is off by %v", sql, d)
		}
	}
	for _, sql := range []string{"select * from h where ts > today() - 1", "select * from h where ts >= current_date"} {
		h.planned = nil
		ask(t, e, "csv", sql)
		if len(h.planned) != 1 || h.planned[0].from == nil {
			t.Errorf("%s: planned %v, want a bound", sql, h.planned)
		}
	}
}

func TestAnExpressionThatFailsIsReportedAsItsOwnFault(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	w.add("h", columns(), day(1, 0), 2, nil)
	e := w.engine(Options{})
	for sql, want := range map[string]string{
		"select * from h where ts >= 'garbage'":                   `conversion error: invalid timestamp field format: "garbage"`,
		"select * from h where ts >= 5":                           "binder error: Cannot compare values",
		"select * from h where ts >= date_trunc('parsec', now())": "parsec",
	} {
		_, err := e.Query(t.Context(), sql, "csv", new(writeNothing))
		if err == nil || !contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", sql, err, want)
		}
	}
}

func TestAContradictionPlansNothing(t *testing.T) {
	w := newWorld(t)
	h := w.table("h", columns())
	w.add("h", columns(), day(1, 0), 2, nil)
	e := w.engine(Options{})
	if got := lines(t, e, "select count(*) from h where ts > '2026-03-02' and ts < '2026-03-01'"); got != "0" || len(h.planned) != 0 {
		t.Errorf("got %s rows and plans %v, want 0 and none", got, h.planned)
	}
}
