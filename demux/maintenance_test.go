package demux

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// served runs a scheduler and its API, and returns how to ask it.
func served(t *testing.T, d *Demux) func(method, path string, want int) string {
	t.Helper()
	s := NewScheduler(d, Options{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	e := rest.NewEngine(slog.New(slog.DiscardHandler))
	NewAPI(ctx, s, e)
	return func(method, path string, want int) string {
		t.Helper()
		w := httptest.NewRecorder()
		var body string
		until(t, "the runner takes requests", func() bool {
			w = httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader("")))
			body = w.Body.String()
			return w.Code != http.StatusServiceUnavailable
		})
		if w.Code != want {
			t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, body, want)
		}
		return body
	}
}

// jobOf waits until a job has ended on the table app, and returns how it did.
func jobOf(t *testing.T, ask func(method, path string, want int) string, job string) (last jobs.Last) {
	t.Helper()
	until(t, "the job has ended", func() bool {
		var list struct{ Jobs []jobs.Status }
		if err := json.Unmarshal([]byte(ask("GET", "/v1/jobs", 200)), &list); err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Jobs {
			for _, x := range j.Tables {
				if j.Name == job && x.Type == "app" && x.State == jobs.Idle && x.Last != nil {
					last = *x.Last
					return true
				}
			}
		}
		return false
	})
	return last
}

