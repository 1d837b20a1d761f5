package bench

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkVisible tells how long a line takes from being written to being a
// row that a query sees, with sink files sealed after 1 s and a demux every 1 s.
func BenchmarkVisible(b *testing.B) {
	akupara, agentd := binary(b, "akupara"), binary(b, "agentd")
	for b.Loop() {
		dir := b.TempDir()
		log := filepath.Join(dir, "app.log")
		f, err := os.Create(log)
		if err != nil {
			b.Fatal(err)
		}
		collector, web := freeAddr(b), freeAddr(b)
		config := writeConfig(b, dir, fmt.Sprintf(`
store: file://%s/store
data_dir: %s/data
agent:
  collectors: ["http://%s"]
  listen: %s
  adaptors: [{name: app, kind: tail, type: app, paths: ["%s"]}]
collector: {listen: %s, seal: {bytes: 128MiB, age: 1s}}
demux: {schedule: "@every 1s"}
web: {listen: %s}
`, dir, dir, collector, freeAddr(b), log, collector, web))
		servers := []*server{
			serve(b, collector, exec.Command(akupara, "collector", "--config", config)),
			serve(b, web, exec.Command(akupara, "web", "--config", config)),
			serve(b, "", exec.Command(akupara, "demux", "--config", config)),
			serve(b, "", exec.Command(agentd, "--config", config)),
		}
		visible := func(text string) bool {
			sql := fmt.Sprintf("select count(*) n from app where message = '%s'", text)
			resp, err := client.Post("http://"+web+"/v1/query", "text/plain", strings.NewReader(sql))
			if err != nil {
				b.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				b.Fatal(err)
			}
			return resp.StatusCode == http.StatusOK && strings.Contains(string(body), "1")
		}
		var took []time.Duration
		for i := range 21 {
			text := fmt.Sprintf("line %c", 'a'+i)
			if _, err := f.WriteString(text + "\n"); err != nil {
				b.Fatal(err)
			}
			began := time.Now()
			until(b, text+" is visible", func() bool { return visible(text) })
			if i > 0 { // the first one makes the table
				took = append(took, time.Since(began))
			}
		}
		for _, s := range slices.Backward(servers) {
			s.end(b)
		}
		f.Close()
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2].Seconds(), "s-median")
		b.ReportMetric(took[len(took)-1].Seconds(), "s-max")
	}
}
