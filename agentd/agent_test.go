package agentd_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/internal/collectortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
)

// agent is one running agent.
type agent struct {
	t    *testing.T
	url  string
	log  *lockedBuffer
	stop func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// decode reads an agent's section, given without its listen and collectors.
func decode(t testing.TB, section string, urls ...string) agentd.Config {
	t.Helper()
	text := fmt.Sprintf("listen: 127.0.0.1:0\nhost: h\nreceipts_every: 20ms\ncollectors: [%s]\n%s", strings.Join(urls, ", "), section)
	n, problems := config.Parse("test", []byte(text))
	cfg, more := agentd.Decode(n, all.Kinds())
	if err := append(problems, more...).Err(); err != nil {
		t.Fatalf("config: %v", err)
	}
	return cfg
}

func start(t *testing.T, dir, section string, urls ...string) *agent {
	t.Helper()
	return startWith(t, decode(t, section, urls...), agentd.Deps{Dir: dir})
}

func startWith(t *testing.T, cfg agentd.Config, deps agentd.Deps, file ...*reload.File) *agent {
	t.Helper()
	a := &agent{t: t, log: &lockedBuffer{}}
	deps.Kinds, deps.Log = all.Kinds(), slog.New(slog.NewTextHandler(a.log, nil))
	var g daemon.Group
	if len(file) > 0 {
		deps.Reloader = reload.New(file[0], deps.Log)
	}
	made, err := agentd.New(cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	g.Add("agent", made.Run)
	if deps.Reloader != nil {
		hangups, stop := daemon.Hangups(func() {})
		t.Cleanup(stop)
		g.Add("config", func(ctx context.Context) error { return deps.Reloader.Run(ctx, hangups) })
	}
	go func() { done <- g.Run(ctx) }()
	a.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the agent did not stop within a minute")
		}
	})
	t.Cleanup(a.stop)
	select {
	case <-made.Listening():
	case err := <-done:
		t.Fatalf("Run: %v", err)
	}
	a.url = "http://" + made.Addr()
	return a
}

// view is an adaptor as the API tells it.
type view struct {
	Name, Kind, Type, State string
	Position                []struct {
		Path                string
		Read, Settled, Size int64
	}
	LagBytes  int64   `json:"lag_bytes"`
	Rate      float64 `json:"rate"`
	LastError string  `json:"last_error"`
	Skipped   []struct{ Path, Reason string }
}

func (a *agent) do(method, path, body string, header ...string) (status int, answer string) {
	a.t.Helper()
	req, err := http.NewRequest(method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (a *agent) get(name string) view {
	a.t.Helper()
	status, body := a.do("GET", "/v1/adaptors/"+name, "")
	var v view
	if err := json.Unmarshal([]byte(body), &v); status != 200 || err != nil {
		a.t.Fatalf("get %s: status %d, %v: %s", name, status, err, body)
	}
	return v
}

// wait waits until the adaptor is as ok wants it.
func (a *agent) wait(name, what string, ok func(view) bool) {
	a.t.Helper()
	var v view
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if v = a.get(name); ok(v) {
			return
		}
	}
	a.t.Fatalf("adaptor %s: not %s: %+v\nlog:\n%s", name, what, v, a.log)
}

func settled(v view) bool {
	for _, p := range v.Position {
		if p.Settled != p.Size {
			return false
		}
	}
	return v.LagBytes == 0 && len(v.Position) > 0
}

func write(t testing.TB, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// holds tells that the chunks of a type, put together without what came twice,
// are the text; the same offset must always hold the same byte.
func holds(t testing.TB, dataType, text string) func([]chunk.Chunk) bool {
	return func(chunks []chunk.Chunk) bool {
		got := make([]byte, len(text))
		var covered chunk.Ranges
		streams := map[string]bool{}
		for _, c := range chunks {
			if c.Type != dataType || c.Kind != chunk.Data {
				continue
			}
			streams[c.Stream] = true
			if c.Last > int64(len(text)) {
				return false
			}
			for _, again := range covered.Covered(c.Range()) {
				if !bytes.Equal(got[again.First:again.Last], c.Body[again.First-c.First:again.Last-c.First]) {
					t.Errorf("stream %s holds different bytes at %v", c.Stream, again)
				}
			}
			copy(got[c.First:], c.Body)
			covered = covered.Add(c.Range())
		}
		return string(got) == text && len(streams) == 1 && covered.Len() == int64(len(text))
	}
}

func lines(from, to int) string {
	var b strings.Builder
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "line %06d of the log\n", i)
	}
	return b.String()
}

func tail(path string) string {
	return fmt.Sprintf("adaptors:\n - {name: log, kind: tail, type: app, paths: [%s], rescan: 50ms, tags: {team: a}}\n", path)
}

