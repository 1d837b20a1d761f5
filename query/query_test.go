package query

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/schema"
)

func TestTablesAreReadByFieldIDAcrossSchemas(t *testing.T) {
	w := newWorld(t)
	old := columns()
	cols := schema.Plan(old, []schema.Column{
		{Name: "user.name", Type: schema.String}, {Name: "Bytes", Type: schema.Long},
		{Name: "ratio", Type: schema.Double}, {Name: "ok", Type: schema.Boolean},
	}, old[len(old)-1].ValueID)
	w.table("my-app", cols)
	w.add("my-app", old, day(1, 0), 2, nil)
	w.add("my-app", cols, day(1, 1), 2, map[string]string{
		"user.name": "'ann'", "Bytes": "i + 7", "ratio": "0.5", "ok": "true",
		"tags": "MAP {'dc': 'b', 'empty': NULL}",
	})
	// The order of a file's columns is not the table's.
	turned := []schema.Column{cols[11], cols[0], cols[1], cols[2], cols[3], cols[4]}
	w.add("my-app", turned, day(1, 2), 1, map[string]string{"Bytes": "99"})
	e := w.engine(Options{})
	got := lines(t, e, `SELECT seq, "user.name", bytes, ratio, ok, tags, level FROM "my-app" ORDER BY ts`)
	want := `0,,,,,"{""dc"":""a""}",INFO|10,,,,,"{""dc"":""a""}",INFO|` +
		`0,ann,7,0.5,true,"{""dc"":""b"",""empty"":null}",INFO|10,ann,8,0.5,true,"{""dc"":""b"",""empty"":null}",INFO|0,,99,,,,`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := lines(t, e, `SELECT * EXCLUDE (ts, tags, attributes) FROM "my-app" WHERE bytes = 99`), "h1,/var/log/x,s1,0,,,,,99,,"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := lines(t, e, `SELECT count(*) FROM "my-app" WHERE "user.name" IS NULL`), "3"; got != want {
		t.Errorf("rows without the added column: got %s, want %s", got, want)
	}
}

func TestATableWithoutFilesIsEmptyAndHasItsColumns(t *testing.T) {
	w := newWorld(t)
	w.table("idle", columns(schema.Column{Name: "n", Type: schema.Long}))
	e := w.engine(Options{})
	if got := lines(t, e, "SELECT count(*), sum(n), max(ts) FROM idle"); got != "0,," {
		t.Errorf("got %q", got)
	}
	if got, want := lines(t, e, "SELECT column_name, column_type FROM (DESCRIBE idle) LIMIT 2"), "ts,TIMESTAMP WITH TIME ZONE|host,VARCHAR"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestShowAndDescribeAndTheirLike(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{})
	if got := ask(t, e, "csv", "show tables"); got != "name,state\n" {
		t.Errorf("without tables: got %q", got)
	}
	for _, name := range []string{"b-b", "a"} {
		w.table(name, columns())
	}
	w.add("a", columns(), day(1, 0), 3, nil)
	if got, want := ask(t, e, "csv", "SHOW TABLES;"), "name,state\na,ok\nb-b,ok\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for sql, want := range map[string]string{
		`describe "b-b"`:             "ts,TIMESTAMP WITH TIME ZONE",
		"DESCRIBE a":                 "ts,TIMESTAMP WITH TIME ZONE",
		"describe select seq from a": "seq,BIGINT",
		"summarize a":                "ts,TIMESTAMP WITH TIME ZONE,",
		"FROM a SELECT seq":          "0|10|20",
		"VALUES (1), (2)":            "1|2",
		"table a":                    "2026-03-01T00:00:00.000000Z,h1",
		"with a as (select 5 as x) select x from a":  "5",
		"select n.x from (select 1 as x) n":          "1",
		"select /* ; */ ';' as x -- the end;":        ";",
		";; select 1;;":                              "1",
		"select count(*) from A":                     "3",
		"select max(i) from range(5) t(i)":           "4",
		"explain select * from a":                    "physical_plan",
		"explain analyze select 1":                   "analyzed_plan",
		"EXPLAIN (FORMAT json) select 1":             "physical_plan",
		"select 'x' union all select 'y'":            "x|y",
		"select count(*) from a, lateral (select 1)": "3",
	} {
		if got := lines(t, e, sql); !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want it to start with %q", sql, got, want)
		}
	}
}

