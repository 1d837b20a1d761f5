package demux

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// configured makes a demux by the text of a config's types.
func configured(t testing.TB, st store.FS, types string) *Demux {
	t.Helper()
	return testDemux(t, st, func(c *Config) {
		root, problems := config.Parse("f", []byte("types: "+types))
		if problems = append(problems, config.Decode(root, c)...); len(problems) > 0 {
			t.Fatal(problems)
		}
	})
}

// logged is a chunk of a stream's next lines.
type logged struct{ next int64 }

func (l *logged) chunk(lines ...string) []chunk.Chunk {
	body := []byte(strings.Join(lines, "\n") + "\n")
	c := chunk.Chunk{
		Type: "app", Host: "h", Source: "/log", Stream: "s", First: l.next, Last: l.next + int64(len(body)),
		Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Body: body,
	}
	l.next = c.Last
	return []chunk.Chunk{c}
}

func openApp(t testing.TB, st store.FS) *table.Table {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// ownColumns are the columns beyond the common ones: name:type.
func ownColumns(tab *table.Table) (out []string) {
	for _, c := range tab.Columns()[len(schema.Common()):] {
		out = append(out, c.Name+":"+c.Type.String())
	}
	return out
}

// ownValues are the values of all rows that are in no common column but attributes, a
// line each.
func ownValues(t *testing.T, st store.FS) (out []string) {
	t.Helper()
	rows := wholeTable(t, st)
	slices.SortFunc(rows, func(a, b map[string]string) int {
		return strings.Compare(fmt.Sprintf("%9s", a["seq"]), fmt.Sprintf("%9s", b["seq"]))
	})
	for _, r := range rows {
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(r)) {
			if r[k] != rowstest.Null && r[k] != "" && (!schema.IsCommon(k) || k == schema.Attributes) {
				parts = append(parts, k+"="+strings.TrimSpace(r[k]))
			}
		}
		out = append(out, strings.Join(parts, " "))
	}
	return out
}

func wantValues(t *testing.T, st store.FS, want ...string) {
	t.Helper()
	if got := ownValues(t, st); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

func TestDeclaredColumnsHoldFromTheFirstRow(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, `{app: {parser: json, timezone: Europe/Berlin, columns: {
		status: long, latency: double, ok: boolean, at: timestamp, day: date, note: {type: string, doc: "what was noted"}, later: long}}}`)
	var log logged
	lines := []string{
		`{"status":200,"latency":1.5,"ok":true,"at":"2026-01-02T03:04:05Z","day":"2026-01-02","note":"x"}`,
		`{"status":"201","latency":"0.25","ok":"false","at":1767323045,"day":"0001-01-01","note":1.50}`,
		`{"status":"0203","latency":"1.0000000000000000001","ok":1,"at":"never","day":"2026-02-30","note":{"a":1}}`,
		`{"status":2.5,"latency":7,"ok":null,"at":"2026-01-02 03:04:05.123456789","day":"1969-12-31","note":1E400}`,
		`{"status":204.0,"latency":true,"ok":"yes","at":"0000-01-01T00:00:00Z","day":5,"note":-0.0}`,
		`{"status":9223372036854775807,"latency":9223372036854775807,"note":[1, 2.10]}`,
	}
	publish(t, st, log.chunk(lines...))
	if rep := runOnce(t, d); rep.Records != 6 {
		t.Fatalf("got %+v", rep)
	}
	tab := openApp(t, st)
	want := []string{"status:long", "latency:double", "ok:boolean", "at:timestamp", "day:date", "note:string", "later:long", "note.a:long"}
	if got := ownColumns(tab); !slices.Equal(got, want) {
		t.Errorf("got columns %v, want %v", got, want)
	}
	if c := tab.Columns()[schema.Find(tab.Columns(), "note")]; c.Doc != "what was noted" {
		t.Errorf("got doc %q", c.Doc)
	}
	want = []string{
		"at=1767323045000000 day=20455 latency=1.5 note=x ok=true status=200",
		"at=1767323045000000 day=-719162 latency=0.25 note=1.50 ok=false status=201",
		"attributes=status=0203 latency=1.0000000000000000001 ok=1 at=never day=2026-02-30 note.a=1",
		"at=1767319445123456 attributes=status=2.5 at=2026-01-02 03:04:05.123456789 day=-1 latency=7 note=1E400",
		"attributes=latency=true ok=yes at=0000-01-01T00:00:00Z day=5 note=-0.0 status=204",
		"attributes=latency=9223372036854775807 note=[1, 2.10] status=9223372036854775807",
	}
	wantValues(t, st, want...)
	publish(t, st, log.chunk(lines...))
	runOnce(t, d)
	compactOnce(t, d)
	if n := len(dataFiles(t, st)); n != 3 {
		t.Errorf("%d data files after a compaction, want 2 and the one they became", n)
	}
	merged := openApp(t, st)
	files, err := merged.Files(t.Context(), nil, nil)
	if err != nil || len(files) != 1 {
		t.Fatalf("the table has %d files, %v", len(files), err)
	}
	wantValues(t, st, append(want, want...)...)
}

