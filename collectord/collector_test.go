package collectord

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/disk/disktest"
	"github.com/akupara/akupara/store"
)

func TestBatchesOfManyAgentsBecomeOneSinkFilePerType(t *testing.T) {
	s := newSetup(t)
	r := s.start(t)
	const agents, each = 10, 20
	want := make(chan chunk.Batch, agents*each)
	var wg sync.WaitGroup
	for a := range agents {
		wg.Go(func() {
			for i := range each {
				b := batch(t, []string{"app", "web"}[a%2], fmt.Sprint("s", a), int64(i), fmt.Sprintf("line %d of %d\n", i, a))
				r.mustSend(t, b.Frame)
				want <- b
			}
		})
	}
	wg.Wait()
	r.stop()
	close(want)
	got := inStore(t, s.fs)
	for b := range want {
		if n := got[string(b.Block)]; n != 1 {
			t.Errorf("a batch is in the store %d times, want once", n)
		}
	}
	if n := len(sinks(t, s.fs)); n != 2 || len(got) != agents*each {
		t.Errorf("%d batches in %d sink files, want %d in 2", len(got), n, agents*each)
	}
	if all := files(t, s.fs, store.Raw); len(all) != 2 {
		t.Errorf("raw/ holds %v, want the sink files alone", all)
	}
}

func TestReceiptGoesFromSpooledToSettled(t *testing.T) {
	s := newSetup(t)
	s.cfg.Seal.Age = config.Duration(300 * time.Millisecond)
	r := s.start(t)
	receipt := r.mustSend(t, batch(t, "app", "s", 0, "x").Frame)
	if receipt.State != wire.Spooled {
		t.Errorf("the answer's state is %q, want spooled", receipt.State)
	}
	seen := map[wire.State]bool{}
	eventually(t, "settled", func() bool {
		st := r.state(t, "app", receipt)
		seen[st] = true
		return st == wire.Settled
	})
	if seen[wire.Unknown] {
		t.Error("a batch that was taken was unknown for a while")
	}
	next := receipt
	next.Block++
	if got := r.state(t, "app", next); got != wire.Unknown {
		t.Errorf("a block behind the last is %q, want unknown", got)
	}
	if got := r.state(t, "web", receipt); got != wire.Unknown {
		t.Errorf("the segment of another type is %q, want unknown", got)
	}
}

func TestReceiptsAreKnownAfterARestartAMoveAndByOtherCollectors(t *testing.T) {
	s := newSetup(t)
	r := s.start(t)
	receipt := r.mustSend(t, batch(t, "app", "s", 0, "x").Frame)
	r.stop()
	r = s.start(t)
	if got := r.state(t, "app", receipt); got != wire.Settled {
		t.Errorf("after a restart: %q, want settled", got)
	}
	move(t, s.fs, store.Archive, sinks(t, s.fs)[0])
	if got := r.state(t, "app", receipt); got != wire.Settled {
		t.Errorf("after the move to archive/: %q, want settled", got)
	}
	r.stop()
	r = s.start(t)
	if got := r.state(t, "app", receipt); got != wire.Settled {
		t.Errorf("after the move and a restart: %q, want settled", got)
	}
	other := newSetup(t)
	other.fs = s.fs
	if got := other.start(t).state(t, "app", receipt); got != wire.Settled {
		t.Errorf("of another collector: %q, want settled", got)
	}
	// Where the disk is lost before the upload, the batch must be sent again.
	lost := wire.Receipt{Segment: string(store.NewSegment(time.Now(), "c0.1", 1))}
	if got := r.state(t, "app", lost); got != wire.Unknown {
		t.Errorf("of a collector that is gone with its disk: %q, want unknown", got)
	}
}

// Neither unknown nor settled would be true.
func TestReceiptsHaveNoAnswerWhileTheStoreIsAway(t *testing.T) {
	s := newSetup(t)
	away := &awayStore{FS: s.fs}
	s.fs = away
	away.set(errors.New("no route to host"))
	r := s.start(t)
	id := string(store.NewSegment(time.Now(), "c0.1", 1))
	if states, answer := r.states(t, wire.Query{Type: "app", Segment: id}); answer.status != http.StatusServiceUnavailable {
		t.Errorf("states %v, status %d; want 503", states, answer.status)
	}
	receipt := r.mustSend(t, batch(t, "app", "s", 0, "x").Frame)
	if got := r.state(t, "app", receipt); got != wire.Spooled {
		t.Errorf("what lies in the spool is %q, want spooled", got)
	}
	away.set(nil)
	if states, _ := r.states(t, wire.Query{Type: "app", Segment: id}); len(states) != 1 || states[0] != wire.Unknown {
		t.Errorf("states %v once the store is back, want unknown", states)
	}
}

