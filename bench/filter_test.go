package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/store/local"
)

// keeper is a sinkhole that keeps what it took.
type keeper struct {
	mu     sync.Mutex
	frames [][]byte
	bytes  int64 // of the streams: kept or dropped
}

func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.BatchesPath {
		(&sinkhole{}).ServeHTTP(w, r)
		return
	}
	frame, err := chunk.ReadFrame(bufio.NewReaderSize(r.Body, 64<<10), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	batch, err := chunk.ParseFrame(frame)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for i := range batch.Entries {
		k.bytes += batch.Entries[i].Last - batch.Entries[i].First
	}
	k.frames = append(k.frames, frame)
	_ = json.NewEncoder(w).Encode(wire.Receipt{Segment: "20260101T000000.000000Z-keeper-000001", Block: len(k.frames) - 1, State: wire.Spooled})
}

func (k *keeper) all() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.bytes
}

// markedLog writes jsonLog's lines, each with marks that a filter finds: every other
// line is "half", runs that are 30% of the lines are "third", one of a hundred is "one".
func markedLog(b *testing.B, path string, size int64) (raw int64) {
	b.Helper()
	plain := path + ".plain"
	jsonLog(b, plain, size)
	data, err := os.ReadFile(plain)
	if err != nil {
		b.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(3, 3))
	var out bytes.Buffer
	run, dropping := 0, false
	i := 0
	for l := range bytes.Lines(data) {
		if run--; run < 0 {
			dropping = !dropping
			run = rnd.IntN(map[bool]int{true: 6, false: 14}[dropping])
		}
		out.Write(l[:len(l)-2])
		fmt.Fprintf(&out, `,"half":%d,"third":%t,"one":%t}`+"\n", i%2, dropping, i%100 == 0)
		i++
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		b.Fatal(err)
	}
	return int64(out.Len())
}

// BenchmarkFilter measures what filters cost, and save, beside none: the agent's
// processor time, the bytes of the sink files, the demux's processor time.
func BenchmarkFilter(b *testing.B) {
	for b.Loop() {
		dir := b.TempDir()
		log := filepath.Join(dir, "app.log")
		raw := markedLog(b, log, megabytes(b)*1e6/2)
		type cost struct{ agent, sinks, demux float64 }
		var none cost
		for _, f := range []struct{ name, entry string }{
			{"none", ""},
			{"every other line dropped", `, drop: ['"half":1']`},
			{"30% dropped in runs", `, drop: ['"third":true']`},
			{"1 line of 100 kept", `, keep: ['"one":true']`},
		} {
			sink := &keeper{}
			a := agent(b, sinkAt(b, sink), fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s"]%s}`, log, f.entry))
			until(b, "the agent has sent all", func() bool { return sink.all() >= raw })
			c := cost{agent: a.end(b).cpu.Seconds()}
			at := b.TempDir()
			root := filepath.Join(at, "store")
			st, err := local.New(root)
			if err != nil {
				b.Fatal(err)
			}
			publish(b, st, sink.frames)
			c.sinks = float64(bytesBelow(b, root, ".avro"))
			d := demuxOnce(b, at, root)
			c.demux = d.cpu.Seconds()
			if f.entry == "" {
				none = c
			}
			b.Logf("%-26s agent %.2f s (x%.2f)   sink files %.1f MB (x%.2f)   demux %.2f s (x%.2f)   coverage %.1f kB", f.name,
				c.agent, c.agent/none.agent, c.sinks/1e6, c.sinks/none.sinks, c.demux, c.demux/none.demux,
				float64(bytesBelow(b, filepath.Join(root, "tables"), ".cov"))/1e3)
			if f.name == "every other line dropped" {
				b.ReportMetric(c.agent/none.agent, "xagent-half")
				b.ReportMetric(c.sinks/none.sinks, "xsinks-half")
				b.ReportMetric(c.demux/none.demux, "xdemux-half")
			}
		}
	}
}