func TestJobsAreStartedByREST(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	storetest.Put(t, st, table.DataPath("app", table.HourPartition(0), "00000001-dead", 0), []byte("a run that died"))
	ask := served(t, d)
	ask("POST", "/v1/jobs/none", 404)
	ask("POST", "/v1/jobs/expire?type=No", 400)
	ask("POST", "/v1/jobs/expire?type=nosuch", 404)
	ask("POST", "/v1/jobs/redo?type=app", 400)
	ask("POST", "/v1/jobs/expire?since=yesterday", 400)
	ask("DELETE", "/v1/jobs/none", 404)
	if got := ask("DELETE", "/v1/jobs/expire", 200); !strings.Contains(got, `"stopped":0`) {
		t.Errorf("got %s, want none stopped", got)
	}
	if got := ask("POST", "/v1/jobs/expire", 202); !strings.Contains(got, `"started":["app"]`) {
		t.Errorf("got %s, want the job started on the only table", got)
	}
	if got := jobOf(t, ask, "expire"); got.End != jobs.Done || got.Did != "removed 1 file" {
		t.Errorf("got %+v, want 1 file removed", got)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": 10})
}

func TestAJobThatFailsIsToldBesideTheTable(t *testing.T) {
	inner := testStore(t)
	st := storetest.NewFaulty(inner)
	d := testDemux(t, st, nil)
	publish(t, inner, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	storetest.Put(t, inner, table.DataPath("app", table.HourPartition(0), "00000001-dead", 0), []byte("a run that died"))
	st.FailWith(func(op, path string) error {
		if op == "remove" && strings.HasSuffix(path, ".parquet") {
			return errors.New("no right to remove it")
		}
		return nil
	})
	ask := served(t, d)
	for range 2 {
		ask("POST", "/v1/jobs/expire?type=app", 202)
		if got := jobOf(t, ask, "expire"); got.End != jobs.Failed || !strings.Contains(got.Error, "no right") {
			t.Fatalf("got %+v, want a failure", got)
		}
	}
	told, err := trouble.Read(t.Context(), inner, "app")
	if err != nil || told == nil || told.Jobs["expire"].Times != 2 {
		t.Fatalf("beside the table is %+v (%v), want the job's failures", told, err)
	}
	st.FailWith(nil)
	ask("POST", "/v1/jobs/expire?type=app", 202)
	until(t, "it is well again", func() bool {
		told, err := trouble.Read(t.Context(), inner, "app")
		return err == nil && told == nil
	})
}

// A job's commit comes between two of a run that has much to do.
func TestARunLetsAJobPass(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 300 })
	var batches [][]chunk.Chunk
	for i := range int64(20) {
		batches = append(batches, []chunk.Chunk{lines("a", i*20*lineLen, 20)})
	}
	publish(t, st, batches...)
	passed := make(chan error, 1)
	first := true
	d.parser = func(dataType string, now time.Time) (parse.Parser, error) {
		if first { // the run has the table
			first = false
			go func() {
				passed <- d.change(context.Background(), "app", func(ctx context.Context, tab *table.Table) error {
					cov, err := tab.Coverage(ctx)
					if err == nil && cov["a"].Ranges.Len() == 20*20*lineLen {
						err = errors.New("the run has done all before")
					}
					return err
				})
			}()
			until(t, "the job waits", func() bool { return d.types.asked("app") })
		}
		return d.cfg.parser(dataType, now)
	}
	rep := runOnce(t, d)
	if err := <-passed; err != nil {
		t.Error(err)
	}
	if rep.Records != 400 {
		t.Errorf("got %+v, want 400 records", rep)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": 400})
}

func TestTheArchiveIsKeptWithinItsBounds(t *testing.T) {
	now := time.Now().UTC()
	st := testStore(t)
	put := func(dataType string, daysAgo, bytes int) string {
		p := store.SinkPath(store.Archive, dataType, store.NewSegment(now.AddDate(0, 0, -daysAgo), "test", segments.Add(1)))
		storetest.Put(t, st, p, make([]byte, bytes))
		return p
	}
	type file struct {
		path string
		kept bool
	}
	var files []file
	for _, dataType := range []string{"app", "big", "old"} {
		for days := range 10 {
			for range 4 {
				kept := map[string]bool{"app": days <= 3, "big": days <= 1, "old": true}[dataType]
				files = append(files, file{put(dataType, days, 100), kept})
			}
		}
	}
	half := put("big", 2, 100) // the newest of a day of which the others go
	d := testDemux(t, st, func(c *Config) {
		c.KeepArchive = config.Duration(3 * 24 * time.Hour)
		c.Types = map[string]TypeConfig{
			"big": {Retention: Retention{ArchiveSize: given(config.Size(900))}},
			"old": {Retention: Retention{Archive: given(config.Duration(0))}},
		}
	})
	for _, dataType := range []string{"app", "big", "old"} {
		if _, err := d.retain(t.Context(), jobs.Request{Type: dataType}, func(int64, int64) {}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range append(files, file{half, true}) {
		if _, err := st.Stat(t.Context(), f.path); (err == nil) != f.kept {
			t.Errorf("%s: %v, want it kept: %v", f.path, err, f.kept)
		}
	}
}

// given is a value that stands in the config.
func given[T any](v T) config.Value[T] {
	return config.Value[T]{V: v, Pos: config.Pos{Line: 1}}
}

func TestSmallFilesAreMergedByTheJob(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	const files = 12
	for i := range int64(files) {
		publish(t, st, []chunk.Chunk{lines("a", i*10*lineLen, 10)}) // all of one hour, long ago
		runOnce(t, d)
	}
	ask := served(t, d)
	ask("POST", "/v1/jobs/compact?type=app", 202)
	if got := jobOf(t, ask, "compact"); got.End != jobs.Done || !strings.Contains(got.Did, "merged 12 files into 1 file, 120 rows") {
		t.Errorf("got %+v, want 12 files merged", got)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": files * 10})
}

// A process that runs once leaves alone what may be the files of a job.
func TestNothingExpiresWhileAJobIsAtWork(t *testing.T) {
	st := testStore(t)
	d, other := testDemux(t, st, nil), testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	storetest.Put(t, st, table.DataPath("app", table.HourPartition(0), "00000001-busy", 0), []byte("a job's file"))
	release, err := d.leases.Take(t.Context(), lease.JobPath("app"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := other.Expire(t.Context(), "app"); n != 0 || err != nil {
		t.Errorf("removed %d files (%v), want none", n, err)
	}
	release()
	if n, err := other.Expire(t.Context(), "app"); n != 1 || err != nil {
		t.Errorf("removed %d files (%v), want 1", n, err)
	}
	if _, err := other.Redo(t.Context(), Redo{Type: "nosuch"}, 0); err == nil {
		t.Error("rows of a table that is not there are redone")
	}
	if ok, err := other.known(t.Context(), "nosuch"); ok || err != nil {
		t.Errorf("the table that is not there is known: %v, %v", ok, err)
	}
}
