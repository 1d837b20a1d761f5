package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/query"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/web"
)

type site struct {
	t     *testing.T
	store *querytest.Store
	url   string
}

// open serves a store; change may change the config before.
func open(t *testing.T, opts query.Options, change func(*web.Config)) *site {
	t.Helper()
	s := querytest.New(t)
	cfg := web.DefaultConfig()
	if change != nil {
		change(&cfg)
	}
	srv, err := web.New(cfg, web.Deps{FS: s.FS, BaseURI: s.URI, Engine: s.Engine(t, opts), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(srv.Handler())
	t.Cleanup(h.Close)
	return &site{t, s, h.URL}
}

type reply struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

func (s *site) do(method, path, body string, header ...string) reply {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(b), err}
}

func (s *site) want(r reply, status int, part string) {
	s.t.Helper()
	if r.status != status || !strings.Contains(r.body, part) {
		s.t.Errorf("got %d %s, want %d with %q", r.status, r.body, status, part)
	}
}

func TestQueriesAnswerInTheFormatThatIsAccepted(t *testing.T) {
	s := open(t, query.Options{}, nil)
	s.store.Commit(t, "raw", querytest.Data("app", "s", 0, "one\ntwo\n"))
	const sql = "select seq, message from app order by seq"
	const asJSON = "[\n{\"seq\":0,\"message\":\"one\"},\n{\"seq\":4,\"message\":\"two\"}\n]\n"
	const asCSV = "seq,message\n0,one\n4,two\n"
	for _, c := range []struct{ accept, kind, body string }{
		{"", "application/json", asJSON},
		{"*/*", "application/json", asJSON},
		{"application/json", "application/json", asJSON},
		{"text/csv", "text/csv", asCSV},
		{"text/*", "text/csv", asCSV},
		{"application/json;q=0.5, text/csv;q=0.9", "text/csv", asCSV},
		{"text/html, */*;q=0.1", "application/json", asJSON},
		{"application/x-ndjson", "application/x-ndjson", "{\"seq\":0,\"message\":\"one\"}\n{\"seq\":4,\"message\":\"two\"}\n"},
	} {
		r := s.do("POST", "/v1/query", sql, "Accept", c.accept)
		if r.status != 200 || !strings.HasPrefix(r.header.Get("Content-Type"), c.kind) || r.body != c.body {
			t.Errorf("%q: got %d %s %q", c.accept, r.status, r.header.Get("Content-Type"), r.body)
		}
	}
	r := s.do("POST", "/v1/query", `{"sql": "`+sql+`"}`, "Content-Type", "application/json; charset=utf-8", "Accept", "application/vnd.apache.parquet")
	f, err := parquet.OpenFile(strings.NewReader(r.body), int64(len(r.body)))
	if err != nil || f.NumRows() != 2 {
		t.Errorf("parquet: got %d %q, %v", r.status, r.body, err)
	}
	s.want(s.do("POST", "/v1/query", sql, "Accept", "text/html"), 406, "text/csv")
	s.want(s.do("GET", "/metrics", ""), 200, `akupara_web_queries_total{outcome="ok"} 9`)
}

func TestFaultsOfAQueryAreTold(t *testing.T) {
	s := open(t, query.Options{MaxRows: 100, Timeout: 300 * time.Millisecond}, nil)
	for _, c := range []struct {
		body, kind string
		status     int
		part       string
	}{
		{"select * from nosuch", "text/plain", 400, "there is no table nosuch"},
		{"selct", "text/plain", 400, "syntax error"},
		{"", "text/plain", 400, "empty"},
		{"drop table x", "", 400, "only statements that read"},
		{"select * from read_text('/etc/passwd')", "", 400, "not allowed"},
		{`{"sql": "select 1", "x": 1}`, "application/json", 400, "unknown field"},
		{`{"sql": `, "application/json", 400, "the body is not"},
		{strings.Repeat(" ", 3<<20), "text/plain", 413, "more than"},
		{strings.Repeat(" ", 3<<19), "text/plain", 400, "at most 1048576"},
		{"select count(*) from range(1000000000) a, range(1000000000) b where (a.range*b.range)%7 = 3", "", 504, "took longer"},
	} {
		r := s.do("POST", "/v1/query", c.body, "Content-Type", c.kind, "Accept", "text/csv")
		s.want(r, c.status, c.part)
		var e struct {
			Error string `json:"error"`
		}
		if err := json.Unmarshal([]byte(r.body), &e); err != nil || e.Error == "" {
			t.Errorf("%.40s: got %q, want an error as JSON", c.body, r.body)
		}
	}
	s.want(s.do("GET", "/v1/query", ""), 405, "GET")
	s.want(s.do("GET", "/v1/nothing", ""), 404, "there is no /v1/nothing")
}

func TestAResultThatFailsHalfwayDoesNotLookWhole(t *testing.T) {
	s := open(t, query.Options{MaxRows: 100_000}, nil)
	r := s.do("POST", "/v1/query", "select range, repeat('x', 50) as x from range(200000)", "Accept", "text/csv")
	if r.status != 200 || len(r.body) < 64<<10 || r.err == nil {
		t.Errorf("got %d, %d bytes, %v; want 200, some bytes and a broken connection", r.status, len(r.body), r.err)
	}
}

func TestTooManyQueriesAreRefused(t *testing.T) {
	s := open(t, query.Options{}, func(c *web.Config) { c.Queries = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+"/v1/query", strings.NewReader("select range, repeat('x', 1000) from range(100000000)"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req) // it runs for as long as nobody reads it
	if err != nil {
		t.Fatal(err)
	}
	r := s.do("POST", "/v1/query", "select 1")
	s.want(r, 429, "web.queries")
	if r.header.Get("Retry-After") == "" {
		t.Error("got no Retry-After")
	}
	cancel()
	resp.Body.Close()
	for end := time.Now().Add(time.Minute); ; {
		if r := s.do("POST", "/v1/query", "select 1"); r.status == 200 {
			break
		} else if time.Now().After(end) {
			t.Fatalf("after the first client went: got %d %s", r.status, r.body)
		}
	}
}

func TestForeignPagesAreRefused(t *testing.T) {
	s := open(t, query.Options{}, nil)
	for _, path := range []string{"/v1/query", "/v1/runs", "/v1/agents/a/adaptors"} {
		s.want(s.do("POST", path, "select 1", "Origin", "http://evil.example"), 403, "origin")
		s.want(s.do("POST", path, "select 1", "Host", "evil.example"), 403, "evil.example")
	}
}

func TestTablesAndRunsAreListed(t *testing.T) {
	s := open(t, query.Options{}, nil)
	s.want(s.do("GET", "/v1/tables", ""), 200, `{"tables":[]}`)
	s.want(s.do("GET", "/v1/runs", ""), 200, `{"runs":[]}`)
	s.store.Commit(t, "raw", querytest.Data("my-app", "s", 0, "one\ntwo\n"))
	s.store.Commit(t, "raw", querytest.Data("my-app", "s", 8, "three\n"))
	var tables struct {
		Tables []struct {
			Name, State  string
			Rows, Bytes  int64
			Files        int
			MinTS, MaxTS time.Time
			Columns      []struct{ Name, Type, Doc string }
		}
	}
	body := strings.NewReplacer("min_ts", "MinTS", "max_ts", "MaxTS").Replace(s.do("GET", "/v1/tables", "").body)
	if err := json.Unmarshal([]byte(body), &tables); err != nil || len(tables.Tables) != 1 {
		t.Fatalf("got %s, %v", body, err)
	}
	got := tables.Tables[0]
	if got.Name != "my-app" || got.State != "ok" || got.Rows != 3 || got.Files != 2 || got.Bytes == 0 || !got.MinTS.Equal(querytest.Start) || !got.MaxTS.Equal(querytest.Start) ||
		len(got.Columns) < 9 || got.Columns[0].Name != "ts" || got.Columns[0].Type != "timestamp" {
		t.Errorf("got %+v", got)
	}
	var runs struct {
		Runs []struct {
			ID, Type string
			Records  int64
		}
	}
	r := s.do("GET", "/v1/runs", "")
	if err := json.Unmarshal([]byte(r.body), &runs); err != nil || len(runs.Runs) != 2 || runs.Runs[0].Records != 1 || runs.Runs[0].Type != "my-app" || runs.Runs[0].ID != "run-2" {
		t.Errorf("got %s, %v", r.body, err)
	}
}

func TestTheAuditIsServed(t *testing.T) {
	s := open(t, query.Options{}, nil)
	s.store.Commit(t, "raw", querytest.Data("app", "s", 10, "one\n"))
	s.want(s.do("GET", "/v1/audit", ""), 200, `"gaps":[{"host":"h1","source":"/var/log/s","stream":"s","first":0,"last":10}]`)
}

// echo tells what it was asked.
func echo(t *testing.T) *httptest.Server {
	t.Helper()
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/healthz" {
			return
		}
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusAccepted)
		fmt.Fprintf(w, `{"did":%q,"host":%q,"origin":%q}`, r.Method+" "+r.RequestURI+" "+string(b), r.Host, r.Header.Get("Origin"))
	}))
	t.Cleanup(h.Close)
	return h
}

