package bench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/wire"
)

// window is how long an agent is watched while it has little to do.
const window = 30 * time.Second

// watch returns what a process takes within the window, in percent of a core,
// and its resident memory after it.
func watch(b *testing.B, pid int) (percent, rss float64) {
	b.Helper()
	before, began := cpuOf(b, pid), time.Now()
	time.Sleep(window) // the one thing measured here is time
	return 100 * (cpuOf(b, pid) - before).Seconds() / time.Since(began).Seconds(), float64(statusBytes(b, pid, "VmRSS:")) / 1e6
}

// cpuOf is the processor time that the threads of a process took so far: in
// nanoseconds, where /proc/PID/stat counts hundredths of a second.
func cpuOf(b *testing.B, pid int) (total time.Duration) {
	b.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(tasks) == 0 {
		b.Fatalf("process %d is gone (%v)", pid, err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has just ended
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(ns, 10, 64)
		if err != nil {
			b.Fatalf("%s: %v", task, err)
		}
		total += time.Duration(n)
	}
	return total
}

// BenchmarkAgentStart measures from the start of the process to the first byte
// at the collector, with a file that is there already.
func BenchmarkAgentStart(b *testing.B) {
	binary(b, "agentd")
	for b.Loop() {
		var all []time.Duration
		for range 15 {
			log := filepath.Join(b.TempDir(), "app.log")
			if err := os.WriteFile(log, []byte("a line\n"), 0o644); err != nil {
				b.Fatal(err)
			}
			first := make(chan time.Time, 1)
			hole := &sinkhole{}
			url := sinkAt(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				select {
				case first <- time.Now():
				default:
				}
				hole.ServeHTTP(w, r)
			}))
			s := agent(b, url, fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s"]}`, log))
			all = append(all, (<-first).Sub(s.began))
			s.end(b)
		}
		slices.Sort(all)
		b.Logf("start to the first byte sent: %v median, %v at most", all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
		b.ReportMetric(float64(all[len(all)/2].Milliseconds()), "ms-median")
	}
}

// BenchmarkAgentIdle measures an agent that follows one file: silent, and with
// one line a second.
func BenchmarkAgentIdle(b *testing.B) {
	size, err := os.Stat(filepath.Join("..", "bin", "agentd"))
	if err != nil {
		b.Skipf("%v: run make build first", err)
	}
	for b.Loop() {
		log := filepath.Join(b.TempDir(), "app.log")
		hole := &sinkhole{}
		write(b, log, "the first line\n")
		s := agent(b, sinkAt(b, hole), fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s"]}`, log))
		until(b, "the file is read", func() bool { return hole.raw.Load() > 0 })
		silent, rss := watch(b, s.cmd.Process.Pid)
		ctx, stop := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for t := time.NewTicker(time.Second); ; {
				select {
				case <-ctx.Done():
					return
				case now := <-t.C:
					write(b, log, now.String()+" one line a second\n")
				}
			}
		})
		slow, _ := watch(b, s.cmd.Process.Pid)
		stop()
		wg.Wait()
		s.end(b)
		b.Logf("one silent file: %.3f%% of a core, %.0f MB RSS; 1 line/s: %.3f%% of a core; binary %.1f MB", silent, rss, slow, float64(size.Size())/1e6)
		b.ReportMetric(rss, "MB-idle")
		b.ReportMetric(slow, "%core-1line/s")
	}
}

func write(b *testing.B, path, text string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err == nil {
		_, err = f.WriteString(text)
		f.Close()
	}
	if err != nil {
		b.Error(err)
	}
}