func TestBadReceiptRequestsAreRefused(t *testing.T) {
	r := newSetup(t).start(t)
	good := string(store.NewSegment(time.Now(), "c0.1", 1))
	for name, q := range map[string]wire.Query{
		"type":    {Type: "../x", Segment: good},
		"segment": {Type: "app", Segment: "../../etc/passwd"},
		"path":    {Type: "app", Segment: good + "/../x"},
		"empty":   {Type: "app"},
		"block":   {Type: "app", Segment: good, Block: -1},
	} {
		if _, answer := r.states(t, q); answer.status != http.StatusBadRequest {
			t.Errorf("%s: status %d, want 400", name, answer.status)
		}
	}
	if _, answer := r.states(t, make([]wire.Query, wire.MaxReceipts+1)...); answer.status != http.StatusBadRequest {
		t.Errorf("too many: status %d, want 400", answer.status)
	}
	if answer := r.post(t, wire.ReceiptsPath, strings.NewReader("{"), 1); answer.status != http.StatusBadRequest {
		t.Errorf("no JSON: status %d, want 400", answer.status)
	}
}

func TestFullSpoolMeans503UntilTheStoreTakesIt(t *testing.T) {
	t.Parallel()
	s := newSetup(t).quickly()
	away := &awayStore{FS: s.fs}
	s.fs = away
	away.set(errors.New("no route to host"))
	s.cfg.Spool.Bytes = chunk.MaxFrameLen
	s.cfg.Seal.Bytes = 8 << 20
	r := s.start(t)
	random := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(random)
	taken := 0
	for ; ; taken++ {
		frame := batch(t, "app", "s", int64(taken)<<20, string(random)).Frame
		receipt, answer := r.send(t, frame)
		if receipt == nil {
			if answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" || !bytes.Contains(answer.body, []byte("full")) {
				t.Errorf("a full spool answers %d %v %s, want 503 with Retry-After and the reason", answer.status, answer.header, answer.body)
			}
			break
		}
		if taken > 40 {
			t.Fatal("the spool takes more than its budget")
		}
	}
	if ready := r.get(t, "/readyz"); ready.status != http.StatusServiceUnavailable || !bytes.Contains(ready.body, []byte("full")) {
		t.Errorf("readyz of a full spool: %d %s, want 503 with the reason", ready.status, ready.body)
	}
	if healthy := r.get(t, "/healthz"); healthy.status != http.StatusOK {
		t.Errorf("healthz of a full spool: %d, want 200", healthy.status)
	}
	away.set(nil)
	eventually(t, "ready again", func() bool { return r.get(t, "/readyz").status == http.StatusOK })
	r.drained(t)
	if got := len(inStore(t, s.fs)); got != taken {
		t.Errorf("%d batches were published, %d were taken", got, taken)
	}
}

func TestDiskThatFailsMeans503AndNothingIsLost(t *testing.T) {
	t.Parallel()
	s := newSetup(t)
	disk := disktest.New(t.TempDir())
	s.disk = disk
	r := s.start(t)
	kept := batch(t, "app", "s", 0, "kept")
	r.mustSend(t, kept.Frame)
	for _, op := range []string{"write", "sync"} {
		disk.FailWith(func(o, _ string) error {
			if o == op {
				return syscall.ENOSPC
			}
			return nil
		})
		b := batch(t, "app", "s", 10, "refused")
		if receipt, answer := r.send(t, b.Frame); receipt != nil || answer.status != http.StatusServiceUnavailable {
			t.Errorf("failing %s: status %d, want 503", op, answer.status)
		}
		if ready := r.get(t, "/readyz"); ready.status != http.StatusServiceUnavailable {
			t.Errorf("failing %s: readyz %d, want 503", op, ready.status)
		}
		disk.FailWith(nil)
		eventually(t, "ready again", func() bool { return r.get(t, "/readyz").status == http.StatusOK })
	}
	after := batch(t, "app", "s", 20, "after")
	r.mustSend(t, after.Frame)
	r.stop()
	got := inStore(t, s.fs)
	if got[string(kept.Block)] != 1 || got[string(after.Block)] != 1 || len(got) != 2 {
		t.Errorf("the store has %d batches, want the two that were answered for, once each", len(got))
	}
}

func TestStopFinishesWhatIsInTheSpool(t *testing.T) {
	s := newSetup(t)
	r := s.start(t)
	b := batch(t, "app", "s", 0, "x")
	r.mustSend(t, b.Frame)
	r.stop()
	if got := inStore(t, s.fs); got[string(b.Block)] != 1 {
		t.Error("the batch was not published before the collector stopped")
	}
}

func TestStopLeavesTheRestInTheSpoolWhenTheStoreIsAway(t *testing.T) {
	s := newSetup(t)
	s.cfg.Drain = config.Duration(5 * time.Minute)
	away := &awayStore{FS: s.fs}
	away.set(errors.New("no route to host"))
	inner := s.fs
	s.fs = away
	r := s.start(t)
	b := batch(t, "app", "s", 0, "x")
	receipt := r.mustSend(t, b.Frame)
	began := time.Now()
	r.stop()
	if took := time.Since(began); took > time.Minute {
		t.Errorf("stopping took %v although each type had failed", took)
	}
	s.fs = inner
	r = s.start(t)
	eventually(t, "settled", func() bool { return r.state(t, "app", receipt) == wire.Settled })
	if got := inStore(t, s.fs); got[string(b.Block)] != 1 {
		t.Errorf("the batch is in the store %d times, want once", got[string(b.Block)])
	}
}

