package demux

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/rows/rowstest"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// jsonLines is a config as it comes from a file: tasks get its text.
func jsonLines(c *Config) {
	*c, _ = configOf("types: {app: {parser: json}}")
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// tasked makes a Demux whose runs are done by tasks, of about so many bytes.
func tasked(t testing.TB, st store.FS, of int64, e engine.Engine) *Demux {
	t.Helper()
	d := testDemux(t, st, jsonLines)
	d.spreadBy(e)
	d.tasks.least, d.tasks.of = 1, of
	return d
}

func localEngine(st store.FS) engine.Local { return engine.Local{Doers: Doers(st, baseURI, quiet)} }

// everyRow is the text of each row by its stream and offset, whatever files they are in.
func everyRow(t *testing.T, st store.FS) map[string]string { return rowsOf(t, st, baseURI) }

func rowsOf(t *testing.T, st store.FS, uri string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, r := range wholeTableAt(t, st, uri) {
		var text []string
		for _, name := range slices.Sorted(maps.Keys(r)) {
			if v := r[name]; v != rowstest.Null && v != "" {
				text = append(text, name+"="+v)
			}
		}
		key := r["stream"] + "@" + r["seq"]
		if out[key] != "" {
			t.Errorf("row %s is there twice", key)
		}
		out[key] = strings.Join(text, " ")
	}
	return out
}

func TestRunsByTasksMakeTheSameRows(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	here, there := testStore(t), testStore(t)
	all := mixed(rnd, 480)
	for i := range all {
		all[i].Body = bytes.ReplaceAll(all[i].Body, []byte("Late"), []byte("Lata"))
	}
	for range 3 { // the second and third time the table has columns
		for range 4 {
			n := len(all) / 12
			chunks := all[:n]
			all = all[n:]
			for _, st := range []store.FS{here, there} {
				publish(t, st, chunks[:15], chunks[15:])
			}
		}
		if _, err := testDemux(t, here, jsonLines).RunType(t.Context(), "app"); err != nil {
			t.Fatal(err)
		}
		rep, err := tasked(t, there, 5000, localEngine(there)).RunType(t.Context(), "app")
		if err != nil {
			t.Fatal(err)
		}
		if rep.Archived != 4 {
			t.Errorf("%d sink files are archived, want 4", rep.Archived)
		}
	}
	got, want := everyRow(t, there), everyRow(t, here)
	for key := range want {
		if got[key] != want[key] {
			t.Errorf("row %s is\n%s, want\n%s", key, got[key], want[key])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d rows, want %d", len(got), len(want))
	}
	for _, st := range []store.FS{here, there} {
		if left := storetest.Tree(t, st, store.Raw); len(left) > 0 {
			t.Errorf("left in raw/: %v", left)
		}
	}
}

// flaky is an engine some of whose attempts come to nothing.
type flaky struct {
	engine.Local
	fail func(task int) bool
	// without is the task whose result is missing then, counted from 1; 0: none.
	without int
	tasks   int
	left    []json.RawMessage // results of attempts that nobody waited for
}

func (f *flaky) Run(ctx context.Context, w engine.Work, tell func(engine.Progress)) ([]json.RawMessage, error) {
	twice := w
	twice.Name += "x"
	results, err := f.Local.Run(ctx, w, tell)
	if err != nil {
		return results, err
	}
	again, err := f.Local.Run(ctx, twice, tell) // each task has a second attempt beside the first
	if err != nil {
		return results, err
	}
	f.left = append(f.left, again...)
	f.tasks += len(w.Tasks)
	if n := f.without; n > 0 && f.fail(n) {
		f.left = append(f.left, results[n-1])
		results[n-1] = nil
	}
	for i := range w.Tasks {
		if f.fail != nil && f.fail(i) {
			return results, errors.New("the cluster is away")
		}
	}
	return results, nil
}

func TestFurtherAttemptsOfTasksMakeNothingDouble(t *testing.T) {
	st := testStore(t)
	for i := range int64(6) {
		publish(t, st, []chunk.Chunk{lines("a", i*20*lineLen, 20)})
	}
	broken := true
	e := &flaky{Local: localEngine(st), fail: func(i int) bool { return broken && i == 3 }}
	d := tasked(t, st, 300, e)
	if rep, err := d.RunType(t.Context(), "app"); err == nil || rep.Commits > 0 {
		t.Fatalf("%d commits, %v; want the engine's error", rep.Commits, err)
	}
	if rows := tableRows(t, st); len(rows) > 0 {
		t.Fatalf("%d rows of a run that failed", len(rows))
	}
	broken = false
	if _, err := d.RunType(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	if rows := tableRows(t, st); len(rows) != 120 {
		t.Errorf("%d rows, want 120", len(rows))
	}
	if e.tasks < 12 || len(e.left) != e.tasks {
		t.Errorf("%d tasks, %d second attempts; want 6 of each, twice", e.tasks, len(e.left))
	}
	// The files of second attempts are orphans until they are discarded, or swept.
	e.discardSecond(t, kindRun)
	onlyTheTablesFiles(t, st)
}

func TestWhatTasksCannotTakeIsTakenHere(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines("a", 0, 20)})
	if _, err := testDemux(t, st, nil).RunType(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	other := lines("a", 10*lineLen, 20) // what differs is rows of a fork
	copy(other.Body, "A")
	publish(t, st, []chunk.Chunk{lines("b", 0, 20), other}, []chunk.Chunk{lines("c", 0, 20)})
	bad := publish(t, st, []chunk.Chunk{lines("d", 0, 20)}, []chunk.Chunk{lines("e", 0, 20)})
	damage(t, st, bad)
	d := tasked(t, st, 300, localEngine(st))
	rep, err := d.RunType(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	byStream := map[string]int{}
	for _, r := range tableRows(t, st) {
		byStream[r.Stream]++
	}
	if got, want := fmt.Sprint(byStream), "map[a:30 a~1:1 b:20 c:20 d:20]"; got != want {
		t.Errorf("rows %s, want %s", got, want)
	}
	if rep.Quarantined != 1 || rep.Forks != 1 {
		t.Errorf("%d files in quarantine, %d forks; want 1 of each", rep.Quarantined, rep.Forks)
	}
}

// What filters dropped within chunks is covered and counted as in runs of this process.
func TestTasksTellWhatFiltersDropped(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{thin(lines2("a", 0, 100), odd), lines2("b", 0, 3)}, []chunk.Chunk{thin(lines2("a", 100, 101), odd)})
	publish(t, st, []chunk.Chunk{thin(lines2("c", 0, 50), odd)})
	rep, err := tasked(t, st, 300, localEngine(st)).RunType(t.Context(), "app")
	if err != nil {
		t.Fatal(err)
	}
	if want := 126*lineLen + 3*lineLen; rep.Bytes != want || rep.Records != 129 || rep.Repeated != 0 {
		t.Errorf("got %+v, want 129 records of %d bytes", rep, want)
	}
	if got := lineNumbers(tableRows(t, st), "a"); !slices.Equal(got, evens(201)) {
		t.Errorf("rows of the lines %v", got)
	}
	set := cover(t, st)
	if a := set["a"]; !slices.Equal(a.Ranges, chunk.Ranges{span(0, 201)}) || a.Filtered != 100*lineLen || a.Filters != "drop rule 1" {
		t.Errorf("coverage %+v", a)
	}
	if b, c := set["b"], set["c"]; b.Filtered != 0 || c.Filtered != 25*lineLen {
		t.Errorf("coverage %+v and %+v", b, c)
	}
}

// damage flips a byte of a sink file's last block.
func damage(t *testing.T, st store.FS, p string) {
	t.Helper()
	data := storetest.Get(t, st, p)
	data[len(data)-30] ^= 1
	if err := st.Remove(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	storetest.Put(t, st, p, data)
}
