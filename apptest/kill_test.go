package apptest

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/store/storetest"
)

var seedFlag = flag.Uint64("seed", 0, "seed of the kill test's choices; 0 makes one")

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
			f, err := os.OpenFile(r.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
			if err != nil {
				t.Error(err)
				return
			}
			r.file, r.buf = f, bufio.NewWriter(f)
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
// moments, while lines are written to files that rotate, and counts at the end
// what an engine that is not ours finds in the table.
//
// AKUPARA_SOAK=1h makes it go on for so long; -seed repeats its choices.
func TestEveryLineIsInTheTableExactlyOnce(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a cluster and kills it")
	}
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	rounds, until := 1, time.Now()
	if soak := os.Getenv("AKUPARA_SOAK"); soak != "" {
		d, err := time.ParseDuration(soak)
		if err != nil {
			t.Fatal(err)
		}
		until = until.Add(d)
	}

	python(t) // skips before the cluster starts
	cluster := storetest.StartCluster(t)
	store := cluster.URI() + "/akupara"
	dir := t.TempDir()
	logs := filepath.Join(dir, "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
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
    - {name: app, kind: tail, type: app, paths: ["%s/**/*.log*"]}
`, collectors[0], collectors[1], agentAddr, logs))
	demuxConfig := config("demux", fmt.Sprintf("demux: {schedule: \"@every 1s\", listen: %s, types: {app: {parser: raw}}}\n", demuxAddr))
	procs := []*proc{start(t, "agentd", "agentd", "--config", agentConfig)}
	for i, addr := range collectors {
		name := fmt.Sprint("collector", i+1)
		procs = append(procs, start(t, name, "akupara", "collector", "--config",
			config(name, fmt.Sprintf("collector: {listen: %s, seal: {bytes: 1MiB, age: 1s}}\n", addr))))
	}
	procs = append(procs, start(t, "demux", "akupara", "demux", "--config", demuxConfig))

	// The writers go on all the time; the first writer's files are rotated
	// quickly, also while the agent is away.
	writers := []*rotator{{name: "a", path: filepath.Join(logs, "a.log"), perFile: 3000}, {name: "b", path: filepath.Join(logs, "b.log"), perFile: 20000}}
	stop := make(chan struct{})
	var writing sync.WaitGroup
	for _, w := range writers {
		writing.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-stop:
					return
				case <-tick.C:
					w.write(t, 20)
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
	for _, w := range writers {
		w.write(t, 1) // the last lines end with a newline, as all do
		total += w.written
	}
	t.Logf("%d lines were written", total)

	var rep auditReport
	var code int
	eventually(t, 3*time.Minute, "all lines are in the table", func() bool {
		rep, code = audit(t, "--config", demuxConfig)
		return rep.Records >= int64(total) && rep.Unpublished == 0
	})
	if code != 0 || len(rep.Gaps) > 0 || len(rep.Overlaps) > 0 || rep.Records != int64(total) {
		t.Errorf("audit: exit code %d, %+v, want %d records, no gap, no overlap", code, rep, total)
	}
	rows := readTable(t, store+"/tables/app", cluster.WebHDFS(), `
		select split_part(message, ' ', 1) w, count(*), count(distinct split_part(message, ' ', 2)), max(split_part(message, ' ', 2)::int),
			count(*) filter (parse_error is not null or length(split_part(message, ' ', 3)) <> split_part(message, ' ', 2)::int % 120)
		from t group by w order by w`)
	var want [][]any
	for _, w := range writers {
		n := float64(w.written)
		want = append(want, []any{w.name, n, n, n - 1, 0.0})
	}
	if got, want := fmt.Sprint(rows), fmt.Sprint(want); got != want {
		t.Errorf("writer, rows, distinct lines, highest line, damaged lines:\n got %s\nwant %s", got, want)
	}
}
