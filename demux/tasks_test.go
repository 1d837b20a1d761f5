package demux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/store"
)

// onlyTheTablesFiles makes sure that no data files are there but the table's and those
// that it once had, and returns how many it has.
func onlyTheTablesFiles(t *testing.T, st store.FS, once ...string) int {
	t.Helper()
	has := namedFiles(t, st)
	for _, p := range dataFiles(t, st) {
		if !has[p] && !slices.Contains(once, p) {
			t.Errorf("%s is not the table's", p)
		}
	}
	return len(has)
}

// discardSecond removes what second attempts made: orphans, until then.
func (f *flaky) discardSecond(t *testing.T, kind string) {
	t.Helper()
	for _, r := range f.left {
		f.Doers[kind].Discard(t.Context(), r)
	}
	f.left = nil
}

func sameText(t *testing.T, got, want map[string]string) {
	t.Helper()
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("row %s is\n%s, want\n%s", key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
}

func TestARedoByTasksMakesTheSameRows(t *testing.T) {
	here, there := testStore(t), testStore(t)
	for _, st := range []store.FS{here, there} {
		rawFirst(t, st)
	}
	raw, once := everyRow(t, there), dataFiles(t, there)
	want, err := testDemux(t, here, jsonLines).Redo(t.Context(), Redo{Type: "app"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	broken := true
	e := &flaky{Local: localEngine(there), fail: func(i int) bool { return broken && i == 2 }}
	d := tasked(t, there, 2000, e)
	if rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0); err == nil || rep.Files > 0 {
		t.Fatalf("%+v, %v; want the engine's error", rep, err)
	}
	e.discardSecond(t, kindRedo)
	sameText(t, everyRow(t, there), raw)
	onlyTheTablesFiles(t, there, once...)

	broken, e.tasks = false, 0
	got, err := d.Redo(t.Context(), Redo{Type: "app"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got.RowsAfter != want.RowsAfter || got.Files != want.Files || got.ParseErrors != 3 || got.LeftTotal != 0 || got.Bytes != want.Bytes {
		t.Errorf("got %+v, in this process %+v", got, want)
	}
	if e.tasks < 2*4 { // first to find the columns, then to write rows
		t.Errorf("%d tasks, want more", e.tasks)
	}
	e.discardSecond(t, kindRedo)
	sameText(t, everyRow(t, there), everyRow(t, here))
	onlyTheTablesFiles(t, there, once...)
	if got, want := coverageOf(t, there), coverageOf(t, here); got != want {
		t.Errorf("coverage is %s, want %s", got, want)
	}
}

// manyDays fills a table with some commits of each of some days.
func manyDays(t *testing.T, st store.FS, uri string, days, commits int) {
	t.Helper()
	var c Config
	jsonLines(&c)
	d := newDemux(c, st, uri)
	first := int64(0)
	for c := range commits {
		var body bytes.Buffer
		for day := range days {
			at := time.Date(2026, 1, 2+day, 3, 0, c, 0, time.UTC)
			fmt.Fprintf(&body, `{"ts":%q,"msg":"line %d","k%d":%d}`+"\n", at.Format(time.RFC3339), c, c%3, day)
		}
		n := int64(body.Len())
		publish(t, st, []chunk.Chunk{{
			Type: "app", Host: "h", Source: "/log/a", Stream: "a", First: first, Last: first + n, Time: time.Now(), Body: body.Bytes(),
		}})
		first += n
		runOnce(t, d)
	}
}

func TestACompactionByTasksLosesAndDoublesNothing(t *testing.T) {
	st := testStore(t)
	manyDays(t, st, baseURI, 5, 3)
	want, covered, once := everyRow(t, st), coverageOf(t, st), dataFiles(t, st)
	if n := onlyTheTablesFiles(t, st); n != 15 {
		t.Fatalf("%d files, want one for each day and commit", n)
	}
	broken := true
	e := &flaky{Local: localEngine(st), fail: func(int) bool { return broken }, without: 2}
	d := tasked(t, st, 1, e) // each merge is a task
	out, err := d.compact(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {})
	if err == nil {
		t.Fatalf("%+v: want the engine's error", out)
	}
	e.discardSecond(t, kindCompact)
	sameText(t, everyRow(t, st), want)
	if n := onlyTheTablesFiles(t, st, once...); n != 4+3 || e.tasks != 5 {
		t.Errorf("%d files by %d tasks; want what 4 of 5 tasks merged in place", n, e.tasks)
	}
	broken = false
	if out, err = d.compact(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {}); err != nil || out.Did != "merged 3 files into 1 file, 3 rows" {
		t.Errorf("the rest: %q, %v", out.Did, err)
	}
	e.discardSecond(t, kindCompact)
	sameText(t, everyRow(t, st), want)
	if n := onlyTheTablesFiles(t, st, once...); n != 5 {
		t.Errorf("%d files, want one a day", n)
	}
	if got := coverageOf(t, st); got != covered {
		t.Errorf("coverage is %s, was %s", got, covered)
	}
}

// What there is little of is done by this process.
func TestLittleWorkIsNotSpread(t *testing.T) {
	st := testStore(t)
	manyDays(t, st, baseURI, 2, 2)
	e := &flaky{Local: localEngine(st)}
	d := tasked(t, st, 1, e)
	d.tasks.least = 1 << 20
	if out, err := d.compact(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {}); err != nil || out.Did == "" {
		t.Errorf("%+v, %v", out, err)
	}
	if rep, err := d.Redo(t.Context(), Redo{Type: "app"}, 0); err != nil || rep.Files != 2 {
		t.Errorf("%+v, %v", rep, err)
	}
	if e.tasks > 0 {
		t.Errorf("%d tasks", e.tasks)
	}
}

// blocked is an engine whose work ends when it is stopped.
type blocked struct{ begun chan engine.Work }

func (b blocked) Run(ctx context.Context, w engine.Work, tell func(engine.Progress)) ([]json.RawMessage, error) {
	tell(engine.Progress{Done: 1, Job: "application_1_2"})
	b.begun <- w
	<-ctx.Done()
	return make([]json.RawMessage, len(w.Tasks)), ctx.Err()
}

// A run that is stopped is not tried again before its schedule comes round.
func TestARunThatIsStoppedStaysSo(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines("a", 0, 20)}, []chunk.Chunk{lines("b", 0, 20)})
	e := blocked{make(chan engine.Work, 2)}
	d := tasked(t, st, 300, e)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		NewScheduler(d, Options{}).insist(t.Context(), "app", nil)
	}()
	w := <-e.begun
	list := d.running.list()
	if len(list) != 1 || list[0].Name != w.Name || list[0].Kind != kindRun || list[0].Tasks != 2 || list[0].Done != 1 || list[0].Application != "application_1_2" {
		t.Errorf("at work is %+v", list)
	}
	if n := d.running.stop(kindCompact, "") + d.running.stop(kindRun, "other"); n != 0 {
		t.Errorf("%d others were stopped", n)
	}
	if n := d.running.stop(kindRun, "app"); n != 1 {
		t.Errorf("%d were stopped, want 1", n)
	}
	<-ended
	if n := len(d.running.list()) + len(e.begun); n != 0 {
		t.Errorf("%d are at work afterwards", n)
	}
}
