// Package bench measures Akupara beside its peers, in one run: machines differ
// and are shared, so what counts is the ratio. Every figure is that of a whole
// process: MB of raw log (10^6 bytes) per second of processor time, and peak
// resident memory, as the kernel counts them.
//
//	make bench
//
// AKUPARA_BENCH_MB is the size of the input (default 512), AKUPARA_BENCH_FILES the
// number of small sink files (default 100000), AKUPARA_BENCH_LINE_FILES that of
// those with a chunk for each line (default 16).
package bench

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// roles are what this test binary can be besides a benchmark: the peers that
// are written in Go, each in a process of its own.
var roles = map[string]func(args []string) error{
	"bare-server":  bareServer,
	"tuned-server": tunedServer,
	"zstd-alone":   zstdAlone,
	"measure":      measure,
	"compact":      compactRole,
}

func TestMain(m *testing.M) {
	if role := os.Getenv("AKUPARA_BENCH_ROLE"); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// megabytes is the size of the input.
func megabytes(b *testing.B) int64 { return number(b, "AKUPARA_BENCH_MB", 512) }

// number is a number that the environment may set.
func number(b *testing.B, name string, otherwise int64) int64 {
	b.Helper()
	s := os.Getenv(name)
	if s == "" {
		return otherwise
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 1 {
		b.Fatalf("%s: %q is not a number from 1 on", name, s)
	}
	return n
}

// binary returns a built binary: make bench builds them first.
func binary(b *testing.B, name string) string {
	p, err := filepath.Abs(filepath.Join("..", "bin", name))
	if err != nil {
		b.Fatal(err)
	}
	if _, err := os.Stat(p); err != nil {
		b.Skipf("%v: run make build first", err)
	}
	return p
}

// jsonLog writes nested JSON lines of about 312 bytes, out of order in time by
// a few seconds as logs of many threads are, and gives the exact size.
func jsonLog(b *testing.B, path string, size int64) int64 {
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w := bufio.NewWriterSize(f, 1<<20)
	rnd := rand.New(rand.NewPCG(7, 7))
	levels := []string{"INFO", "INFO", "INFO", "INFO", "DEBUG", "WARN", "ERROR"}
	paths := []string{"/api/v1/users", "/api/v1/orders", "/health", "/api/v2/search", "/static/app.js"}
	at := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	var n int64
	for i := 0; n < size; i++ {
		at = at.Add(time.Duration(rnd.IntN(4)) * time.Millisecond)
		ts := at.Add(-time.Duration(rnd.IntN(3000)) * time.Millisecond)
		c, err := fmt.Fprintf(w, `{"ts":"%s","level":"%s","msg":"request %d handled by worker-%d","logger":"com.example.http.Server",`+
			`"http":{"method":"GET","path":"%s/%d","status":%d,"bytes":%d},"user":{"id":%d,"session":"%016x"},"took_ms":%.3f,"trace":"%016x%016x"}`+"\n",
			ts.Format("2006-01-02T15:04:05.000000Z"), levels[rnd.IntN(len(levels))], i, rnd.IntN(32), paths[rnd.IntN(len(paths))], rnd.IntN(10000),
			200+100*(rnd.IntN(10)/8), rnd.IntN(100000), rnd.IntN(1000000), rnd.Uint64(), rnd.ExpFloat64()*20, rnd.Uint64(), rnd.Uint64())
		if err != nil {
			b.Fatal(err)
		}
		n += int64(c)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	return n
}

// usage is what a process took.
type usage struct {
	cpu  time.Duration
	wall time.Duration
	rss  int64 // peak, bytes
}

func (u usage) perCPU(raw int64) float64 { return float64(raw) / 1e6 / u.cpu.Seconds() }

func (u usage) show(b *testing.B, who string, raw int64) {
	b.Logf("%-28s %7.1f MB/s %8.1f MB per CPU-second %6.0f MB peak RSS",
		who, float64(raw)/1e6/u.wall.Seconds(), u.perCPU(raw), float64(u.rss)/1e6)
}

// measure runs a command and prints what it took. The kernel counts a
// process's peak memory from its fork on, and a benchmark's own memory is
// large: so a small process does the forking.
func measure(args []string) error {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "AKUPARA_BENCH_ROLE="+os.Getenv("AKUPARA_BENCH_INNER"))
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%v: %w", args, err)
	}
	s := cmd.ProcessState
	fmt.Println(int64(s.UserTime()+s.SystemTime()), s.SysUsage().(*syscall.Rusage).Maxrss<<10)
	return nil
}

// run runs a command to its end.
func run(b *testing.B, cmd *exec.Cmd) usage {
	b.Helper()
	small := role("measure", append([]string{cmd.Path}, cmd.Args[1:]...)...)
	for _, kv := range cmd.Env {
		if inner, ok := strings.CutPrefix(kv, "AKUPARA_BENCH_ROLE="); ok {
			small.Env = append(small.Env, "AKUPARA_BENCH_INNER="+inner)
		}
	}
	var errs bytes.Buffer
	small.Stderr = &errs
	began := time.Now()
	out, err := small.Output()
	u := usage{wall: time.Since(began)}
	if err != nil {
		b.Fatalf("%v: %v\n%s", cmd.Args, err, errs.String())
	}
	if _, err := fmt.Sscan(string(out), (*int64)(&u.cpu), &u.rss); err != nil {
		b.Fatalf("%v printed %q: %v", cmd.Args, out, err)
	}
	return u
}

// server is a process that runs until it is told to end.
type server struct {
	cmd   *exec.Cmd
	began time.Time
}

func serve(b *testing.B, addr string, cmd *exec.Cmd) *server {
	b.Helper()
	log, err := os.Create(filepath.Join(b.TempDir(), "server.log"))
	if err != nil {
		b.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	s := &server{cmd: cmd, began: time.Now()}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		if b.Failed() {
			text, _ := os.ReadFile(log.Name())
			b.Logf("%v:\n%s", cmd.Args, text)
		}
	})
	for until := time.Now().Add(30 * time.Second); addr != ""; {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(until) {
			b.Fatalf("%v does not listen on %s", cmd.Args, addr)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return s
}

func (s *server) end(b *testing.B) usage {
	b.Helper()
	peak := peakRSS(b, s.cmd.Process.Pid)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	_ = s.cmd.Wait() // a peer may just die of the signal
	state := s.cmd.ProcessState
	return usage{cpu: state.UserTime() + state.SystemTime(), wall: time.Since(s.began), rss: peak}
}

func peakRSS(b *testing.B, pid int) int64 { return statusBytes(b, pid, "VmHWM:") }

// statusBytes is a value of /proc/PID/status.
func statusBytes(b *testing.B, pid int, key string) int64 {
	b.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), key)
	var kB int64
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		b.Fatalf("%s of process %d: %v", key, pid, err)
	}
	return kB << 10
}

// role starts this binary as one of its roles.
func role(name string, args ...string) *exec.Cmd {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "AKUPARA_BENCH_ROLE="+name)
	return cmd
}

func freeAddr(b *testing.B) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func writeConfig(b *testing.B, dir, text string) string {
	p := filepath.Join(dir, "akupara.yaml")
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		b.Fatal(err)
	}
	return p
}

// until waits for a condition, polled often: for at most ten minutes.
func until(b *testing.B, what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(10 * time.Minute); !ok(); {
		if time.Now().After(deadline) {
			b.Fatalf("after ten minutes still not: %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// client keeps enough connections for all senders.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}, Timeout: time.Minute}
