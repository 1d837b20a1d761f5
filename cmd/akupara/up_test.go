package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const upLines = 500

// freePorts returns the first of four ports in a row that nobody listens on.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := first.Addr().(*net.TCPAddr).Port
		free := port < 65000
		for i := 1; i < 4 && free; i++ {
			l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i))
			if free = err == nil; free {
				l.Close()
			}
		}
		first.Close()
		if free {
			return port
		}
	}
	t.Fatal("no four free ports in a row")
	return 0
}

// upOutput is the file that akupara up's standard output goes to, so that tests
// can read it meanwhile.
const upOutput = "up.out"

// startUp starts akupara up and gives a function that stops it by SIGTERM and
// tells its exit code and what it printed, and a channel that is closed when
// it is gone.
func startUp(t *testing.T, dir string, args ...string) (stop func() (code int, stdout, stderr string), gone <-chan struct{}) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"up"}, args...)...)
	cmd.Dir = dir
	out, err := os.Create(filepath.Join(dir, upOutput))
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = out, &errs
	err = cmd.Start()
	out.Close() // the process has its own
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_ = cmd.Wait() // ProcessState tells how it ended
		close(done)
	}()
	stop = func() (int, string, string) {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Error("akupara up did not end within 30 s of SIGTERM")
			_ = cmd.Process.Kill()
			<-done
		}
		return cmd.ProcessState.ExitCode(), readFile(t, filepath.Join(dir, upOutput)), errs.String()
	}
	t.Cleanup(func() {
		if _, stdout, stderr := stop(); t.Failed() {
			t.Logf("akupara up printed\n%s\n%s", stdout, stderr)
		}
	})
	return stop, done
}

// eventually waits for ok, for at most the limit, and not when the process
// that should bring it about is gone.
func eventually(t *testing.T, gone <-chan struct{}, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	deadline, tick := time.After(limit), time.NewTicker(200*time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-gone:
			t.Fatalf("akupara up has ended before: %s", what)
		case <-deadline:
			t.Fatalf("after %v still not: %s", limit, what)
		}
	}
}

// count asks how many rows a table has; -1 where there is no answer yet.
func count(t *testing.T, dir, table string) int {
	t.Helper()
	stdout, _, code := call(t, dir, "query", "--format", "csv", "select count(*) from "+table)
	lines := strings.Fields(stdout)
	if code != 0 || len(lines) != 2 {
		return -1
	}
	n, err := strconv.Atoi(lines[1])
	if err != nil {
		t.Fatalf("count is %q", stdout)
	}
	return n
}

