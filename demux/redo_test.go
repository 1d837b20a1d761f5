package demux

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// jsonChunks are chunks of JSON lines of some streams, each line an hour later than
// the one before.
func jsonChunks(streams, chunks, lines int) (out [][]chunk.Chunk) {
	at := time.Date(2026, 1, 2, 0, 30, 0, 0, time.UTC)
	for s := range streams {
		id, first := fmt.Sprint("s", s), int64(0)
		for c := range chunks {
			var body []byte
			for l := range lines {
				n := c*lines + l
				body = fmt.Appendf(body, `{"ts":%q,"msg":"line %d of %s","n":%d}`+"\n", at.Add(time.Duration(n%7)*time.Hour).Format(time.RFC3339), n, id, n)
			}
			if c == 1 {
				body = append(body, "this is no JSON\n"...)
			}
			out = append(out, []chunk.Chunk{{
				Type: "app", Host: "h", Source: "/log/" + id, Stream: id, First: first, Last: first + int64(len(body)),
				Time: at.Add(20 * time.Hour), Body: body,
			}})
			first += int64(len(body))
		}
	}
	return out
}

// rawFirst makes a table of JSON lines that were parsed as raw.
func rawFirst(t testing.TB, st store.FS) (rows []row) {
	t.Helper()
	for _, b := range jsonChunks(3, 4, 20) {
		publish(t, st, b)
		runOnce(t, testDemux(t, st, nil))
	}
	return tableRows(t, st)
}

func asJSON(c *Config) {
	c.Types = map[string]TypeConfig{"app": {Spec: parse.MustSpec("json")}}
}

// sameRows compares the streams and offsets of rows.
func sameRows(t testing.TB, got, want []row) {
	t.Helper()
	key := func(r row) string { return fmt.Sprintf("%s %012d", r.Stream, r.Seq) }
	sorted := func(rows []row) (keys []string) {
		for _, r := range rows {
			keys = append(keys, key(r))
		}
		slices.Sort(keys)
		return keys
	}
	if g, w := sorted(got), sorted(want); !slices.Equal(g, w) {
		t.Fatalf("%d rows, %d before, or they begin elsewhere", len(g), len(w))
	}
}

func coverageOf(t testing.TB, st store.FS) string {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	cov, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := ""
	for _, id := range cov.IDs() {
		s += fmt.Sprintln(id, cov[id].Ranges, cov[id].Dropped)
	}
	return s
}

