package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var quiet = slog.New(slog.DiscardHandler)

// trace collects what happened, in order.
type trace struct {
	mu     sync.Mutex
	events []string
}

func (tr *trace) add(e string) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.events = append(tr.events, e)
}

// part is a run function that says when it stops, after a while.
func (tr *trace) part(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		time.Sleep(time.Second) // under synctest
		tr.add(name)
		return nil
	}
}

func TestAGroupStopsItsPartsLastOneFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		var g Group
		for _, name := range []string{"collector", "demux", "agent"} {
			g.Add(name, tr.part(name))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := g.Run(ctx); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		if want := []string{"agent", "demux", "collector"}; !slices.Equal(tr.events, want) {
			t.Errorf("stopped in the order %v, want %v", tr.events, want)
		}
	})
}

func TestTheFirstFailureStopsTheGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tr trace
		var g Group
		g.Add("a", tr.part("a"))
		g.Add("done early", func(context.Context) error { return nil })
		g.Add("b", func(context.Context) error { time.Sleep(time.Second); return io.ErrUnexpectedEOF })
		err := g.Run(t.Context())
		if !errors.Is(err, io.ErrUnexpectedEOF) || err.Error() != "b: unexpected EOF" {
			t.Errorf("got %v, want b's error with its name", err)
		}
		if !slices.Equal(tr.events, []string{"a"}) {
			t.Errorf("stopped %v, want a", tr.events)
		}
	})
}

func TestAGroupEndsWhenAllPartsAreDone(t *testing.T) {
	var g Group
	g.Add("a", func(context.Context) error { return nil })
	if err := g.Run(t.Context()); err != nil {
		t.Errorf("got %v, want nil", err)
	}
}

func TestTheSecondSignalAborts(t *testing.T) {
	aborted := make(chan struct{})
	ctx, stop := Signals(t.Context(), quiet, func() { close(aborted) })
	defer stop()
	for i, ch := range []<-chan struct{}{ctx.Done(), aborted} {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ch:
		case <-time.After(time.Minute):
			t.Fatalf("signal %d had no effect", i+1)
		}
	}
}

func TestHealthFailsBeforeTheListenerCloses(t *testing.T) {
	health := NewHealth()
	e := NewMux(quiet)
	ops(e, NewRegistry(), health)
	entered, leave := make(chan struct{}), make(chan struct{})
	e.Handle("GET", "/slow", func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		fmt.Fprint(w, "done")
	})
	s := NewServer(ServerConfig{Name: "test", Address: "127.0.0.1:0", Handler: e, Log: quiet, Health: health})
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	url := "http://" + s.Addr().String()
	if code, body := get(t, url+"/readyz"); code != http.StatusOK || body != "ok\n" {
		t.Errorf("readyz: got %d %q, want 200 ok", code, body)
	}
	slow := make(chan string, 1)
	go func() { _, body := get(t, url+"/slow"); slow <- body }()
	<-entered
	cancel()
	for health.Ready() == nil { // bounded by the test's own time limit
		time.Sleep(time.Millisecond)
	}
	close(leave)
	if got := <-slow; got != "done" {
		t.Errorf("the request in flight got %q, want it to be finished", got)
	}
	if err := <-ran; err != nil {
		t.Errorf("Run: got %v, want nil", err)
	}
	if _, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		t.Error("the listener is still open")
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	health := NewHealth()
	health.AddCheck("spool", func() error { return errors.New("the disk is full") })
	e := NewMux(quiet)
	ops(e, NewRegistry(), health)
	for path, want := range map[string]struct {
		code int
		body string
	}{
		"/readyz":  {503, "spool: the disk is full\n"},
		"/healthz": {200, "ok\n"},
		"/nothing": {404, `{"error":"there is no /nothing"}`},
	} {
		w := httptest.NewRecorder()
		e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != want.code || w.Body.String() != want.body {
			t.Errorf("%s: got %d %q, want %d %q", path, w.Code, w.Body, want.code, want.body)
		}
	}
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if !strings.Contains(w.Body.String(), "go_goroutines") {
		t.Errorf("/metrics has no go_goroutines: %.200s", w.Body)
	}
}

