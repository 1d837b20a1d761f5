package apptest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/store/storetest"
)

// A run on YARN is seen by akupara jobs, and stopped by it; and it ends with the demux
// that is told to end. What it was to make rows of, the next run does, once.
func TestARunOnYARNIsSeenStoppedAndEndsWithItsDemux(t *testing.T) {
	t.Parallel()
	y := storetest.SharedYARN(t)
	logs := t.TempDir()
	const lines = 2000
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, `{"ts":"2026-01-02T%02d:00:00Z","msg":"line %d","n":%d}`+"\n", i%5, i, i)
	}
	writeFile(t, filepath.Join(logs, "app.json"), text.String())
	s := &site{
		storeURI: storetest.SharedCluster(t), schedule: "@yearly", types: "app: {parser: json}",
		adaptors: fmt.Sprintf(`    - {name: app, kind: tail, type: app, paths: ["%s/*.json"]}`, logs),
		demuxKey: fmt.Sprintf(`  engine: yarn
  yarn: {classpath: ["%s"], memory: 512MiB, min_bytes: 1}`, strings.Join(y.Classpath(), `", "`)),
	}
	s.configure(t)
	s.collector = start(t, "collector", "akupara", "collector", "--config", s.config)
	s.agent = start(t, "agentd", "agentd", "--config", s.config)
	eventually(t, slow, "all is settled", func() bool {
		out, code := akupara(t, "drain", "--status", "--config", s.config)
		return code == 0 && strings.Contains(out, "all that was read is settled")
	})
	demux := start(t, "demux", "akupara", "demux", "--config", s.config)
	ready(t, s.demuxAddr)

	// begun starts a run, and returns its application when that is known.
	begun := func() (application string) {
		do(t, http.MethodPost, "http://"+s.demuxAddr+"/v1/runs?type=app", "").want(t, "start a run", http.StatusAccepted)
		eventually(t, slow, "the run has an application on YARN", func() bool {
			var answer struct {
				Running []struct {
					Kind, Type, Application string
					Tasks                   int
				}
			}
			if err := json.Unmarshal([]byte(mustAkupara(t, "jobs", "--json", "--config", s.config)), &answer); err != nil {
				t.Fatal(err)
			}
			if len(answer.Running) != 1 || answer.Running[0].Application == "" {
				return false
			}
			if r := answer.Running[0]; r.Kind != "run" || r.Type != "app" || r.Tasks != 1 {
				t.Fatalf("at work is %+v", r)
			}
			application = answer.Running[0].Application
			return true
		})
		return application
	}
	first := begun()
	list := strings.Join(strings.Fields(mustAkupara(t, "jobs", "--config", s.config)), " ")
	if !strings.Contains(list, "run app running, 0 of 1 tasks") || !strings.Contains(list, first) {
		t.Errorf("jobs lists %s, want the run in it", list)
	}
	if out := mustAkupara(t, "jobs", "stop", "run", "--type", "app", "--config", s.config); !strings.Contains(out, "stopped run on 1") {
		t.Errorf("jobs stop says %q", out)
	}
	eventually(t, slow, "the run is not at work any more", func() bool {
		return !strings.Contains(mustAkupara(t, "jobs", "--config", s.config), first)
	})
	if got := y.State(first); got != "KILLED" {
		t.Errorf("the stopped run's application is %s, want KILLED", got)
	}

	second := begun()
	if code := demux.stop(); code != 0 {
		t.Errorf("demux: exit code %d after SIGTERM, want 0", code)
	}
	if got := y.State(second); got != "KILLED" || second == first {
		t.Errorf("the application %s of the demux that was told to end is %s, want KILLED", second, got)
	}

	s.demuxKey = "" // the same in one process
	s.rewrite(t)
	mustAkupara(t, "demux", "--once", "--config", s.config)
	if rows, _ := akupara(t, "query", "--config", s.config, "--format", "csv", `select count(*), count(distinct seq), sum(n) from app`); !strings.Contains(rows, fmt.Sprintf("%d,%d,%d", lines, lines, lines*(lines-1)/2)) {
		t.Errorf("rows: %s", rows)
	}
	if rep, code := audit(t, "--deep", "--config", s.config); code != 0 || rep.Records != lines {
		t.Errorf("audit: exit code %d, %+v", code, rep)
	}
}