func TestStatementsThatDoMoreThanReadAreRefused(t *testing.T) {
	w := newWorld(t)
	w.table("a", columns())
	w.add("a", columns(), day(1, 0), 3, nil)
	cacheDir := t.TempDir()
	inside := w.root + "/tables/a/data/f0.parquet"
	e := w.engine(Options{CacheDir: cacheDir})
	t.Setenv("SECRET", "1")
	for _, sql := range []string{
		"", ";", "-- nothing", "select 1; select 2", "select 1;; drop table a", "select",
		"select * from read_text('/etc/passwd')", "select * from read_blob('/etc/passwd')",
		"select * from read_csv('/etc/passwd')", "from read_csv_auto('/etc/passwd')", "from read_json('/etc/passwd')",
		"select * from glob('/etc/*')", "select * from '/etc/passwd'", "from '" + inside + "'", `from "` + inside + `"`,
		"from read_parquet('" + inside + "')", "from parquet_metadata('" + inside + "')", "from parquet_scan('" + inside + "')",
		"from glob('" + w.root + "/tables/**')",
		"copy a to '/tmp/x.csv'", "copy (select 1) to '" + w.root + "/tables/x.parquet'", "copy (select 1) to '" + cacheDir + "/x.parquet'",
		"explain analyze copy (select 1) to '" + cacheDir + "/x.parquet'", "explain copy (select 1) to '" + cacheDir + "/x.parquet'",
		"explain analyze create table x(i int)", "explain explain select 1", "explain analyze select * from read_text('/etc/passwd')",
		"attach '/tmp/x.db'", "attach '" + cacheDir + "/x.db'", "detach memory", "use temp",
		"install httpfs", "load httpfs", "load '/tmp/x.so'", "force install json",
		"set memory_limit='1TB'", "set lock_configuration=false", "reset memory_limit", "set variable x = 1",
		"pragma database_list", "pragma memory_limit='1TB'", "pragma enable_profiling", "call pragma_version()", "call enable_logging()",
		"select * from enable_logging('x')", "select * from duckdb_settings()", "select * from duckdb_secrets()",
		"select * from pragma_database_list", "select * from arrow_scan(1, 2, 3)", "select * from query('select 1')",
		"select * from query_table('a')", "select * from (select * from read_text('/etc/passwd'))",
		"with x as (select * from read_text('/etc/passwd')) select 1 from x", "select (select content from read_text('/etc/passwd'))",
		"select 1 where exists (from glob('/etc/*'))", "select * from a where ts in (select 1 from glob('*'))",
		"select * from a order by (select count(*) from glob('/etc/*'))", "select * from a, read_text('/etc/passwd')",
		"select * from a join glob('*') g on true", "select list(x) filter (where exists (from glob('*'))) from (values (1)) v(x)",
		"select getenv('SECRET')", "select current_setting('temp_directory')", "select getvariable('x')",
		"select * from json_execute_serialized_sql('x')", "pragma json_execute_serialized_sql('x')",
		"create table x(i int)", "create temp table x as select 1", "create view x as select 1", "create macro f() as 1",
		"create secret (type s3)", "insert into a select * from a", "update a set seq = 1", "delete from a", "drop view a",
		"alter view a rename to b", "begin", "commit", "checkpoint", "vacuum", "analyze", "export database '" + cacheDir + "/x'",
		"import database '/tmp/x'", "prepare p as select 1", "execute p", "deallocate p",
		"select * from information_schema.tables", "select * from main.a", "select * from system.information_schema.tables",
		"select * from sqlite_master", "select * from duckdb_tables", "show all tables", "show databases", "describe",
		"select ?", "select $1", "select * from nosuch", `select * from "../a"`, "select 1 \x00; drop table a",
		"pivot a on level using count(*)", "select nextval('x')",
	} {
		var out strings.Builder
		_, err := e.Query(t.Context(), sql, "csv", &out)
		var theirs *Error
		if !errors.As(err, &theirs) || out.Len() > 0 {
			t.Errorf("%s: got error %#v and output %q, want an *Error and nothing", sql, err, out.String())
		}
		if _, err := e.Query(t.Context(), sql, "parquet", &out); !errors.As(err, &theirs) || out.Len() > 0 {
			t.Errorf("%s as parquet: got error %#v and output %q, want an *Error and nothing", sql, err, out.String())
		}
	}
	if _, err := os.Stat(cacheDir + "/x.parquet"); err == nil {
		t.Error("a statement wrote into the cache")
	}
	if got := lines(t, e, "select count(*) from a"); got != "3" {
		t.Errorf("afterwards: got %s rows, want 3", got)
	}
}