func TestAgentsAreReachedAndNobodyElse(t *testing.T) {
	agent := echo(t)
	dead := httptest.NewServer(nil)
	dead.Close()
	s := open(t, query.Options{}, func(c *web.Config) {
		c.Agents = []web.Agent{{Host: "node-1", URL: client.Address(agent.URL)}, {Host: "node-2", URL: client.Address(dead.URL)}}
	})
	r := s.do("GET", "/v1/agents", "")
	s.want(r, 200, `{"host":"node-1","url":"`+agent.URL+`","alive":true}`)
	s.want(r, 200, `{"host":"node-2","url":"`+dead.URL+`","alive":false,"error":`)
	own := strings.TrimPrefix(agent.URL, "http://")
	for _, c := range []struct{ method, path, body, did string }{
		{"GET", "/adaptors", "", "GET /v1/adaptors "},
		{"GET", "/adaptors?limit=1", "", "GET /v1/adaptors?limit=1 "},
		{"POST", "/adaptors", `{x}`, "POST /v1/adaptors {x}"},
		{"POST", "/adaptors/a%2Fb/stop", "", "POST /v1/adaptors/a%2Fb/stop "},
		{"DELETE", "/adaptors/x", "", "DELETE /v1/adaptors/x "},
		{"PUT", "/adaptors/x", "{y}", "PUT /v1/adaptors/x {y}"},
		{"GET", "/streams?adaptor=x", "", "GET /v1/streams?adaptor=x "},
		{"PUT", "/switches/quiet", "{}", "PUT /v1/switches/quiet {}"},
		{"POST", "/config/reload", "", "POST /v1/config/reload "},
		{"POST", "/drain", "", "POST /v1/drain "},
		{"GET", "/personas", "", "GET /v1/personas "},
	} {
		r := s.do(c.method, "/v1/agents/node-1"+c.path, c.body)
		s.want(r, 202, fmt.Sprintf(`{"did":%q,"host":%q,"origin":""}`, c.did, own))
	}
	s.want(s.do("GET", "/v1/agents/node-2/adaptors", ""), 503, "the agent of node-2")
	s.want(s.do("GET", "/v1/agents/node-3/adaptors", ""), 404, "web.agents")
	s.want(s.do("PATCH", "/v1/agents/node-1/adaptors", ""), 405, "PATCH")
	for _, path := range []string{"/../metrics", "/adaptors/../metrics", "/adaptors/../../metrics", "/adaptors/..%2f..%2fmetrics", "/adaptors/%2e%2e/%2e%2e/metrics", "/"} {
		if r := s.do("GET", "/v1/agents/node-1"+path, ""); r.status != 404 {
			t.Errorf("%s: got through as %s", path, r.body)
		}
	}
	s.want(s.do("POST", "/v1/agents/node-1/adaptors", strings.Repeat("x", 2<<20)), 413, "more than")
}

