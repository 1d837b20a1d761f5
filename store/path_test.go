package store

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func TestPathsThatLeaveTheStoreAreRefused(t *testing.T) {
	for _, p := range []string{"..", "../x", "a/../../x", "a/..", "/etc/passwd", "/", "a\x00b", "a\nb", `..\x`, "\xff", strings.Repeat("a", 5000)} {
		if got, err := Clean(p); !errors.Is(err, ErrPath) {
			t.Errorf("Clean(%.40q) = %q, %v; want ErrPath", p, got, err)
		}
	}
	for p, want := range map[string]string{"": "", ".": "", "./": "", "a//b/": "a/b", "./a/./b": "a/b", "..a/b..": "..a/b.."} {
		if got, err := Clean(p); err != nil || got != want {
			t.Errorf("Clean(%q) = %q, %v; want %q", p, got, err, want)
		}
	}
}

func TestRootIsNoTarget(t *testing.T) {
	for _, p := range []string{"", ".", "./"} {
		if _, err := CleanTarget(p); !errors.Is(err, ErrPath) {
			t.Errorf("CleanTarget(%q): %v, want ErrPath", p, err)
		}
	}
	if _, _, err := CleanRename("a", "./a/"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("rename onto itself: %v, want fs.ErrExist", err)
	}
	if _, _, err := CleanRename("a", "a/b"); !errors.Is(err, ErrPath) {
		t.Errorf("rename into itself: %v, want ErrPath", err)
	}
	if _, _, err := CleanRename("a", "ab"); err != nil {
		t.Errorf("rename a to ab: %v", err)
	}
}

func FuzzCleanStaysInside(f *testing.F) {
	f.Add("a/../b")
	f.Add("./../x")
	f.Fuzz(func(t *testing.T, p string) {
		c, err := Clean(p)
		if err != nil {
			return
		}
		again, err := Clean(c)
		if err != nil || again != c {
			t.Fatalf("Clean(Clean(%q)) = %q, %v; want %q", p, again, err, c)
		}
		if !(c == "" || fs.ValidPath(c)) {
			t.Fatalf("Clean(%q) = %q leaves the root", p, c)
		}
	})
}