// What the syntax tree does not tell must fail in DuckDB itself.
func TestDuckDBItselfIsLockedDown(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{})
	c, err := e.db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	outside := t.TempDir()
	if err := os.WriteFile(outside+"/secret.csv", []byte("a,b\n1,2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{
		"SELECT content FROM read_text('" + outside + "/secret.csv')",
		"SELECT file FROM glob('" + outside + "/*')",
		"SELECT content FROM read_text('" + w.root + "/tables/../../secret')",
		"COPY (SELECT 1) TO '" + outside + "/x.csv'",
		"ATTACH '" + outside + "/x.db'",
		"INSTALL httpfs", "LOAD httpfs", "LOAD '" + outside + "/x.duckdb_extension'",
		"SET memory_limit = '1TB'", "SET GLOBAL lock_configuration = false", "SET enable_external_access = true",
		"SET allowed_directories = ['/']", "SET TimeZone = 'Asia/Tokyo'", "RESET threads",
		"SELECT * FROM 'https://example.com/x.parquet'",
	} {
		if err := c.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: it ran", sql)
		}
	}
}

func TestErrorsHelpWhoWroteTheStatement(t *testing.T) {
	w := newWorld(t)
	e := w.engine(Options{MaxRows: 5, MaxSQL: 1000})
	w.table("hadoop", columns())
	w.add("hadoop", columns(), day(1, 0), 10, nil)
	f, err := w.fs.Create(t.Context(), "raw/fresh/2026-03-01/x.avro")
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"select * from hadop":               "there is no table hadop; `show tables` lists them: hadoop",
		"select * from fresh":               "has no rows yet",
		"select nosuch from hadoop":         `"nosuch" not found`,
		"selct 1":                           "syntax error",
		"select cast('x' as int)":           "onversion error",
		"select 1; select 2":                "exactly one statement",
		"copy hadoop to 'x'":                "only statements that read",
		"select * from hadoop":              "more than 5 rows",
		strings.Repeat("select 1    ", 100): "at most 1000",
		"select * from read_text('x')":      "read_text is not allowed",
	} {
		for _, format := range []string{"json", "parquet"} {
			var b strings.Builder
			_, err := e.Query(t.Context(), sql, format, &b)
			var theirs *Error
			if !errors.As(err, &theirs) || !strings.Contains(err.Error(), want) {
				t.Errorf("%s as %s: got %v, want an *Error with %q", sql, format, err, want)
			}
		}
	}
	var b strings.Builder
	if _, err := e.Query(t.Context(), "select 1", "xml", &b); err == nil || !strings.Contains(err.Error(), "table, csv, json, jsonl, parquet") {
		t.Errorf("format xml: got %v", err)
	}
}
