// Package apptest holds the black-box tests: they start the built binaries,
// kill them while they work, and ask engines that are not ours what the tables
// hold.
package apptest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bin is the folder of the binaries under test.
var bin string

// TestMain builds the binaries, and lets more tests run side by side than there
// are cores: they mostly wait.
func TestMain(m *testing.M) {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f != nil {
		_ = f.Value.Set("4")
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "akupara-bin-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		bin = dir
		for name, cgo := range map[string]string{"akupara": "1", "agentd": "0"} {
			build := exec.Command("go", "build", "-tags", "nomsgpack", "-o", filepath.Join(bin, name), "./cmd/"+name)
			build.Dir, build.Env = repoRoot(), append(os.Environ(), "CGO_ENABLED="+cgo)
			if out, err := build.CombinedOutput(); err != nil {
				fmt.Fprintf(os.Stderr, "build %s: %v\n%s", name, err, out)
				return 1
			}
		}
		return m.Run()
	}())
}

var seedFlag = flag.Uint64("seed", 0, "seed of the tests' choices; 0 makes one")

// choices are a test's random ones: of stream there are as many as callers.
func choices(t testing.TB, stream uint64) *rand.Rand {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, stream))
}

// soakUntil is when tests that can go on for long end: AKUPARA_SOAK from now.
func soakUntil(t testing.TB) time.Time {
	t.Helper()
	soak := os.Getenv("AKUPARA_SOAK")
	if soak == "" {
		return time.Now()
	}
	d, err := time.ParseDuration(soak)
	if err != nil {
		t.Fatal(err)
	}
	return time.Now().Add(d)
}

func repoRoot() string {
	wd, err := os.Getwd()
	if err != nil {
		panic(err)
	}
	return filepath.Dir(wd)
}

// proc is a running binary. Its output goes to a file that is shown when the
// test fails.
type proc struct {
	t      testing.TB
	name   string
	args   []string
	mounts []mount // seen by the process alone
	log    *os.File
	cmd    *exec.Cmd
	done   chan struct{}
}

// mount is a path that shows what lies at another one.
type mount struct{ from, at string }

// start runs bin/name, or the program of that path, with args until the test
// ends.
func start(t testing.TB, label, name string, args ...string) *proc {
	t.Helper()
	return startBehind(t, nil, label, name, args...)
}

// startBehind is start for a process that sees mounts which nobody else sees.
func startBehind(t testing.TB, mounts []mount, label, name string, args ...string) *proc {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), label+".log"))
	if err != nil {
		t.Fatal(err)
	}
	p := &proc{t: t, name: name, args: args, mounts: mounts, log: log}
	p.start()
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("---- %s\n%s", label, tail(log.Name(), 40))
		}
		log.Close()
	})
	return p
}

func (p *proc) start() {
	p.t.Helper()
	path := p.name
	if !filepath.IsAbs(path) {
		path = filepath.Join(bin, path)
	}
	p.cmd = exec.Command(path, p.args...)
	if len(p.mounts) > 0 {
		// The shell becomes the program: same process, other namespace. Of
		// images that are mounted for others it lets go: they would be in use
		// for as long as it runs.
		script, args := "while read -r device at rest; do case $device:$at in ", []string{}
		for _, m := range p.mounts {
			script += fmt.Sprintf("*:'%s') ;; ", m.from)
		}
		script += fmt.Sprintf(`/dev/loop*:'%s'/*) umount -l "$at" ;; esac; done </proc/mounts; `, os.TempDir())
		for _, m := range p.mounts {
			script += `mount --bind "$1" "$2" && shift 2 && `
			args = append(args, m.from, m.at)
		}
		args = append(append(args, p.cmd.Path), p.args...)
		p.cmd = exec.Command("/bin/sh", append([]string{"-c", script + `exec "$@"`, "sh"}, args...)...)
		p.cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	}
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.done = make(chan struct{})
	go func(cmd *exec.Cmd, done chan struct{}) {
		_ = cmd.Wait() // how it ended is told by cmd.ProcessState
		close(done)
	}(p.cmd, p.done)
}

