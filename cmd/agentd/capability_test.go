package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain lets the test binary be the agent, so that it can be run as another
// user.
func TestMain(m *testing.M) {
	if path := os.Getenv("AGENTD_CONFIG"); path != "" {
		if err := run(context.Background(), []string{"--config", path}, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// As a user that is not root, the agent reads root's files with the one
// capability that its unit gives it, and without it says what it can't read.
func TestOneCapabilityIsEnoughToReadAllFiles(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Log("only root can give a capability to another user")
		return
	}
	const nobody = 65534
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(dir, "private")
	data := filepath.Join(dir, "data")
	text := strings.Repeat("a line that is root's alone\n", 100)
	for _, d := range []string{private, data} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(data, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Join(private, "a.log"), filepath.Join(dir, "b.log")} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "agentd")
	copyProgram(t, program)
	for name, capable := range map[string]bool{"with it": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			socket := filepath.Join(data, "a.sock")
			file := filepath.Join(dir, "agent.yaml")
			section := fmt.Sprintf("data_dir: %s\nagent:\n  listen: unix:%s\n  collectors: [http://127.0.0.1:1]\n  drain: 0s\n  adaptors:\n"+
				"    - {name: log, kind: tail, type: app, paths: [%s/*.log, %s/*.log], rescan: 50ms}\n", data, socket, private, dir)
			if err := os.WriteFile(file, []byte(section), 0o644); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(program)
			cmd.Env = []string{"AGENTD_CONFIG=" + file}
			cmd.Stderr = os.Stderr
			cmd.Dir = "/"
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{}}}
			if capable {
				cmd.SysProcAttr.AmbientCaps = []uintptr{unix.CAP_DAC_READ_SEARCH}
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
				if err := cmd.Wait(); err != nil {
					t.Errorf("the agent ended with %v", err)
				}
			}()
			waitFor(t, socket, func(positions map[string]int64, skipped string) bool {
				if capable {
					return positions[filepath.Join(private, "a.log")] == int64(len(text)) && positions[filepath.Join(dir, "b.log")] == int64(len(text))
				}
				return len(positions) == 0 && strings.Contains(skipped, "permission denied")
			})
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", cmd.Process.Pid))
			if err != nil || !strings.Contains(string(status), "Uid:\t65534") {
				t.Errorf("the agent does not run as nobody: %v\n%s", err, status)
			}
			if want := "CapEff:\t0000000000000004"; capable && !strings.Contains(string(status), want) {
				t.Errorf("the agent has more or less than one capability, want %s:\n%s", want, status)
			}
		})
	}
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(self)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// waitFor waits until the adaptor log is as ok wants it: what was read by path,
// and the reasons of what is not.
func waitFor(t *testing.T, socket string, ok func(read map[string]int64, skipped string) bool) {
	t.Helper()
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}
	defer tr.CloseIdleConnections()
	client := &http.Client{Transport: tr}
	var last []byte
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get("http://agent/v1/adaptors/log")
		if err != nil {
			continue // not yet
		}
		last, err = io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		var v struct {
			Position []struct {
				Path string
				Read int64
			}
			Skipped []struct{ Reason string }
		}
		if err := json.Unmarshal(last, &v); err != nil {
			t.Fatalf("%v: %s", err, last)
		}
		read, reasons := map[string]int64{}, ""
		for _, p := range v.Position {
			read[p.Path] = p.Read
		}
		for _, s := range v.Skipped {
			reasons += s.Reason + "\n"
		}
		if ok(read, reasons) {
			return
		}
	}
	t.Fatalf("the adaptor is not as wanted: %s", last)
}