func TestADeclaredColumnThatTheTableHasOtherwiseGetsOneBeside(t *testing.T) {
	st := testStore(t)
	var log logged
	publish(t, st, log.chunk(`{"status":1,"Mixed":1}`))
	runOnce(t, configured(t, st, `{app: {parser: json}}`))
	var told strings.Builder
	d := configured(t, st, `{app: {parser: json, columns: {status: string, mixed: long}}}`)
	d.log = slog.New(slog.NewTextHandler(&told, nil))
	for range 2 {
		publish(t, st, log.chunk(`{"status":2,"mixed":3}`, `{"status":"x","Mixed":4}`))
		runOnce(t, d)
	}
	wantValues(t, st, "Mixed=1 status=1",
		"attributes=mixed=3 status_string=2", "Mixed=4 status_string=x", "attributes=mixed=3 status_string=2", "Mixed=4 status_string=x")
	for _, want := range []string{"beside=status_string", "key=mixed"} {
		if strings.Count(told.String(), want) != 1 {
			t.Errorf("%s is not told once: %s", want, told.String())
		}
	}
}

func TestDeclaredColumnsThatCantBeAreRefused(t *testing.T) {
	many := make([]string, maxDeclared+1)
	for i := range many {
		many[i] = fmt.Sprintf("c%d: long", i)
	}
	for text, want := range map[string]string{
		"{a: int}":                           `f:1:26: types.a.columns.a: "int" is not a type of a column; allowed: boolean, date, double, long, string, timestamp`,
		"{a: }":                              `types.a.columns.a: "" is not a type`,
		"{a: {doc: x}}":                      `key "type" is missing`,
		"{a: {type: long, unit: s}}":         `unit`,
		"{a: {type: map}}":                   `types.a.columns.a: "map" is not a type`,
		"{TS: long}":                         `types.a.columns.TS: every table has a column ts`,
		"{ts_hour: long}":                    `can't be a column's name`,
		"{a: long, A: long}":                 `there is a already`,
		"[a, b]":                             `want names of columns and their types`,
		"status":                             `want names of columns and their types`,
		`{a: {type: long, doc: "\u0007"}}`:   `types.a.columns.a.doc has characters that are no text`,
		"{" + strings.Join(many, ", ") + "}": `there are 401 columns; at most 400 are allowed`,
		`{a: {type: long, doc: "` + strings.Repeat("x", schema.MaxDoc+1) + `"}}`: `at most 1000 are allowed`,
	} {
		if _, problems := decoded("types: {a: {columns: " + text + "}}"); len(problems) != 1 || !strings.Contains(problems[0].String(), want) {
			t.Errorf("%.60s: got %v, want %s", text, problems, want)
		}
	}
}

func TestColumnsNameTheFieldsOfSeparatedValues(t *testing.T) {
	for _, columns := range []string{"[at, user, amount, zip], types: {amount: double, zip: string}", "{at: timestamp, user: string, amount: double, zip: string}"} {
		st := testStore(t)
		d := configured(t, st, "{app: {parser: csv, columns: "+columns+"}}")
		var log logged
		publish(t, st, log.chunk("2026-01-02 03:04:05,anna,7,01234", "2026-01-02 03:04:06,bert,1.50,99999"))
		if rep := runOnce(t, d); rep.Records != 2 || rep.ParseErrors != 0 {
			t.Fatalf("%s: got %+v", columns, rep)
		}
		at := []string{"at=1767323045000000", "at=1767323046000000"}
		if columns[0] == '[' {
			at = []string{"at=2026-01-02 03:04:05", "at=2026-01-02 03:04:06"}
		}
		wantValues(t, st, "amount=7 "+at[0]+" user=anna zip=01234", "amount=1.5 "+at[1]+" user=bert zip=99999")
	}
}

func mustAlter(t testing.TB, d *Demux, c schema.Change) {
	t.Helper()
	if _, err := d.Alter(t.Context(), "app", c, true); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Alter(t.Context(), "app", c, false); err != nil {
		t.Fatal(err)
	}
}

// compactOnce merges the table's small files.
func compactOnce(t testing.TB, d *Demux) {
	t.Helper()
	if _, err := d.compact(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {}); err != nil {
		t.Fatal(err)
	}
}

