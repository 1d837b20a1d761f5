package ident

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestOriginIsThatOfOneFileForGood(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.log")
	origin := func() string {
		t.Helper()
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		info, err := Fstat(f)
		if err != nil {
			t.Fatal(err)
		}
		head, err := ReadHead(f)
		if err != nil {
			t.Fatal(err)
		}
		return Origin(f, &info, head, false)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("half a line")
	if got := origin(); got != "" {
		t.Errorf("got %q of a file whose first line is not whole", got)
	}
	write("a line\nhalf a")
	first := origin()
	if first == "" {
		t.Fatal("a file with a line has no origin; this file system tells neither birth nor generation")
	}
	write("a line\nhalf a line\nand more")
	if got := origin(); got != first {
		t.Errorf("got %q after the file grew, want %q", got, first)
	}
	write("another\nhalf a line\n")
	if got := origin(); got == first || got == "" {
		t.Errorf("got %q of another first line, want another one than that of the first", got)
	}
	write(strings.Repeat("x", MaxHead))
	long := origin()
	write(strings.Repeat("x", 2*MaxHead))
	if got := origin(); got != long || got == "" {
		t.Errorf("got %q of a longer line, want that of its first KiB, %q", got, long)
	}

	// A new file mostly gets the inode of the one that was removed last, and is
	// born in the same tick of the clock.
	seen := map[string]bool{}
	for range 100 {
		write("a line\n")
		got := origin()
		if seen[got] {
			t.Fatalf("%q is the origin of two files", got)
		}
		seen[got] = true
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}
