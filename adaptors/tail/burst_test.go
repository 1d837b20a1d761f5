package tail

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
)

func TestFoldersThatComeAndGoInABurstAreCollectedWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Hour) // events alone
	r.start()
	r.write("warm.log", r.lines(1))
	r.arrived()
	const pods, width = 200, 20
	for i := range pods + width {
		if i < pods {
			dir := fmt.Sprintf("pod%d/new/container", i)
			r.mkdir(dir)
			r.write(dir+"/0.log", r.lines(5))
		}
		if gone := i - width; gone >= 0 { // its life is short, and not shorter than discovery
			dir := fmt.Sprintf("pod%d", gone)
			r.until("the file of "+dir+" is not open", func() bool { return openFiles(t, r.path(dir)) == 1 })
			r.write(dir+"/new/container/0.log", r.lines(5))
			r.ok(os.RemoveAll(r.path(dir)))
		}
	}
	r.exactly()
}

// gated is a log whose writer waits at a message: whoever logs it stands still.
type gated struct {
	slog.Handler
	at      string
	reached chan struct{}
	release chan struct{}
}

func (g gated) Enabled(context.Context, slog.Level) bool { return true }

func (g gated) Handle(_ context.Context, rec slog.Record) error {
	text := rec.Message
	rec.Attrs(func(a slog.Attr) bool { text += " " + a.String(); return true })
	if strings.Contains(text, g.at) {
		close(g.reached)
		<-g.release
	}
	return nil
}

// TestFilesAreFoundAfterTheWatchersQueueOverflowed lets more happen than the
// kernel keeps events of, while the tailer stands still.
func TestFilesAreFoundAfterTheWatchersQueueOverflowed(t *testing.T) {
	t.Parallel()
	queue := 16384
	if b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events"); err == nil {
		queue, err = strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || queue > 1<<18 {
			t.Skipf("max_queued_events is %s: too many to fill", b)
		}
	}
	r := newRig(t, "in/**/*.log", "in/*.gz")
	r.cfg.Rescan = config.Duration(time.Hour)
	r.mkdir("in/away")
	r.write("in/warm.log", r.lines(1))
	r.write("in/away/moved.log", r.lines(1))
	g := gated{slog.DiscardHandler, "stop.gz", make(chan struct{}), make(chan struct{})}
	r.log = slog.New(g)
	r.start()
	r.arrived()
	r.write("in/stop.gz", "\x1f\x8b")
	<-g.reached
	for i := range queue + 2*4096 { // what is alike and follows itself counts once
		r.ok(os.Chmod(r.path([]string{"in/warm.log", "in/away/moved.log"}[i%2]), 0o600))
	}
	// Of all this no event tells.
	r.write("in/one.log", r.lines(2))
	r.mkdir("in/new/folder")
	r.write("in/new/folder/two.log", r.lines(2))
	r.rename("in/away", "in/there")
	r.write("in/there/moved.log", r.lines(2))
	r.write("in/warm.log", r.lines(2))
	close(g.release)
	r.arrived()
	// The folders that were found by the scan are watched.
	r.write("in/there/moved.log", r.lines(2))
	r.write("in/new/folder/three.log", r.lines(2))
	r.exactly()
}

// BenchmarkDiscovery makes 999 files at once, all that a status lists, half of them in new folders,
// and tells how long it took until each was open.
func BenchmarkDiscovery(b *testing.B) {
	const files = 999
	for b.Loop() {
		r := newRig(b)
		r.cfg.Rescan = DefaultConfig().Rescan
		r.startWith(defaultTimes())
		r.write("warm.log", r.lines(1))
		r.arrived()
		var took []time.Duration
		var mu sync.Mutex
		made := map[string]time.Time{}
		ctx, cancel := context.WithCancel(context.Background())
		var watch sync.WaitGroup
		watch.Go(func() {
			for tick := time.NewTicker(2 * time.Millisecond); ctx.Err() == nil; <-tick.C {
				mu.Lock()
				for _, src := range r.a.Status().Sources {
					if at, waits := made[src.Path]; waits {
						took = append(took, time.Since(at))
						delete(made, src.Path)
					}
				}
				mu.Unlock()
			}
		})
		for i := range files {
			name := fmt.Sprintf("%d.log", i)
			if i%2 == 0 {
				name = fmt.Sprintf("dir%d/deep/%d.log", i, i)
				r.mkdir(filepath.Dir(name))
			}
			mu.Lock()
			made[r.path(name)] = time.Now()
			mu.Unlock()
			r.ok(os.WriteFile(r.path(name), []byte("a line of "+name+"\n"), 0o644))
		}
		r.until("all are open", func() bool { mu.Lock(); defer mu.Unlock(); return len(took) == files })
		cancel()
		watch.Wait()
		slices.Sort(took)
		b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
		b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms-p99")
		r.stop()
	}
}
