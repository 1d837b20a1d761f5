package agentd_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// described holds requests and answers against the API's description.
type described struct {
	t      *testing.T
	agent  *agent
	router routers.Router
	seen   map[string]bool // METHOD path as described, with the class of the answer
}

func describe(t *testing.T, a *agent) *described {
	t.Helper()
	status, body := a.do("GET", "/v1/openapi.json", "")
	if status != 200 {
		t.Fatalf("the description: status %d", status)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		t.Fatal(err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &described{t, a, router, map[string]bool{}}
}

// do makes a request and holds the answer against its schema. wrong tells that
// the request itself is not as described.
func (d *described) do(method, path, body string, want int) string {
	d.t.Helper()
	req, err := http.NewRequest(method, d.agent.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != want {
		d.t.Errorf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, want, answer)
	}
	plain, err := http.NewRequest(method, path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	route, params, err := d.router.FindRoute(plain)
	if err != nil {
		d.t.Errorf("%s %s is not described: %v", method, path, err)
		return string(answer)
	}
	in := &openapi3filter.RequestValidationInput{Request: plain, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc}}
	out := &openapi3filter.ResponseValidationInput{RequestValidationInput: in, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true}}
	out.SetBodyBytes(answer)
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/yaml") {
		out.Options.ExcludeResponseBody = true
	}
	if err := openapi3filter.ValidateResponse(context.Background(), out); err != nil {
		d.t.Errorf("%s %s: the answer %d is not as described: %v\n%.500s", method, path, resp.StatusCode, err, answer)
	}
	class := "ok"
	if resp.StatusCode >= 400 {
		class = "error"
	}
	d.seen[method+" "+route.Path+" "+class] = true
	return string(answer)
}

func TestEveryRouteIsDescribedAndTheOtherWayRound(t *testing.T) {
	t.Parallel()
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described = append(described, method+" "+path)
		}
	}
	served := agentd.Routes()
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) {
		t.Errorf("described and served differ:\ndescribed %s\nserved    %s", strings.Join(described, ", "), strings.Join(served, ", "))
	}
}

func TestAnswersAreAsDescribed(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	log := filepath.Join(dir, "logs", "app.log")
	if err := os.Mkdir(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, log, lines(0, 100))
	a := startFile(t, dir, fmt.Sprintf(`allow_paths: [%s]
personas:
  apps: {rate: 1MiB, quota: {bytes: 1GiB}, tags: {team: a}}
switches:
  - {name: quiet, adaptor: nobody}
adaptors:
  - {name: log, kind: tail, type: app, paths: [%s], persona: apps}
  - {name: load, kind: metrics, only: [load], every: 1h}
  - {name: bad, kind: command, type: x, command: [/nonexistent], every: 1h}
`, filepath.Dir(log), log), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 100)))
	c.SettleAll(true)
	c.Settle()
	a.wait("log", "settled", settled)
	a.wait("bad", "failed", func(v view) bool { return v.LastError != "" })

	d := describe(t, a.agent)
	entry := fmt.Sprintf(`{"name": "more", "kind": "tail", "type": "app", "paths": ["%s/more*"], "drop": ["debug"]}`, filepath.Dir(log))
	for _, do := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/v1/adaptors", "", 200},
		{"GET", "/v1/adaptors/log", "", 200},
		{"GET", "/v1/adaptors/bad", "", 200},
		{"GET", "/v1/adaptors/none", "", 404},
		{"POST", "/v1/adaptors", entry, 201},
		{"POST", "/v1/adaptors", entry, 409},
		{"POST", "/v1/adaptors", `{"name": "x"}`, 400},
		{"PUT", "/v1/adaptors/more", strings.Replace(entry, "debug", "trace", 1), 200},
		{"PUT", "/v1/adaptors/more", strings.Replace(entry, "more", "other", 1), 409},
		{"PUT", "/v1/adaptors/none", entry, 404},
		{"POST", "/v1/adaptors/more/stop", "", 200},
		{"POST", "/v1/adaptors/none/stop", "", 404},
		{"POST", "/v1/adaptors/more/start", "", 200},
		{"POST", "/v1/adaptors/none/start", "", 404},
		{"DELETE", "/v1/adaptors/more", "", 204},
		{"DELETE", "/v1/adaptors/log", "", 409},
		{"POST", "/v1/adaptors/log/rewind", `{"all": true, "offset": 10}`, 200},
		{"POST", "/v1/adaptors/log/rewind", `{"all": true, "offset": -1}`, 400},
		{"POST", "/v1/adaptors/load/rewind", `{"all": true}`, 409},
		{"GET", "/v1/streams", "", 200},
		{"GET", "/v1/streams?adaptor=log&limit=1", "", 200},
		{"GET", "/v1/streams?limit=0", "", 400},
		{"GET", "/v1/checkpoints", "", 200},
		{"GET", "/v1/checkpoints?offset=x", "", 400},
		{"GET", "/v1/switches", "", 200},
		{"PUT", "/v1/switches/mine", `{"namespace": "shop", "level": "debug"}`, 200},
		{"PUT", "/v1/switches/mine", `{"namesapce": "shop"}`, 400},
		{"GET", "/v1/switches/mine", "", 200},
		{"GET", "/v1/switches/none", "", 404},
		{"DELETE", "/v1/switches/mine", "", 204},
		{"DELETE", "/v1/switches/quiet", "", 409},
		{"DELETE", "/v1/switches/mine", "", 404},
		{"GET", "/v1/personas", "", 200},
		{"GET", "/v1/config", "", 200},
		{"POST", "/v1/config/reload", "", 200},
		{"GET", "/v1/drain", "", 200},
		{"POST", "/v1/drain", `{"timeout": "20s"}`, 200},
		{"POST", "/v1/drain", `{"timeout": "1y"}`, 400},
		{"GET", "/v1/adaptors", "", 200},
		{"DELETE", "/v1/drain", "", 204},
		{"GET", "/v1/openapi.yaml", "", 200},
		{"GET", "/v1/openapi.json", "", 200},
		{"GET", "/healthz", "", 200},
		{"GET", "/readyz", "", 200},
		{"GET", "/metrics", "", 200},
	} {
		d.do(do.method, do.path, do.body, do.status)
	}
	a.write(strings.Replace(a.base+a.section, "host: h", "host: other", 1))
	d.do("POST", "/v1/config/reload", "", 409)
	d.do("GET", "/v1/config", "", 200)
	for _, route := range agentd.Routes() {
		if !d.seen[route+" ok"] {
			t.Errorf("%s was not compared with its description; got %v", route, slices.Sorted(maps.Keys(d.seen)))
		}
	}
}

