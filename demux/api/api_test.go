package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/chunktest"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
	"github.com/prometheus/client_golang/prometheus"
)

var nothing = slog.New(slog.DiscardHandler)

// served runs the scheduler of a store with a sink file of the type app, and returns
// how to ask it.
func served(t *testing.T) (st store.FS, ask func(method, path, body string, want int) string) {
	t.Helper()
	root := storetest.FastDir(t)
	st, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	seg := store.NewSegment(time.Now(), "test", 1)
	body := []byte("one\ntwo\n")
	storetest.Put(t, st, store.SinkPath(store.Raw, "app", seg), chunktest.Sink(t, string(seg), []chunk.Chunk{
		{Type: "app", Host: "h", Source: "/s", Stream: "a", Last: int64(len(body)), Time: time.Now(), Body: body},
	}))
	s := demux.NewScheduler(demux.New(demux.DefaultConfig(), st, "file://"+root, nothing, prometheus.NewRegistry()), demux.Options{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	e := rest.NewEngine(nothing)
	Register(ctx, s, e)
	return st, func(method, path, body string, want int) string {
		t.Helper()
		for until := time.Now().Add(time.Minute); ; {
			w := httptest.NewRecorder()
			e.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
			if w.Code == http.StatusServiceUnavailable && time.Now().Before(until) {
				continue // the scheduler is about to begin
			}
			if w.Code != want {
				t.Fatalf("%s %s: %d %s, want %d", method, path, w.Code, w.Body, want)
			}
			return w.Body.String()
		}
	}
}

func TestJobsAreStartedByREST(t *testing.T) {
	st, ask := served(t)
	var runs struct{ Runs []demux.Report }
	if err := json.Unmarshal([]byte(ask("POST", "/v1/runs?wait=true", "", 200)), &runs); err != nil || len(runs.Runs) != 1 || runs.Runs[0].Records != 2 {
		t.Fatalf("ran %+v, %v, want 2 records", runs, err)
	}
	storetest.Put(t, st, table.DataPath("app", table.HourPartition(0), "00000001-dead", 0), []byte("a run that died"))
	ask("POST", "/v1/runs", `{"types": 1}`, 400)
	ask("POST", "/v1/jobs/none", "", 404)
	ask("POST", "/v1/jobs/expire?type=No", "", 400)
	ask("POST", "/v1/jobs/expire?type=nosuch", "", 404)
	ask("POST", "/v1/jobs/redo?type=app", "", 400)
	ask("POST", "/v1/jobs/expire?since=yesterday", "", 400)
	ask("DELETE", "/v1/jobs/none", "", 404)
	if got := ask("DELETE", "/v1/jobs/expire", "", 200); !strings.Contains(got, `"stopped":0`) {
		t.Errorf("got %s, want none stopped", got)
	}
	if got := ask("POST", "/v1/jobs/expire", "", 202); !strings.Contains(got, `"started":["app"]`) {
		t.Errorf("got %s, want the job started on the only table", got)
	}
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		var list struct{ Jobs []jobs.Status }
		if err := json.Unmarshal([]byte(ask("GET", "/v1/jobs", "", 200)), &list); err != nil {
			t.Fatal(err)
		}
		for _, j := range list.Jobs {
			if j.Name == "expire" && len(j.Tables) == 1 && j.Tables[0].State == jobs.Idle {
				if got := j.Tables[0].Last; got.End != jobs.Done || got.Did != "removed 1 file" {
					t.Errorf("got %+v, want 1 file removed", got)
				}
				return
			}
		}
	}
	t.Error("the job does not end")
}

func TestColumnsAreChangedByREST(t *testing.T) {
	_, ask := served(t)
	const at = "/v1/tables/app/columns"
	ask("GET", at, "", 404)
	ask("POST", "/v1/runs?wait=true", "", 200)
	for body, want := range map[string]int{
		`{"column": "template"}`:                                       400,
		`{"column": "message", "name": "text", "drop": true}`:          400,
		`{"column": "message", "name": "text"}`:                        409,
		`{"column": "none", "drop": true}`:                             404,
		`{"column": "level", "doc": "how bad it is", "dry_run": true}`: 200,
	} {
		ask("POST", at, body, want)
	}
	if got := ask("GET", at, "", 200); !strings.Contains(got, `"name":"message"`) {
		t.Errorf("columns are %s", got)
	}
}
