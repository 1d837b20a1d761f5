package heartbeat

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

const patience = time.Minute

func TestConformance(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	adaptortest.Test(t, adaptortest.Kind{New: func(t *testing.T) adaptors.Adaptor {
		return mustNew(t, fmt.Sprintf("{every: 100ms, checks: [{name: a, http: {url: '%s'}}]}", s.URL))
	}})
}

func decode(t *testing.T, text string) Config {
	t.Helper()
	cfg := DefaultConfig()
	n, problems := config.Parse("f", []byte(text))
	if err := append(problems, config.Decode(n, &cfg)...).Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

func mustNew(t *testing.T, text string) *Adaptor {
	t.Helper()
	a, err := New(decode(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sink passes on what is sent.
type sink chan chunk.Chunk

func (s sink) Send(ctx context.Context, c *chunk.Chunk) error {
	own := *c
	own.Body = bytes.Clone(c.Body)
	select {
	case s <- own:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// start runs the adaptor until the test's end.
func start(t *testing.T, a *Adaptor) sink {
	t.Helper()
	out := make(sink)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, adaptors.Env{Log: slog.New(slog.DiscardHandler), Out: out}) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: got %v, want nil", err)
			}
		case <-time.After(patience):
			t.Error("Run did not return")
		}
	})
	return out
}

// until returns the first record of that check that is as wanted.
func (s sink) until(t *testing.T, name string, is func(r record) bool) record {
	t.Helper()
	var last record
	for deadline := time.After(patience); ; {
		select {
		case c := <-s:
			var r record
			if err := json.Unmarshal(c.Body, &r); err != nil || c.Type != Type || c.Body[len(c.Body)-1] != '\n' || bytes.Count(c.Body, []byte("\n")) != 1 {
				t.Fatalf("type %s, %q: %v", c.Type, c.Body, err)
			}
			if ts, err := time.Parse("2006-01-02T15:04:05.000000Z", r.TS); err != nil || !ts.Equal(c.Time) {
				t.Fatalf("ts %s, want the chunk's time %v", r.TS, c.Time)
			}
			if r.Name != name {
				continue
			}
			if last = r; is(r) {
				return r
			}
		case <-deadline:
			t.Fatalf("check %s is not as wanted; last %+v", name, last)
		}
	}
}

func up(r record) bool   { return r.Up }
func down(r record) bool { return !r.Up }

func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go serve(c)
		}
	}()
	return l.Addr().String()
}

