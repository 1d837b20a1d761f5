package demux

import (
	"fmt"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// spread makes chunks of n JSON lines, perChunk in each, whose times go over that
// many hours, round and round.
func spread(n, perChunk, hours int) []chunk.Chunk {
	var out []chunk.Chunk
	start := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	at := int64(0)
	for i := 0; i < n; {
		c := chunk.Chunk{Type: "json", Host: "h", Source: "/log/a", Stream: "a", First: at, Time: time.Now()}
		for k := 0; k < perChunk && i < n; k, i = k+1, i+1 {
			ts := start.Add(time.Duration(i%hours) * time.Hour)
			c.Body = fmt.Appendf(c.Body, `{"time":%q,"n":%d}`+"\n", ts.Format(time.RFC3339), i)
		}
		at += int64(len(c.Body))
		c.Last = at
		out = append(out, c)
	}
	return out
}

// records is how many rows the table has, and how many its largest commit added
// in how many files.
func records(t *testing.T, st store.FS, dataType string) (rows, files, most int64) {
	t.Helper()
	tab, err := table.Open(t.Context(), st, baseURI, dataType)
	if err != nil {
		t.Fatal(err)
	}
	list, err := tab.Files(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		rows += f.Records
	}
	for _, r := range tab.Runs() {
		most = max(most, r.Files)
	}
	return rows, int64(len(list)), most
}

func TestABackfillOfManyHoursTakesSeconds(t *testing.T) {
	st := testStore(t)
	const n = 2*maxHours + 800
	publish(t, st, spread(n, 1000, 5000))
	began := time.Now()
	rep, err := testDemux(t, st, nil).RunType(t.Context(), "json")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d commits in %v", rep.Commits, time.Since(began))
	rows, files, most := records(t, st, "json")
	if rows != n || files > n || most > maxHours || rep.Commits < 3 {
		t.Errorf("got %d rows in %d files and %d commits, up to %d in one, want %d rows, at most %d a commit", rows, files, rep.Commits, most, n, maxHours)
	}
}

// More hours than one commit may have, in one chunk even: it is cut.
func TestRecordsThatEachHaveAnHourOfTheirOwnAreTakenInParts(t *testing.T) {
	const mostHours = 64
	const n = 2*mostHours + 16
	st := testStore(t)
	publish(t, st, spread(n, n/2, n))
	publish(t, st, spread(n, n/3, n)) // sent again, with other borders
	d := testDemux(t, st, nil)
	d.mostHours = mostHours
	rep, err := d.RunType(t.Context(), "json")
	if err != nil {
		t.Fatal(err)
	}
	rows, _, most := records(t, st, "json")
	if rows != int64(n) || most > mostHours || rep.Commits < n/mostHours || rep.Commits > 2*n/mostHours {
		t.Errorf("got %d rows in %d commits of up to %d files, want %d rows in commits of up to %d", rows, rep.Commits, most, n, mostHours)
	}
	if rep.Archived != 2 || rep.Forks != 0 || rep.ParseErrors != 0 {
		t.Errorf("got %+v, want 2 files archived, no forks, no parse errors", rep)
	}
}