func TestDataDirectoryBelongsToOneCollector(t *testing.T) {
	s := newSetup(t)
	s.start(t)
	second, err := New(s.cfg, s.fs, s.dir, s.log, prometheus.NewRegistry(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); !errors.Is(err, daemon.ErrLocked) {
		t.Errorf("a second collector: %v, want ErrLocked", err)
	}
}

func TestMetricsAndStatusTellWhatWaits(t *testing.T) {
	r := newSetup(t).start(t)
	frame := batch(t, "app", "s", 0, "x").Frame
	r.mustSend(t, frame)
	if got := string(r.get(t, "/metrics").body); !strings.Contains(got, fmt.Sprintf("akupara_collector_waiting_bytes %d\n", len(frame))) ||
		!strings.Contains(got, "akupara_collector_spool_batches_total 1\n") {
		t.Errorf("metrics:\n%s", got)
	}
	if st := r.Status(); st.OpenSegments != 1 || st.WaitingBytes != int64(len(frame)) || st.Ready != "ok" {
		t.Errorf("status %+v", st)
	}
	if got := r.get(t, "/v1/status"); got.status != http.StatusOK || !bytes.Contains(got.body, []byte(`"open_segments":1`)) {
		t.Errorf("GET /v1/status: %d %s", got.status, got.body)
	}
}

func TestATypeBeyondTheBoundIsRefusedForGoodAndShown(t *testing.T) {
	s := newSetup(t)
	s.cfg.MaxTypes = 1
	r := s.start(t)
	r.mustSend(t, batch(t, "app", "s", 0, "x").Frame)
	for range 3 {
		_, got := r.send(t, batch(t, "other", "s", 0, "x").Frame)
		var e wire.Error
		if err := json.Unmarshal(got.body, &e); err != nil || got.status != http.StatusConflict || !e.Permanent || e.Reason != wire.TooManyTypes {
			t.Errorf("a second type: %d %s, want 409, permanent, too_many_types", got.status, got.body)
		}
	}
	r.mustSend(t, batch(t, "app", "s", 1, "x").Frame)
	if got := r.get(t, "/v1/status"); !bytes.Contains(got.body, []byte(`"types":1,"refused_types":["other"]`)) {
		t.Errorf("GET /v1/status: %s", got.body)
	}
	if got := string(r.get(t, "/metrics").body); !strings.Contains(got, "akupara_collector_refused_types 1\n") ||
		!strings.Contains(got, "akupara_collector_types 1\n") || !strings.Contains(got, `akupara_collector_refused_total{status="409"} 3`) {
		t.Errorf("metrics:\n%s", got)
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"listen":        func(c *Config) { c.Listen = "" },
		"seal":          func(c *Config) { c.Seal.Age = 0 },
		"spool.bytes":   func(c *Config) { c.Spool.Bytes = 1 },
		"max_in_flight": func(c *Config) { c.MaxInFlight = 1 },
		"uploads":       func(c *Config) { c.Uploads = 0 },
	} {
		s := newSetup(t)
		change(&s.cfg)
		if _, err := New(s.cfg, s.fs, s.dir, s.log, prometheus.NewRegistry(), Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v, want one that names it", name, err)
		}
	}
}

func TestSampleConfigIsDecoded(t *testing.T) {
	node, problems := config.Parse("c.yaml", []byte("listen: 127.0.0.1:9770\nseal: {bytes: 128MiB, age: 60s}\nspool: {bytes: 1GiB, keep_free: 10%}\n"))
	cfg := DefaultConfig()
	problems = append(problems, config.Decode(node, &cfg)...)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	if cfg.Seal.Bytes != 128<<20 || cfg.Seal.Age.Std() != time.Minute || cfg.Spool.KeepFree != 10 {
		t.Errorf("decoded %+v", cfg)
	}
}

// awayStore is a store that fails while an error is set.
type awayStore struct {
	store.FS
	mu  sync.Mutex
	err error
}

func (a *awayStore) set(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
}

func (a *awayStore) away() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func (a *awayStore) Create(ctx context.Context, p string) (store.File, error) {
	if err := a.away(); err != nil {
		return nil, err
	}
	return a.FS.Create(ctx, p)
}

func (a *awayStore) Open(ctx context.Context, p string) (store.Reader, error) {
	if err := a.away(); err != nil {
		return nil, err
	}
	return a.FS.Open(ctx, p)
}

func (a *awayStore) List(ctx context.Context, dir string) ([]store.Info, error) {
	if err := a.away(); err != nil {
		return nil, err
	}
	return a.FS.List(ctx, dir)
}
