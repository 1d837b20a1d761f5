package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCheckTakesAnAgentsFileAloneAndWarns(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "agent.yaml")
	writeFile(t, filepath.Join(dir, "there.log"), "x\n")
	writeFile(t, file, `data_dir: data
agent:
  collectors: [http://127.0.0.1:1]
  token_file: ~/token
  adaptors:
    - {name: a, kind: tail, type: a, paths: [`+dir+`/there.log, `+dir+`/none*.log]}
    - {name: b, kind: tail, type: b, paths: [~/b.log, logs/c.log]}
    - {name: s, kind: syslog, type: syslog, listen: ["udp://0.0.0.0:5140"]}
`)
	stdout, stderr, code := call(t, dir, "check", "--config", file)
	for _, want := range []string{
		file + ":1:11: warning: data_dir: data is relative",
		file + ":4:15: agent.token_file: warning: nothing replaces the ~",
		`:6:` + fmt.Sprint(strings.Index(strings.Split(readFile(t, file), "\n")[5], dir+"/none")+1) + `: agent.adaptors[0].paths[1]: warning: adaptor "a": no file that this user can see matches ` + dir + "/none*.log",
		"agent.adaptors[1].paths[0]: warning: nothing replaces the ~",
		"agent.adaptors[1].paths[1]: warning: logs/c.log is relative",
		"every machine that reaches this one can connect to udp://0.0.0.0:5140",
		file + " is fine\n",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in\n%s", want, stdout)
		}
	}
	if code != 0 || stderr != "" || strings.Contains(stdout, "there.log now") {
		t.Errorf("exit code %d, stderr %q\n%s\nwant 0 and warnings of what is doubtful alone", code, stderr, stdout)
	}
	// What needs a store says that there is none.
	if _, stderr, code := call(t, dir, "query", "--config", file, "show tables"); code != 1 || !strings.Contains(stderr, "has no store") {
		t.Errorf("query: exit code %d and %q, want 1 and why", code, stderr)
	}
	if stdout, _, code := call(t, dir, "check", "--config", file, "--online"); code != 1 || !strings.Contains(stdout, "the collector http://127.0.0.1:1 can't be reached") {
		t.Errorf("check --online: exit code %d and %q, want 1 and who is away", code, stdout)
	}
}

func TestTheVersionIsToldEverywhere(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), freePorts(t)
	flag, _, code := call(t, dir, "--version")
	command, _, _ := call(t, dir, "version")
	if code != 0 || flag != command || !strings.HasPrefix(flag, "akupara v1.2.3-test ") {
		t.Errorf("--version: exit code %d and %q, want 0 and %q", code, flag, command)
	}
	file := filepath.Join(dir, "site.yaml")
	writeFile(t, file, siteText(dir, port))
	for at, name := range []string{"agent", "collector", "demux", "web"} {
		d := startDaemon(t, nil, name, "--config", file)
		eventually(t, d.gone, time.Minute, name+" has the metric", func() bool {
			_, body := askREST(t, "GET", fmt.Sprintf("http://127.0.0.1:%d/metrics", port+at))
			return strings.Contains(body, `akupara_build_info{goversion="go`) && strings.Contains(body, `version="v1.2.3-test`)
		})
		if first, _, _ := strings.Cut(d.log(), "\n"); !strings.Contains(first, "msg=starting") || !strings.Contains(first, "v1.2.3-test") {
			t.Errorf("%s: its log begins with %q, want its version", name, first)
		}
	}
}
