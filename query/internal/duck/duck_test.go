package duck

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

func open(t *testing.T, settings map[string]string) *Conn {
	t.Helper()
	db, err := Open(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRowsAreTextsShortLongEmptyAndNull(t *testing.T) {
	c := open(t, nil)
	rows, err := c.Query(t.Context(), `SELECT * FROM (VALUES ('a', NULL), ('', 'exactly12byt'), (repeat('x', 13), repeat('ü', 5000)))`)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for rows.Next() {
		for _, cell := range rows.Row() {
			if cell.Null {
				got = append(got, "NULL")
			} else {
				got = append(got, strings.Clone(cell.Text))
			}
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	want := []string{"a", "NULL", "", "exactly12byt", strings.Repeat("x", 13), strings.Repeat("ü", 5000)}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestManyRowsComeInOrder(t *testing.T) {
	c := open(t, map[string]string{"threads": "2"})
	const n = 1_000_000
	rows, err := c.Query(t.Context(), `SELECT range::VARCHAR FROM range(1000000) ORDER BY range DESC`)
	if err != nil {
		t.Fatal(err)
	}
	got := 0
	first := ""
	last := ""
	for rows.Next() {
		if got == 0 {
			first = strings.Clone(rows.Row()[0].Text)
		}
		if got == n-1 {
			last = strings.Clone(rows.Row()[0].Text)
		}
		got++
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if got != n || first != "999999" || last != "0" {
		t.Errorf("got %d rows from %q to %q, want %d from 999999 to 0", got, first, last, n)
	}
}

func TestAnEndedContextStopsAStatementInAnyState(t *testing.T) {
	for name, sql := range map[string]string{
		"before its first row": `SELECT count(*)::VARCHAR FROM range(1000000000) a, range(1000000000) b WHERE (a.range * b.range) % 7 = 3`,
		"between its rows":     `SELECT (a.range * b.range)::VARCHAR FROM range(1000000000) a, range(1000000000) b`,
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			start := time.Now()
			rows, err := c.Query(ctx, sql)
			if err == nil {
				for rows.Next() {
				}
				err = rows.Close()
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got error %v, want %v", err, context.DeadlineExceeded)
			}
			if took := time.Since(start); took > time.Minute {
				t.Errorf("it took %v to stop", took)
			}
			// The connection lives on.
			cell, err := c.Text(t.Context(), `SELECT 'alive'`)
			if err != nil || cell.Text != "alive" {
				t.Errorf("afterwards: got %v, %v", cell, err)
			}
		})
	}
}

func TestOnlyOneStatementIsPreparedAndNothingRunByIt(t *testing.T) {
	c := open(t, nil)
	for _, sql := range []string{"", ";", "-- nothing", "SELECT 1; SELECT 2", "CREATE TABLE t(i INT); SELECT 1"} {
		if stmt, err := c.Prepare(sql); !errors.Is(err, ErrStatements) {
			if err == nil {
				stmt.Close()
			}
			t.Errorf("%q: got error %v, want %v", sql, err, ErrStatements)
		}
	}
	stmt, err := c.Prepare("CREATE TABLE t(i INT)")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	if stmt.Type() != mapping.StatementTypeCreate {
		t.Errorf("got statement type %v, want create", stmt.Type())
	}
	if _, err := c.Prepare("SELECT * FROM t"); err == nil {
		t.Error("a prepared statement ran")
	}
}

func TestErrorsTellTheirKindOnce(t *testing.T) {
	c := open(t, nil)
	_, err := c.Prepare("SELEC 1")
	var e *Error
	if !errors.As(err, &e) || e.Kind != "Parser" || strings.Contains(e.Msg, "Parser Error") {
		t.Errorf("got %#v", err)
	}
	rows, err := c.Query(t.Context(), "SELECT CAST('x' AS INT)::VARCHAR FROM range(10)")
	if err == nil {
		for rows.Next() {
		}
		err = rows.Close()
	}
	if !errors.As(err, &e) || e.Kind != "Conversion" {
		t.Errorf("got %#v, want a conversion error", err)
	}
}

func TestAColumnThatIsNoTextIsRefused(t *testing.T) {
	c := open(t, nil)
	rows, err := c.Query(t.Context(), "SELECT 1")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		t.Error("got a row")
	}
	if err := rows.Close(); err == nil {
		t.Error("got no error")
	}
}

func TestTheFloorOfTimesIsThatOfDivision(t *testing.T) {
	db, err := Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.EnableFloor(); err != nil {
		t.Fatal(err)
	}
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const w = "(CASE WHEN i < 9000 THEN 1000 ELSE 1 + i % 7 END)"
	for _, at := range []string{
		"1700000000000000 + i", "1700000000000000 + i // 2500", "1700000000000000 - i * 333", "-3000 + i", "i * 0", "CASE WHEN i % 3 > 0 THEN i END", "CASE WHEN i > 5000 THEN i * 7919 END",
	} {
		for _, shift := range []string{"0", "13", "i % 5", "CASE WHEN i <> 77 THEN 1 END"} {
			n, _, err := c.Int(t.Context(), "SELECT count(*)::VARCHAR FROM (SELECT make_timestamptz("+at+") AS t, "+w+" AS w, ("+shift+") AS s FROM range(20000) r(i)) q "+
				"WHERE "+FloorFunction+"(t, w, s) IS DISTINCT FROM make_timestamptz(epoch_us(t) - ((epoch_us(t) + s) % w + w) % w)")
			if err != nil || n != 0 {
				t.Errorf("ts %s, shift %s: %d rows differ, %v", at, shift, n, err)
			}
		}
	}
	for at, want := range map[string]string{"'infinity'": "infinity", "'-infinity'": "-infinity", "NULL": "", "'2026-01-01 00:00:00.5+00'": "2026-01-01 00:00:00.5+00"} {
		got, err := c.Text(t.Context(), "SELECT "+FloorFunction+"(("+at+")::TIMESTAMPTZ, 0, 0)::VARCHAR")
		if err != nil || got.Text != want {
			t.Errorf("%s: got %q, %v; want %q", at, got.Text, err, want)
		}
	}
}
