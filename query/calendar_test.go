package query

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/query/internal/duck"
)

// calendarTimes are times of all types, also where calendars are odd.
func calendarTimes() []string {
	out := []string{"NULL::TIMESTAMPTZ", "'infinity'::TIMESTAMPTZ", "'-infinity'::TIMESTAMPTZ"}
	for _, at := range []string{
		"1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:00.000001", "2000-01-02 23:59:59.999999", "2000-01-03 00:00:00",
		"2026-03-29 01:30:00", "2026-10-25 01:30:00", "2024-02-29 12:34:56.789", "1582-10-10 12:00:00", "0001-01-01 00:00:00", "290000-06-01 11:22:33",
		"2499-12-31 23:59:59.999999", "2500-01-01 00:00:00", "1883-11-18 12:03:58",
	} {
		out = append(out, "'"+at+"+00'::TIMESTAMPTZ", "'"+at+"'::TIMESTAMP", "CAST('"+at+"'::TIMESTAMP AS DATE)")
	}
	out = append(out, "'2026-05-05 05:05:05.123456789'::TIMESTAMP_NS", "'2026-05-05 05:05:05'::TIMESTAMP_S", "'2026-05-05 05:05:05.5'::TIMESTAMP_MS",
		"INTERVAL '49 hours 3 minutes 2.5 seconds'", "NULL", "'2026-05-05 05:05:05'", "5", "(SELECT max(ts) FROM h)")
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 6 {
		out = append(out, fmt.Sprintf("make_timestamptz(%d)", rnd.Int64N(20e15)-4e15))
	}
	return out
}

// With macros a statement gives what it gives without them, types, names and
// errors included.
func TestDividedTimesAreThoseOfTheCalendar(t *testing.T) {
	w := newWorld(t)
	w.table("h", columns())
	w.add("h", columns(), day(29, 1), 100, nil)
	e := w.engine(Options{Threads: 1})
	c := w.plain("h")
	if plan := ask(t, e, "csv", "explain select date_trunc('hour', ts) from h"); !strings.Contains(plan, duck.FloorFunction+"(") {
		t.Errorf("date_trunc is not divided: %s", plan)
	}
	differing := 0
	seed := uint64(time.Now().UnixNano())
	rnd := rand.New(rand.NewPCG(seed, 1))
	same := func(expr string) {
		if rnd.IntN(8) > 0 { // some of them in each run
			return
		}
		sql := "SELECT CAST(" + expr + " AS VARCHAR), typeof(" + expr + ")"
		got, gotErr := each1(t, e, sql)
		want, wantErr := text2(t, c, sql)
		if got != want || (gotErr == nil) != (wantErr == nil) {
			if differing++; differing < 20 {
				t.Errorf("seed %d: %s: got %s, %v; want %s, %v", seed, expr, got, gotErr, want, wantErr)
			}
		}
	}
	for _, at := range calendarTimes() {
		for _, part := range []string{"microseconds", "second", "MINUTE", "Hour", "hours", "day", "week", "month", "decade", "nosuch"} {
			same("date_trunc('" + part + "', " + at + ")")
		}
		same("datetrunc('hour', " + at + ")")
		same("date_trunc(NULL, " + at + ")")
		if strings.Contains(at, "290000") || strings.Contains(at, "0001") || strings.Contains(at, "1582") || strings.Contains(at, "inf") {
			continue // DuckDB goes through all days since then, one by one
		}
		for _, width := range []string{
			"1 microsecond", "1 second", "7 seconds", "5 minutes", "7 minutes", "1 hour", "24 hours", "25 hours", "1 month", "3 months", "1 year",
			"0 seconds", "-1 hour", "1 day 1 hour", "1 month 1 day", "1000000 hours",
		} {
			same("time_bucket(INTERVAL '" + width + "', " + at + ")")
		}
		for _, origin := range []string{"TIMESTAMPTZ '2026-01-01 00:00:30+00'", "INTERVAL 10 seconds", "'Europe/Berlin'"} {
			same("time_bucket(INTERVAL 5 minutes, " + at + ", " + origin + ")")
		}
	}
	for _, days := range []string{"1 day", "3 days", "7 days", "10 days"} { // near the origin, for the same reason
		for _, at := range []string{"1999-12-31 23:59:59", "2000-01-02 23:59:59.999999", "2000-01-03 00:00:00", "2000-02-01 10:00:00", "1999-10-01 01:00:00"} {
			same("time_bucket(INTERVAL '" + days + "', TIMESTAMPTZ '" + at + "+00')")
		}
	}
	same("(SELECT string_agg(date_trunc(p, ts)::VARCHAR, ',' ORDER BY ts, p) FROM h, (VALUES ('hour'), ('week'), ('minute'), (NULL)) v(p))")
	same("(SELECT string_agg(x::VARCHAR || n, ',' ORDER BY x) FROM (SELECT date_trunc('minute', ts) AS x, count(*) AS n FROM h GROUP BY date_trunc('minute', ts)))")
	if got, want := ask(t, e, "csv", "select date_trunc('hour', ts), time_bucket(interval 5 minutes, ts) from h limit 0"),
		`"date_trunc('hour', ts)","time_bucket(to_minutes(CAST(trunc(CAST(5 AS DOUBLE)) AS BIGINT)), ts)"`+"\n"; got != want {
		t.Errorf("names: got %s, want %s", got, want)
	}
}

// each1 returns a statement's only row.
func each1(t *testing.T, e *Engine, sql string) (got string, err error) {
	_, err = e.Each(t.Context(), sql, func(_ []Column, row []Cell) error {
		got = fmt.Sprint(row)
		return nil
	})
	return got, err
}

func text2(t *testing.T, c *duck.Conn, sql string) (got string, err error) {
	rows, err := c.Query(t.Context(), sql)
	if err != nil {
		return "", err
	}
	for rows.Next() {
		got = fmt.Sprint(rows.Row())
	}
	return got, rows.Close()
}
