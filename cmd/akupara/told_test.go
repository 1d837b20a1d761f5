package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A store that can't be reached is told by those who need it, from the start on.
func TestAStoreThatIsAwayIsToldWithItsAddressAndTheCause(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	file := filepath.Join(dir, "site.yaml")
	const uri = "hdfs://127.0.0.1:1/akupara"
	writeFile(t, file, strings.Replace(siteText(dir, port), "file://"+dir+"/store", uri, 1))
	for at, name := range map[int]string{1: "collector", 2: "demux", 3: "web"} {
		d := startDaemon(t, nil, name, "--config", file)
		url := fmt.Sprintf("http://127.0.0.1:%d", port+at)
		told := func(text string) bool {
			return strings.Contains(text, uri) && strings.Contains(text, "connection refused")
		}
		eventually(t, d.gone, time.Minute, name+" listens, and logs it", func() bool {
			return strings.Contains(d.log(), "msg=listening") && strings.Contains(d.log(), "the store can't be reached") && told(d.log())
		})
		status, body := askREST(t, "GET", url+"/readyz")
		if name == "collector" { // it takes data while its spool has room
			if status != 200 {
				t.Errorf("collector: readyz is %d %s, want 200", status, body)
			}
			_, body = askREST(t, "GET", url+"/v1/status")
		} else if status != 503 {
			t.Errorf("%s: readyz is %d, want 503", name, status)
		}
		if !told(body) {
			t.Errorf("%s says %q, want the address and the cause", name, body)
		}
		if _, body := askREST(t, "GET", url+"/metrics"); !strings.Contains(body, "akupara_store_reachable 0\n") {
			t.Errorf("%s: akupara_store_reachable is not 0", name)
		}
		if name == "demux" {
			eventually(t, d.gone, time.Minute, "the runs that failed are listed", func() bool {
				_, body := askREST(t, "GET", url+"/v1/runs")
				return strings.Contains(body, `"error":"list data types`)
			})
		}
	}
	stdout, _, code := call(t, dir, "check", "--config", file, "--online")
	if code != 1 || !strings.Contains(stdout, uri) || !strings.Contains(stdout, "connection refused") {
		t.Errorf("check --online: exit code %d and %q, want 1, the address and the cause", code, stdout)
	}
}

// While runs of a type fail, what waits for them is told.
func TestRunsThatFailSayWhatWaits(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	file := filepath.Join(dir, "site.yaml")
	writeFile(t, file, siteText(dir, port))
	writeFile(t, filepath.Join(dir, "logs/a.log"), "plain words\n")
	writeFile(t, filepath.Join(dir, "store/tables/app"), "this is no folder")
	d := startDaemon(t, nil, "up", "--config", file)
	url := fmt.Sprintf("http://127.0.0.1:%d", port+2)
	eventually(t, d.gone, time.Minute, "a run failed", func() bool {
		var v struct {
			Runs []struct {
				Type, Error string
				Waiting     *struct {
					Files  int `json:"sink_files"`
					Bytes  int64
					Oldest time.Time
				}
			}
		}
		if status, body := askREST(t, "GET", url+"/v1/runs"); status != 200 || json.Unmarshal([]byte(body), &v) != nil || len(v.Runs) == 0 {
			return false
		}
		r := v.Runs[0]
		return r.Type == "app" && r.Error != "" && r.Waiting != nil && r.Waiting.Files == 1 && r.Waiting.Bytes > 0 && time.Since(r.Waiting.Oldest) < time.Hour
	})
	_, body := askREST(t, "GET", url+"/metrics")
	for _, want := range []string{`akupara_demux_waiting_sink_files{type="app"} 1`, `akupara_demux_waiting_bytes{type="app"} `, `akupara_demux_oldest_waiting_timestamp_seconds{type="app"} `} {
		if !strings.Contains(body, want) || strings.Contains(body, want+"0\n") {
			t.Errorf("the metrics have not %s", want)
		}
	}
	if err := os.Remove(filepath.Join(dir, "store/tables/app")); err != nil {
		t.Fatal(err)
	}
	eventually(t, d.gone, time.Minute, "nothing waits", func() bool {
		_, body := askREST(t, "GET", url+"/metrics")
		return strings.Contains(body, `akupara_demux_waiting_bytes{type="app"} 0`+"\n")
	})
}

// An agent whose collectors are away says so of its adaptors, and so it does of a
// full spool.
func TestAnAgentSaysWhatItsAdaptorsWaitFor(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	file := filepath.Join(dir, "site.yaml")
	text := strings.Replace(siteText(dir, port), "  drain: 1s\n", "  drain: 1s\n  buffer: 20MiB\n  spool: {bytes: 1MiB}\n", 1)
	text = strings.Replace(text, "rescan: 100ms}", "rescan: 100ms}, {name: much, kind: command, type: much, command: [seq, '1000000'], every: 1s}", 1)
	writeFile(t, file, text)
	writeFile(t, filepath.Join(dir, "logs/a.log"), "plain words\n")
	d := startDaemon(t, nil, "agent", "--config", file)
	collector := fmt.Sprintf("http://127.0.0.1:%d", port+1)
	row := func(name string, texts ...string) func() bool {
		return func() bool {
			stdout, _, _ := call(t, dir, "adaptor", "ls", "--config", file)
			for line := range strings.Lines(stdout) {
				if strings.HasPrefix(line, name) {
					for _, text := range texts {
						if !strings.Contains(line, text) {
							return false
						}
					}
					return true
				}
			}
			return false
		}
	}
	eventually(t, d.gone, time.Minute, "app waits for a collector", row("app ", "waiting", "no collector takes data since", collector, "connection refused"))
	eventually(t, d.gone, time.Minute, "much waits for the spool", row("much ", "waiting", "the agent's spool can't take more"))
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	if _, body := askREST(t, "GET", url+"/metrics"); !strings.Contains(body, "akupara_agent_personas_without_collector 1\n") || !strings.Contains(body, "akupara_agent_spool_full 1\n") {
		t.Error("the metrics do not tell that collectors are away, or that the spool is full")
	}
	if _, body := askREST(t, "GET", url+"/v1/personas"); !strings.Contains(body, `"away":{"since":`) {
		t.Errorf("personas are %s, want since when collectors are away", body)
	}
	c := startDaemon(t, nil, "collector", "--config", file)
	eventually(t, c.gone, time.Minute, "app goes on", row("app ", "running"))
}