func TestAPanicIsAnswered500AndLogged(t *testing.T) {
	var log bytes.Buffer
	e := NewMux(slog.New(slog.NewTextHandler(&log, nil)))
	e.Handle("GET", "/bug", func(http.ResponseWriter, *http.Request) { panic("our bug") })
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/bug", nil))
	if w.Code != http.StatusInternalServerError || !strings.Contains(log.String(), "our bug") {
		t.Errorf("got %d and the log %q, want 500 and the cause", w.Code, log.String())
	}
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

func TestForeignHostsAndOriginsAreRefused(t *testing.T) {
	tcp := &net.TCPAddr{IP: net.IPv4(10, 0, 0, 7), Port: 9771}
	for _, c := range []struct {
		host, origin string
		local        net.Addr
		want         bool
	}{
		{"127.0.0.1:9771", "", tcp, true},
		{"localhost:9771", "", tcp, true},
		{"LOCALHOST.", "", tcp, true},
		{"[::1]:9771", "", tcp, true},
		{"10.0.0.7:9771", "", tcp, true},
		{"node7.example.org:9771", "", tcp, true}, // a name that was allowed
		{"10.0.0.8:9771", "", tcp, false},
		{"evil.example:9771", "", tcp, false},
		{"localhost.evil.example", "", tcp, false},
		{"127.0.0.1.evil.example", "", tcp, false},
		{"", "", tcp, false},
		{"anything", "", &net.UnixAddr{Name: "/run/a.sock", Net: "unix"}, true},
		{"127.0.0.1:9771", "http://127.0.0.1:9771", tcp, true},
		{"127.0.0.1:9771", "http://127.0.0.1:8080", tcp, false},
		{"127.0.0.1:9771", "http://evil.example", tcp, false},
		{"127.0.0.1:9771", "null", tcp, false},
		{"127.0.0.1:9771", "http://evil.example@127.0.0.1:9772", tcp, false},
		{"anything", "http://evil.example", &net.UnixAddr{}, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/v1/adaptors", nil)
		r.Host = c.host
		if c.origin != "" {
			r.Header.Set("Origin", c.origin)
		}
		r = r.WithContext(context.WithValue(r.Context(), http.LocalAddrContextKey, c.local))
		e := NewMux(quiet)
		e.Before(Guard(func() []string { return []string{"node7.example.org"} }))
		e.Handle("POST", "/v1/adaptors", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		if got := w.Code == http.StatusNoContent; got != c.want || !got && w.Code != http.StatusForbidden {
			t.Errorf("host %q, origin %q: got %d, want it to be allowed: %v", c.host, c.origin, w.Code, c.want)
		}
	}
}

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	s := NewServer(ServerConfig{Name: "test", Network: "unix", Address: path, Log: quiet})
	if err := s.Listen(); !errors.Is(err, ErrAddrInUse) {
		t.Errorf("while another listens: got %v, want ErrAddrInUse", err)
	}
	l.Close()
	if err := s.Listen(); err != nil {
		t.Errorf("after that one is gone: got %v, want nil", err)
	}
	defer s.listener.Close()
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := NewServer(ServerConfig{Network: "unix", Address: file, Log: quiet}).Listen(); err == nil {
		t.Error("a file that is no socket was replaced")
	}
}

func TestADirectoryIsHeldByOneProcessAndFreeAfterItsDeath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	if os.Getenv("LOCK_DIR") != "" {
		dir = os.Getenv("LOCK_DIR")
		if _, err := LockDir(dir, "the other"); err != nil {
			t.Fatal(err)
		}
		os.Stdout.WriteString("held\n")
		select {} // until it is killed
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "LOCK_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 5)
	if _, err := io.ReadFull(out, line); err != nil {
		t.Fatalf("the other process said %q: %v", line, err)
	}
	_, err = LockDir(dir, "we")
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "the other, pid ") {
		t.Errorf("got %v, want ErrLocked and who holds it", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	lock, err := LockDir(dir, "we")
	if err != nil {
		t.Fatalf("after its death: got %v, want nil", err)
	}
	if err := lock.Unlock(); err != nil {
		t.Error(err)
	}
}

func TestBackoffGrowsToItsBoundAndIsReset(t *testing.T) {
	var b Backoff
	var last time.Duration
	for i := range 20 {
		d := b.Next()
		high := min(100*time.Millisecond<<i, 10*time.Second)
		if d < high/2 || d > high {
			t.Errorf("wait %d is %v, want it from %v to %v", i, d, high/2, high)
		}
		last = d
	}
	b.Reset()
	if d := b.Next(); d > 100*time.Millisecond || last < 5*time.Second {
		t.Errorf("after a reset: got %v after %v, want at most 100ms after at least 5s", d, last)
	}
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Sleep(ctx, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
}

func TestLogFormats(t *testing.T) {
	var out bytes.Buffer
	log, err := NewLogger(&out, "json", slog.LevelWarn)
	if err != nil {
		t.Fatal(err)
	}
	log.Info("unseen")
	log.Warn("seen")
	if got := out.String(); !strings.HasPrefix(got, "{") || strings.Contains(got, "unseen") {
		t.Errorf("got %q, want one line of JSON", got)
	}
	if _, err := NewLogger(&out, "xml", slog.LevelInfo); err == nil {
		t.Error("format xml was taken")
	}
}
