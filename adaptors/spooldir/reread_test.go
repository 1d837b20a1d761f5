package spooldir

import (
	"os"
	"path/filepath"
	"testing"
)

func TestAFinishedFileCanBeReadAgainWhileItIsAsItWas(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "first\nsecond\n")
	w.start()
	w.content("first\nsecond\n")
	w.eventually("it is done", func() bool { return done(w) == 1 })
	w.end()
	can := func(what string, want bool) {
		t.Helper()
		if got := w.a.CanReread(w.rec.Known()[0]); got != want {
			t.Errorf("%s: can be read again: %v, want %v", what, got, want)
		}
	}
	path := filepath.Join(w.dir, "a")
	can("as it was read", true)
	if err := os.WriteFile(path, []byte("firsT\nsecond\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	can("changed in place", false)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	can("removed", false)
}
