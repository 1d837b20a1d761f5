package stmt

import (
	"strings"
	"testing"
)

func TestCutEndsAtTheStatementsOwnSemicolon(t *testing.T) {
	for sql, want := range map[string][2]string{
		"select 1":                      {"select 1", ""},
		" ;; select 1 ; select 2":       {"select 1", " select 2"},
		"select ';'; x":                 {"select ';'", " x"},
		"select 'it''s;'; x":            {"select 'it''s;'", " x"},
		`select ";"";"; x`:              {`select ";"";"`, " x"},
		"select e'\\';'; x":             {"select e'\\';'", " x"},
		"select re'x;'; y":              {"select re'x;'", " y"},
		"select $$;$$; x":               {"select $$;$$", " x"},
		"select $a$;$$;$a$; x":          {"select $a$;$$;$a$", " x"},
		"select a$b$;$b$":               {"select a$b$", "$b$"},
		"select $1; x":                  {"select $1", " x"},
		"select 1 -- ;\n; x":            {"select 1 -- ;", " x"},
		"/* ; /* ; */ ; */ select 1; x": {"/* ; /* ; */ ; */ select 1", " x"},
		"select '; unterminated":        {"select '; unterminated", ""},
		"select 1 - -2; x":              {"select 1 - -2", " x"},
		"":                              {"", ""},
		"-- only a comment":             {"-- only a comment", ""},
		"select 'ä;'; x":                {"select 'ä;'", " x"},
	} {
		first, rest := Cut(sql)
		if first != want[0] || rest != want[1] {
			t.Errorf("%q: got %q and %q, want %q", sql, first, rest, want)
		}
	}
}

func TestBlankIsWhatHoldsNoStatement(t *testing.T) {
	for sql, want := range map[string]bool{
		"": true, " ;\n; ": true, "-- x": true, "/* x */ ; -- y": true, "select": false, "; x": false, "/* x": true,
	} {
		if got := Blank(sql); got != want {
			t.Errorf("%q: got %v, want %v", sql, got, want)
		}
	}
}

func TestExplainIsSplitOff(t *testing.T) {
	for sql, want := range map[string][2]string{
		"select 1":                               {"", "select 1"},
		"EXPLAIN select 1":                       {"EXPLAIN", " select 1"},
		"explain/**/analyze select 1":            {"explain/**/analyze", " select 1"},
		"explain (format json) select 1":         {"explain (format json)", " select 1"},
		"explain (analyze, format 'a)b') from x": {"explain (analyze, format 'a)b')", " from x"},
		"explained select 1":                     {"", "explained select 1"},
		"explain":                                {"explain", ""},
		"explain (":                              {"explain (", ""},
	} {
		prefix, rest := Explain(sql)
		if strings.TrimSpace(prefix) != want[0] || strings.TrimSpace(rest) != strings.TrimSpace(want[1]) {
			t.Errorf("%q: got %q and %q, want %q", sql, prefix, rest, want)
		}
	}
}

func TestDamagedTreesAreErrors(t *testing.T) {
	for _, tree := range []string{"", "{", "[]", `{"error":false,"statements":[]}`, `{"error":false,"statements":[{},{}]}`, `{"error":true,"error_type":"parser","error_message":"x"}`} {
		if st, err := Parse(tree); err == nil {
			t.Errorf("%q: got %+v", tree, st)
		}
	}
}

// Whatever text comes, its parts are its own bytes in their order, and nothing
// hangs or panics.
func FuzzCut(f *testing.F) {
	for _, s := range []string{"select 1; x", "e'\\", "$a$", "/*/", "--", "explain (", "'", `"`, ";;", "explain analyze x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		first, rest := Cut(sql)
		at := strings.Index(sql, first)
		if at < 0 || !strings.HasSuffix(sql, rest) || len(first)+len(rest) > len(sql) {
			t.Errorf("%q: got %q and %q", sql, first, rest)
		}
		prefix, inner := Explain(first)
		if prefix+inner != first {
			t.Errorf("%q: got %q and %q", first, prefix, inner)
		}
		Blank(sql)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(`{"error":false,"statements":[{"node":{"type":"SELECT_NODE","from_table":{"type":"BASE_TABLE","table_name":"h"},"where_clause":{"type":"COMPARE_EQUAL","left":{"type":"COLUMN_REF","column_names":["ts"]},"right":{"class":"CONSTANT"}}}}]}`)
	f.Add(`{"error":false,"statements":[{"node":{"type":"SELECT_NODE","from_table":{"type":"JOIN","left":1,"right":null}}}]}`)
	f.Fuzz(func(t *testing.T, tree string) {
		st, err := Parse(tree)
		if err != nil {
			return
		}
		for _, table := range st.Tables {
			table.Bounds()
		}
	})
}
