package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// daemonProcess is a daemon of the binary that runs on a config file.
type daemonProcess struct {
	t    *testing.T
	cmd  *exec.Cmd
	gone chan struct{}
	errs *os.File
}

// startDaemon starts a daemon; tty is the terminal that is its own, or nil.
func startDaemon(t *testing.T, tty *os.File, args ...string) *daemonProcess {
	t.Helper()
	errs, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
	if err != nil {
		t.Fatal(err)
	}
	d := &daemonProcess{t: t, cmd: exec.Command(binary, args...), gone: make(chan struct{}), errs: errs}
	d.cmd.Stdout, d.cmd.Stderr = errs, errs
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if tty != nil {
		d.cmd.Stdin, d.cmd.SysProcAttr.Setctty = tty, true
	}
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait() // ProcessState tells how it ended
		close(d.gone)
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.gone
		if t.Failed() {
			t.Logf("%v wrote\n%s", args, d.log())
		}
		errs.Close()
	})
	return d
}

func (d *daemonProcess) log() string { return readFile(d.t, d.errs.Name()) }

func (d *daemonProcess) signal(s os.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// ends waits for the process' end, and returns its exit code.
func (d *daemonProcess) ends() int {
	d.t.Helper()
	select {
	case <-d.gone:
	case <-time.After(time.Minute):
		d.t.Fatal("it did not end within a minute")
	}
	return d.cmd.ProcessState.ExitCode()
}

// askREST makes a request of a daemon's API; status 0 says that nobody answers.
func askREST(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// replace puts text in the place of a file, at once.
func replace(t *testing.T, name, text string) {
	t.Helper()
	writeFile(t, name+".new", text)
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
}

func generation(t *testing.T, url string) int {
	t.Helper()
	var v struct{ Generation int }
	if status, body := askREST(t, "GET", url+"/v1/config"); status == 200 {
		if err := json.Unmarshal([]byte(body), &v); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
	}
	return v.Generation
}

// site is the text of a config in dir, whose daemons listen from port on.
func siteText(dir string, port int) string {
	return fmt.Sprintf(`store: file://%[1]s/store
data_dir: %[1]s/data
agent:
  listen: 127.0.0.1:%[2]d
  collectors: [http://127.0.0.1:%[3]d]
  drain: 1s
  adaptors: [{name: app, kind: tail, type: app, paths: [%[1]s/logs/*.log], rescan: 100ms}]
collector:
  listen: 127.0.0.1:%[3]d
  seal: {age: 100ms, idle: 100ms}
  uploads: 4
demux:
  listen: 127.0.0.1:%[4]d
  schedule: "@every 1s"
  run_bytes: 64MiB
  types: {app: {parser: raw}}
web:
  listen: 127.0.0.1:%[5]d
  queries: 4
  max_rows: 1000
`, dir, port, port+1, port+2, port+3)
}

// Each daemon applies what it can, names what needs a restart, and ends at SIGTERM
// and SIGINT alike.
func TestDaemonsReloadAndStopAlike(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		daemon      string
		at          int // its port, from the first
		live, fixed [2]string
		key         string // that needs a restart
		want        string // of the config that is shown then
		end         syscall.Signal
	}{
		{"agent", 0, [2]string{"drain: 1s", "drain: 2s"}, [2]string{"drain: 1s", "posts: 7"}, "posts", `"drain":"2s"`, syscall.SIGINT},
		{"collector", 1, [2]string{"age: 100ms", "age: 7s"}, [2]string{"uploads: 4", "uploads: 5"}, "uploads", `"age":"7s"`, syscall.SIGTERM},
		{"demux", 2, [2]string{"parser: raw", "parser: json"}, [2]string{"run_bytes: 64MiB", "engine: local\n  yarn: {run_bytes: 2GiB}"}, "yarn.run_bytes", `"parser":"json"`, syscall.SIGINT},
		{"web", 3, [2]string{"queries: 4", "queries: 5"}, [2]string{"max_rows: 1000", "max_rows: 1001"}, "max_rows", `"queries":5`, syscall.SIGTERM},
	} {
		t.Run(c.daemon, func(t *testing.T) {
			t.Parallel()
			dir, port := t.TempDir(), freePorts(t)
			file, base := filepath.Join(dir, "site.yaml"), siteText(dir, port)
			writeFile(t, file, base)
			url := fmt.Sprintf("http://127.0.0.1:%d", port+c.at)
			d := startDaemon(t, nil, c.daemon, "--config", file)
			eventually(t, d.gone, time.Minute, "it serves its config", func() bool { return generation(t, url) == 1 })

			replace(t, file, strings.Replace(base, c.live[0], c.live[1], 1))
			d.signal(syscall.SIGHUP)
			eventually(t, d.gone, time.Minute, "the change is applied", func() bool { return generation(t, url) == 2 })
			if _, body := askREST(t, "GET", url+"/v1/config"); !strings.Contains(body, c.want) {
				t.Errorf("the config that runs is %s, want %s in it", body, c.want)
			}
			d.signal(syscall.SIGHUP)
			eventually(t, d.gone, time.Minute, "it says that nothing changed", func() bool { return strings.Contains(d.log(), "the config is as it was") })

			// Beside what could be applied something can't be: nothing is.
			replace(t, file, strings.Replace(base, c.fixed[0], c.fixed[1], 1))
			status, body := askREST(t, "POST", url+"/v1/config/reload")
			if want := c.daemon + "." + c.key + ": it can't be changed while the " + c.daemon + " runs"; status != 409 || !strings.Contains(body, want) {
				t.Errorf("%s: status %d: %s; want 409, and the key that needs a restart", c.fixed[1], status, body)
			}
			replace(t, file, base+"typo: 1\n")
			if status, body := askREST(t, "POST", url+"/v1/config/reload"); status != 400 || !strings.Contains(body, file+":") || !strings.Contains(body, "typo") {
				t.Errorf("a mistake: status %d: %s; want 400 and its place", status, body)
			}
			replace(t, file, strings.Replace(base, "/data\n", "/other\n", 1))
			if status, body := askREST(t, "POST", url+"/v1/config/reload"); status != 409 || !strings.Contains(body, "data_dir: it can't be changed") {
				t.Errorf("another data_dir: status %d: %s; want 409", status, body)
			}
			if got := generation(t, url); got != 2 {
				t.Errorf("generation %d, want 2 still", got)
			}
			if _, body := askREST(t, "GET", url+"/metrics"); !strings.Contains(body, "akupara_"+c.daemon+"_config_last_reload_successful 0\n") ||
				!strings.Contains(body, "akupara_"+c.daemon+"_config_generation 2\n") {
				t.Error("the metrics do not say that the newest config is refused")
			}
			d.signal(c.end)
			if code := d.ends(); code != 0 {
				t.Errorf("%v: exit code %d, want 0", c.end, code)
			}
		})
	}
}

// One file serves all roles of up: a change is applied to all of them or to none.
func TestUpReloadsAllDaemonsOrNone(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	file, base := filepath.Join(dir, "site.yaml"), siteText(dir, port)
	writeFile(t, file, base)
	writeFile(t, filepath.Join(dir, "logs/a.log"), "plain words\n")
	d := startDaemon(t, nil, "up", "--config", file, "--log-level", "info")
	url := func(i int) string { return fmt.Sprintf("http://127.0.0.1:%d", port+i) }
	rows := func(where string) func() bool {
		return func() bool {
			out, _, code := call(t, dir, "query", "--config", file, "--format", "csv", "select count(*) from app where "+where)
			return code == 0 && strings.HasSuffix(out, "\n1\n")
		}
	}
	eventually(t, d.gone, time.Minute, "a row", rows("message = 'plain words'"))

	// The demux could take its change, the collector can't take its own.
	both := strings.Replace(strings.Replace(base, "parser: raw", "parser: logfmt", 1), "uploads: 4", "uploads: 5", 1)
	replace(t, file, both)
	for i := range 4 {
		if status, body := askREST(t, "POST", url(i)+"/v1/config/reload"); status != 409 || !strings.Contains(body, "collector.uploads") {
			t.Errorf("status %d: %s; want 409 and the collector's key", status, body)
		}
	}
	if _, body := askREST(t, "GET", url(2)+"/v1/config"); !strings.Contains(body, `"parser":"raw"`) {
		t.Errorf("the demux runs by %s, want the parser as it was", body)
	}
	replace(t, file, strings.Replace(strings.Replace(strings.Replace(base, "parser: raw", "parser: logfmt", 1), "queries: 4", "queries: 5", 1), "age: 100ms", "age: 200ms", 1))
	d.signal(syscall.SIGHUP)
	for i := range 4 {
		eventually(t, d.gone, time.Minute, "all have it", func() bool { return generation(t, url(i)) == 2 })
	}
	appendFile(t, filepath.Join(dir, "logs/a.log"), "msg=parsed took=7\n")
	eventually(t, d.gone, time.Minute, "the new parser reads what comes", rows("message = 'parsed' and took = 7"))
	d.signal(syscall.SIGTERM)
	if code := d.ends(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}

// Who starts up in a terminal and closes it sees no more of it: so it ends. One
// whose terminal is there, or never was, reloads.
func TestUpEndsInOrderWhenItsTerminalGoes(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	file := filepath.Join(dir, "site.yaml")
	writeFile(t, file, siteText(dir, port))
	// Where the tests run under nohup, it would ignore the signal as they do.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	defer signal.Stop(hangups)
	person, program := terminal(t, 80)
	d := startDaemon(t, program, "up", "--config", file, "--log-level", "info")
	program.Close()
	url := fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, d.gone, time.Minute, "it runs", func() bool { return generation(t, url) == 1 })
	d.signal(unix.SIGHUP)
	eventually(t, d.gone, time.Minute, "it looks at its config", func() bool { return strings.Contains(d.log(), "the config is as it was") })
	person.Close()
	if code := d.ends(); code != 0 || !strings.Contains(d.log(), "the terminal is gone") {
		t.Errorf("exit code %d, want 0 and why it ended", code)
	}
}
