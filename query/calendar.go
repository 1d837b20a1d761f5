package query

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/query/internal/stmt"
)

// DuckDB truncates a TIMESTAMP WITH TIME ZONE by asking a calendar, row by row,
// which takes most of the time of a count by hour. Sessions are in UTC, which
// can't be changed (see lockDown): there hours and days are as long everywhere,
// and division gives the same. So a statement that calls one of these functions
// gets macros of their names. They divide where that is exact (duck.FloorFunction), and
// call the function itself everywhere else: for other types and units, weeks to
// millennia, times before 1970, and infinities.
var calendarMacros = map[string]string{
	"date_trunc": truncMacro("date_trunc"),
	"datetrunc":  truncMacro("datetrunc"),
	"time_bucket": macro("time_bucket",
		// A bucket begins where those that count from 2000-01-03, a Monday, do.
		`width, t TIMESTAMPTZ`, fmt.Sprintf(`CASE WHEN %[1]s AND t BETWEEN make_timestamptz(0) AND make_timestamptz(%[2]d)
			THEN %[4]s(t, epoch_us(width), %[3]s)
			ELSE system.main.time_bucket(width, t) END`, evenWidth, farFuture, bucketShift, duck.FloorFunction),
		`width, t TIMESTAMP`, `system.main.time_bucket(width, t)`,
		`width, t DATE`, `system.main.time_bucket(width, t)`,
		`width, t, origin`, `system.main.time_bucket(width, t, origin)`),
}

const (
	farFuture = 16_725_225_600_000_000 // 2500-01-01, in microseconds: no sum overflows before
	// evenWidth is true of an interval of days, or of a part of them, of which each has
	// the same length; it folds to a constant.
	evenWidth = `epoch_us(width) BETWEEN 1 AND 100000000000000000 AND date_part('year', width) = 0 AND date_part('month', width) = 0
		AND (date_part('day', width) = 0 OR epoch_us(width) = date_part('day', width) * 86400000000)`
	bucketShift = `epoch_us(width) - 946857600000000 % epoch_us(width)`
)

func truncMacro(name string) string {
	const unit = `CASE lower(part)
		WHEN 'second' THEN 1000000 WHEN 'seconds' THEN 1000000
		WHEN 'minute' THEN 60000000 WHEN 'minutes' THEN 60000000
		WHEN 'hour' THEN 3600000000 WHEN 'hours' THEN 3600000000
		WHEN 'day' THEN 86400000000 WHEN 'days' THEN 86400000000 END`
	itself := "system.main." + name + "(part, t)"
	return macro(name,
		`part, t TIMESTAMPTZ`, fmt.Sprintf(`CASE WHEN (%[1]s) IS NOT NULL AND t >= make_timestamptz(0)
			THEN %[3]s(t, %[1]s, 0) ELSE %[2]s END`, unit, itself, duck.FloorFunction),
		`part, t TIMESTAMP`, itself, `part, t DATE`, itself, `part, t INTERVAL`, itself)
}

// macro returns the statement that makes a macro of pairs of parameters and what they give.
func macro(name string, overloads ...string) string {
	var list []string
	for pair := range slices.Chunk(overloads, 2) {
		list = append(list, "("+pair[0]+") AS "+pair[1])
	}
	return "CREATE TEMP MACRO " + name + " " + strings.Join(list, ", ")
}

// makeMacros makes those that the statement calls, and reports whether it can be
// prepared with them: a call that no macro takes is the function's own to refuse, or
// to understand.
func (q *session) makeMacros(ctx context.Context, st *stmt.Statement, sql string) (prepared bool, err error) {
	for name, create := range calendarMacros {
		if st.Functions[name] {
			if err := q.conn.Exec(ctx, create); err != nil {
				return false, fmt.Errorf("make the macro %s: %w", name, err)
			}
		}
	}
	s, err := q.conn.Prepare(sql)
	if err != nil {
		return false, nil //nolint:nilerr // whoever prepares it without macros sees the error
	}
	s.Close()
	return true, nil
}

// callsCalendar reports whether a statement calls a function that has a macro.
func callsCalendar(st *stmt.Statement) bool {
	for name := range calendarMacros {
		if st.Functions[name] {
			return true
		}
	}
	return false
}
