package output

import (
	"bytes"
	stdcsv "encoding/csv"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/query/internal/duck"
)

var update = flag.Bool("update", false, "write the golden files anew")

// statement has a value of every type that DuckDB gives.
const statement = `SELECT
	1::TINYINT AS i8, -2::BIGINT AS i64, 18446744073709551615::UBIGINT AS u64, 170141183460469231731687303715884105727::HUGEINT AS huge,
	12.340::DECIMAL(9,3) AS dec, 0.1::DOUBLE AS dbl, 1e300::DOUBLE AS big, 'nan'::DOUBLE AS nan, '-inf'::FLOAT AS inf, true AS yes,
	'plain' AS txt, '' AS empty, 'a "q", b' AS quoted, E'two\nlines\ttab \x01' AS lines, 'grüße ⏎ 日本' AS utf,
	TIMESTAMPTZ '2026-03-01 10:00:00.000001+02' AS tz, TIMESTAMP '2026-03-01 10:00:00' AS ts, TIMESTAMP_NS '2026-03-01 10:00:00.123456789' AS ns,
	DATE '2026-03-01' AS day, TIME '10:00:00' AS clock, INTERVAL '1 month 2 days 3 seconds' AS iv, 'infinity'::TIMESTAMPTZ AS forever,
	MAP {'k': 'v', 'n': NULL} AS m, [1, NULL, 3] AS l, {'a': 'x', 'b': [0.5, 'nan'::DOUBLE, 'inf'::DOUBLE], 'NaN': 'NaN"'} AS s,
	E'{"x":\n [1, 2]}'::JSON AS j, 'bytes'::BLOB AS bl, '101'::BIT AS bits, '6ba7b810-9dad-11d1-80b4-00c04fd430c8'::UUID AS id,
	'b'::ENUM('a', 'b') AS en, union_value(num := 2) AS un, 1 AS dup, 2 AS dup`

func result(t *testing.T, sql, format string) string {
	t.Helper()
	db, err := duck.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(t.Context(), "SET TimeZone = 'UTC'"); err != nil {
		t.Fatal(err)
	}
	stmt, err := c.Prepare(sql)
	if err != nil {
		t.Fatal(err)
	}
	cols := stmt.Columns()
	stmt.Close()
	text, shown := Select(sql, cols)
	rows, err := c.Query(t.Context(), text)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w, err := New(format, &b)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Begin(shown); err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		if err := w.Row(rows.Row()); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormatsAreAsTheyWere(t *testing.T) {
	// A second row is of nulls only.
	sql := "SELECT r.* FROM range(2) t(i) LEFT JOIN (" + statement + ", 0 AS i) r ON r.i = t.i ORDER BY t.i"
	for _, format := range []string{"table", "csv", "json", "jsonl"} {
		got := result(t, sql, format)
		path := filepath.Join("testdata", "all."+format)
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", format, got, want)
		}
	}
}

func TestJSONIsJSONAndCSVIsCSV(t *testing.T) {
	sql := statement + " FROM range(3)"
	var rows []map[string]any
	if err := json.Unmarshal([]byte(result(t, sql, "json")), &rows); err != nil || len(rows) != 3 {
		t.Fatalf("json: got %d rows, %v", len(rows), err)
	}
	for name, want := range map[string]any{
		"lines": "two\nlines\ttab \x01", "nan": "NaN", "inf": "-Infinity", "dup": 1.0, "dup_1": 2.0, "utf": "grüße ⏎ 日本", "yes": true,
	} {
		if rows[0][name] != want {
			t.Errorf("json: %s: got %#v, want %#v", name, rows[0][name], want)
		}
	}
	if got := rows[0]["s"].(map[string]any)["NaN"]; got != `NaN"` {
		t.Errorf("json: a string within a struct: got %#v", got)
	}
	for _, line := range strings.Split(strings.TrimSpace(result(t, sql, "jsonl")), "\n") {
		if !json.Valid([]byte(line)) {
			t.Errorf("jsonl: no JSON: %s", line)
		}
	}
	records, err := stdcsv.NewReader(strings.NewReader(result(t, sql, "csv"))).ReadAll()
	if err != nil || len(records) != 4 {
		t.Fatalf("csv: got %d records, %v", len(records), err)
	}
	if got, want := records[1][13], "two\nlines\ttab \x01"; got != want {
		t.Errorf("csv: got %q, want %q", got, want)
	}
	if got := result(t, "SELECT 1 AS x WHERE false", "json"); got != "[]\n" {
		t.Errorf("json without rows: got %q", got)
	}
}

func TestTablesShowLongResultsWithoutHoldingThem(t *testing.T) {
	got := strings.Split(result(t, "SELECT i AS n, repeat('x', CAST(i // 100 AS INT)) AS x FROM range(3000) t(i) ORDER BY i", "table"), "\n")
	if len(got) != 3003 || !strings.HasPrefix(got[2], "  0  ") || len([]rune(got[3001])) < 29 {
		t.Errorf("got %d lines, the first row %q, the last %q", len(got), got[2], got[3001])
	}
	got = strings.Split(result(t, "SELECT 1 AS a, repeat('ü', 500) AS b", "table"), "\n")
	if n := len([]rune(got[2])); n != 1+2+maxWidth || !strings.HasSuffix(got[2], "…") {
		t.Errorf("a long cell has %d characters: %q", n, got[2])
	}
}

func FuzzAppendStringIsJSON(f *testing.F) {
	for _, s := range []string{"", "x", "\"\\\n\x00\x7f", "\xff\xfe", "\u2028ü"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && len(got) == 0 && len(s) > 0 {
			t.Errorf("%q: got %q, %v", s, got, err)
		}
	})
}

func FuzzValueIsJSONWhereDuckDBsIs(f *testing.F) {
	f.Add(`{"a":[NaN,-Infinity,Infinity],"NaN\\\"":"NaN"}`)
	f.Fuzz(func(t *testing.T, s string) {
		if json.Valid([]byte(s)) && !json.Valid([]byte(value(s))) {
			t.Errorf("%q becomes %q", s, value(s))
		}
	})
}