// BenchmarkAgentManyFiles measures an agent that follows 20,000 files of which
// none grows.
func BenchmarkAgentManyFiles(b *testing.B) {
	const files = 20_000
	for b.Loop() {
		dir := b.TempDir()
		var raw int64
		for i := range files {
			sub := filepath.Join(dir, fmt.Sprintf("d%03d", i%200))
			if err := os.MkdirAll(sub, 0o755); err != nil {
				b.Fatal(err)
			}
			line := fmt.Sprintf("file %d says this once\n", i)
			write(b, filepath.Join(sub, fmt.Sprintf("%d.log", i)), line)
			raw += int64(len(line))
		}
		hole := &sinkhole{}
		s := agent(b, sinkAt(b, hole), fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s/**/*.log"]}`, dir))
		until(b, "all files are read", func() bool { return hole.raw.Load() >= raw })
		percent, rss := watch(b, s.cmd.Process.Pid)
		u := s.end(b)
		b.Logf("%d idle files: %.2f%% of a core, %.0f MB RSS (peak %.0f MB)", files, percent, rss, float64(u.rss)/1e6)
		b.ReportMetric(percent, "%core")
		b.ReportMetric(float64(u.rss)/1e6, "MB-RSS")
	}
}

// stopwatch takes batches as a collector does, and measures the age of each
// line: a line starts with the nanoseconds of its writing.
type stopwatch struct {
	sinkhole
	mu    sync.Mutex
	ages  []time.Duration
	lines atomic.Int64
}

func (s *stopwatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != wire.BatchesPath {
		s.sinkhole.ServeHTTP(w, r)
		return
	}
	now := time.Now()
	frame, err := chunk.ReadFrame(bufio.NewReaderSize(r.Body, 64<<10), nil)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ages, err := agesOf(frame, now)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.ages = append(s.ages, ages...)
	s.mu.Unlock()
	s.lines.Add(int64(len(ages)))
	_ = json.NewEncoder(w).Encode(wire.Receipt{Segment: "20260101T000000.000000Z-stopwatch-000001", State: wire.Spooled})
}

func agesOf(frame []byte, now time.Time) (ages []time.Duration, err error) {
	batch, err := chunk.ParseFrame(frame)
	if err != nil {
		return nil, err
	}
	block := chunk.Block{Len: len(batch.Block), RawLen: batch.RawLen, CRC: chunk.CRC(batch.Block), Entries: batch.Entries}
	chunks, _, err := block.Decode(batch.Type, batch.Block, nil)
	if err != nil {
		return nil, err
	}
	for i := range chunks {
		for line := range bytes.Lines(chunks[i].Body) {
			at, _, _ := bytes.Cut(line, []byte(" "))
			ns, err := strconv.ParseInt(string(at), 10, 64)
			if err != nil {
				return nil, err
			}
			ages = append(ages, now.Sub(time.Unix(0, ns)))
		}
	}
	return ages, nil
}

// BenchmarkAgentGrowingFiles measures an agent that follows 1,000 files which
// all grow, each by 10 kB a second in lines of 100 bytes.
func BenchmarkAgentGrowingFiles(b *testing.B) {
	const files, perSecond, lineBytes = 1000, 100, 100
	for b.Loop() {
		dir := b.TempDir()
		sink := &stopwatch{}
		s := agent(b, sinkAt(b, sink), fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s/*.log"]}`, dir))
		ctx, stop := context.WithCancel(b.Context())
		var written atomic.Int64
		var wg sync.WaitGroup
		for i := range files {
			f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%d.log", i)))
			if err != nil {
				b.Fatal(err)
			}
			wg.Go(func() {
				defer f.Close()
				t := time.NewTicker(100 * time.Millisecond)
				defer t.Stop()
				for {
					select {
					case <-ctx.Done():
						return
					case <-t.C:
						var text []byte
						for range perSecond / 10 {
							line := fmt.Appendf(nil, "%d file %d ", time.Now().UnixNano(), i)
							text = append(append(text, line...), bytes.Repeat([]byte("x"), lineBytes-1-len(line))...)
							text = append(text, '\n')
						}
						if _, err := f.Write(text); err != nil {
							b.Error(err)
							return
						}
						written.Add(perSecond / 10)
					}
				}
			})
		}
		percent, rss := watch(b, s.cmd.Process.Pid)
		stop()
		wg.Wait()
		until(b, "all lines came", func() bool { return sink.lines.Load() >= written.Load() })
		s.end(b)
		slices.Sort(sink.ages)
		n := len(sink.ages)
		b.Logf("%d files, %.1f MB/s: %.1f%% of a core, %.0f MB RSS; a line is at the collector after %v median, %v p99, %v at most", files,
			float64(written.Load()*lineBytes)/1e6/window.Seconds(), percent, rss,
			sink.ages[n/2].Round(time.Millisecond), sink.ages[n*99/100].Round(time.Millisecond), sink.ages[n-1].Round(time.Millisecond))
		b.ReportMetric(percent, "%core")
		b.ReportMetric(float64(sink.ages[n-1].Milliseconds()), "ms-at-most")
	}
}
