package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The program reads its file again at SIGHUP, refuses what is wrong in any part
// of it that it uses, and says so over REST.
func TestTheFileIsReadAgainWhileTheAgentRuns(t *testing.T) {
	dir := t.TempDir()
	path, socket := filepath.Join(dir, "agent.yaml"), filepath.Join(dir, "a.sock")
	text := func(dataDir, adaptors string) string {
		return fmt.Sprintf("data_dir: %s\nagent:\n  listen: unix:%s\n  collectors: [http://127.0.0.1:1]\n  drain: 0s\n  adaptors: [%s]\n", dataDir, socket, adaptors)
	}
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	put(text(dir+"/data", ""))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--config", path}, io.Discard, &bytes.Buffer{}) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the agent ended with %v", err)
		}
	}()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	do := func(method, path string) (int, string) {
		req, err := http.NewRequest(method, "http://agent"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return 0, err.Error()
		}
		return resp.StatusCode, string(body)
	}
	until := func(path, want string) {
		t.Helper()
		var body string
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
			if _, body = do("GET", path); strings.Contains(body, want) {
				return
			}
		}
		t.Fatalf("%s: %q is not in %s", path, want, body)
	}
	until("/healthz", "ok")
	until("/v1/config", `"generation":1`)

	put(text(dir+"/data", "{name: load, kind: metrics, every: 1h}"))
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	until("/v1/config", `"generation":2`)
	until("/v1/adaptors", `"load"`)

	for name, c := range map[string]struct {
		text   string
		status int
		want   string
	}{
		"another data_dir":  {text(dir+"/other", ""), 409, "data_dir: it can't be changed while the agent runs"},
		"no agent":          {"data_dir: " + dir + "/data\n", 400, `\"agent\" is missing`},
		"a mistake outside": {text(dir+"/data", "") + "agnet: {}\n", 400, "agnet"},
		"no YAML":           {"data_dir: [", 400, path + ":1"},
	} {
		put(c.text)
		if status, body := do("POST", "/v1/config/reload"); status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s: status %d, want %d with %q: %s", name, status, c.status, c.want, body)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if status, body := do("POST", "/v1/config/reload"); status != 409 || !strings.Contains(body, "no such file") {
		t.Errorf("no file: status %d, want 409 and why: %s", status, body)
	}
	until("/v1/config", `"generation":2`)
	until("/v1/adaptors", `"load"`)
}
