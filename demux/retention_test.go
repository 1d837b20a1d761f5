package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// hourly are chunks of 10 lines of one stream, each an hour older than the next.
func hourly(n int, newest time.Time) (chunks []chunk.Chunk) {
	for i := range int64(n) {
		c := lines("a", i*10*lineLen, 10)
		c.Time = newest.Add(-time.Duration(n-1-int(i)) * time.Hour)
		chunks = append(chunks, c)
	}
	return chunks
}

func retainOnce(t testing.TB, d *Demux) jobs.Outcome {
	t.Helper()
	out, err := d.retain(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// checkKept looks for the rows of the newest chunks, for what the table says of
// all, and whether old ones come back when they are sent again.
func checkKept(t testing.TB, st store.FS, all []chunk.Chunk, kept int) {
	t.Helper()
	from := int64(len(all)-kept) * 10 * lineLen
	rows := tableRows(t, st)
	if len(rows) != 10*kept || kept > 0 && rows[0].Seq != from {
		t.Fatalf("%d rows from %d on, want %d from %d on", len(rows), rows[0].Seq, 10*kept, from)
	}
	publish(t, st, all)
	if rep := runOnce(t, testDemux(t, st, nil)); rep.Records != 0 || rep.Forks != 0 {
		t.Errorf("what was dropped came back: %+v", rep)
	}
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	cov, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(cov["a"].Ranges, cov["a"].Dropped), fmt.Sprint(
		chunk.Ranges{{First: 0, Last: int64(len(all)) * 10 * lineLen}}, chunk.Ranges{{First: 0, Last: from}}); got != want {
		t.Errorf("covered and dropped are %s, want %s", got, want)
	}
}

func TestRowsAreKeptForTheirTime(t *testing.T) {
	st := testStore(t)
	all := hourly(30, time.Now())
	publish(t, st, all)
	d := testDemux(t, st, func(c *Config) {
		c.Retention.Table = given(config.Duration(10 * time.Hour))
		c.Types = map[string]TypeConfig{"kept": {Retention: Retention{Table: given(config.Duration(0))}}}
	})
	runOnce(t, d)
	// The file of the hour that the limit falls into stays.
	if out := retainOnce(t, d); out.Did != "dropped 190 rows in 19 data files" && out.Did != "dropped 200 rows in 20 data files" {
		t.Errorf("got %q", out.Did)
	}
	kept := len(tableRows(t, st)) / 10
	checkKept(t, st, all, kept)
	if out := retainOnce(t, d); out.Did != "" {
		t.Errorf("a second time: got %q", out.Did)
	}
	if got := d.cfg.retention("kept").Table.V; got != 0 {
		t.Errorf("a type that keeps all has the limit %v", got)
	}
}

func TestRowsAreKeptWithinASize(t *testing.T) {
	st := testStore(t)
	all := hourly(12, time.Now())
	publish(t, st, all)
	runOnce(t, testDemux(t, st, nil))
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	files, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(0)
	for _, f := range files[len(files)-5:] {
		size += f.Size
	}
	d := testDemux(t, st, func(c *Config) { c.Retention.TableSize = given(config.Size(size)) })
	retainOnce(t, d)
	checkKept(t, st, all, 5)
}

// The job dies after the k-th change of the store, or in the k-th write, for every
// k; the next one brings all to an end.
func TestACrashWhileRowsAreDroppedLosesNothingElse(t *testing.T) {
	all := hourly(6, time.Now())
	another := prepared(t, func(st store.FS) {
		publish(t, st, all)
		runOnce(t, testDemux(t, st, nil))
	})
	for _, when := range []storetest.When{storetest.After, storetest.Torn} {
		for k, crashed := 0, true; crashed; k++ {
			inner := another()
			limit := func(c *Config) { c.Retention.Table = given(config.Duration(2*time.Hour + 30*time.Minute)) }
			st := storetest.NewFaulty(inner)
			st.CrashAt(k, when)
			d := testDemux(t, st, limit)
			d.patience = 0
			_, _ = d.alone(d.retain)(context.Background(), jobs.Request{Type: "app"}, func(int64, int64) {})
			crashed = st.Crashed()
			_ = inner.Remove(t.Context(), lease.Path("app"))
			_ = inner.Remove(t.Context(), lease.JobPath("app"))
			next := testDemux(t, inner, limit)
			retainOnce(t, next)
			if _, err := next.Expire(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			kept := len(tableRows(t, inner)) / 10
			if kept != 3 && kept != 4 {
				t.Fatalf("crash at %d (%v): %d hours are kept", k, when, kept)
			}
			checkKept(t, inner, all, kept)
			if t.Failed() {
				t.Fatalf("crash at %d (%v)", k, when)
			}
		}
	}
}

// What can't be brought into a table is given up where the config says so, and told
// as lost. What no run has come to yet is not, however old it is.
func TestOldRawIsGivenUp(t *testing.T) {
	st := testStore(t)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, testDemux(t, st, nil))
	file := publish(t, st, []chunk.Chunk{lines("a", 10*lineLen, 10), lines("b", 0, 10)})
	now := time.Now()
	giveUp := func(limit time.Time) int {
		t.Helper()
		given, err := testDemux(t, st, nil).giveUp(t.Context(), "app", limit)
		if err != nil {
			t.Fatal(err)
		}
		return given.Files
	}
	fails := func(since time.Time) {
		t.Helper()
		err := trouble.Write(t.Context(), st, "app", store.NewID(), &trouble.Trouble{Failing: &trouble.Failing{Since: since, Times: 9, Error: "no"}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if n := giveUp(now.Add(time.Hour)); n != 0 {
		t.Fatalf("%d files were given up that no run has come to", n)
	}
	fails(now.Add(-time.Hour))
	if n := giveUp(now.Add(-2 * time.Hour)); n != 0 {
		t.Fatalf("%d files were given up while runs had not failed for long", n)
	}
	fails(now.AddDate(0, 0, -40))
	if n := giveUp(now.AddDate(0, 0, -30)); n != 0 {
		t.Fatalf("%d files were given up that had just come", n)
	}
	if n := giveUp(now.Add(time.Hour)); n != 1 {
		t.Fatalf("%d files were given up, want 1", n)
	}
	if _, err := st.Stat(t.Context(), file); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is there still: %v", err)
	}
	tab, err := table.Open(t.Context(), st, baseURI, "app")
	if err != nil {
		t.Fatal(err)
	}
	cov, err := tab.Coverage(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if a, b := cov["a"], cov["b"]; a.Lost.Len() != 10*lineLen || a.Ranges.Len() != 10*lineLen || b.Lost.Len() != 10*lineLen || len(b.Ranges) > 0 {
		t.Errorf("got %+v and %+v, want the bytes of the file lost", a, b)
	}
	publish(t, st, []chunk.Chunk{lines("b", 0, 10)}) // somebody has it still
	runOnce(t, testDemux(t, st, nil))
	checkLines(t, tableRows(t, st), map[string]int{"a": 10, "b": 10})
}