func TestExampleInTheReadmeTellsOfAllItsChecks(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"status": "ok"}`) }))
	defer s.Close()
	db := listen(t, func(c net.Conn) { c.Close() })
	ssh := listen(t, func(c net.Conn) { fmt.Fprint(c, "SSH-2.0-test\r\n") })
	pidFile := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	cfg := *adaptortest.Example(t, Kind(), "http://127.0.0.1:8080", s.URL, "127.0.0.1:5432", db, "127.0.0.1:22", ssh,
		"/run/app.pid", pidFile, "^crond?$", "^"+strings.TrimSpace(string(self))+"$").(*Config)
	if len(cfg.Checks) != 5 {
		t.Fatalf("the example has %d checks, want 5", len(cfg.Checks))
	}
	cfg.Every = config.Duration(200 * time.Millisecond)
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	out := start(t, a)
	for _, c := range cfg.Checks {
		r := out.until(t, c.Name, up)
		if r.Error != "" || r.Target == "" || c.Process == nil && *r.Latency <= 0 || c.Process != nil && *r.Running < 1 || c.HTTP != nil && *r.Status != 200 {
			t.Errorf("check %s: %+v", c.Name, r)
		}
	}
	r := out.until(t, "agent", up)
	if *r.PID != os.Getpid() || *r.Uptime < 0 || r.Kind != "agent" {
		t.Errorf("the agent's own: %+v", r)
	}
	if got := a.Status().LastErr; got != "" {
		t.Errorf("last error %q, want none", got)
	}
}

func TestWhatIsDownSaysWhy(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/moved" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, "no")
	}))
	t.Cleanup(s.Close)
	ended := t.Context().Done()
	silent := listen(t, func(c net.Conn) { <-ended; c.Close() })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	mute := listen(t, func(c net.Conn) { c.Close() })
	other := listen(t, func(c net.Conn) { fmt.Fprint(c, "HTTP\xff"); c.Close() })
	dir := t.TempDir()
	noID := filepath.Join(dir, "text")
	if err := os.WriteFile(noID, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for check, want := range map[string]string{
		fmt.Sprintf("http: {url: '%s/?secret=1'}", s.URL):                       "status 503, want 200-399",
		fmt.Sprintf("http: {url: '%s', status: [503], body: yes}", s.URL):       "the body does not match yes",
		fmt.Sprintf("http: {url: '%s/moved', status: [200-299, 404]}", s.URL):   "status 302, want 200-299, 404",
		fmt.Sprintf("http: {url: 'http://%s'}", l.Addr()):                       "connection refused",
		fmt.Sprintf("http: {url: '%s', tls: {ca: /nonexistent}}", s.URL):        "tls.ca",
		fmt.Sprintf("http: {url: 'http://%s', timeout: 50ms}", silent):          "no answer in time",
		fmt.Sprintf("tcp: {address: '%s'}", l.Addr()):                           "connection refused",
		fmt.Sprintf("tcp: {address: '%s', banner: SSH}", mute):                  "it says nothing",
		fmt.Sprintf("tcp: {address: '%s', banner: SSH, timeout: 50ms}", silent): "it says nothing",
		fmt.Sprintf("tcp: {address: '%s', banner: SSH}", other):                 `it says "HTTP\xff", which does not match SSH`,
		"process: {name: '^no such$'}":                                          "0 run, want at least 1",
		"process: {name: ., max: 1}":                                            "want at most 1",
		fmt.Sprintf("process: {pid_file: %s}", filepath.Join(dir, "none")):      "0 run, want at least 1",
		fmt.Sprintf("process: {pid_file: %s}", noID):                            "holds no process id",
		fmt.Sprintf("process: {pid_file: %s}", dir):                             "is no regular file",
		fmt.Sprintf("process: {name: x, proc: %s}", filepath.Join(dir, "none")): "no such file",
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			a := mustNew(t, "{every: 100ms, beat: false, checks: [{name: c, "+check+"}]}")
			r := start(t, a).until(t, "c", down)
			if !strings.Contains(r.Error, want) || strings.Contains(r.Target, "secret") {
				t.Errorf("got %+v, want an error with %q", r, want)
			}
			if got := a.Status().LastErr; !strings.Contains(got, "c: "+r.Error) {
				t.Errorf("last error %q, want %q", got, r.Error)
			}
		})
	}
}

func TestProcessThatEndedDoesNotCount(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pidFile := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		t.Fatal(err)
	}
	out := start(t, mustNew(t, fmt.Sprintf("{every: 100ms, checks: [{name: file, process: {pid_file: %s}}, {name: cmd, process: {name: sleep, cmdline: '^sleep 1000$'}}]}", pidFile)))
	out.until(t, "file", up)
	out.until(t, "cmd", up)
	// Killed and not waited for it is still in the list of processes.
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	out.until(t, "file", down)
	_ = cmd.Wait()
	out.until(t, "file", down)
}

func TestSlowCheckDelaysNoOther(t *testing.T) {
	hangs := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hangs }))
	defer s.Close()
	defer close(hangs)
	out := start(t, mustNew(t, fmt.Sprintf("{every: 100ms, beat: false, checks: [{name: slow, http: {url: '%s', timeout: 1h}}, {name: quick, process: {name: .}}]}", s.URL)))
	for range 5 {
		out.until(t, "quick", up)
	}
}

func TestServerThatComesBackIsUpAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	a := mustNew(t, fmt.Sprintf("{every: 100ms, beat: false, checks: [{name: c, tcp: {address: '%s'}}]}", address))
	out := start(t, a)
	out.until(t, "c", up)
	l.Close()
	out.until(t, "c", down)
	if l, err = net.Listen("tcp", address); err != nil {
		t.Skipf("the port was taken by somebody else: %v", err)
	}
	defer l.Close()
	out.until(t, "c", up)
	if got := a.Status().LastErr; got != "" {
		t.Errorf("last error %q, want none", got)
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{every: 1ms}":              "at least 100ms",
		"{beat: false}":             "nothing to do",
		"{beat: false, checks: []}": "nothing to do",
		"{checks: [{}]}":            `"name" is missing`,
		"{checks: [{name: a}]}":     "exactly one of",
		"{checks: [{name: a, tcp: {address: 'h:1'}, http: {url: 'http://h'}}]}":          "here are 2",
		"{checks: [{name: a, tcp: {address: 'h:1'}}, {name: a, tcp: {address: 'h:1'}}]}": `"a" is taken`,
		"{checks: [{name: a, tcp: {address: h}}]}":                                       "want host:port",
		"{checks: [{name: a, http: {url: h}}]}":                                          "is not a URL",
		"{checks: [{name: a, http: {url: 'http://h', status: [99]}}]}":                   "from 100 to 599",
		"{checks: [{name: a, http: {url: 'http://h', status: []}}]}":                     "it is empty",
		"{checks: [{name: a, http: {url: 'http://h', method: DELETE}}]}":                 "GET, HEAD",
		"{checks: [{name: a, http: {url: 'http://h', headers: {Authorization: x}}}]}":    "belongs in a file",
		"{checks: [{name: a, process: {min: 1}}]}":                                       "names no process",
		"{checks: [{name: a, process: {name: x, pid_file: /x}}]}":                        "both are given",
		"{checks: [{name: a, process: {name: x, min: 3, max: 2}}]}":                      `less than "min"`,
	} {
		cfg := DefaultConfig()
		n, problems := config.Parse("f", []byte(text))
		if err := append(problems, config.Decode(n, &cfg)...).Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

func TestVersionIsThatOfTheReleaseOrElseTheCommit(t *testing.T) {
	commit := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "0123456789abcdef0123"}}
	for _, c := range []struct {
		info debug.BuildInfo
		want string
	}{
		{debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: commit}, "v1.2.3"},
		{debug.BuildInfo{Main: debug.Module{Version: "(devel)"}, Settings: commit}, "0123456789ab"},
		{debug.BuildInfo{}, ""},
	} {
		if got := versionOf(&c.info); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestWhatIsReachedForIsTold(t *testing.T) {
	cfg := decode(t, "{checks: [{name: a, http: {url: 'http://h/x', bearer_file: /a}}, {name: b, process: {pid_file: /b}}, {name: c, process: {name: x, proc: /c}}, {name: d, tcp: {address: 'h:1'}}]}")
	want := []adaptors.Need{{What: adaptors.URL, Value: "http://h/x"}, {What: adaptors.File, Value: "/a"}, {What: adaptors.File, Value: "/b"},
		{What: adaptors.File, Value: "/c"}, {What: adaptors.URL, Value: "tcp://h:1"}}
	if got := cfg.Needs(); !slices.Equal(got, want) {
		t.Errorf("needs %v, want %v", got, want)
	}
	usual := DefaultConfig()
	if got := usual.Needs(); got != nil {
		t.Errorf("needs %v, want none of the beat alone", got)
	}
}

func TestFilesOutsideOfWhatIsAllowedAreNotRead(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	if err := os.WriteFile(pidFile, []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, check := range []string{"process: {pid_file: " + pidFile + "}", "process: {name: x, proc: " + t.TempDir() + "}", "http: {url: 'http://127.0.0.1:1', bearer_file: " + pidFile + "}"} {
		cfg := decode(t, "{every: 100ms, beat: false, checks: [{name: c, "+check+"}]}")
		cfg.SetRoots(adaptors.Roots{t.TempDir()})
		a, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		if r := start(t, a).until(t, "c", down); !strings.Contains(r.Error, adaptors.ErrOutside.Error()) {
			t.Errorf("%s: got %+v, want that it lies outside", check, r)
		}
	}
}