// TestAuditOfTheDescription: the YAML that is served is the file.
func TestTheDescriptionIsServedAsItIs(t *testing.T) {
	t.Parallel()
	a := start(t, t.TempDir(), "", collectortest.New(t, "a").URL)
	want, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if status, body := a.do("GET", "/v1/openapi.yaml", ""); status != 200 || !bytes.Equal([]byte(body), want) {
		t.Errorf("status %d and %d bytes, want 200 and the file's %d", status, len(body), len(want))
	}
	var doc map[string]any
	if status, body := a.do("GET", "/v1/openapi.json", ""); status != 200 || json.Unmarshal([]byte(body), &doc) != nil || doc["openapi"] != "3.0.3" {
		t.Errorf("status %d: %.100s, want the same in JSON", status, body)
	}
}

// fileAgent is an agent whose config is a file.
type fileAgent struct {
	*agent
	path, base, section string
}

// startFile starts an agent on a file in dir that holds the section.
func startFile(t *testing.T, dir, section string, urls ...string) *fileAgent {
	t.Helper()
	f := &fileAgent{path: filepath.Join(dir, "agent.yaml"), section: section, agent: &agent{t: t},
		base: fmt.Sprintf("listen: 127.0.0.1:0\nhost: h\nreceipts_every: 20ms\ncollectors: [%s]\n", strings.Join(urls, ", "))}
	f.rewrite("")
	load := func() (map[string]reload.Section, string, error) {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return nil, "", err
		}
		n, problems := config.Parse(f.path, data)
		cfg, more := agentd.Decode(n, all.Kinds())
		return map[string]reload.Section{agentd.Section: {Config: cfg, Node: n}}, fmt.Sprintf("%x", sha256.Sum256(data)), append(problems, more...).Err()
	}
	sections, hash, err := load()
	if err != nil {
		t.Fatal(err)
	}
	cfg, _ := sections[agentd.Section].Config.(agentd.Config)
	f.agent = startWith(t, cfg, agentd.Deps{Dir: filepath.Join(dir, "agent")}, &reload.File{Path: f.path, Hash: hash, Running: sections, Load: load})
	return f
}

// rewrite writes the file anew, with more keys before the section.
func (f *fileAgent) rewrite(more string) {
	f.t.Helper()
	f.write(f.base + more + f.section)
}

// write puts text in the place of the file, at once.
func (f *fileAgent) write(text string) {
	f.t.Helper()
	tmp := f.path + ".tmp"
	if err := os.WriteFile(tmp, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Rename(tmp, f.path); err != nil {
		f.t.Fatal(err)
	}
}

// waitConfig waits until GET /v1/config is as ok wants it.
func (f *fileAgent) waitConfig(what string, ok func(configReply) bool) configReply {
	f.t.Helper()
	var v configReply
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		_, body := f.do("GET", "/v1/config", "")
		v = configReply{}
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			f.t.Fatalf("%v: %s", err, body)
		}
		if ok(v) {
			return v
		}
	}
	f.t.Fatalf("the config: not %s: %+v\nlog:\n%s", what, v, f.log)
	return v
}

type configReply struct {
	Generation int
	Hash       string
	Source     string
	Refused    *struct {
		Hash, Error string
		Problems    []string
	} `json:"last_refused"`
	Changed *struct {
		Added, Removed, Changed, Applied []string
	}
	Effective map[string]any
}
