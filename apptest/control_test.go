package apptest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAdaptorsAreRunOverREST(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	writeFile(t, filepath.Join(logs, "a.log"), numbered("a", 0, 100))
	s := &site{
		adaptors: fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/a.log"], tags: {rack: r7}}
    - {name: broken, kind: command, type: broken, command: [/no/such/program], every: 100ms}
    - {name: load, kind: metrics, every: 1s}`, logs),
		agentKey: "  allow_commands: [echo]\n  allow_paths: [" + logs + ", /nowhere]",
	}
	s.configure(t)
	s.startAll(t)
	ready(t, s.agentAddr)
	url := s.agentURL("/v1/adaptors")
	post := func(path, body string, header ...string) answer { return do(t, "POST", url+path, body, header...) }

	t.Run("the list has its fields", func(t *testing.T) {
		eventually(t, slow, "plain is settled", func() bool {
			v := s.adaptor(t, "plain")
			return len(v.Position) == 1 && v.Position[0].Settled == 900 && v.LagBytes == 0
		})
		list := decode[[]map[string]any](t, do(t, "GET", url, ""), 200)
		names := []any{}
		for _, a := range list {
			names = append(names, a["name"])
			for _, key := range []string{"name", "kind", "type", "state", "position", "lag_bytes", "rate", "last_error"} {
				if _, ok := a[key]; !ok {
					t.Errorf("%v has no %s", a["name"], key)
				}
			}
		}
		for _, want := range []any{"plain", "broken", "load"} {
			if !slices.Contains(names, want) {
				t.Errorf("got %v, want %v in it", names, want)
			}
		}
		v := s.adaptor(t, "plain")
		if v.Kind != "tail" || v.Type != "plain" || v.State != "running" || v.LastErr != "" ||
			v.Position[0].Path != filepath.Join(logs, "a.log") || v.Position[0].Read != 900 || v.Position[0].Size != 900 {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("one that fails says why and stops no other", func(t *testing.T) {
		eventually(t, slow, "broken has an error", func() bool { return strings.Contains(s.adaptor(t, "broken").LastErr, "/no/such/program") })
		s.becomes(t, slow, `select count(*) from plain where tags['rack'] = 'r7'`, "100")
		s.becomes(t, slow, `select count(*) > 1 from load`, "true")
	})
	t.Run("what is wrong is refused", func(t *testing.T) {
		entry := fmt.Sprintf(`{"name":"x","kind":"tail","type":"x","paths":["%s/x"]}`, logs)
		post("", entry, "Origin", "http://evil.example").want(t, "foreign origin", 403)
		post("", entry, "Host", "evil.example").want(t, "foreign host", 403)
		do(t, "GET", url, "", "Host", "evil.example").want(t, "foreign host", 403)
		post("", `{"name":"x","kind":"command","type":"x","command":["sh","-c","id"],"every":"1s"}`).want(t, "a command", 403, "allow_commands")
		post("", `{"name":"x","kind":"command","type":"x","command":["/tmp/echo"],"every":"1s"}`).want(t, "another program of that name", 403, "allow_commands")
		post("", `{"name":"x","kind":"tail","type":"x","path":["/x"]}`).want(t, "an unknown key", 400, "path", "paths")
		post("", `{"name":"x","kind":"tail","type":"X!","paths":["/x"]}`).want(t, "a type", 400, "X!")
		post("", `{"name":"x","kind":"tale","type":"x","paths":["/x"]}`).want(t, "a kind", 400, "tail")
		post("", `{"name":"plain","kind":"tail","type":"x","paths":["/x"]}`).want(t, "a name in use", 409)
		post("", strings.Repeat("x", 1<<20)).want(t, "a large entry", 413)
		do(t, "GET", url+"/x", "").want(t, "none of that name", 404)
		post("/x/stop", "").want(t, "none of that name", 404)
		do(t, "DELETE", url+"/plain", "").want(t, "in the config", 409)
	})
	t.Run("what is added survives a kill", func(t *testing.T) {
		writeFile(t, filepath.Join(logs, "b.log"), numbered("b", 0, 50))
		post("", fmt.Sprintf(`{"name":"added","kind":"tail","type":"added","paths":["%s/b.log"]}`, logs)).want(t, "add", 201, `"added"`)
		post("", `{"name":"said","kind":"command","type":"said","command":["echo","hello"],"every":"1h"}`).want(t, "an allowed command", 201)
		post("", `{"name":"short","kind":"tail","type":"short","paths":["/nowhere/*"]}`).want(t, "add", 201)
		do(t, "DELETE", url+"/short", "").want(t, "remove", 204)
		post("/plain/stop", "").want(t, "stop", 200, `"stopped"`)
		s.becomes(t, slow, `select count(*) from added`, "50")
		s.agent.kill()
		appendFile(t, filepath.Join(logs, "a.log"), numbered("a", 100, 150))
		appendFile(t, filepath.Join(logs, "b.log"), numbered("b", 50, 70))
		s.agent.start()
		ready(t, s.agentAddr)
		s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from added`, "70 70")
		if v := s.adaptor(t, "plain"); v.State != "stopped" {
			t.Errorf("plain after a restart: got %s, want stopped as before", v.State)
		}
		do(t, "GET", url+"/short", "").want(t, "the removed one", 404)
		if got := s.value(t, `select count(*) from plain`); got != "100" {
			t.Errorf("rows of the stopped adaptor: got %s, want 100", got)
		}
		post("/plain/start", "").want(t, "start", 200)
		s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from plain`, "150 150")
		s.becomes(t, slow, `select count(*) > 0 and min(message) = max(message) from said`, "true")
	})
	t.Run("the web part passes on", func(t *testing.T) {
		web := "http://" + s.webAddr + "/v1/agents"
		do(t, "GET", web, "").want(t, "agents", 200, `"host":"here"`, `"alive":true`)
		do(t, "GET", web+"/here/adaptors/added", "").want(t, "one adaptor", 200, `"added"`)
		do(t, "POST", web+"/here/adaptors/added/stop", "").want(t, "stop", 200, `"stopped"`)
		do(t, "DELETE", web+"/here/adaptors/added", "").want(t, "remove", 204)
		do(t, "GET", web+"/here/adaptors/added", "").want(t, "the removed one", 404)
		do(t, "POST", web+"/here/adaptors", `{"name":"c","kind":"command","type":"c","command":["id"],"every":"1s"}`).want(t, "a command", 403)
		do(t, "GET", web+"/elsewhere/adaptors", "").want(t, "an unknown host", 404)
		do(t, "POST", web+"/here/adaptors/plain/stop", "", "Origin", "http://evil.example").want(t, "foreign origin", 403)
	})
	t.Run("the daemons tell of themselves", func(t *testing.T) {
		for _, addr := range []string{s.agentAddr, s.collectorAddr, s.demuxAddr, s.webAddr} {
			for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ok", "/metrics": "akupara_"} {
				do(t, "GET", "http://"+addr+path, "").want(t, addr+path, 200, want)
			}
		}
	})
	t.Run("the web part's own", func(t *testing.T) { webREST(t, s) })
	t.Run("a stop drains", func(t *testing.T) {
		if code := s.agent.stop(); code != 0 {
			t.Errorf("agent: exit code %d after SIGTERM, want 0", code)
		}
		if code := s.web.stop(); code != 0 {
			t.Errorf("web: exit code %d after SIGTERM, want 0", code)
		}
		if code := s.collector.stop(); code != 0 {
			t.Errorf("collector: exit code %d after SIGTERM, want 0", code)
		}
	})
}

func webREST(t *testing.T, s *site) {
	url := "http://" + s.webAddr
	const sql = "select message, seq from plain order by seq limit 2"
	for accept, want := range map[string]string{
		"":                     "[\n{\"message\":\"a 000000\",\"seq\":0},\n{\"message\":\"a 000001\",\"seq\":9}\n]\n",
		"application/json":     "[\n{\"message\":\"a 000000\",\"seq\":0},\n{\"message\":\"a 000001\",\"seq\":9}\n]\n",
		"application/x-ndjson": "{\"message\":\"a 000000\",\"seq\":0}\n{\"message\":\"a 000001\",\"seq\":9}\n",
		"text/csv":             "message,seq\na 000000,0\na 000001,9\n",
	} {
		a := do(t, "POST", url+"/v1/query", sql, "Accept", accept)
		if a.status != 200 || a.body != want {
			t.Errorf("Accept %q: got %d %q, want 200 %q", accept, a.status, a.body, want)
		}
	}
	a := do(t, "POST", url+"/v1/query", `{"sql": "`+sql+`"}`, "Content-Type", "application/json", "Accept", "application/vnd.apache.parquet")
	if a.status != 200 || !strings.HasPrefix(a.body, "PAR1") || !strings.HasSuffix(a.body, "PAR1") {
		t.Errorf("Parquet: got %d and %d bytes", a.status, len(a.body))
	}
	do(t, "POST", url+"/v1/query", sql, "Accept", "image/png").want(t, "a format that is none", 406)
	for _, bad := range []string{"drop table plain", "copy (select 1) to '/tmp/x'", "select * from read_csv('/etc/passwd')", "attach '/tmp/x.db'", "select 1; select 2", "selec"} {
		do(t, "POST", url+"/v1/query", bad).want(t, bad, 400, "error")
	}
	do(t, "POST", url+"/v1/query", "select 1", "Origin", "http://evil.example").want(t, "foreign origin", 403)
	do(t, "POST", url+"/v1/query", "select 1", "Host", "evil.example").want(t, "foreign host", 403)

	do(t, "GET", url+"/v1/tables", "").want(t, "tables", 200, `"name":"plain"`, `"rows":150`, `"name":"parse_error"`)
	do(t, "GET", url+"/v1/schedules", "").want(t, "schedules", 200, `"@every 1s"`, `"next"`)
	do(t, "POST", url+"/v1/runs", `{"type":"plain"}`).want(t, "start a run", 202, `"started":true`)
	do(t, "POST", url+"/v1/runs?wait=true", `{"type":"plain"}`).want(t, "a run", 200, `"runs":[`)
	do(t, "POST", url+"/v1/runs", `{"type":"../x"}`).want(t, "a type that is none", 400)
	do(t, "POST", url+"/v1/runs", "", "Origin", "http://evil.example").want(t, "foreign origin", 403)
	do(t, "POST", "http://"+s.demuxAddr+"/v1/runs", "", "Origin", "http://evil.example").want(t, "foreign origin at the demux", 403)
	runs := decode[struct {
		Runs []struct {
			ID, Type, Error string
			Records         int64
		}
	}](t, do(t, "GET", url+"/v1/runs?limit=1000", ""), 200)
	var plain int64
	for _, r := range runs.Runs {
		if r.Type == "plain" {
			plain += r.Records
		}
	}
	if plain != 150 {
		t.Errorf("records of the runs of plain: got %d, want 150", plain)
	}
	report := decode[map[string]any](t, do(t, "GET", url+"/v1/audit", ""), 200)
	for _, key := range []string{"streams", "records", "bytes", "gaps", "overlaps", "unpublished"} {
		if _, ok := report[key]; !ok {
			t.Errorf("audit: no %s in %v", key, report)
		}
	}
	if gaps, ok := report["gaps"].([]any); !ok || len(gaps) > 0 {
		t.Errorf("audit: got gaps %v, want []", report["gaps"])
	}
	do(t, "GET", url+"/v1/nothing", "").want(t, "no such path", 404)
}

func TestFilesAreFollowedWhateverHappensToThem(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	writeFile(t, at("rot/app.log"), numbered("old", 0, 1000))
	writeFile(t, at("copy/app.log"), numbered("copied", 0, 1000))
	writeFile(t, at("end/app.log"), numbered("before", 0, 1000))
	writeFile(t, at("skip/app.log"), numbered("text", 0, 10))
	writeFile(t, at("skip/app.log.1.gz"), "\x1f\x8b\x08\x00 and more")
	writeFile(t, at("skip/packed.log"), "\x1f\x8b\x08\x00 and more")
	writeFile(t, at("skip/wtmp.log"), "\x07\x00\x00\x00\x00\x00\x00\x00~\x00\x00\x00"+strings.Repeat("\x00", 400))
	if err := os.MkdirAll(at("late"), 0o755); err != nil {
		t.Fatal(err)
	}
	s := &site{adaptors: strings.ReplaceAll(`    - {name: rot, kind: tail, type: rot, paths: ["DIR/rot/**/app.log*"]}
    - {name: copy, kind: tail, type: copied, paths: ["DIR/copy/app.log*"]}
    - {name: end, kind: tail, type: ending, paths: ["DIR/end/*.log"], start: end}
    - {name: skip, kind: tail, type: skipped, paths: ["DIR/skip/*"]}
    - {name: late, kind: tail, type: late, paths: ["DIR/late/a/b/**/*.log"]}`, "DIR", dir)}
	s.configure(t)
	s.startAll(t)
	distinct := func(table string, n int) {
		t.Helper()
		s.becomes(t, slow, `select count(*) || ' ' || count(distinct message) from `+table, fmt.Sprintf("%d %d", n, n))
	}
	distinct("rot", 1000)
	distinct("copied", 1000)
	distinct("skipped", 10)

	// A missing folder appears.
	writeFile(t, at("late/a/b/x.log"), numbered("here", 0, 5))
	writeFile(t, at("late/a/b/c/d/y.log"), numbered("deep", 0, 5))
	// Text at the end of a file that was there; a file that comes later is
	// read whole.
	appendFile(t, at("end/app.log"), numbered("after", 0, 7))
	writeFile(t, at("end/new.log"), numbered("new", 0, 7))
	// A rotation by copy and truncate while the agent reads.
	appendFile(t, at("copy/app.log"), numbered("copied", 1000, 1500))
	distinct("copied", 1500)
	data, err := os.ReadFile(at("copy/app.log"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, at("copy/app.log.1"), string(data))
	if err := os.Truncate(at("copy/app.log"), 0); err != nil {
		t.Fatal(err)
	}
	appendFile(t, at("copy/app.log"), numbered("copied", 1500, 1600))
	distinct("late", 10)
	distinct("ending", 14)
	distinct("copied", 1600)

	t.Run("what is not read is listed", func(t *testing.T) {
		got := map[string]string{}
		for _, k := range s.adaptor(t, "skip").Skipped {
			got[filepath.Base(k.Path)] = k.Reason
		}
		for name, want := range map[string]string{"app.log.1.gz": "gzip", "packed.log": "gzip", "wtmp.log": "binary"} {
			if !strings.Contains(got[name], want) {
				t.Errorf("%s: got %q, want %q in it", name, got[name], want)
			}
		}
		if len(got) != 3 {
			t.Errorf("got %v, want three", got)
		}
	})

	// Rotations while the agent is stopped.
	s.agent.kill()
	appendFile(t, at("rot/app.log"), numbered("old", 1000, 1200))
	for _, step := range [][2]string{{"app.log", "app.log.1"}, {"app.log.1", "app.log.2"}} {
		if err := os.Rename(at("rot/"+step[0]), at("rot/"+step[1])); err != nil {
			t.Fatal(err)
		}
		appendFile(t, at("rot/app.log"), numbered("new "+step[1], 0, 300))
	}
	if err := os.Truncate(at("copy/app.log"), 0); err != nil {
		t.Fatal(err)
	}
	appendFile(t, at("copy/app.log"), numbered("truncated", 0, 40))
	appendFile(t, at("end/app.log"), numbered("after", 7, 9))
	writeFile(t, at("end/newer.log"), numbered("newer", 0, 4))
	s.agent.start()
	distinct("rot", 1800)
	distinct("copied", 1640)
	distinct("ending", 20)

	rep, code := audit(t, "--config", s.config)
	if code != 0 || len(rep.Gaps) > 0 {
		t.Errorf("audit: exit code %d, gaps %v, want none", code, rep.Gaps)
	}
	eventually(t, slow, "no lag is left", func() bool {
		v := s.adaptor(t, "rot")
		return v.Name == "rot" && v.LagBytes == 0
	})
}
