package main

import (
	"encoding/json"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/query/querytest"
	"github.com/akupara/akupara/store/local"
)

func TestQuarantinedFilesAreListedShownAndReleased(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "data", "store")
	writeFile(t, filepath.Join(root, "README.md"), "")
	fs, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	s := querytest.On(fs, (&url.URL{Scheme: "file", Path: root}).String())
	if out, errs, code := call(t, dir, "quarantine", "ls"); code != 0 || out != "nothing is in quarantine\n" || errs != "" {
		t.Errorf("ls of nothing: exit code %d, %q, %q", code, out, errs)
	}
	var from []string
	for i, typ := range []string{"app", "web"} {
		from = append(from, s.Publish(t, querytest.Data(typ, "s", 0, "one\n")))
		if err := quarantine.Put(t.Context(), fs, typ, from[i], "a", []quarantine.Fault{{Block: 0, Chunk: -1, Reason: "its CRC is wrong"}}); err != nil {
			t.Fatal(err)
		}
	}
	out, _, code := call(t, dir, "quarantine", "ls", "app")
	if code != 0 || !strings.Contains(out, filepath.Base(from[0])) || !strings.Contains(out, "its CRC is wrong") || strings.Contains(out, filepath.Base(from[1])) {
		t.Errorf("ls app: exit code %d and\n%s", code, out)
	}
	out, _, code = call(t, dir, "quarantine", "show", "--json", filepath.Base(from[1]))
	var files struct {
		Files []struct {
			Type  string
			Parts []struct {
				Stream, Reason string
				Last           int
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &files); err != nil || code != 0 {
		t.Fatalf("show --json: exit code %d, %v in %s", code, err, out)
	}
	if len(files.Files) != 1 || files.Files[0].Type != "web" || len(files.Files[0].Parts) != 1 || files.Files[0].Parts[0].Last != 4 || files.Files[0].Parts[0].Reason == "" {
		t.Errorf("show --json: got %s", out)
	}
	if out, _, code := call(t, dir, "quarantine", "show", "app"); code != 0 || !strings.Contains(out, "block 0: its CRC is wrong") || !strings.Contains(out, "0 to 4") {
		t.Errorf("show: exit code %d and\n%s", code, out)
	}
	if out, _, _ := call(t, dir, "__complete", "quarantine", "show", ""); !strings.Contains(out, "app\t") || !strings.Contains(out, filepath.Base(from[1])) {
		t.Errorf("completion: got %s", out)
	}
	for _, c := range []struct {
		args string
		code int
		err  string
	}{
		{"quarantine", 2, "ls, show or release"},
		{"quarantine nope", 2, "is not known"},
		{"quarantine show", 2, "requires at least 1 arg"},
		{"quarantine release", 2, "or --all"},
		{"quarantine release nope", 1, `has the name "nope"`},
	} {
		if _, errs, code := call(t, dir, strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.err) {
			t.Errorf("akupara %s: exit code %d, %q; want %d and %q in it", c.args, code, errs, c.code, c.err)
		}
	}
	if out, errs, code := call(t, dir, "quarantine", "release", "app"); code != 0 || !strings.Contains(out, "is now "+from[0]) {
		t.Errorf("release: exit code %d, %s%s", code, out, errs)
	}
	if out, _, _ := call(t, dir, "quarantine", "ls"); strings.Contains(out, filepath.Base(from[0])) || !strings.Contains(out, filepath.Base(from[1])) {
		t.Errorf("ls after the release:\n%s", out)
	}
	if _, err := fs.Stat(t.Context(), from[0]); err != nil {
		t.Errorf("after the release: %v", err)
	}
}