func TestFileArrivesAndItsPositionSettles(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 1000))
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	got := c.Wait("the file", holds(t, "app", lines(0, 1000)))
	if g := got[0]; g.Host != "h" || g.Source != path || g.Tags["team"] != "a" {
		t.Errorf("host %q, source %q, tags %v; want h, %q and team: a", g.Host, g.Source, g.Tags, path)
	}
	if v := a.get("log"); v.LagBytes != int64(len(lines(0, 1000))) || v.State != "running" {
		t.Errorf("before receipts: lag %d, state %s; want all of it and running", v.LagBytes, v.State)
	}
	c.Settle()
	a.wait("log", "settled", settled)
	write(t, path, lines(1000, 1010))
	c.Wait("what was appended", holds(t, "app", lines(0, 1010)))
	a.wait("log", "lagging by what is not settled", func(v view) bool { return v.LagBytes == int64(len(lines(0, 10))) })
}

func TestRestartGoesOnFromWhatIsSettled(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 100)))
	c.Settle()
	a.wait("log", "settled", settled)
	write(t, path, lines(100, 200)) // sent, not settled
	c.Wait("more", holds(t, "app", lines(0, 200)))
	a.stop()
	before := len(c.Chunks())
	write(t, path, lines(200, 300))
	start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	got := c.Wait("all", holds(t, "app", lines(0, 300)))
	first := int64(1 << 62)
	c.Wait("what was not settled, again", func(all []chunk.Chunk) bool {
		var again chunk.Ranges
		for _, g := range all[before:] {
			first = min(first, g.First)
			again = again.Add(g.Range())
		}
		return again.Len() >= int64(len(lines(100, 300)))
	})
	if want := int64(len(lines(0, 100))); first != want {
		t.Errorf("after the restart sent from %d, want from %d", first, want)
	}
	if id := got[0].Stream; id != got[len(got)-1].Stream {
		t.Error("the file became another stream")
	}
}

func TestWhatACollectorLostIsSentAgain(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 1000))
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 1000)))
	before := len(c.Chunks())
	c.Lose()
	c.Wait("the file again", func(all []chunk.Chunk) bool { return holds(t, "app", lines(0, 1000))(all[before:]) })
	if v := a.get("log"); v.LagBytes == 0 {
		t.Error("what was lost counts as settled")
	}
	c.Settle()
	a.wait("log", "settled", settled)
}

func TestCollectorThatStaysAwayIsReplaced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one, two := collectortest.New(t, "one"), collectortest.New(t, "two")
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 1000))
	a := start(t, filepath.Join(dir, "agent"), "resend_after: 1s\n"+tail(path), one.URL, two.URL)
	whole := holds(t, "app", lines(0, 1000))
	var took, other *collectortest.Collector
	for deadline := time.Now().Add(time.Minute); took == nil; time.Sleep(5 * time.Millisecond) {
		switch {
		case whole(one.Chunks()):
			took, other = one, two
		case whole(two.Chunks()):
			took, other = two, one
		case time.Now().After(deadline):
			t.Fatal("no collector took the file")
		}
	}
	took.CloseClientConnections()
	took.Close() // it never comes back, nor does its disk
	other.Wait("the file again", whole)
	other.Settle()
	a.wait("log", "settled", settled)
}

func TestAgentStartsAndWaitsWhileCollectorsAreAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 100))
	a := start(t, filepath.Join(dir, "agent"), tail(path), "http://"+address)
	a.wait("log", "reading", func(v view) bool { return len(v.Position) == 1 && v.LagBytes > 0 })
	if status, body := a.do("GET", "/readyz", ""); status != 200 {
		t.Errorf("readyz %d %s, want 200: the agent can take data", status, body)
	}
	c := collectortest.New(t, "late")
	if l, err = net.Listen("tcp", address); err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: c.Config.Handler}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { srv.Close() })
	c.Wait("the file", holds(t, "app", lines(0, 100)))
}

func TestCommandGoesThroughTheSpool(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	section := "adaptors:\n - {name: echo, kind: command, type: said, command: [echo, hello], every: 1h, tags: {team: a}}\n"
	a := start(t, filepath.Join(dir, "agent"), section, c.URL)
	got := c.Wait("the run", holds(t, "said", "hello\n"))
	if g := got[0]; g.Source != "echo hello" || len(g.Borders) != 1 || g.Tags["team"] != "a" || g.Host != "h" {
		t.Errorf("got %+v, want one record of echo hello", g)
	}
	if v := a.get("echo"); v.LagBytes != 6 {
		t.Errorf("lag %d, want 6", v.LagBytes)
	}
	a.stop() // not settled: the spool still holds it
	b := start(t, filepath.Join(dir, "agent"), section, c.URL)
	c.Wait("the older stream's End, and a new stream", func(all []chunk.Chunk) bool {
		var end, fresh bool
		for _, x := range all {
			end = end || x.Kind == chunk.End && x.Stream == got[0].Stream && x.First == 6
			fresh = fresh || x.Stream != got[0].Stream
		}
		return end && fresh
	})
	c.Settle()
	b.wait("echo", "settled, the older stream gone", func(v view) bool { return settled(v) && len(v.Position) == 1 })
}

func TestSpooledDataOfARemovedAdaptorIsStillSent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	away := "http://127.0.0.1:1"
	a := start(t, filepath.Join(dir, "agent"), "drain: 100ms\nadaptors:\n - {name: echo, kind: command, type: said, command: [echo, hello], every: 1h}\n", away)
	a.wait("echo", "spooled", func(v view) bool { return v.LagBytes == 6 })
	a.stop()
	c := collectortest.New(t, "a")
	start(t, filepath.Join(dir, "agent"), "", c.URL)
	c.Wait("the run", holds(t, "said", "hello\n"))
}

