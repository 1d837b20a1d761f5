package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestNoHeavyLibraryIsLinked(t *testing.T) {
	cmd := exec.Command("go", "list", "-deps", "-tags", "nomsgpack", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list gave %d packages only:\n%s", len(deps), out)
	}
	for _, dep := range deps {
		for _, heavy := range []string{"duckdb", "arrow", "iceberg", "parquet", "runtime/cgo", "msgpack", "ugorji", "hdfs"} {
			if strings.Contains(dep, heavy) {
				t.Errorf("the agent links %s", dep)
			}
		}
	}
}

func TestUsageIsTold(t *testing.T) {
	for name, test := range map[string]struct {
		args   []string
		err    error
		stdout string
		stderr string
	}{
		"help":             {args: []string{"--help"}, stdout: "agentd --config FILE"},
		"version":          {args: []string{"--version"}, stdout: "agentd " + version},
		"version command":  {args: []string{"version"}, stdout: "agentd " + version},
		"check of nothing": {args: []string{"check"}, err: errUsage, stderr: "--config FILE is missing"},
		"no config":        {args: nil, err: errUsage, stderr: "--config FILE is missing"},
		"unknown flag":     {args: []string{"--frobnicate"}, err: errUsage, stderr: "frobnicate"},
		"unknown argument": {args: []string{"--config", "x", "go"}, err: errUsage, stderr: `"go"`},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			err := run(context.Background(), test.args, &stdout, &stderr)
			if !errors.Is(err, test.err) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
				t.Errorf("standard output %q and error %q; want %q and %q in them", &stdout, &stderr, test.stdout, test.stderr)
			}
		})
	}
}

func TestBadConfigIsNamedByLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "akupara.yaml")
	text := "data_dir: /x\nagent:\n  collectors: [http://127.0.0.1:1]\n  listen: 0.0.0.0:9771\n  adaptors:\n" +
		"    - {name: a, kind: tial, type: x}\n    - {name: b, kind: metrics, every: 10}\n    - {name: b, kind: command, type: df, command: [df], every: 1m}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	err := run(context.Background(), []string{"--config", path}, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil {
		t.Fatal("the config was taken")
	}
	for _, want := range []string{
		path + ":4:11: agent.listen", path + ":6:23: agent.adaptors[0].kind: \"tial\"", `did you mean "tail"`,
		path + ":7:39: agent.adaptors[1].every", path + ":8:14: agent.adaptors[2].name: \"b\" is used twice",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("want %q in:\n%v", want, err)
		}
	}
}

func TestCheckSaysWhatIsWrongAndWhatIsDoubtful(t *testing.T) {
	path := filepath.Join(t.TempDir(), "agent.yaml")
	for _, c := range []struct {
		text, want string
		err        error
	}{
		{"data_dir: /x\nagent:\n  collectors: [http://127.0.0.1:1]\n  adaptors: [{name: a, kind: tail, type: a, paths: [~/a.log]}]\n", path + ":4:53: agent.adaptors[0].paths[0]: warning: nothing replaces the ~", nil},
		{"data_dir: x\nagent:\n  collectors: [http://127.0.0.1:1]\n", path + ": warning: data_dir: x is relative", nil},
		{"data_dir: /x\nagent:\n  collectors: [http://127.0.0.1:1]\n  post: 1\n", path + `:4:3: agent: key "post" is not known`, errFound},
	} {
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		var stdout bytes.Buffer
		err := run(context.Background(), []string{"check", "--config", path}, &stdout, &bytes.Buffer{})
		if !errors.Is(err, c.err) || !strings.Contains(stdout.String(), c.want) || (err == nil) != strings.Contains(stdout.String(), "is fine") {
			t.Errorf("%v and\n%s\nwant %v and %s", err, &stdout, c.err, c.want)
		}
	}
}
