package collectord

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

// setup is what a test's collector is made of.
type setup struct {
	cfg  Config
	fs   store.FS
	dir  string
	disk disk.Disk
	log  *slog.Logger
}

func newSetup(t testing.TB) *setup {
	t.Helper()
	fs, err := local.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := &setup{cfg: DefaultConfig(), fs: fs, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	s.cfg.Listen = "127.0.0.1:0"
	s.cfg.Spool.KeepFree = 0
	s.cfg.Drain = config.Duration(5 * time.Second)
	return s
}

// quickly seals at once.
func (s *setup) quickly() *setup {
	s.cfg.Seal.Idle = config.Duration(20 * time.Millisecond)
	return s
}

type running struct {
	*Collector
	base string
	stop func()
}

// start runs a collector until the test ends or stop is called.
func (s *setup) start(t testing.TB) *running {
	t.Helper()
	r, err := s.launch(t)
	if err != nil {
		t.Fatalf("the collector did not start: %v", err)
	}
	return r
}

// launch is start for a collector that may fail to.
func (s *setup) launch(t testing.TB) (*running, error) {
	t.Helper()
	c, err := New(s.cfg, s.fs, s.dir, s.log, prometheus.NewRegistry(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.disk != nil {
		c.disk = s.disk
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	r := &running{Collector: c, stop: sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})}
	select {
	case <-c.Started():
	case err := <-done:
		cancel()
		return nil, err
	}
	r.base = "http://" + c.Addr()
	t.Cleanup(r.stop)
	return r, nil
}

type reply struct {
	status int
	header http.Header
	body   []byte
}

func (r *running) post(t testing.TB, p string, body io.Reader, length int64) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.base+p, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return reply{}
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(io.LimitReader(res.Body, wire.MaxReceiptsBody))
	return reply{res.StatusCode, res.Header, raw}
}

func (r *running) get(t testing.TB, p string) reply {
	t.Helper()
	res, err := http.Get(r.base + p)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, _ := io.ReadAll(res.Body)
	return reply{res.StatusCode, res.Header, raw}
}

// send posts a frame and gives the receipt, nil when it was refused.
func (r *running) send(t testing.TB, frame []byte) (*wire.Receipt, reply) {
	t.Helper()
	answer := r.post(t, wire.BatchesPath, bytes.NewReader(frame), int64(len(frame)))
	if answer.status != http.StatusOK {
		return nil, answer
	}
	var receipt wire.Receipt
	if err := json.Unmarshal(answer.body, &receipt); err != nil {
		t.Fatalf("receipt %q: %v", answer.body, err)
	}
	return &receipt, answer
}

func (r *running) mustSend(t testing.TB, frame []byte) wire.Receipt {
	t.Helper()
	receipt, answer := r.send(t, frame)
	if receipt == nil {
		t.Fatalf("a batch was refused: %d %s", answer.status, answer.body)
	}
	return *receipt
}

// states asks for receipts.
func (r *running) states(t testing.TB, queries ...wire.Query) ([]wire.State, reply) {
	t.Helper()
	raw, err := json.Marshal(wire.ReceiptsRequest{Receipts: queries})
	if err != nil {
		t.Fatal(err)
	}
	answer := r.post(t, wire.ReceiptsPath, bytes.NewReader(raw), int64(len(raw)))
	if answer.status != http.StatusOK {
		return nil, answer
	}
	var res wire.ReceiptsResponse
	if err := json.Unmarshal(answer.body, &res); err != nil {
		t.Fatalf("receipts %q: %v", answer.body, err)
	}
	return res.States, answer
}

func query(dataType string, id store.Segment, block int) wire.Query {
	return wire.Query{Type: dataType, Segment: string(id), Block: block}
}

func (r *running) state(t testing.TB, dataType string, receipt wire.Receipt) wire.State {
	t.Helper()
	states, answer := r.states(t, wire.Query{Type: dataType, Segment: receipt.Segment, Block: receipt.Block})
	if len(states) != 1 {
		t.Fatalf("receipts: %d %s", answer.status, answer.body)
	}
	return states[0]
}

// batch makes a frame of one chunk with the body.
func batch(t testing.TB, dataType, stream string, first int64, body string) chunk.Batch {
	t.Helper()
	return batchOf(t, chunk.Chunk{Type: dataType, Host: "h", Source: "/s", Stream: stream, First: first,
		Last: first + int64(len(body)), Time: time.UnixMicro(1), Body: []byte(body)})
}

func batchOf(t testing.TB, chunks ...chunk.Chunk) chunk.Batch {
	t.Helper()
	b := chunk.NewBuilder("agent", chunks[0].Type)
	for i := range chunks {
		if err := b.Add(&chunks[i]); err != nil {
			t.Fatal(err)
		}
	}
	enc, err := chunk.NewEncoder()
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	return b.Finish(enc, nil)
}

// inStore reads all sink files of the store with ReadSink, and counts the
// blocks by their content.
func inStore(t testing.TB, fs store.FS) map[string]int {
	t.Helper()
	count := map[string]int{}
	for _, p := range sinks(t, fs) {
		sink := openSink(t, fs, p)
		for i := range sink.Index.Blocks {
			data, err := sink.ReadBlock(i, nil)
			if err != nil {
				t.Fatalf("%s: %v", p, err)
			}
			if _, _, err := sink.Index.Blocks[i].Decode(sink.Index.Type, data, nil); err != nil {
				t.Fatalf("%s: block %d: %v", p, i, err)
			}
			count[string(data)]++
		}
	}
	return count
}

func openSink(t testing.TB, fs store.FS, p string) *chunk.Sink {
	t.Helper()
	r, err := fs.Open(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil || sink.Damage != nil {
		t.Fatalf("read sink file %s: %v, damage %v", p, err, sink.Damage)
	}
	if got := store.SinkPath(strings.Split(p, "/")[0], sink.Index.Type, store.Segment(sink.Index.Segment)); got != p {
		t.Errorf("sink file %s says that it is %s", p, got)
	}
	return sink
}

// files lists all files under an area of the store.
func files(t testing.TB, fs store.FS, area string) (all []string) {
	t.Helper()
	infos, err := fs.List(t.Context(), area)
	if err != nil {
		t.Fatal(err)
	}
	for _, info := range infos {
		if info.IsDir {
			all = append(all, files(t, fs, info.Path)...)
		} else {
			all = append(all, info.Path)
		}
	}
	return all
}

func sinks(t testing.TB, fs store.FS) (all []string) {
	t.Helper()
	for _, area := range []string{store.Raw, store.Archive} {
		for _, p := range files(t, fs, area) {
			if store.IsSink(p) {
				all = append(all, p)
			}
		}
	}
	return all
}

// move puts a published file from raw/ into another area, as a demux does.
func move(t testing.TB, fs store.FS, area, p string) {
	t.Helper()
	if err := fs.Rename(t.Context(), p, path.Join(area, strings.TrimPrefix(p, store.Raw+"/"))); err != nil {
		t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("not within 60 s: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

// drained waits until nothing is left in the spool.
func (r *running) drained(t testing.TB) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool {
		st := r.Status()
		return st.OpenSegments+st.SealedSegments == 0
	})
}

var discard = slog.New(slog.NewTextHandler(io.Discard, nil))

func bodyOf(i int) string { return fmt.Sprintf("body number %d\n", i) }
