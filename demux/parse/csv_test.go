package parse

import (
	"cmp"
	"slices"
	"strings"
	"testing"
)

func FuzzCSV(f *testing.F) {
	fuzz(f, "csv", "a,b\n\"\n\"\"\",1\n", "\"\n\"\n\"", "a, \"b\" ,\r\n", ",\n,,")
}
func FuzzTSV(f *testing.F) { fuzz(f, "tsv", "a\tb\n\"\t\"\t1\n") }

func TestCSVColumnsAreNamedByHeaderAndConfig(t *testing.T) {
	const records = "alice,login,ok\nbob,7,no\n"
	for _, c := range []struct {
		name, spec, text string
		want             map[string]string // of the last row
		rows             int
	}{
		{"a header that is found", "csv", "user,action,n\nalice,login,1\n", map[string]string{"user": "alice", "action": "login", "n": "1"}, 1},
		{"no header that is found", "csv", "alice,7,ok\nbob,8,no\n", map[string]string{"column1": "bob", "column2": "8", "column3": "no"}, 2},
		{"no header by the config", "{parser: csv, header: false}", records, map[string]string{"column1": "bob", "column2": "7"}, 2},
		{"names of the config, and no header", "{parser: csv, fields: [user, action, result]}", records, map[string]string{"user": "bob", "result": "no"}, 2},
		{"names of the config, and others in the header", "{parser: csv, header: true, fields: [user, action, result]}", records, map[string]string{"user": "bob", "result": "no"}, 1},
		{"the same names in another order", "{parser: csv, fields: [a, b]}", "b,c,a\n1,2,3\n", map[string]string{"b": "1", "c": "2", "a": "3"}, 1},
		{"the same header", "{parser: csv, fields: [a, b]}", "a,b\n1,2\n", map[string]string{"a": "1", "b": "2"}, 1},
		{"another delimiter", "{parser: csv, delimiter: ';'}", "a;b\n1,5;2\n", map[string]string{"a": "1,5", "b": "2"}, 1},
		{"quotes that mean nothing", "{parser: csv, quotes: false}", "a,b\n\"1,2\n", map[string]string{"a": "\"1", "b": "2"}, 1},
		{"the message of another format", "{parser: syslog, message: {parser: csv, fields: [user, n]}}", "<13>Feb 28 10:00:00 h app: anna,5\n", map[string]string{"user": "anna", "n": "5", "app": "app", "ts": "2026-02-28T10:00:00Z"}, 1},
	} {
		got := parsed(t, c.spec, Options{}, body(c.text), nil)
		if len(got) != c.rows {
			t.Errorf("%s: got %d rows, want %d: %v", c.name, len(got), c.rows, got)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			checkRow(t, got[len(got)-1], c.want)
			checkRow(t, got[len(got)-1], map[string]string{"parse_error": ""})
		})
	}
}

// A chunk behind a stream's first has the names of the config alone, and takes no
// record for a header.
func TestCSVBehindTheHeaderHasTheNamesOfTheConfig(t *testing.T) {
	c := body("alice,login\n")
	c.First, c.Last = 100, 100+c.Last
	for spec, want := range map[string]string{"csv": "column2", "{parser: csv, fields: [user, action]}": "action", "{parser: csv, header: true}": "column2"} {
		if got := parsed(t, spec, Options{}, c, nil); len(got) != 1 || got[0][want] != "login" {
			t.Errorf("%s: got %v, want login in %s", spec, got, want)
		}
	}
}

func TestCSVOfACommandHasItsHeaderInEachRecord(t *testing.T) {
	c := body("name,n\na,1\nb,2\nname,size\n\"c\nd\",3\n")
	c.First, c.Last = 50, 50+c.Last
	c.Borders = []int64{15, int64(len(c.Body))}
	got := parsed(t, "csv", Options{}, c, nil)
	if len(got) != 3 || got[0]["n"] != "1" || got[1]["seq"] != "61" || got[2]["size"] != "3" || got[2]["name"] != "c\nd" || got[2]["seq"] != "75" {
		t.Errorf("got %v", got)
	}
}

func TestCSVWhoseQuotesNeverCloseKeepsItsLines(t *testing.T) {
	got := parsed(t, "csv", Options{}, body("1,\"a\n2,b\n3,c\n"), nil)
	if len(got) != 3 || got[0]["parse_error"] != "not csv: the quotes at byte 2 are not closed" || got[2]["column2"] != "c" {
		t.Errorf("got %v", got)
	}
	// Each of these lines would look for its end in all the others.
	checkRecords(t, "csv", strings.Repeat("a\"b,\"x\n", 50_000), 50_000)
}

// checkRecords fails the test where a text does not have as many records.
func checkRecords(t *testing.T, spec, text string, want int) {
	t.Helper()
	if got := mustNew(t, spec, Options{}).Records(body(text)); len(got) != want {
		t.Errorf("%s: got %d records, want %d", spec, len(got), want)
	}
}

func TestCSVOptionsThatAreWrongSayWhy(t *testing.T) {
	for text, want := range map[string]string{
		"{parser: csv, delimiter: ''}":          `delimiter: "" is not allowed`,
		"{parser: csv, delimiter: ab}":          "want one character",
		"{parser: csv, header: maybe}":          "auto, true or false",
		"{parser: csv, fields: [a, '']}":        "the name of field 2 is empty",
		"{parser: json, fields: [a]}":           `"fields"`,
		"{parser: vpcflow, fields: [start, -]}": "a name without a letter or a digit is no name",
	} {
		if _, problems := ReadText(text); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%s:\ngot  %v\nwant %s", text, problems, want)
		}
	}
	var names []string
	for _, d := range Docs() {
		if s := MustSpec(cmp.Or(d.Example, d.Name)); s.TakesNames() {
			names = append(names, d.Name)
		}
	}
	if want := []string{"csv", "tsv", "ssv", "psv"}; !slices.Equal(names, want) {
		t.Errorf("got %q, want %q as those that take names of columns", names, want)
	}
}
