package apptest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/store/storetest"
)

// rotator writes numbered lines to one log file and rotates it by renaming, as
// log4j does: app.log, app.log.1, app.log.2, … It takes nothing away.
type rotator struct {
	name    string
	path    string
	perFile int
	written int // lines
	file    *os.File
	buf     *bufio.Writer
}

func (r *rotator) write(t testing.TB, n int) {
	for range n {
		if r.file == nil {
			r.file = appendTo(t, r.path)
			r.buf = bufio.NewWriter(r.file)
		}
		fmt.Fprintf(r.buf, "%s %09d %s\n", r.name, r.written, strings.Repeat("x", r.written%120))
		r.written++
		if r.written%r.perFile == 0 {
			r.rotate(t)
		}
	}
	r.flush(t)
}

func (r *rotator) flush(t testing.TB) {
	if r.buf == nil {
		return
	}
	if err := r.buf.Flush(); err != nil {
		t.Error(err)
	}
}

func (r *rotator) rotate(t testing.TB) {
	r.flush(t)
	if err := r.file.Close(); err != nil {
		t.Error(err)
	}
	r.file, r.buf = nil, nil
	last := 1
	for ; exists(fmt.Sprintf("%s.%d", r.path, last)); last++ {
	}
	for i := last; i > 1; i-- {
		if err := os.Rename(fmt.Sprintf("%s.%d", r.path, i-1), fmt.Sprintf("%s.%d", r.path, i)); err != nil {
			t.Error(err)
		}
	}
	if err := os.Rename(r.path, r.path+".1"); err != nil {
		t.Error(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// TestEveryLineIsInTheTableExactlyOnce kills everything, in turn and at random
// moments, while sources of all sorts are written to, and counts at the end
// what an engine that is not ours finds in the tables.
//
// AKUPARA_SOAK=1h makes it go on for so long; -seed repeats its choices.
func TestEveryLineIsInTheTableExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster and kills it")
	}
	if os.Getenv("AKUPARA_SOAK") == "" { // else it has its hour alone
		t.Parallel()
	}
	rnd := choices(t, 0)
	rounds, until := 1, soakUntil(t)

	python(t) // skips before the cluster starts
	cluster := storetest.StartCluster(t)
	store := cluster.URI() + "/akupara"
	dir := t.TempDir()
	dropping := &filtered{writer: &rotator{name: "f", perFile: 4000}}
	// The first writer's files are rotated quickly, also while the agent is
	// away.
	sources := map[string]source{
		"app":      &logs{[]*rotator{{name: "a", perFile: 3000}, {name: "b", perFile: 20000}}},
		"filtered": dropping,
		"stacks":   &stacks{},
		"made":     made{},
		"drops":    &drops{},
		"pods":     &kubelet{},
	}
	var adaptors, types []string
	for _, s := range sources {
		adaptors = append(adaptors, s.adaptor(dir))
		types = append(types, s.types())
		s.work(t) // makes its folders
	}
	agentAddr, demuxAddr := freeAddr(t), freeAddr(t)
	collectors := []string{freeAddr(t), freeAddr(t)}
	config := func(name, section string) string {
		return writeFile(t, filepath.Join(dir, name+".yaml"), fmt.Sprintf("store: %s\ndata_dir: %s\n%s", store, filepath.Join(dir, name), section))
	}
	agentConfig := config("agent", fmt.Sprintf(`agent:
  collectors: [http://%s, http://%s]
  listen: %s
  resend_after: 3s
  adaptors:
    - %s
`, collectors[0], collectors[1], agentAddr, strings.Join(adaptors, "\n    - ")))
	demuxConfig := config("demux", fmt.Sprintf("demux: {schedule: \"@every 1s\", jobs: {compact: \"@every 2s\", expire: \"@every 3s\", retain: \"@every 3s\"}, listen: %s, types: {%s}}\n",
		demuxAddr, strings.Join(types, ", ")))
	agent := start(t, "agentd", "agentd", "--config", agentConfig)
	procs := []*proc{agent}
	for i, addr := range collectors {
		name := fmt.Sprint("collector", i+1)
		procs = append(procs, start(t, name, "akupara", "collector", "--config",
			config(name, fmt.Sprintf("collector: {listen: %s, seal: {bytes: 1MiB, age: 1s}}\n", addr))))
	}
	procs = append(procs, start(t, "demux", "akupara", "demux", "--config", demuxConfig))

	eventually(t, time.Minute, "the agent answers", func() bool {
		_, status := get("http://" + agentAddr + "/v1/adaptors")
		return status == http.StatusOK
	})

	// The writers go on all the time.
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for _, s := range sources {
		writing.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					s.work(t)
				}
			}
		})
	}
	// pause lets the system work for a random while: the moment of the next kill.
	pause := func(atMost time.Duration) { <-time.After(time.Duration(rnd.Int64N(int64(atMost)))) }
	for round := 0; round < rounds || time.Now().Before(until); round++ {
		order := rnd.Perm(len(procs) + 2)
		for _, i := range order {
			pause(4 * time.Second)
			switch {
			case i < len(procs):
				t.Logf("kill %s", filepath.Base(procs[i].log.Name()))
				procs[i].kill()
				pause(5 * time.Second)
				procs[i].start()
			case i == len(procs):
				node := 1 + rnd.IntN(3)
				t.Logf("kill DataNode %d", node)
				cluster.KillDataNode(node)
				pause(10 * time.Second)
				cluster.StartDataNode(node)
			default:
				t.Log("restart the NameNode")
				cluster.RestartNameNode()
			}
		}
	}
	pause(2 * time.Second)
	close(stop)
	writing.Wait()
	total := 0
	for _, s := range sources {
		s.last(t)
		total += max(0, s.rows())
	}
	t.Logf("%d records were written", total)
	// What makes its records itself would go on for ever.
	if _, err := http.Post("http://"+agentAddr+"/v1/adaptors/made/stop", "", nil); err != nil {
		t.Errorf("stop the adaptor that makes its lines itself: %v", err)
	}

	var rep auditReport
	var code int
	var before int64
	eventually(t, 4*time.Minute, "all records are in the tables", func() bool {
		before = rep.Records
		rep, code = audit(t, "--config", demuxConfig)
		return rep.Records >= int64(total) && rep.Unpublished == 0 && rep.Records == before && len(rep.Gaps) == 0 && len(rep.Failing) == 0 && settled(t, agentAddr)
	})
	if code != 0 || len(rep.Gaps) > 0 || len(rep.Overlaps) > 0 {
		t.Errorf("audit: exit code %d, %+v, want no gap, no overlap", code, rep)
	}
	if got, want := rep.DroppedBytes, dropping.droppedBytes(); got != want {
		t.Errorf("the audit knows of %d bytes that a filter dropped, want %d", got, want)
	}
	if len(rep.Lost) > 0 {
		t.Errorf("the audit knows of lost ranges, and nothing was destroyed: %v", rep.Lost)
	}
	for name, s := range sources {
		ask := func(sql string) [][]any { return readTable(t, store+"/tables/"+name, cluster.WebHDFS(), sql) }
		// What is secured by a collector alone may be published last.
		eventually(t, time.Minute, "all rows are in the table "+name, func() bool {
			n, _ := ask("select count(*) from t")[0][0].(float64)
			return int(n) >= s.rows()
		})
		s.check(t, ask)
	}
}

// settled reports whether nothing is on its way from an agent any more.
func settled(t testing.TB, agent string) bool {
	t.Helper()
	body, status := get("http://" + agent + "/v1/adaptors")
	if status != http.StatusOK {
		return false
	}
	var list []struct {
		Lag int64 `json:"lag_bytes"`
	}
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatalf("GET /v1/adaptors: %v in %q", err, body)
	}
	for _, a := range list {
		if a.Lag > 0 {
			return false
		}
	}
	return len(list) > 0
}
