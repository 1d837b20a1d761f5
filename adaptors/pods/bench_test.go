package pods

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
)

// arrivals notes when the first chunk of each source came.
type arrivals struct {
	adaptors.Output
	mu     sync.Mutex
	first  map[string]time.Time
	opened map[string]time.Time
}

func (a *arrivals) Send(ctx context.Context, c *chunk.Chunk) error {
	err := a.Output.Send(ctx, c)
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.first[c.Source]; !ok {
		a.first[c.Source] = time.Now()
	}
	return err
}

// opens notes when each source's stream was opened, which its file was before.
type opens struct {
	adaptors.Streams
	of *arrivals
}

func (o opens) Open(ctx context.Context, s adaptors.Stream) (adaptors.Stream, error) {
	o.of.mu.Lock()
	o.of.opened[s.Source] = time.Now()
	o.of.mu.Unlock()
	return o.Streams.Open(ctx, s)
}

func (a *arrivals) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.first)
}

func benchRun(b *testing.B, k *kubelet) *arrivals {
	cfg := DefaultConfig()
	cfg.Root = k.root
	ad, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	rec := adaptortest.NewRecorder()
	env := rec.Env()
	env.Log = slog.New(slog.DiscardHandler)
	out := &arrivals{Output: env.Out, first: map[string]time.Time{}, opened: map[string]time.Time{}}
	env.Out, env.Streams = out, opens{env.Streams, out}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- ad.Run(ctx, env) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	for len(rec.Known()) == 0 {
		time.Sleep(time.Millisecond)
	}
	return out
}

// BenchmarkDiscovery starts 1,000 pods at once and tells how long after its
// first line was written a container's log was open and its first chunk came.
func BenchmarkDiscovery(b *testing.B) {
	for range b.N {
		k := newKubelet(b)
		out := benchRun(b, k)
		wrote := map[string]time.Time{}
		for i := range 1000 {
			c := k.run(fmt.Sprintf("ns_p%d_u%d", i, i), "c", 0)
			c.write(1)
			wrote[c.path] = time.Now()
			c.stop()
		}
		for out.count() < 1000 {
			time.Sleep(time.Millisecond)
		}
		var took, open []time.Duration
		for path, at := range wrote {
			took = append(took, out.first[path].Sub(at))
			open = append(open, out.opened[path].Sub(at))
		}
		slices.Sort(took)
		slices.Sort(open)
		b.ReportMetric(float64(open[990].Microseconds())/1000, "p99-open-ms")
		b.ReportMetric(float64(took[500].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(took[990].Microseconds())/1000, "p99-ms")
	}
}

// BenchmarkIdle tells what 20,000 pods that write nothing cost.
func BenchmarkIdle(b *testing.B) {
	k := newKubelet(b)
	line := k.frame("stdout", "F", "hello")
	for i := range 20000 {
		dir := filepath.Join(k.root, fmt.Sprintf("ns%d_some-pod-of-a-deployment-%d_11111111-2222-3333-4444-%012d", i%50, i, i), "main")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "0.log"), []byte(line), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	started := time.Now()
	out := benchRun(b, k)
	for out.count() < 20000 {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(time.Since(started).Seconds(), "s-to-read-all")
	before := cpu()
	const watch = 65 * time.Second // two rescans
	time.Sleep(watch)
	b.ReportMetric((cpu()-before).Seconds()/watch.Seconds()*100, "%core")
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/1e6, "heap-MB")
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
