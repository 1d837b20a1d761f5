package apptest

import (
	"encoding/json"
	"fmt"
	"io"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

// Demuxes are killed while their jobs have much to do: rows to merge, to drop, to
// parse again, and leftovers to remove. Each row is there once in the end, and no
// temporary files pile up.
func TestJobsThatAreKilledLoseAndDoubleNothing(t *testing.T) {
	t.Parallel()
	python(t)
	rnd := choices(t, 5)
	s := &site{storeURI: storetest.SharedCluster(t)}
	s.types = `app: {parser: json, retention: {table: 30d}, jobs: {compact: "@every 1s", expire: "@every 1s", retain: "@every 1s"}}`
	s.configure(t)
	st, err := open.Open(s.storeURI, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	ready(t, s.collectorAddr)
	const rounds, lines = 6, 120
	young, old := time.Now().Add(-48*time.Hour), time.Now().AddDate(0, 0, -40)
	at, sent := int64(0), 0
	seen := map[string]bool{} // kinds of replacements
	for round := range rounds {
		var b strings.Builder
		for i := range 2 * lines {
			ts := young
			if i%2 == 1 {
				ts = old
			}
			fmt.Fprintf(&b, `{"ts":%q,"msg":"line %d","n":%d}`+"\n", ts.Add(time.Duration(i+round)*time.Minute).UTC().Format(time.RFC3339), i, i)
		}
		c := piece("app", "s", at, b.String())
		at, sent = c.Last, sent+lines
		do(t, "POST", "http://"+s.collectorAddr+"/v1/batches", frame(t, c)).want(t, "a batch", 200)
		if s.demuxer == nil {
			s.demuxer = start(t, "demux", "akupara", "demux", "--config", s.config)
		} else {
			s.demuxer.start()
		}
		ready(t, s.demuxAddr)
		redo := start(t, "redo", "akupara", "demux", "--redo", "app", "--since", "2020-01-01", "--config", s.config)
		<-time.After(time.Duration(rnd.Int64N(int64(4 * time.Second)))) // the moment of the kill
		s.demuxer.kill()
		redo.kill()
		replacements(t, st, s.storeURI, seen)
	}
	s.demuxer.start()
	eventually(t, 2*time.Minute, "files were merged, dropped and parsed again", func() bool {
		if !seen[string(table.Redone)] { // all else is done by itself
			akupara(t, "jobs", "start", "redo", "--type", "app", "--since", "2020-01-01", "--wait", "--config", s.config)
		}
		replacements(t, st, s.storeURI, seen)
		return seen[string(table.Compacted)] && seen[string(table.Expired)] && seen[string(table.Redone)]
	})
	eventually(t, 2*time.Minute, "all is in the table, and what is old was dropped", func() bool {
		rep, code := audit(t, "--config", s.config)
		return code == 0 && rep.Unpublished == 0 && rep.Records == int64(sent)
	})
	s.demuxer.stop()
	rows := readTable(t, s.storeURI+"/tables/app", webHDFS, "select count(*), count(distinct (stream, seq)), count(parse_error) from t")
	if want := fmt.Sprintf("[[%d %[1]d 0]]", sent); fmt.Sprint(rows) != want {
		t.Errorf("rows, different ones, errors: got %v, want %s", rows, want)
	}
	if rep, code := audit(t, "--deep", "--config", s.config); code != 0 || len(rep.Gaps)+len(rep.Overlaps) > 0 {
		t.Errorf("audit --deep: exit code %d, %+v", code, rep)
	}
	temporary := func() (n int) {
		for _, p := range storetest.Tree(t, st, "tables/app") {
			if strings.HasSuffix(p, ".tmp") {
				n++
			}
		}
		return n
	}
	left := temporary()
	expireAll(t, s.storeURI, "app")
	t.Logf("%d temporary files were left by %d kills, %d by a sweep", left, rounds, temporary())
	if left > 4*rounds || temporary() > 0 {
		t.Errorf("temporary files: %d before a sweep, %d after it; want few, and none", left, temporary())
	}
}

// replacements adds the kinds of replacements that a table's snapshots tell of.
func replacements(t *testing.T, st store.FS, uri string, seen map[string]bool) {
	t.Helper()
	tbl, err := table.Open(t.Context(), st, uri, "app")
	if err != nil {
		return // there is none yet
	}
	r, err := st.Open(t.Context(), tbl.MetadataPath())
	if err != nil {
		t.Fatalf("open %s: %v", path.Base(tbl.MetadataPath()), err)
	}
	defer r.Close()
	var meta struct {
		Snapshots []struct{ Summary map[string]string }
	}
	if err := json.NewDecoder(io.NewSectionReader(r, 0, r.Size())).Decode(&meta); err != nil {
		t.Fatal(err)
	}
	for _, snap := range meta.Snapshots {
		seen[snap.Summary["akupara.replaced"]] = true
	}
}
