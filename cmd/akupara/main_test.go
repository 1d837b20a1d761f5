package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

// binary is the program under test, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "akupara-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // other users run it, too
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		binary = filepath.Join(dir, "akupara")
		build := exec.Command("go", "build", "-tags", "nomsgpack", "-ldflags", "-X main.version=v1.2.3-test", "-o", binary, ".")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// call runs the binary to its end in dir.
func call(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatalf("akupara %s: %v", strings.Join(args, " "), err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

func TestExitCodesAndStreams(t *testing.T) {
	dir := t.TempDir()
	good := filepath.Join(dir, "good.yaml")
	bad := filepath.Join(dir, "bad.yaml")
	writeFile(t, good, "store: file:///nowhere/at/all/store\ndata_dir: "+dir+"/d\n")
	writeFile(t, bad, "store: file:///s\ndata_dir: /d\ncolector: {}\n")
	for _, c := range []struct {
		args string
		code int
		out  string // in standard output; "" means that it is empty
		err  string // in standard error; "" means that it is empty
	}{
		{"", 2, "", "a command is missing"},
		{"--help", 0, "Available Commands", ""},
		{"help query", 0, "--format", ""},
		{"help", 0, "Available Commands", ""},
		{"help quary", 2, "", "did you mean query?"},
		{"query --help", 0, "Examples:", ""},
		{"version", 0, "akupara v1.2.3-test", ""},
		{"version x", 2, "", `unknown command "x"`},
		{"nonsense", 2, "", `command "nonsense" is not known`},
		{"quary x", 2, "", "did you mean query?"},
		{"query", 2, "", "See: akupara query --help"},
		{"query a b", 2, "", "want one statement, in quotes; got 2 arguments"},
		{"query --nope x", 2, "", "unknown flag: --nope"},
		{"query --format xml x", 2, "", "allowed are table, csv, json, jsonl, parquet"},
		{"query x --config a --data b", 2, "", "none of the others can be"},
		{"query x", 1, "", "there is no store in " + dir + "/data yet"},
		{"query --config " + good + " nonsense", 1, "", "akupara: "},
		{"query --config " + bad + " x", 1, "", bad + `:3:1: key "colector" is not known; did you mean "collector"?; allowed: agent, collector, data_dir, demux, store, web`},
		{"query --config /nope/x x", 1, "", "read config: open /nope/x: no such file or directory"},
		{"query --log-level loud x", 2, "", "allowed are debug, info, warn, error"},
		{"audit", 1, "", "there is no store in"},
		{"cat", 2, "", "a URI is missing"},
		{"cat /nope", 1, "", "no such file"},
		{"cat nope --config " + good, 1, "", "cat nope: file does not exist"},
		{"cat s3://x/y", 1, "", "want file:///absolute/path or hdfs://host:port/base"},
		{"check", 0, "is fine", ""},
		{"check --config " + good, 0, good + " is fine\n", ""},
		{"check --config " + bad, 1, bad + `:3:1: key "colector" is not known`, ""},
		{"check --config /nope", 1, "", "no such file"},
		{"demux --type A/B", 2, "", "must match"},
		{"demux --once --type A/B", 2, "", "must match"},
		{"demux --once", 1, "", "there is no store in"},
		{"demux --once --config " + good, 0, "there are no sink files in the store yet", ""},
		{"agent --config " + good, 1, "", `key "collectors" is missing; it is required`},
		{"up --port 0", 2, "", "allowed are 1 to 65532"},
		{"up --port 70000", 2, "", "invalid argument"},
		{"completion", 2, "", "a shell is missing"},
		{"completion bash", 0, "bash completion", ""},
		{"completion zsh", 0, "#compdef akupara", ""},
	} {
		stdout, stderr, code := call(t, dir, strings.Fields(c.args)...)
		if code != c.code {
			t.Errorf("akupara %s: exit code %d, want %d\n%s%s", c.args, code, c.code, stdout, stderr)
		}
		for _, s := range []struct{ name, got, want string }{{"standard output", stdout, c.out}, {"standard error", stderr, c.err}} {
			if s.want == "" && s.got != "" || !strings.Contains(s.got, s.want) {
				t.Errorf("akupara %s: %s is %q, want %q in it", c.args, s.name, s.got, s.want)
			}
		}
	}
}

func TestCheckWarnsOfAdaptorsThatWantTheSameFiles(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "c.yaml")
	writeFile(t, name, `data_dir: /d
store: file:///s
agent:
  collectors: [http://127.0.0.1:9770]
  adaptors:
    - {name: a, kind: tail, type: x, paths: [/nowhere/*.log]}
    - {name: b, kind: tail, type: x, paths: [/nowhere/app.log]}
`)
	stdout, stderr, code := call(t, dir, "check", "--config", name)
	if code != 0 || stderr != "" {
		t.Errorf("exit code %d and %q on standard error, want 0 and nothing", code, stderr)
	}
	want := name + `:7:7: agent.adaptors[1]: warning: adaptor "b", by "/nowhere/app.log", matches files that adaptor "a"`
	if !strings.HasPrefix(stdout, want) || !strings.HasSuffix(stdout, name+" is fine\n") || strings.Count(stdout, "matches files that") != 1 ||
		strings.Count(stdout, "no file that this user can see matches /nowhere/") != 2 || strings.Count(stdout, "\n") != 4 {
		t.Errorf("got:\n%swant one line that begins with %s, two of patterns that match nothing, and that it is fine", stdout, want)
	}
}

func TestCheckAndDaemonsNameAllProblemsOfAllSections(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "c.yaml")
	writeFile(t, name, `data_dir: /d
agent:
  collectors: [http://127.0.0.1:9770]
  adaptors:
    - {name: a, kind: tial, type: x, paths: [/x]}
    - {name: b, kind: tail, type: x, paths: ['/x/[']}
    - {name: b, kind: command, type: df, command: [df], every: 60}
collector:
  seal: {bytes: 128 parsecs}
demux:
  schedule: "@every now"
  types:
    hadoop: {parser: log5j, timezone: Mars/Olympus}
web: {listen: 9772}
`)
	stdout, stderr, code := call(t, dir, "check", "--config", name)
	if code != 1 || stderr != "" {
		t.Errorf("exit code %d and %q on standard error, want 1 and nothing", code, stderr)
	}
	for _, d := range []string{"agent", "collector", "demux", "web"} {
		if out, said, code := call(t, dir, d, "--config", name); code != 1 || out != "" || said != stdout {
			t.Errorf("%s: exit code %d and\n%s%s\nwant 1 and on standard error what check says:\n%s", d, code, out, said, stdout)
		}
	}
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	want := []string{
		`1:1: key "store" is missing; it is required`,
		`5:23: agent.adaptors[0].kind: "tial"`,
		`6:46: agent.adaptors[1].paths[0]: "/x/["`,
		`7:14: agent.adaptors[2].name: "b"`,
		`7:64: agent.adaptors[2].every: "60"`,
		`9:17: collector.seal.bytes: "128 parsecs"`,
		`11:13: demux.schedule: "@every now"`,
		`13:22: demux.types.hadoop.parser: "log5j"`,
		`13:39: demux.types.hadoop.timezone: "Mars/Olympus"`,
		`14:15: web.listen: "9772"`,
	}
	if len(lines) != len(want) {
		t.Errorf("got %d problems, want %d:\n%s", len(lines), len(want), stdout)
	}
	for i := range min(len(lines), len(want)) {
		if !strings.HasPrefix(lines[i], name+":"+want[i]) {
			t.Errorf("problem %d is\n%s\nwant\n%s:%s", i, lines[i], name, want[i])
		}
	}
}

func TestTheSampleConfigsAreFine(t *testing.T) {
	samples, err := filepath.Glob("../../deploy/config/*.yaml")
	if err != nil || len(samples) < 3 {
		t.Fatalf("got %v %v, want the samples", samples, err)
	}
	for _, s := range samples {
		if stdout, stderr, code := call(t, ".", "check", "--config", s); code != 0 {
			t.Errorf("check %s: exit code %d, want 0\n%s%s", s, code, stdout, stderr)
		}
	}
}

func TestTheSampleConfigIsFineAsJSON(t *testing.T) {
	data, err := os.ReadFile("../../deploy/config/akupara.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.Unmarshal(data, &tree); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.MarshalIndent(tree, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(t.TempDir(), "akupara.json")
	writeFile(t, name, string(asJSON))
	if stdout, stderr, code := call(t, ".", "check", "--config", name); code != 0 {
		t.Errorf("exit code %d, want 0\n%s%s", code, stdout, stderr)
	}
}

func writeFile(t *testing.T, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