// kill ends the process as a crash does.
func (p *proc) kill() {
	_ = p.cmd.Process.Kill() // fails only when it is gone already
	<-p.done
}

// stop asks the process to end, and tells its exit code.
func (p *proc) stop() int {
	p.t.Helper()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(60 * time.Second):
		p.t.Errorf("%s did not end within a minute of SIGTERM", p.name)
		p.kill()
	}
	return p.cmd.ProcessState.ExitCode()
}

func tail(path string, lines int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimRight(string(data), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// akupara runs the command line to its end, and gives its standard output and
// exit code.
func akupara(t testing.TB, args ...string) (stdout string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "akupara"), args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("akupara %s: %v", strings.Join(args, " "), err)
	}
	if errs.Len() > 0 {
		t.Logf("akupara %s: %s", strings.Join(args, " "), strings.TrimSpace(errs.String()))
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// mustAkupara is akupara where only exit code 0 will do.
func mustAkupara(t testing.TB, args ...string) string {
	t.Helper()
	out, code := akupara(t, args...)
	if code != 0 {
		t.Fatalf("akupara %s: exit code %d, want 0\n%s", strings.Join(args, " "), code, out)
	}
	return out
}

// eventually waits until ok says so, looking often, for at most the limit.
func eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

var ports struct {
	sync.Mutex
	given map[string]bool
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		addr := l.Addr().String()
		l.Close()
		if ports.given == nil {
			ports.given = map[string]bool{}
		}
		if !ports.given[addr] {
			ports.given[addr] = true
			return addr
		}
	}
}

func writeFile(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// get returns the body and status of a GET, status 0 when nobody answers.
func get(url string) (string, int) {
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		return err.Error(), 0
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error(), 0
	}
	return string(body), resp.StatusCode
}

// python returns the interpreter that has the independent readers, or skips the
// test, loudly; with CI set it fails instead.
func python(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("AKUPARA_TOOLS_DIR")
	if dir == "" {
		dir = filepath.Join(repoRoot(), ".tools")
	}
	p := filepath.Join(dir, "venv", "bin", "python")
	if _, err := os.Stat(p); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the independent readers are not installed: %v", err)
		}
		t.Skipf("SKIPPED: the independent readers are not installed (make readers): %v", err)
	}
	return p
}

// readTable asks DuckDB about what PyIceberg reads of a table, which the SQL
// calls t.
func readTable(t testing.TB, tableURI, webhdfs, sql string) [][]any {
	t.Helper()
	args := []string{filepath.Join("testdata", "read.py"), tableURI, sql}
	if webhdfs != "" {
		args = append(args, webhdfs)
	}
	var rows [][]any
	runPython(t, &rows, args...)
	return rows
}

// runPython decodes the last line of what a script prints.
func runPython(t testing.TB, into any, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python(t), args...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python %s: %v\n%s", args[0], err, errs.String())
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), into); err != nil {
		t.Fatalf("python %s: %v in %q", args[0], err, lines[len(lines)-1])
	}
}

// auditReport is what akupara audit --json prints.
type auditReport struct {
	Failing     []struct{ Type, Job, Error string }
	Streams     int64            `json:"streams"`
	Records     int64            `json:"records"`
	Bytes       int64            `json:"bytes"`
	Gaps        []map[string]any `json:"gaps"`
	Overlaps    []map[string]any `json:"overlaps"`
	Lost        []map[string]any `json:"lost"`
	Dropped     []map[string]any `json:"dropped"`
	Unpublished int64            `json:"unpublished"`

	DroppedBytes int64 `json:"dropped_bytes"`
}

func audit(t testing.TB, args ...string) (auditReport, int) {
	t.Helper()
	out, code := akupara(t, append([]string{"audit", "--json"}, args...)...)
	var rep auditReport
	if err := json.Unmarshal([]byte(out), &rep); err != nil {
		t.Fatalf("audit --json: %v in %q", err, out)
	}
	return rep, code
}