func TestUpMakesTablesOfThisMachinesLogs(t *testing.T) {
	dir := t.TempDir()
	logs := filepath.Join(dir, "log")
	var syslog, app strings.Builder
	for i := range upLines {
		fmt.Fprintf(&syslog, "Nov 22 21:09:57 web1 sshd[%d]: message %d\n", i, i)
		fmt.Fprintf(&app, `{"time":"2026-11-22T21:09:57Z","level":"info","msg":"event %d"}`+"\n", i)
	}
	writeFile(t, filepath.Join(logs, "syslog"), syslog.String())
	writeFile(t, filepath.Join(logs, "app/events.log"), app.String())
	writeFile(t, filepath.Join(logs, "wtmp"), "\x01\x00")
	args := []string{"--logs", logs, "--look-every", "1s", "--port", strconv.Itoa(freePorts(t))}
	stop, gone := startUp(t, dir, args...)
	eventually(t, gone, 60*time.Second, "both files are in their tables", func() bool {
		return count(t, dir, "syslog") == upLines && count(t, dir, "json") == upLines
	})
	eventually(t, gone, time.Minute, "metrics and df are tables", func() bool {
		stdout, _, code := call(t, dir, "query", "--format", "csv", "show tables")
		for _, name := range []string{"cpu", "memory", "load", "disk", "network", "df"} {
			if !slices.Contains(strings.Fields(stdout), name+",ok") {
				return false
			}
		}
		return code == 0 && strings.Fields(stdout)[0] == "name,state"
	})
	t.Run("what machines read is alone on standard output", func(t *testing.T) { machineOutput(t, dir) })
	t.Run("cat gives the log back", func(t *testing.T) { catGivesTheLogBack(t, dir, syslog.String()) })
	t.Run("a second up says who is there", func(t *testing.T) {
		_, stderr, code := call(t, dir, "up", "--port", strconv.Itoa(freePorts(t)))
		if code != 1 || !strings.Contains(stderr, "in use by another process (akupara up, pid ") {
			t.Errorf("exit code %d and %q, want 1 and who holds the directory", code, stderr)
		}
	})
	t.Run("the store says what it is", func(t *testing.T) {
		readme, err := os.ReadFile(filepath.Join(dir, "data/store/README.md"))
		if err != nil || !strings.Contains(string(readme), "tables/TYPE") {
			t.Errorf("got %v %q, want the layout", err, readme)
		}
	})

	t.Run("files that come later are collected, too", func(t *testing.T) { laterFilesAreCollected(t, dir, logs, gone) })

	eventually(t, gone, time.Minute, "up says that there are tables", func() bool {
		return strings.Contains(readFile(t, filepath.Join(dir, upOutput)), `query "show tables"`)
	})
	code, stdout, stderr := stop()
	if code != 0 {
		t.Errorf("exit code %d after SIGTERM, want 0\n%s", code, stderr)
	}
	if strings.Contains(stderr, "does not take data") {
		t.Errorf("the agent did not wait for the collector beside it:\n%s", stderr)
	}
	for _, want := range []string{"syslog     " + logs + "/syslog\n", "json       " + logs + "/app/events.log\n",
		"binary records of logins: " + logs + "/wtmp\n", "data/akupara.yaml", "file://" + dir + "/data/store",
		`query "show tables"`, "They are there: "} {
		if !strings.Contains(stdout, want) {
			t.Errorf("up printed\n%s\nwant %q in it", stdout, want)
		}
	}

	// What was written while nobody looked is there after the next start, and
	// nothing twice.
	appendFile(t, filepath.Join(logs, "syslog"), "Nov 22 21:10:57 web1 sshd[1]: one more\n")
	stop, gone = startUp(t, dir, args...)
	eventually(t, gone, time.Minute, "the collector has the line written meanwhile", func() bool {
		segments, _ := filepath.Glob(filepath.Join(dir, "data/collector/spool/syslog/*")) // the pattern is good
		return len(segments) > 0
	})
	stop() // which publishes what the collector has
	if stdout, stderr, code := call(t, dir, "demux", "--once", "--type", "syslog"); code != 0 || !strings.HasPrefix(stdout, "syslog: 1 records") {
		t.Errorf("demux --once: exit code %d, %q, want 0 and what it did\n%s", code, stdout, stderr)
	}
	if got := count(t, dir, "syslog"); got != upLines+1 {
		t.Errorf("table syslog has %d rows after a restart, want %d", got, upLines+1)
	}
	if got := count(t, dir, "json"); got != upLines+1 {
		t.Errorf("table json has %d rows after a restart, want %d", got, upLines+1)
	}
}

// laterFilesAreCollected adds a file of a type that is new, and one of a type
// that is there.
func laterFilesAreCollected(t *testing.T, dir, logs string, gone <-chan struct{}) {
	var errors strings.Builder
	for i := range upLines {
		fmt.Fprintf(&errors, "[Sun Dec 04 04:47:44 2005] [error] message %d\n", i)
	}
	writeFile(t, filepath.Join(logs, "apache/error_log"), errors.String())
	writeFile(t, filepath.Join(logs, "later/events.log"), `{"time":"2026-11-22T21:09:57Z","level":"info","msg":"later"}`+"\n")
	eventually(t, gone, 60*time.Second, "the new files are in their tables", func() bool {
		return count(t, dir, "log4j") == upLines && count(t, dir, "json") == upLines+1
	})
	if got := count(t, dir, "syslog"); got != upLines {
		t.Errorf("table syslog has %d rows after new files were found, want %d", got, upLines)
	}
	if out := readFile(t, filepath.Join(dir, upOutput)); !strings.Contains(out, "New log files are collected, too:") || !strings.Contains(out, logs+"/apache/error_log") {
		t.Errorf("up printed\n%s\nwant what is new in it", out)
	}
}