func TestRunsAndSchedulesComeFromTheDemux(t *testing.T) {
	demux := echo(t)
	s := open(t, query.Options{}, func(c *web.Config) { c.Demux = config.Addr(strings.TrimPrefix(demux.URL, "http://")) })
	s.want(s.do("GET", "/v1/runs?limit=5", ""), 202, "GET /v1/runs?limit=5 ")
	s.want(s.do("POST", "/v1/runs", `{"type":"app"}`), 202, `POST /v1/runs {\"type\":\"app\"}`)
	s.want(s.do("GET", "/v1/schedules", ""), 202, "GET /v1/schedules ")
	s.want(s.do("GET", "/v1/jobs", ""), 202, "GET /v1/jobs ")
	s.want(s.do("POST", "/v1/jobs/expire?type=app", ""), 202, "POST /v1/jobs/expire?type=app ")
	s.want(s.do("DELETE", "/v1/jobs/expire", ""), 202, "DELETE /v1/jobs/expire ")
	s.want(s.do("POST", "/v1/jobs/%2e%2e", ""), 404, "no such job")
	demux.Close()
	s.want(s.do("POST", "/v1/runs", ""), 503, "the demux")
	s.want(s.do("GET", "/v1/runs", ""), 200, `{"runs":[]}`) // what the tables remember
	alone := open(t, query.Options{}, nil)
	alone.want(alone.do("POST", "/v1/runs", ""), 503, "demux.listen")
	alone.want(alone.do("GET", "/v1/schedules", ""), 503, "demux.listen")
}

func TestTheServerListensAndEnds(t *testing.T) {
	s := querytest.New(t)
	cfg := web.DefaultConfig()
	cfg.Listen = "127.0.0.1:0"
	srv, err := web.New(cfg, web.Deps{FS: s.FS, BaseURI: s.URI, Engine: s.Engine(t, query.Options{}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	<-srv.Listening()
	base := "http://" + srv.Addr().String()
	for path, want := range map[string]string{"/": "POST /v1/query", "/healthz": "ok", "/readyz": "ok", "/metrics": "akupara_web_queries_total"} {
		resp, err := http.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !bytes.Contains(b, []byte(want)) && path != "/metrics" {
			t.Errorf("%s: got %d %s", path, resp.StatusCode, b)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if c, err := net.Dial("tcp", srv.Addr().String()); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

func TestConfigsThatWouldOpenTheAPIToOthersAreRefused(t *testing.T) {
	for listen, ok := range map[string]bool{
		"127.0.0.1:9772": true, "localhost:1": true, "'[::1]:9772'": true, "unix:/run/a.sock": true,
		"0.0.0.0:9772": false, "':9772'": false, "10.0.0.1:9772": false, "example.com:1": false,
	} {
		file, problems := config.ParseFile("x.yaml", []byte("store: file:///s\ndata_dir: /d\nweb: {listen: "+listen+"}\n"))
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		cfg := web.DefaultConfig()
		problems = config.Decode(file.Web, &cfg)
		if (len(problems) == 0) != ok {
			t.Errorf("%s: got %v, want ok = %v", listen, problems, ok)
		}
	}
}
