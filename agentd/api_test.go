package agentd_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/agentd/internal/collectortest"
)

func names(t *testing.T, a *agent) string {
	t.Helper()
	status, body := a.do("GET", "/v1/adaptors", "")
	var list []view
	if err := json.Unmarshal([]byte(body), &list); status != 200 || err != nil {
		t.Fatalf("list: status %d, %v: %s", status, err, body)
	}
	var out []string
	for _, v := range list {
		out = append(out, v.Name+":"+v.State)
	}
	return strings.Join(out, " ")
}

func TestWhatIsAddedAndStoppedOverRESTSurvivesARestart(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	section := "allow_paths: [" + dir + "]\nadaptors:\n - {name: load, kind: metrics, only: [load], every: 1h}\n - {name: mem, kind: metrics, only: [memory], every: 1h}\n"
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 10))
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)

	status, body := a.do("POST", "/v1/adaptors", `{"name": "log", "kind": "tail", "type": "app", "paths": ["`+path+`"]}`)
	if status != 201 || !strings.Contains(body, `"name":"log"`) {
		t.Fatalf("add: status %d: %s", status, body)
	}
	c.Wait("the added file", holds(t, "app", lines(0, 10)))
	for _, do := range []struct {
		method, path string
		status       int
	}{
		{"POST", "/v1/adaptors/load/stop", 200},
		{"POST", "/v1/adaptors/mem/stop", 200},
		{"POST", "/v1/adaptors/mem/start", 200},
		{"POST", "/v1/adaptors/none/stop", 404},
		{"GET", "/v1/adaptors/none", 404},
		{"DELETE", "/v1/adaptors/none", 404},
		{"DELETE", "/v1/adaptors/mem", 409}, // it stands in the config
	} {
		if status, body := a.do(do.method, do.path, ""); status != do.status {
			t.Errorf("%s %s: status %d, want %d: %s", do.method, do.path, status, do.status, body)
		}
	}
	if got, want := names(t, a), "load:stopped log:running mem:running"; got != want {
		t.Errorf("adaptors %q, want %q", got, want)
	}
	a.stop()

	b := start(t, filepath.Join(dir, "agent"), section, c.URL)
	if got, want := names(t, b), "load:stopped log:running mem:running"; got != want {
		t.Errorf("after a restart: %q, want %q", got, want)
	}
	if status, body := b.do("DELETE", "/v1/adaptors/log", ""); status != 204 {
		t.Errorf("delete: status %d: %s", status, body)
	}
	b.stop()
	if got, want := names(t, start(t, filepath.Join(dir, "agent"), section, c.URL)), "load:stopped mem:running"; got != want {
		t.Errorf("after delete and restart: %q, want %q", got, want)
	}
}

func TestRemovedAndAddedAgainGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 10))
	a := start(t, filepath.Join(dir, "agent"), "allow_paths: ["+dir+"]\n", c.URL)
	entry := `{"name": "log", "kind": "tail", "type": "app", "paths": ["` + path + `"]}`
	a.do("POST", "/v1/adaptors", entry)
	c.Wait("the file", holds(t, "app", lines(0, 10)))
	if status, body := a.do("DELETE", "/v1/adaptors/log", ""); status != 204 {
		t.Fatalf("delete: status %d: %s", status, body)
	}
	write(t, path, lines(10, 20))
	if status, body := a.do("POST", "/v1/adaptors", entry); status != 201 {
		t.Fatalf("add again: status %d: %s", status, body)
	}
	c.Wait("one stream with all of it", holds(t, "app", lines(0, 20)))
}

func TestBadRequestsAreRefusedWithAReason(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := start(t, dir, "allow_commands: [echo]\nadaptors:\n - {name: load, kind: metrics, only: [load], every: 1h}\n", c.URL)
	for name, test := range map[string]struct {
		body   string
		status int
		want   string
	}{
		"not even YAML":         {`{"name": `, 400, "request:1"},
		"unknown kind":          {`{"name": "x", "kind": "tial", "type": "a"}`, 400, "did you mean"},
		"unknown key":           {`{"name": "x", "kind": "metrics", "evry": "1s"}`, 400, "evry"},
		"bad glob":              {`{"name": "x", "kind": "tail", "type": "a", "paths": ["/a/[b"]}`, 400, "path pattern"},
		"bad type":              {`{"name": "x", "kind": "tail", "type": "A/B", "paths": ["/a"]}`, 400, "must match"},
		"bad name":              {`{"name": "../x", "kind": "metrics"}`, 400, "must match"},
		"empty name":            {`{"name": "", "kind": "metrics"}`, 400, "must match"},
		"no paths":              {`{"name": "x", "kind": "tail", "type": "a", "paths": []}`, 400, "at least one path pattern"},
		"unknown level":         {`{"name": "x", "kind": "metrics", "delivery": "sometimes"}`, 400, "best_effort"},
		"unknown persona":       {`{"name": "x", "kind": "metrics", "persona": "none"}`, 400, "no persona"},
		"bad drop rule":         {`{"name": "x", "kind": "metrics", "drop": ["("]}`, 400, "no regular expression"},
		"name taken":            {`{"name": "load", "kind": "metrics"}`, 409, "there is an adaptor of that name"},
		"program not listed":    {`{"name": "x", "kind": "command", "type": "a", "command": ["sh", "-c", "id"], "every": "1m"}`, 403, "allow_commands"},
		"program by other path": {`{"name": "x", "kind": "command", "type": "a", "command": ["/tmp/echo"], "every": "1m"}`, 403, "allow_commands"},
		"program listed":        {`{"name": "y", "kind": "command", "type": "a", "command": ["echo", "hi"], "every": "1m"}`, 201, `"y"`},
		"too large":             {`{"name": "` + strings.Repeat("x", 100_000) + `"}`, 413, "at most"},
	} {
		t.Run(name, func(t *testing.T) {
			if status, body := a.do("POST", "/v1/adaptors", test.body); status != test.status || !strings.Contains(body, test.want) {
				t.Errorf("status %d, want %d with %q: %s", status, test.status, test.want, body)
			}
		})
	}
}

func TestForeignHostAndOriginAreRefused(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := start(t, dir, "", c.URL)
	own := strings.TrimPrefix(a.url, "http://")
	for _, test := range []struct {
		header []string
		status int
	}{
		{nil, 200},
		{[]string{"Origin", a.url}, 200},
		{[]string{"Host", "localhost"}, 200},
		{[]string{"Host", "evil.example"}, 403},
		{[]string{"Host", "evil.example:80", "Origin", "http://evil.example:80"}, 403},
		{[]string{"Origin", "http://evil.example"}, 403},
		{[]string{"Origin", "null"}, 403},
		{[]string{"Origin", "http://" + strings.Replace(own, ":", ":1", 1)}, 403},
	} {
		for _, path := range []string{"/v1/adaptors", "/metrics"} {
			if status, body := a.do("GET", path, "", test.header...); status != test.status {
				t.Errorf("%s with %q: status %d, want %d: %s", path, test.header, status, test.status, body)
			}
		}
	}
}
