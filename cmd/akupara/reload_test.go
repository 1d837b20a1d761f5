package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The agent of a site is given its section again only if the whole file is
// right.
func TestTheAgentsSectionIsReadAgainWithTheWholeFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "akupara.yaml")
	base := "store: file://" + dir + "/store\ndata_dir: " + dir + "/data\nagent:\n  collectors: [http://127.0.0.1:1]\n"
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(base)
	a := &app{configFile: path}
	s, problems, err := a.load()
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	file := a.agentFile(s)
	if file == nil || file.Path != path || len(file.Hash) != 64 {
		t.Fatalf("got %+v, want the file and its hash", file)
	}
	put(base + "  posts: 7\n")
	cfg, hash, err := file.Load()
	if err != nil || cfg.Posts != 7 || hash == file.Hash || len(hash) != 64 {
		t.Errorf("got %d posts, hash %q, %v; want the new config and its hash", cfg.Posts, hash, err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"a mistake in another section": {base + "demux:\n  evry: 1m\n", "evry"},
		"a mistake in the agent's":     {base + "  post: 1\n", `"post"`},
		"no agent's section":           {strings.Split(base, "agent:")[0], "collectors"},
		"another data_dir":             {strings.Replace(base, "/data", "/other", 1), "data_dir: it can't be changed"},
	} {
		put(c.text)
		if _, hash, err := file.Load(); err == nil || !strings.Contains(err.Error(), c.want) || len(hash) != 64 {
			t.Errorf("%s: got %v and hash %q, want %q refused", name, err, hash, c.want)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, hash, err := file.Load(); err == nil || hash != "" {
		t.Errorf("without a file: got %v and hash %q", err, hash)
	}
	// What is embedded and stands in no file can't be read again.
	b := &app{dataDir: filepath.Join(dir, "none")}
	if s, _, err := b.load(); err != nil || b.agentFile(s) != nil {
		t.Errorf("of the embedded default: %v, want no file", err)
	}
}