func TestValuesFollowARenamedColumnAndLeaveADroppedOne(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, `{app: {parser: json}}`)
	var log logged
	put := func(lines ...string) {
		t.Helper()
		publish(t, st, log.chunk(lines...))
		runOnce(t, d)
	}
	put(`{"status":1,"debug":"a","ok":true}`)
	mustAlter(t, d, schema.Change{Column: "status", Name: "code"})
	mustAlter(t, d, schema.Change{Column: "ok", Name: "fine"})
	mustAlter(t, d, schema.Change{Column: "debug", Drop: true})
	put(`{"status":2,"debug":"b","ok":false}`, `{"code":3,"ok":"no","Debug":"c"}`, `{"status":4,"code":5,"Status":6}`, `{"status":"x","fine":true}`)
	if got, want := ownColumns(openApp(t, st)), []string{"code:long", "fine:boolean"}; !slices.Equal(got, want) {
		t.Errorf("got columns %v, want %v", got, want)
	}
	after := []string{
		"attributes=debug=b code=2 fine=false", "attributes=ok=no Debug=c code=3",
		"attributes=code=5 Status=6 code=4", "attributes=status=x fine=true",
	}
	// The first file has its names of then: readers go by field ids.
	wantValues(t, st, append([]string{"debug=a ok=true status=1"}, after...)...)
	compactOnce(t, d)
	whole := append([]string{"code=1 fine=true"}, after...)
	wantValues(t, st, whole...)
	put(`{"status":7}`)
	if rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0); err != nil || rep.RowsAfter != 6 {
		t.Fatalf("redo: %+v, %v", rep, err)
	}
	whole[0] = "attributes=debug=a code=1 fine=true"
	whole = append(whole, "code=7")
	wantValues(t, st, whole...)

	// What the config gives comes back, as a new column; that can't be dropped then.
	d = configured(t, st, `{app: {parser: json, columns: {debug: {type: string, doc: why}, status: long}}}`)
	put(`{"status":8,"debug":"d"}`)
	wantValues(t, st, append(whole, "code=8 debug=d")...)
	other := "else"
	for _, c := range []schema.Change{{Column: "debug", Drop: true}, {Column: "code", Drop: true}, {Column: "debug", Doc: &other}} {
		if _, err := d.Alter(t.Context(), "app", c, false); err == nil || !strings.Contains(err.Error(), "f:1:") {
			t.Errorf("%+v: got %v, want the place in the config", c, err)
		}
	}
	mustAlter(t, d, schema.Change{Column: "code", Name: "status"})
	put(`{"status":9,"code":10}`)
	if got := ownValues(t, st); !strings.HasSuffix(got[len(got)-1], "attributes=code=10 status=9") {
		t.Errorf("got %s", got[len(got)-1])
	}
	cols, err := d.Columns(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if c := cols.Columns[10]; c.Name != "status" || !slices.Equal(c.Keys, []string{"code"}) || c.Nulls == nil || cols.Rows != 8 {
		t.Errorf("got %+v of %d rows", c, cols.Rows)
	}
	if _, err := d.Alter(t.Context(), "none", schema.Change{Column: "a", Drop: true}, false); !errors.Is(err, ErrNoTable) {
		t.Errorf("of no table: got %v", err)
	}
}

// A parser's own columns are renamed and dropped as any other.
func TestAParsersColumnsAreRenamedAndDropped(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, `{app: {parser: syslog}}`)
	var log logged
	put := func() {
		publish(t, st, log.chunk(`<34>1 2026-01-02T03:04:05Z web app 77 ID1 - hello`))
		runOnce(t, d)
	}
	put()
	before := ownColumns(openApp(t, st))
	mustAlter(t, d, schema.Change{Column: "pid", Name: "process"})
	mustAlter(t, d, schema.Change{Column: "msgid", Drop: true})
	put()
	after := ownColumns(openApp(t, st))
	if len(after) != len(before)-1 || !slices.Contains(after, "process:long") {
		t.Errorf("got columns %v after %v", after, before)
	}
	got := ownValues(t, st)
	if !strings.Contains(got[1], "process=77") || !strings.Contains(got[1], "attributes=msgid=ID1") {
		t.Errorf("got %v", got)
	}
}

// A repair neither brings a dropped column back nor sets aside what was written
// under a name of before.
func TestARepairKnowsAlteredColumns(t *testing.T) {
	st := testStore(t)
	d := configured(t, st, `{app: {parser: json}}`)
	var log logged
	for i := range 3 {
		publish(t, st, log.chunk(fmt.Sprintf(`{"status":%d,"debug":"a"}`, i)))
		runOnce(t, d)
	}
	mustAlter(t, d, schema.Change{Column: "status", Name: "code"})
	mustAlter(t, d, schema.Change{Column: "debug", Drop: true})
	if err := st.Remove(t.Context(), dataFiles(t, st)[0]); err != nil {
		t.Fatal(err)
	}
	mend(t, st)
	runOnce(t, d)
	if got, want := ownColumns(openApp(t, st)), []string{"code:long"}; !slices.Equal(got, want) {
		t.Errorf("got columns %v, want %v", got, want)
	}
	if n := len(ownValues(t, st)); n != 3 {
		t.Errorf("got %d rows, want 3", n)
	}
}
