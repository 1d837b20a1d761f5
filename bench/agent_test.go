package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// sinkhole answers as a collector does and keeps nothing: everything it took
// is settled at once.
type sinkhole struct {
	mu     sync.Mutex
	blocks int
	raw    atomic.Int64 // bytes of bodies
	wire   atomic.Int64 // bytes received
}

func (s *sinkhole) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case wire.BatchesPath:
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
		for i := range batch.Entries {
			if e := &batch.Entries[i]; e.Kind == chunk.Data {
				s.raw.Add(e.Last - e.First)
			}
		}
		s.wire.Add(int64(len(frame)))
		s.mu.Lock()
		n := s.blocks
		s.blocks++
		s.mu.Unlock()
		_ = json.NewEncoder(w).Encode(wire.Receipt{Segment: "20260101T000000.000000Z-sinkhole-000001", Block: n, State: wire.Spooled})
	case wire.ReceiptsPath:
		var req wire.ReceiptsRequest
		if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		resp := wire.ReceiptsResponse{States: make([]wire.State, len(req.Receipts))}
		for i := range resp.States {
			resp.States[i] = wire.Settled
		}
		_ = json.NewEncoder(w).Encode(resp)
	default:
		http.NotFound(w, r)
	}
}

// zstdAlone compresses a file in pieces of 1 MiB, on one core, and throws the
// result away: what an agent can't be faster than.
func zstdAlone(args []string) error {
	f, err := os.Open(args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	enc, err := chunk.NewEncoder()
	if err != nil {
		return err
	}
	buf, out := make([]byte, 1<<20), []byte(nil)
	for {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			out = enc.EncodeAll(buf[:n], out[:0])
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// BenchmarkAgent tails one file to a collector that throws everything away,
// beside zstd alone over the same bytes, and beside an OpenTelemetry Collector
// that does the same, its queue in memory (what a crash loses) and on disk.
func BenchmarkAgent(b *testing.B) {
	for b.Loop() {
		log := filepath.Join(b.TempDir(), "app.log")
		raw := jsonLog(b, log, megabytes(b)*1e6)
		lines := countLines(b, log)
		alone := run(b, role("zstd-alone", log))
		ours, hole := tailOnce(b, log, raw)
		alone.show(b, "zstd SpeedFastest alone", raw)
		ours.show(b, "agent, file to collector", raw)
		b.Logf("%.0f%% of zstd alone per CPU-second; %.0f bytes on the wire per 1000 raw",
			100*ours.perCPU(raw)/alone.perCPU(raw), 1000*float64(hole.wire.Load())/float64(raw))
		for _, onDisk := range []bool{false, true} {
			theirs, sink := otel(b, log, lines, onDisk)
			name := map[bool]string{false: "memory", true: "disk"}[onDisk]
			theirs.show(b, "OTel Collector, queue in "+name, raw)
			times := ours.perCPU(raw) / theirs.perCPU(raw)
			b.Logf("the agent does %.1f times as much per CPU-second, %.1f times per second; %.0f bytes on OTel's wire per 1000 raw",
				times, theirs.wall.Seconds()/ours.wall.Seconds(), 1000*float64(sink.wire.Load())/float64(raw))
			b.ReportMetric(times, "xOTel-"+name)
		}
		b.ReportMetric(100*ours.perCPU(raw)/alone.perCPU(raw), "%ofzstd/CPU")
		b.ReportMetric(ours.perCPU(raw), "MB/CPUs")
		b.ReportMetric(float64(ours.rss)/1e6, "MB-RSS")
	}
}

// tailOnce lets an agent read a whole file.
func tailOnce(b *testing.B, log string, raw int64) (usage, *sinkhole) {
	b.Helper()
	hole := &sinkhole{}
	agent := agent(b, sinkAt(b, hole), fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s"]}`, log))
	until(b, "the agent has sent all", func() bool { return hole.raw.Load() >= raw })
	return agent.end(b), hole
}

// agent starts one that posts to url.
func agent(b *testing.B, url string, adaptors ...string) *server {
	b.Helper()
	dir := b.TempDir()
	config := writeConfig(b, dir, fmt.Sprintf(`
data_dir: %s/data
agent:
  collectors: ["%s"]
  listen: %s
  adaptors: [%s]
`, dir, url, freeAddr(b), strings.Join(adaptors, ", ")))
	return serve(b, "", exec.Command(binary(b, "agentd"), "--config", config))
}

// sinkAt serves the handler until the benchmark's end.
func sinkAt(b *testing.B, h http.Handler) (url string) {
	srv := httptest.NewServer(h)
	b.Cleanup(srv.Close)
	return srv.URL
}

func countLines(b *testing.B, path string) int64 {
	b.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	return int64(bytes.Count(data, []byte{'\n'}))
}
