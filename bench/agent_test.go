package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
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
// beside zstd alone over the same bytes.
func BenchmarkAgent(b *testing.B) {
	agentd := binary(b, "agentd")
	for b.Loop() {
		dir := b.TempDir()
		log := filepath.Join(dir, "app.log")
		raw := jsonLog(b, log, megabytes(b)*1e6)
		alone := run(b, role("zstd-alone", log))

		hole := &sinkhole{}
		srv := httptest.NewServer(hole)
		config := writeConfig(b, dir, fmt.Sprintf(`
store: file://%s/store
data_dir: %s/data
agent:
  collectors: ["%s"]
  listen: %s
  adaptors: [{name: app, kind: tail, type: app, paths: ["%s"]}]
`, dir, dir, srv.URL, freeAddr(b), log))
		agent := serve(b, "", exec.Command(agentd, "--config", config))
		until(b, "the agent has sent all", func() bool { return hole.raw.Load() >= raw })
		ours := agent.end(b)
		srv.Close()
		alone.show(b, "zstd SpeedFastest alone", raw)
		ours.show(b, "agent, file to collector", raw)
		b.Logf("%.0f%% of zstd alone per CPU-second; %.0f bytes on the wire per 1000 raw",
			100*ours.perCPU(raw)/alone.perCPU(raw), 1000*float64(hole.wire.Load())/float64(raw))
		b.ReportMetric(100*ours.perCPU(raw)/alone.perCPU(raw), "%ofzstd/CPU")
		b.ReportMetric(ours.perCPU(raw), "MB/CPUs")
		b.ReportMetric(float64(ours.rss)/1e6, "MB-RSS")
	}
}
