package main

import (
	"fmt"
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

// What root collects, up gives to who can read root's token alone; what others
// collect, they may read anyway.
func TestUpAsRootAsksForItsToken(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	writeFile(t, filepath.Join(dir, "logs/a.log"), "2026-03-01T12:00:00Z INFO words\n")
	d := startDaemon(t, nil, "up", "--data", filepath.Join(dir, "data"), "--logs", filepath.Join(dir, "logs"), "--port", strconv.Itoa(port))
	url := func(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", port+i) }
	eventually(t, d.gone, time.Minute, "it is up", func() bool { return strings.Contains(d.log(), "Akupara is up") })
	for i := range 4 {
		eventually(t, d.gone, time.Minute, "all are ready", func() bool {
			status, _ := askREST(t, "GET", url(i)+"/readyz")
			return status == 200
		})
	}
	token := ""
	if os.Geteuid() == 0 {
		name := filepath.Join(dir, "data/token")
		token = strings.TrimSpace(readFile(t, name))
		if info, err := os.Stat(name); err != nil || info.Mode().Perm() != 0o600 || len(token) < 16 {
			t.Fatalf("the token has %d letters, %v, %v; want mode 0600", len(token), info.Mode(), err)
		}
		for i, path := range map[int]string{1: "/v1/adaptors", 2: "/v1/tables", 3: "/v1/runs"} {
			if status, body := askREST(t, "GET", url(i)+path); status != 401 {
				t.Errorf("%s without a token: status %d: %s; want 401", path, status, body)
			}
		}
		if !strings.Contains(d.log(), "$(cat "+name+")") {
			t.Error("what up prints does not say how its address is used")
		}
	}
	for i, path := range map[int]string{1: "/v1/adaptors", 2: "/v1/runs", 3: "/v1/runs"} {
		req, err := http.NewRequest(http.MethodGet, url(i)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s with the token: status %d, want 200", path, resp.StatusCode)
		}
	}
	for _, args := range [][]string{{"adaptor", "ls"}, {"jobs"}, {"streams"}} {
		if stdout, stderr, code := call(t, dir, append(args, "--data", filepath.Join(dir, "data"))...); code != 0 || stdout == "" {
			t.Errorf("%v: exit code %d, %q; want the command line to find the token", args, code, stderr)
		}
	}
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}

	// The next user is told what to do.
	other := exec.Command(binary, "up", "--data", filepath.Join(dir, "data"), "--logs", filepath.Join(dir, "logs"), "--port", strconv.Itoa(port))
	other.Dir = "/"
	if os.Geteuid() == 0 {
		for name := dir; name != "/" && name != os.TempDir(); name = filepath.Dir(name) {
			if err := os.Chmod(name, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		other.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	} else if err := os.Chmod(filepath.Join(dir, "data/lock"), 0); err != nil {
		t.Fatal(err)
	}
	out, err := other.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "was used by ") || !strings.Contains(string(out), "sudo chown -R ") {
		t.Errorf("another user: %v and %s; want whose it is, and what to do", err, out)
	}
}