func TestFailingAdaptorStopsNoOther(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := start(t, filepath.Join(dir, "agent"), `adaptors:
 - {name: bad, kind: command, type: x, command: [/nonexistent], every: 1h}
 - {name: dies, kind: command, type: x, command: [sh, -c, 'echo dying >&2; exit 7']}
 - {name: good, kind: command, type: said, command: [echo, hello], every: 1h}
`, c.URL)
	c.Wait("the good one", holds(t, "said", "hello\n"))
	a.wait("bad", "failed", func(v view) bool { return v.State == "failed" && strings.Contains(v.LastError, "/nonexistent") })
	a.wait("dies", "failed", func(v view) bool { return strings.Contains(v.LastError, "dying") })
	if v := a.get("good"); v.State != "running" {
		t.Errorf("the good one is %s, want running", v.State)
	}
}

func TestRefusedTypeWaitsAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.Answer(func(b *chunk.Batch) (int, any) {
		if b.Type == "app" {
			return 400, wire.Error{Error: "not here", Permanent: true}
		}
		return 0, nil
	})
	path := filepath.Join(dir, "app.log")
	write(t, path, strings.Repeat(lines(0, 1000), 1300)) // some 30 MB: more batches than are kept
	a := start(t, filepath.Join(dir, "agent"), tail(path)+" - {name: good, kind: command, type: said, command: [echo, hello], every: 1h}\n", c.URL)
	c.Wait("the other type", holds(t, "said", "hello\n"))
	a.wait("log", "waiting", func(v view) bool { return v.State == "waiting" })
	if n := strings.Count(a.log.String(), "refused a batch"); n == 0 || n > 20 {
		t.Errorf("refusals were logged %d times", n)
	}
}

func TestStopDrainsAndWritesCheckpoints(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	c.SettleAll(true)
	path := filepath.Join(dir, "app.log")
	write(t, path, lines(0, 1000))
	a := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	c.Wait("the file", holds(t, "app", lines(0, 1000)))
	a.stop() // at once: the receipt may not have been asked for yet
	n := len(c.Chunks())
	b := start(t, filepath.Join(dir, "agent"), tail(path), c.URL)
	b.wait("log", "settled", settled)
	if again := c.Chunks()[n:]; len(again) > 0 {
		t.Errorf("%d chunks were sent again after a stop that had settled all", len(again))
	}
}

func TestDirectoryInUseIsRefused(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	start(t, dir, "", c.URL)
	second, err := agentd.New(decode(t, "", c.URL), agentd.Deps{Dir: dir, Kinds: all.Kinds(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a second agent: %v, want that the directory is in use", err)
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	dir, c := t.TempDir(), collectortest.New(t, "a")
	a := start(t, dir, "adaptors:\n - {name: load, kind: metrics, only: [load], every: 1h}\n", c.URL)
	c.Wait("a sample", func(all []chunk.Chunk) bool {
		return slices.ContainsFunc(all, func(c chunk.Chunk) bool { return c.Type == "load" })
	})
	for _, want := range []string{"akupara_agent_batches_total 1", `akupara_agent_adaptors{state="running"} 1`, "akupara_agent_spool_bytes"} {
		var body string
		for deadline := time.Now().Add(time.Minute); !strings.Contains(body, want); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%q is not in the metrics", want)
			}
			_, body = a.do("GET", "/metrics", "")
		}
	}
}

func TestStopEndsWithinItsTimeWhileCollectorsDoNotAnswer(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, address := range map[string]string{"silent": silent.Addr().String(), "closed": closed.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			// Its time counts from the signal on, but for a program that ignores SIGTERM.
			// A busy machine measures too much, never too little.
			const most = 3500 * time.Millisecond
			took := stopWithout(t, address)
			for try := 1; try < 3 && took > most; try++ {
				took = min(took, stopWithout(t, address))
			}
			if took > most {
				t.Errorf("the stop took %v, want %v at most", took, most)
			}
		})
	}
}

// stopWithout is how long an agent takes to stop that is full, as its collector does
// not answer.
func stopWithout(t *testing.T, collector string) time.Duration {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "app.log"), lines(0, 1_000_000)) // more than the agent's buffer
	section := fmt.Sprintf(`drain: 2s
spool: {bytes: 1MiB}
adaptors:
  - {name: log, kind: tail, type: app, paths: [%s]}
  - {name: full, kind: command, type: noise, command: [sh, -c, "trap '' TERM; yes a line that fills the spool"]}
  - {name: load, kind: metrics, every: 100ms}
`, filepath.Join(dir, "*.log"))
	a := start(t, filepath.Join(dir, "agent"), section, "http://"+collector)
	a.wait("log", "waiting", func(v view) bool { return v.State == "waiting" })
	a.wait("full", "waiting", func(v view) bool { return v.State == "waiting" })
	began := time.Now()
	a.stop()
	return time.Since(began)
}
