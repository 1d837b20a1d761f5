package adaptors_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/akupara/akupara/adaptors"
)

func TestRootsHoldWhatLiesInThemOnceLinksAreResolved(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, dir := range []string{filepath.Join(in, "sub"), out, in + "side"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"in/leads-out":     out,
		"in/leads-up":      "..",
		"in/leads-in":      "sub",
		"in/leads-nowhere": filepath.Join(out, "later"),
		"linked-root":      in,
	} {
		if err := os.Symlink(target, filepath.Join(base, link)); err != nil {
			t.Fatal(err)
		}
	}
	roots := adaptors.Roots{filepath.Join(base, "linked-root")}
	for pattern, want := range map[string]bool{
		"in/*.log":               true,
		"in":                     true,
		"in/**/x":                true,
		"in/sub/later/a.log":     true,
		"linked-root/a.log":      true,
		"in/leads-in/a.log":      true,
		"in/leads-out/a.log":     false,
		"in/leads-out/*":         false,
		"in/leads-up/out/*":      false,
		"in/leads-nowhere/a.log": false,
		"in/leads-nowhere":       false,
		"in/../out/a.log":        false,
		"in/{sub,../../out}/x":   false,
		"in/{..,sub}/out/x":      false,
		"in/{sub,..}/out/x":      false,
		`in/\.\./out/x`:          false,
		"in/a..b/{c..,d}/x":      true,
		"inside/a.log":           false,
		"in*/a.log":              false,
		"out/a.log":              false,
		"*":                      false,
	} {
		if err := roots.HoldsPattern(filepath.Join(base) + "/" + pattern); (err == nil) != want {
			t.Errorf("%s: got %v, want it to be held: %v", pattern, err, want)
		} else if err != nil && !errors.Is(err, adaptors.ErrOutside) {
			t.Errorf("%s: got %v, want ErrOutside", pattern, err)
		}
	}
	if adaptors.Roots(nil).HoldsPattern("relative") != nil {
		t.Error("nil roots refused something")
	}
	if (adaptors.Roots{}).HoldsPattern(in+"/a.log") == nil || roots.HoldsPattern("in/a.log") == nil {
		t.Error("empty roots, or a relative path, were taken")
	}
	if (adaptors.Roots{"/"}).HoldsPattern("/etc/passwd") != nil {
		t.Error("the root of all refused something")
	}
}

func TestRootsHoldAnOpenFileByWhereItLies(t *testing.T) {
	base := t.TempDir()
	in, out := filepath.Join(base, "in"), filepath.Join(base, "out")
	for _, dir := range []string{in, out} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(out, "f"), filepath.Join(in, "link")); err != nil {
		t.Fatal(err)
	}
	roots := adaptors.Roots{in}
	for name, want := range map[string]bool{"in/f": true, "in/link": false, "out/f": false} {
		f, err := os.Open(filepath.Join(base, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if got := roots.HoldsFile(f) == nil; got != want {
			t.Errorf("%s: held %v, want %v", name, got, want)
		}
		if name == "in/f" {
			if err := os.Remove(filepath.Join(base, name)); err != nil {
				t.Fatal(err)
			}
			if err := roots.HoldsFile(f); err != nil {
				t.Errorf("%s, deleted: %v, want it to be held", name, err)
			}
		}
	}
}
