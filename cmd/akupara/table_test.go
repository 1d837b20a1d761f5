package main

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/local"
)

func TestColumnsAreListedRenamedDroppedAndDocumented(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "data", "store")
	writeFile(t, filepath.Join(root, "README.md"), "")
	fs, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	s := querytest.On(fs, (&url.URL{Scheme: "file", Path: root}).String())
	s.Commit(t, "json", querytest.Data("app", "s", 0, `{"status":200,"debug":"x","note":null}`+"\n"))
	s.Commit(t, "json", querytest.Data("app", "s", 100, `{"status":"none"}`+"\n"))

	for _, c := range []struct {
		args []string
		code int
		want string // in what it prints
	}{
		{[]string{"table", "columns", "app"}, 0, "15  status       long"},
		{[]string{"table", "columns", "app"}, 0, "50.0%"},
		{[]string{"table", "columns", "none"}, 1, "there is no table none"},
		{[]string{"table", "columns", "../x"}, 1, "there is no table ../x"},
		{[]string{"table"}, 2, "columns, rename, drop or doc"},
		{[]string{"table", "move"}, 2, "is not known"},
		{[]string{"table", "rename", "app", "status"}, 2, "its new name"},
		{[]string{"table", "rename", "app", "ts", "time"}, 1, "every table has"},
		{[]string{"table", "rename", "app", "nope", "time"}, 1, `no column "nope"`},
		{[]string{"table", "rename", "app", "status", "debug"}, 1, "there is a column debug already"},
		{[]string{"table", "rename", "app", "status", "code", "--dry-run"}, 0, "would be: column status of table app is code"},
		{[]string{"table", "rename", "app", "status", "code"}, 0, "values of these keys go to it, too: status"},
		{[]string{"table", "rename", "app", "status", "code"}, 1, "no column"},
		{[]string{"table", "doc", "app", "code", "HTTP status"}, 0, "is documented"},
		{[]string{"table", "doc", "app", "ts", "when"}, 0, "is documented"},
		{[]string{"table", "columns", "app"}, 0, "HTTP status"},
		{[]string{"table", "drop", "app", "debug"}, 2, "say --yes"},
		{[]string{"table", "drop", "app", "debug", "--dry-run"}, 0, "would be: column debug of table app is dropped: 1 of its 2 rows have a value of it"},
		{[]string{"table", "drop", "app", "debug", "--yes"}, 0, "is dropped"},
		{[]string{"table", "columns", "app"}, 0, "as their columns were dropped: debug"},
		{[]string{"query", "--format", "csv", "select seq, coalesce(cast(code as varchar), attributes['status']) as status from app order by seq"}, 0, "0,200\n100,none\n"},
		{[]string{"query", "describe app"}, 0, "code"},
		{[]string{"query", "select debug from app"}, 1, "debug"},
		{[]string{"__complete", "table", "rename", ""}, 0, "app"},
		{[]string{"__complete", "table", "rename", "app", ""}, 0, "code"},
	} {
		stdout, stderr, code := call(t, dir, c.args...)
		if code != c.code || !strings.Contains(stdout+stderr, c.want) {
			t.Errorf("akupara %s: exit code %d, want %d and %q in\n%s%s", strings.Join(c.args, " "), code, c.code, c.want, stdout, stderr)
		}
	}
	stdout, _, _ := call(t, dir, "table", "columns", "app", "--json")
	var cols demux.TableColumns
	if err := json.Unmarshal([]byte(stdout), &cols); err != nil || len(cols.Columns) != 11 || cols.Columns[10].Name != "code" || cols.Columns[10].Doc != "HTTP status" {
		t.Errorf("--json: %v in %s", err, stdout)
	}
	if out, _, _ := call(t, dir, "__complete", "table", "drop", "app", ""); strings.Contains(out, "message") {
		t.Errorf("columns that every table has are offered: %s", out)
	}

	// What the config gives can't be dropped, and a check says what is wrong with it.
	conf := filepath.Join(dir, "akupara.yaml")
	text := "store: file://" + root + "\ndata_dir: " + filepath.Join(dir, "data") + "\ndemux:\n  types:\n    app:\n      parser: json\n      columns:\n        code: "
	writeFile(t, conf, text+"long\n")
	if _, stderr, code := call(t, dir, "--config", conf, "table", "drop", "app", "code", "--yes"); code != 1 || !strings.Contains(stderr, "akupara.yaml:8:15") {
		t.Errorf("drop of what the config gives: exit code %d, %s", code, stderr)
	}
	writeFile(t, conf, text+"int\n")
	if stdout, _, code := call(t, dir, "--config", conf, "check"); code != 1 ||
		!strings.Contains(stdout, `akupara.yaml:8:15: demux.types.app.columns.code: "int" is not a type of a column; allowed: boolean, date, double, long, string, timestamp`) {
		t.Errorf("check: exit code %d, %s", code, stdout)
	}
}

func TestDeclaredColumnsAreQueried(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "data", "store")
	writeFile(t, filepath.Join(root, "README.md"), "")
	fs, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	s := querytest.On(fs, (&url.URL{Scheme: "file", Path: root}).String())
	s.Publish(t, querytest.Data("app", "s", 0, `{"ts":"2026-03-01T10:00:00Z","day":"1969-12-31","at":"2026-01-02T03:04:05.5Z","price":1.50,"n":"7"}`+"\n"))
	conf := filepath.Join(dir, "akupara.yaml")
	writeFile(t, conf, "store: file://"+root+"\ndata_dir: "+filepath.Join(dir, "data")+
		"\ndemux:\n  types:\n    app: {parser: json, columns: {day: date, at: timestamp, price: string, n: long, later: date}}\n")
	if _, stderr, code := call(t, dir, "--config", conf, "demux", "--once"); code != 0 {
		t.Fatal(stderr)
	}
	stdout, stderr, code := call(t, dir, "--config", conf, "query", "--format", "csv",
		"select day, day + 1 as following, \"at\", price, n + 1 as n, later, typeof(later) as type from app where day < date '1970-01-01'")
	if want := "day,following,at,price,n,later,type\n1969-12-31,1970-01-01,2026-01-02T03:04:05.500000Z,1.50,8,,DATE\n"; code != 0 || stdout != want {
		t.Errorf("exit code %d, got %q, want %q\n%s", code, stdout, want, stderr)
	}
}