func machineOutput(t *testing.T, dir string) {
	const sql = `select seq, message from syslog order by seq limit 3`
	stdout, _, code := call(t, dir, "query", "--format", "csv", sql)
	if rows, err := csv.NewReader(strings.NewReader(stdout)).ReadAll(); code != 0 || err != nil || len(rows) != 4 {
		t.Errorf("csv: exit code %d, %v, %d lines, want 4\n%s", code, err, len(rows), stdout)
	}
	var rows []map[string]any
	stdout, _, code = call(t, dir, "query", "--format", "json", sql)
	if err := json.Unmarshal([]byte(stdout), &rows); code != 0 || err != nil || len(rows) != 3 {
		t.Errorf("json: exit code %d, %v, %d rows, want 3\n%s", code, err, len(rows), stdout)
	}
	stdout, _, _ = call(t, dir, "query", "--format", "jsonl", sql)
	if got := strings.Count(stdout, "\n"); got != 3 {
		t.Errorf("jsonl: %d lines, want 3\n%s", got, stdout)
	}
	stdout, _, _ = call(t, dir, "query", "--format", "parquet", sql)
	if !strings.HasPrefix(stdout, "PAR1") || !strings.HasSuffix(stdout, "PAR1") {
		t.Errorf("parquet: %d bytes that are no Parquet file", len(stdout))
	}
	var report struct {
		Streams, Records int
		Gaps, Overlaps   []any
	}
	stdout, _, code = call(t, dir, "audit", "--json")
	err := json.Unmarshal([]byte(stdout), &report)
	if code != 0 || err != nil || report.Records < 2*upLines || report.Gaps == nil || len(report.Gaps)+len(report.Overlaps) > 0 {
		t.Errorf("audit --json: exit code %d, %v\n%s", code, err, stdout)
	}
}

func catGivesTheLogBack(t *testing.T, dir, want string) {
	var sinks []string
	eventually(t, nil, time.Minute, "the sink file is in the archive", func() bool {
		sinks, _ = filepath.Glob(filepath.Join(dir, "data/store/archive/syslog/*/*.avro")) // the pattern is good
		return len(sinks) > 0
	})
	rel, err := filepath.Rel(filepath.Join(dir, "data/store"), sinks[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, uri := range []string{sinks[0], "file://" + sinks[0], rel, filepath.Dir(rel), "data/store/archive/syslog"} {
		if got, stderr, code := call(t, dir, "cat", uri); code != 0 || got != want {
			t.Errorf("cat %s: exit code %d, %d bytes, want the %d of the log\n%s", uri, code, len(got), len(want), stderr)
		}
	}
	stdout, _, code := call(t, dir, "cat", "--headers", rel)
	for lines := bufio.NewScanner(strings.NewReader(stdout)); lines.Scan(); {
		var h header
		if err := json.Unmarshal(lines.Bytes(), &h); err != nil || h.Type != "syslog" || h.Kind != "data" {
			t.Errorf("cat --headers: %v in %s", err, lines.Text())
		}
	}
	if code != 0 || stdout == "" {
		t.Errorf("cat --headers: exit code %d and %d bytes, want 0 and some", code, len(stdout))
	}

	whole, err := os.ReadFile(sinks[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := filepath.Join(dir, "damaged.avro")
	writeFile(t, damaged, string(whole[:len(whole)-20]))
	_, stderr, code := call(t, dir, "cat", damaged)
	if code != 1 || !strings.Contains(stderr, "damaged at block") {
		t.Errorf("cat of a torn file: exit code %d and %q, want 1 and what is damaged", code, stderr)
	}
}

func TestUpSaysWhichPortIsTaken(t *testing.T) {
	dir := t.TempDir()
	port := freePorts(t)
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+2))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, stderr, code := call(t, dir, "up", "--logs", filepath.Join(dir, "none"), "--port", strconv.Itoa(port))
	want := fmt.Sprintf("web.listen, 127.0.0.1:%d: address already in use: stop what listens there, or start with another --port", port+2)
	if code != 1 || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d and %q, want 1 and %q", code, stderr, want)
	}
}

func TestAConfigOfTheUsersOwnIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	own := "store: file://" + dir + "/s\ndata_dir: " + dir + "/d\nagent: {typo: 1}\n"
	name := filepath.Join(dir, "data/akupara.yaml")
	writeFile(t, name, own)
	_, stderr, code := call(t, dir, "up")
	if want := name + `:3:9: agent: key "typo" is not known`; code != 1 || !strings.HasPrefix(stderr, name+":3:") || !strings.Contains(stderr, want) {
		t.Errorf("exit code %d and %q, want 1 and %q", code, stderr, want)
	}
	if data, err := os.ReadFile(name); err != nil || string(data) != own {
		t.Errorf("the file is now %q (%v), want it as it was", data, err)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func appendFile(t *testing.T, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
