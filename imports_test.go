// Package akupara holds the tests about the whole of the project.
package akupara

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v3"
)

const module = "github.com/akupara/akupara"

// rule is one of depguard's, of which only what .golangci.yml uses is known.
type rule struct {
	Files []string `yaml:"files"`
	Allow []string `yaml:"allow"`
	Deny  []struct {
		Pkg string `yaml:"pkg"`
	} `yaml:"deny"`
}

func rules(t *testing.T) map[string]rule {
	t.Helper()
	data, err := os.ReadFile(".golangci.yml")
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]rule `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	return c.Linters.Settings.Depguard.Rules
}

func (r rule) covers(file string) bool {
	covered := len(r.Files) == 0
	for _, pattern := range r.Files {
		not, negated := strings.CutPrefix(pattern, "!")
		if negated && not != "$test" && doublestar.MatchUnvalidated(not, file) {
			return false
		}
		covered = covered || !negated && doublestar.MatchUnvalidated(pattern, file)
	}
	return covered
}

// allows reports whether an import is allowed, and which entry of Allow says
// so, if any: the longest prefix decides, and one that ends in $ stands for
// that package alone.
func (r rule) allows(path string) (allowed bool, by string) {
	longest, allowed := -1, true
	look := func(pattern string) bool {
		exact, one := strings.CutSuffix(pattern, "$")
		if match := path == exact || !one && strings.HasPrefix(path, pattern); !match || len(pattern) <= longest {
			return false
		}
		longest = len(pattern)
		return true
	}
	for _, d := range r.Deny {
		if look(d.Pkg) {
			allowed = false
		}
	}
	for _, a := range r.Allow {
		if look(a) {
			allowed, by = true, a
		}
	}
	return allowed, by
}

type pkg struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	CgoFiles   []string
	Imports    []string
	Standard   bool
}

func list(t *testing.T, env []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-tags", "nomsgpack", "-json=ImportPath,Dir,GoFiles,CgoFiles,Imports,Standard"}, args...)...)
	cmd.Env = append(os.Environ(), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, errs.String())
	}
	var pkgs []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// free are what may import anything of ours, with all below.
var free = []string{"cmd/akupara", "bench", "apptest"}

// file is where the rules look for a package's files.
func (p pkg) file() string {
	return "/src/" + strings.TrimPrefix(p.ImportPath, module+"/") + "/" + p.GoFiles[0]
}

func TestPackagesImportOnlyWhatTheArchitectureAllows(t *testing.T) {
	rules := rules(t)
	for _, p := range list(t, nil, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		ruled := p.ImportPath == module || strings.HasSuffix(name, "test")
		for _, f := range free {
			ruled = ruled || name == f || strings.HasPrefix(name, f+"/")
		}
		for id, r := range rules {
			if len(p.GoFiles) == 0 || !r.covers(p.file()) {
				continue
			}
			ruled = ruled || len(r.Files) > 0
			for _, path := range p.Imports {
				if ok, _ := r.allows(path); !ok {
					t.Errorf("%s imports %s, which the rule %s in .golangci.yml does not allow", p.ImportPath, path, id)
				}
			}
		}
		if !ruled && len(p.GoFiles) > 0 {
			t.Errorf("%s has no rule in .golangci.yml that says what it may import", p.ImportPath)
		}
	}
}

// TestTheArchitectureAllowsNothingThatNobodyUses keeps the rules as small as
// what they describe: an allowance, a folder or an exception goes with its
// last user.
func TestTheArchitectureAllowsNothingThatNobodyUses(t *testing.T) {
	pkgs := list(t, nil, "./...")
	for id, r := range rules(t) {
		used := map[string]bool{}
		for _, p := range pkgs {
			if len(p.GoFiles) == 0 {
				continue
			}
			for _, pattern := range r.Files {
				used[pattern] = used[pattern] || doublestar.MatchUnvalidated(strings.TrimPrefix(pattern, "!"), p.file())
			}
			if !r.covers(p.file()) {
				continue
			}
			for _, path := range p.Imports {
				_, by := r.allows(path)
				used[by] = true
			}
		}
		for _, pattern := range r.Files {
			if !used[pattern] && pattern != "!$test" {
				t.Errorf("the rule %s in .golangci.yml is about %s, where there is nothing", id, pattern)
			}
		}
		for _, a := range r.Allow {
			if !used[a] {
				t.Errorf("the rule %s in .golangci.yml allows %s, which nothing that it is about imports", id, a)
			}
		}
	}
	for _, f := range free {
		if !slices.ContainsFunc(pkgs, func(p pkg) bool { return p.ImportPath == module+"/"+f }) {
			t.Errorf("%s may import anything, but doesn't exist", f)
		}
	}
}

func TestTheAgentsBinaryLinksOnlyWhatItNeedsAndNoCgo(t *testing.T) {
	if _, err := os.Stat(filepath.Join("cmd", "agentd", "main.go")); err != nil {
		t.Fatal(err)
	}
	for _, p := range list(t, []string{"CGO_ENABLED=1"}, "-deps", "./cmd/agentd") {
		for _, heavy := range []string{"duckdb", "apache/arrow", "apache/iceberg", "parquet", "gin-gonic"} {
			if strings.Contains(p.ImportPath, heavy) {
				t.Errorf("cmd/agentd links %s", p.ImportPath)
			}
		}
		if len(p.CgoFiles) > 0 && !p.Standard {
			t.Errorf("cmd/agentd links %s, which uses cgo", p.ImportPath)
		}
	}
}
