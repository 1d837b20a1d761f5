package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The sample loads as it is, and with every key that it names in a comment.
func TestTheSampleIsTakenAlsoWithAllItsKeys(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../deploy/config/agent.yaml")
	if err != nil {
		t.Fatal(err)
	}
	section, rest, found := strings.Cut(string(data), "\ndata_dir:")
	if !found {
		t.Fatal("the sample has no data_dir")
	}
	all := section + "\ndata_dir:" + regexp.MustCompile(`(?m)^( +)# (.*)$`).ReplaceAllString(rest, "$1$2")
	if n := strings.Count(rest, "# ") - strings.Count(rest, "## "); n < 15 {
		t.Errorf("the sample names %d keys in comments, want them all", n)
	}
	for name, text := range map[string]string{"as it is": string(data), "with all keys": all} {
		path := filepath.Join(t.TempDir(), "agent.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, dir, hash, err := load(path, "")
		if err != nil || dir != "/var/lib/akupara" || len(hash) != 64 {
			t.Errorf("%s: %v, data_dir %q, hash %q", name, err, dir, hash)
		}
		if name == "with all keys" && (len(cfg.Adaptors) != 5 || len(cfg.Personas) != 1 || cfg.TLS.Cert == "" || len(cfg.AllowURLs) != 1) {
			t.Errorf("with all keys: %d adaptors, %d personas: keys got lost", len(cfg.Adaptors), len(cfg.Personas))
		}
	}
}