func TestRowsAreParsedAgainFromTheArchive(t *testing.T) {
	st := testStore(t)
	before := rawFirst(t, st)
	covered := coverageOf(t, st)
	d := testDemux(t, st, asJSON)
	dry, err := d.Redo(t.Context(), Redo{Type: "app", DryRun: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if dry.RowsBefore != 243 || dry.RowsAfter != 243 || dry.ParseErrors != 3 || dry.LeftTotal != 0 || len(dry.Before) == 0 || len(dry.Before) != len(dry.After) {
		t.Errorf("a dry run: got %+v", dry)
	}
	for i, b := range dry.Before {
		a := dry.After[slices.IndexFunc(dry.After, func(r SampleRow) bool { return r["seq"] == b["seq"] && r["stream"] == b["stream"] })]
		if a["n"] == "" || b["n"] != "" || a["ts"] == b["ts"] {
			t.Errorf("sample %d: %v became %v", i, b, a)
		}
	}
	sameRows(t, tableRows(t, st), before)
	rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rep.RowsBefore != 243 || rep.RowsAfter != 243 || rep.Files != 12 || rep.FilesAfter != 8 || rep.LeftTotal != 0 {
		t.Errorf("got %+v", rep)
	}
	after := tableRows(t, st)
	sameRows(t, after, before)
	if got := coverageOf(t, st); got != covered {
		t.Errorf("coverage is %s, was %s", got, covered)
	}
	failed := 0
	for _, r := range after {
		if r.ParseError != nil {
			failed++
		}
	}
	if failed != 3 {
		t.Errorf("%d rows have a parse_error, want 3", failed)
	}
	// By the time that the rows have now.
	since := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	if rep, err = d.Redo(t.Context(), Redo{Type: "app", Since: since, Until: since.Add(2 * time.Hour)}, 0); err != nil || rep.Files != 2 {
		t.Errorf("two hours: got %+v, %v", rep, err)
	}
	sameRows(t, tableRows(t, st), before)
	for _, b := range jsonChunks(3, 4, 20) {
		publish(t, st, b)
	}
	if rep := runOnce(t, d); rep.Records != 0 {
		t.Errorf("what was redone came back: %+v", rep)
	}
}

func TestWhatTheArchiveHasNotIsLeft(t *testing.T) {
	st := testStore(t)
	before := rawFirst(t, st)
	days, err := st.List(t.Context(), "archive/app")
	if err != nil || len(days) == 0 {
		t.Fatal(err)
	}
	sinks, err := st.List(t.Context(), days[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Remove(t.Context(), sinks[5].Path); err != nil {
		t.Fatal(err)
	}
	d := testDemux(t, st, asJSON)
	rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rep.LeftTotal != 1 || rep.Files != 11 {
		t.Errorf("got %+v, want 1 file left", rep)
	}
	sameRows(t, tableRows(t, st), before)
}

func TestForksAreNotRedone(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)}, []chunk.Chunk{lines("b", 0, 10)})
	runOnce(t, d)
	other := lines("a", 0, 10)
	for i := range other.Body {
		if other.Body[i] == 'a' {
			other.Body[i] = 'x'
		}
	}
	publish(t, st, []chunk.Chunk{other})
	if rep := runOnce(t, d); rep.Forks != 1 {
		t.Fatalf("got %+v, want a fork", rep)
	}
	before := tableRows(t, st)
	rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Files != 0 || rep.LeftTotal == 0 {
		t.Errorf("got %+v, want the files with forks left", rep)
	}
	sameRows(t, tableRows(t, st), before)
}

// The process dies after the k-th change of the store while it redoes, or in the
// k-th write, for every k; the next one brings all to an end.
func TestACrashWhileRowsAreRedoneLosesAndDoublesNothing(t *testing.T) {
	var before []row
	another := prepared(t, func(st store.FS) {
		for _, b := range jsonChunks(1, 2, 6) {
			publish(t, st, b)
			runOnce(t, testDemux(t, st, nil))
		}
		before = tableRows(t, st)
	})
	for _, when := range []storetest.When{storetest.After, storetest.Torn} {
		for k, crashed := 0, true; crashed; k++ {
			inner := another()
			st := storetest.NewFaulty(inner)
			st.CrashAt(k, when)
			d := testDemux(t, st, asJSON)
			d.patience = 0
			_, _ = d.Redo(context.Background(), Redo{Type: "app"}, 0)
			crashed = st.Crashed()
			_ = inner.Remove(t.Context(), lease.Path("app"))
			_ = inner.Remove(t.Context(), lease.JobPath("app"))
			sameRows(t, tableRows(t, inner), before)
			next := testDemux(t, inner, asJSON)
			if _, err := next.Redo(t.Context(), Redo{Type: "app"}, 0); err != nil {
				t.Fatal(err)
			}
			if _, err := next.Expire(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			sameRows(t, tableRows(t, inner), before)
			if t.Failed() {
				t.Fatalf("crash at %d (%v)", k, when)
			}
		}
	}
}

// A dry run shows rows as they are by the names that columns have now, and as today's
// parser and steps make them, in whatever hours they are then.
func TestADryRunShowsRowsBeforeAndAfter(t *testing.T) {
	st := testStore(t)
	var body []byte
	at := time.Date(2026, 1, 2, 0, 30, 0, 0, time.UTC)
	for n := range 20 {
		when := at.Add(time.Duration(12-n) * time.Hour).Format(time.RFC3339)
		body = fmt.Appendf(body, `{"when":%q,"msg":"user u%d@example.org","n":%d,"debug":true}`+"\n", when, n, n)
	}
	c := chunk.Chunk{Type: "app", Host: "h", Source: "/log", Stream: "s", Last: int64(len(body)), Time: at.Add(20 * time.Hour), Body: body}
	publish(t, st, []chunk.Chunk{c})
	runOnce(t, testDemux(t, st, asJSON))
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Alter(t.Context(), schema.Change{Column: "n", Name: "number"}); err != nil {
		t.Fatal(err)
	}
	d := configured(t, st, "{app: {parser: json, steps: [{rename: {when: ts}}, {drop: [debug]}, {set: {env: prod}}, {redact: {what: [email]}}]}}")
	dry, err := d.Redo(t.Context(), Redo{Type: "app", DryRun: true}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(dry.Before) != maxSamples || len(dry.After) != maxSamples {
		t.Fatalf("got %d rows before and %d after, want %d", len(dry.Before), len(dry.After), maxSamples)
	}
	for _, a := range dry.After {
		b := dry.Before[slices.IndexFunc(dry.Before, func(r SampleRow) bool { return r["seq"] == a["seq"] })]
		if b["message"] != "user u"+b["number"]+"@example.org" || b["debug"] != "true" || b["when"] == "" || b["number"] == "" || b["n"] != "" {
			t.Errorf("before: %v", b)
		}
		if a["message"] != "user [email]" || a["env"] != "prod" || a["debug"] != "" || a["number"] != b["number"] || a["ts"] == b["ts"] {
			t.Errorf("after: %v", a)
		}
	}
}
