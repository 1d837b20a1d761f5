package apptest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// local is a whole installation on one machine: agent, collector, demux and
// web as processes of their own, over a store on the local disk.
type local struct {
	dir, config, store        string
	agentAddr, collectorAddr  string
	demuxAddr, webAddr        string
	agent, collector, demuxer *proc
}

func (l *local) writeConfig(t *testing.T, adaptors, types string) {
	t.Helper()
	l.dir = t.TempDir()
	l.store = filepath.Join(l.dir, "store")
	l.agentAddr, l.collectorAddr, l.demuxAddr, l.webAddr = freeAddr(t), freeAddr(t), freeAddr(t), freeAddr(t)
	l.config = writeFile(t, filepath.Join(l.dir, "akupara.yaml"), fmt.Sprintf(`
store: file://%s
data_dir: %s
agent:
  collectors: [http://%s]
  listen: %s
  adaptors:
%s
collector:
  listen: %s
  seal: {bytes: 128MiB, age: 1s}
demux:
  schedule: "@every 1s"
  listen: %s
  types: {%s}
web:
  listen: %s
  demux: %s
  agents: [{host: here, url: "http://%s"}]
`, l.store, filepath.Join(l.dir, "data"), l.collectorAddr, l.agentAddr, adaptors, l.collectorAddr, l.demuxAddr, types, l.webAddr, l.demuxAddr, l.agentAddr))
	mustAkupara(t, "check", "--config", l.config)
}

func (l *local) start(t *testing.T) {
	t.Helper()
	l.collector = start(t, "collector", "akupara", "collector", "--config", l.config)
	l.agent = start(t, "agentd", "agentd", "--config", l.config)
	l.demuxer = start(t, "demux", "akupara", "demux", "--config", l.config)
}

// query returns the rows of a query as JSON objects.
func (l *local) query(t *testing.T, sql string) []map[string]any {
	t.Helper()
	out, code := akupara(t, "query", "--config", l.config, "--format", "json", sql)
	if code != 0 {
		return nil
	}
	var rows []map[string]any
	if err := json.Unmarshal([]byte(out), &rows); err != nil {
		t.Fatalf("query %s: %v in %q", sql, err, out)
	}
	return rows
}

func TestLogFileBecomesATable(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	const lines = 5000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, `{"ts":"2026-01-02T03:%02d:%02d.%03dZ","level":"warning","msg":"line %d","user":{"id":%d},"took":%d.5}`+"\n", i/60%60, i%60, i%1000, i, i%7, i)
	}
	text.WriteString("this is no JSON of mallory@example.org\n")
	writeFile(t, filepath.Join(logs, "deep", "er", "app.json"), text.String())
	writeFile(t, filepath.Join(logs, "plain.txt"), "one\ntwo\nthree\n")

	l := &local{}
	l.writeConfig(t, fmt.Sprintf(`    - {name: app, kind: tail, type: app, paths: ["%s/**/*.json"]}
    - {name: plain, kind: tail, type: plain, paths: ["%s/*.txt"]}
    - {name: disk, kind: command, type: df, command: [df, -Pk], every: 1s}
    - {name: load, kind: metrics, every: 1s}
`, logs, logs), `app: {parser: json, steps: [{rename: {took: took_ms}}, {set: {team: core}}, {redact: {what: [email]}}]}`)
	l.start(t)
	eventually(t, slow, "all lines are in the table", func() bool {
		rows := l.query(t, `select count(*) as n from app`)
		return len(rows) == 1 && rows[0]["n"] == float64(lines+1)
	})

	t.Run("columns come from the data", func(t *testing.T) {
		rows := l.query(t, `select level, message, "user.id" as id, took_ms, team, parse_error, host, source from app where message = 'line 4711'`)
		if len(rows) != 1 {
			t.Fatalf("got %v, want one row", rows)
		}
		host, _ := os.Hostname()
		want := map[string]any{
			"level": "WARN", "message": "line 4711", "id": float64(4711 % 7), "took_ms": 4711.5, "team": "core", "parse_error": nil,
			"host": host, "source": filepath.Join(logs, "deep", "er", "app.json"),
		}
		for k, v := range want {
			if rows[0][k] != v {
				t.Errorf("%s: got %v, want %v", k, rows[0][k], v)
			}
		}
		bad := l.query(t, `select message from app where parse_error is not null`)
		if len(bad) != 1 || bad[0]["message"] != "this is no JSON of [email]" {
			t.Errorf("with parse_error: got %v, want the one line that is no JSON", bad)
		}
	})
	t.Run("types without an entry are raw", func(t *testing.T) {
		eventually(t, slow, "three plain rows", func() bool { return len(l.query(t, `select * from plain`)) == 3 })
	})
	t.Run("metrics and commands are tables", func(t *testing.T) {
		for _, name := range []string{"cpu", "memory", "load", "disk", "network", "df"} {
			eventually(t, slow, name+" has rows", func() bool { return len(l.query(t, `select * from "`+name+`" limit 1`)) == 1 })
		}
		if rows := l.query(t, `select mountpoint from df where mountpoint = '/' limit 1`); len(rows) != 1 {
			t.Errorf("df knows no /: %v", rows)
		}
	})
	t.Run("show tables names them with their states", func(t *testing.T) {
		out := mustAkupara(t, "query", "--config", l.config, "--format", "csv", "show tables")
		if !strings.HasPrefix(out, "name,state\napp,ok\n") {
			t.Errorf("got %q, want the columns name and state, and app first", out)
		}
	})
	t.Run("PyIceberg reads it", func(t *testing.T) {
		rows := readTable(t, "file://"+l.store+"/tables/app", "", `select count(*), count(distinct (stream, seq)), count(parse_error) from t`)
		if got, want := fmt.Sprint(rows), fmt.Sprintf("[[%d %d 1]]", lines+1, lines+1); got != want {
			t.Errorf("rows, distinct (stream, seq), parse errors: got %s, want %s", got, want)
		}
	})
	t.Run("audit finds nothing missing", func(t *testing.T) {
		l.agent.stop()
		l.collector.stop()
		eventually(t, slow, "everything is in the tables", func() bool {
			rep, code := audit(t, "--config", l.config)
			return code == 0 && rep.Unpublished == 0 && rep.Records > lines
		})
		if code := l.demuxer.stop(); code != 0 {
			t.Errorf("demux: exit code %d after SIGTERM, want 0", code)
		}
	})
	t.Run("cat gives the raw log back", func(t *testing.T) {
		sinks, err := filepath.Glob(filepath.Join(l.store, "archive", "app", "*", "*.avro"))
		if err != nil || len(sinks) == 0 {
			t.Fatalf("archived sink files: %v, %v", sinks, err)
		}
		if got := mustAkupara(t, append([]string{"cat", "--config", l.config}, sinks...)...); got != text.String() {
			t.Errorf("got %d bytes, want the file's %d", len(got), text.Len())
		}
	})
}

func TestALineIsVisibleWithinFiveSeconds(t *testing.T) {
	logs := t.TempDir()
	file := writeFile(t, filepath.Join(logs, "a.log"), "first\n")
	l := &local{}
	l.writeConfig(t, fmt.Sprintf(`    - {name: plain, kind: tail, type: plain, paths: ["%s/*.log"]}
`, logs), "")
	l.start(t)
	visible := func(text string) func() bool {
		return func() bool { return len(l.query(t, `select 1 from plain where message = '`+text+`'`)) == 1 }
	}
	eventually(t, slow, "the first line is visible", visible("first"))
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString("second\n"); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, 20*time.Second, "the second line is visible", visible("second"))
	t.Logf("visible after %v", time.Since(began))
}
