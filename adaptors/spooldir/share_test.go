package spooldir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/chunk"
)

// another is another adaptor of the same agent and type, of the same folder.
func (w *world) another(name string) *world {
	out := &world{t: w.t, dir: w.dir, cfg: parse(w.t, "folders: ["+w.dir+"]\n"+soon), rec: w.rec, name: name, log: w.log}
	w.t.Cleanup(out.end)
	return out
}

// leave ends the adaptor and removes it.
func (w *world) leave() {
	w.end()
	w.rec.Stop(w.name)
}

func TestFilesGoOnUnderAnotherAdaptorsName(t *testing.T) {
	w := newWorld(t, soon)
	w.write("done", "first\n")
	w.write("done.gz", packed(t, "packed\n"))
	w.start()
	w.content("first\npacked\n")
	w.quiet()
	w.settle() // from now on nothing is settled
	w.settle = func() {}
	w.write("unsettled", "second\n")
	w.content("first\npacked\nsecond\n")
	w.leave()

	b := w.another("b")
	b.start()
	b.quiet()
	b.append("done", "more\n")
	b.probe()
	if got, want := b.got(), "first\nmore\npacked\nsecond\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if n := len(w.rec.KnownOf("b")); n != 4 || len(w.rec.Known()) != 4 {
		t.Errorf("b has %d streams of %d, want all 4", n, len(w.rec.Known()))
	}
}

func TestOfTwoAdaptorsThatFindAFileOneReadsIt(t *testing.T) {
	w := newWorld(t, soon)
	link := filepath.Join(filepath.Dir(w.dir), "link")
	if err := os.Symlink(w.dir, link); err != nil {
		t.Fatal(err)
	}
	b := w.another("b")
	b.cfg = parse(t, "folders: ["+link+"]\n"+soon)
	var want strings.Builder
	for i := range 20 {
		w.write(fmt.Sprint("before", i), fmt.Sprintf("before %d\n", i))
	}
	w.start()
	b.start()
	for i := range 20 {
		w.write(fmt.Sprint("after", i), fmt.Sprintf("after %d\n", i))
	}
	w.eventually("all files are read", func() bool { return w.ends() == 40 })
	w.quiet()
	b.quiet()
	for line, n := range w.rec.Lines() {
		if n != 1 {
			t.Errorf("%q came %d times", line, n)
		}
	}
	read := map[string]int{}
	for _, name := range []string{"test", "b"} {
		read[name] = len(w.rec.KnownOf(name))
	}
	skipped := func(a *world) (out []adaptors.Skipped) { return a.a.Status().Skipped }
	if got := len(skipped(w)) + len(skipped(b)); got != 40 || len(skipped(w)) != read["b"] {
		t.Errorf("%v are read, %d and %d are skipped; want that each skips what the other reads", read, len(skipped(w)), len(skipped(b)))
	}
	for _, s := range skipped(b) {
		if s.Reason != `adaptor "test" of the same type reads it` {
			t.Errorf("skipped: %+v", s)
		}
	}
	w.leave()
	b.eventually("the other goes on with all", func() bool { return len(w.rec.KnownOf("b")) == 40 && len(skipped(b)) == 0 })
	b.probe()
	if want.Len() != 0 || w.ends() != 41 {
		t.Errorf("%d files ended, want 41", w.ends())
	}
}

func TestFileThatMovesToAnotherAdaptorsFolderTakesItsStreamWithIt(t *testing.T) {
	w := newWorld(t, soon)
	b := w.another("b")
	b.dir = filepath.Join(filepath.Dir(w.dir), "other")
	if err := os.Mkdir(b.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b.cfg = parse(t, "folders: ["+b.dir+"]\n"+soon)
	w.write("done", "first\n")
	w.start()
	b.start()
	w.quiet()
	w.settle()
	w.settle = func() {}
	w.write("unsettled", "second\n")
	w.content("first\nsecond\n")
	for _, name := range []string{"done", "unsettled"} {
		if err := os.Rename(w.path(name), b.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	b.eventually("they are its own", func() bool { return len(w.rec.KnownOf("b")) == 2 })
	b.append("done", "more\n")
	b.eventually("it goes on", func() bool { return b.got() == "first\nmore\nsecond\n" })
	b.quiet()
	if lost := w.rec.Facts(chunk.Lost); len(lost) > 0 || len(w.rec.KnownOf("test")) != 0 {
		t.Errorf("lost %v, the first still has %v", lost, w.rec.KnownOf("test"))
	}
}

func TestNothingIsReadAnewAfterTheStateIsLost(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "first\n")
	w.write("b", strings.Repeat("a long line ", 100))
	w.write("c.gz", packed(t, strings.Repeat("packed\n", 3)))
	w.start()
	w.quiet()
	w.append("a", "second\n")
	w.eventually("all", func() bool { return strings.Contains(w.rec.Content(), "second\n") })
	w.quiet()
	w.end()
	want, streams := w.rec.Content(), w.rec.Streams()
	w.rec.Lose()
	w.start()
	w.eventually("all is read", func() bool { return len(w.rec.Known()) == 3 })
	w.quiet()
	if got := w.rec.Content(); got != want || len(w.rec.Streams()) != len(streams) {
		t.Errorf("got %.300q of %v, want %.300q of %v", got, w.rec.Streams(), want, streams)
	}
}

func TestWhatMayBeInTheTableAlreadyIsToldWhenTheStateIsLost(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "one\n")
	w.nameless = true
	w.start()
	w.content("one\n")
	w.quiet()
	w.end()
	w.rec.Lose()
	w.start()
	w.eventually("it comes again", func() bool { return len(w.rec.Facts(chunk.End)) == 2 })
	w.quiet()
	id := w.rec.Known()[0].ID
	doubt := w.rec.Facts(chunk.Doubtful)
	if got := doubt[len(doubt)-1]; got.Stream != id || got.Range() != (chunk.Range{First: 0, Last: 4}) {
		t.Errorf("got the fact %v at last, want that [0,4) of %s is doubtful", got, id)
	}
	before := len(doubt)
	w.probe() // it came when the agent had its state
	if got := len(w.rec.Facts(chunk.Doubtful)); got != before {
		t.Errorf("%d facts of doubt, want %d", got, before)
	}
}

// What is written anew into a file has an id of its own, also when nobody
// remembers that the same first line was there before.
func TestFileThatIsWrittenAnewIsNotTakenForWhatItWas(t *testing.T) {
	w := newWorld(t, soon)
	long := strings.Repeat("the same long beginning\n", 50)
	w.rec.Refuse(func(c *chunk.Chunk) error { return fmt.Errorf("not now") })
	w.write("a", long+"one\n")
	w.start()
	w.eventually("it has a stream", func() bool { return len(w.rec.Known()) == 1 })
	first := w.rec.Known()[0].ID
	for _, text := range []string{"two, which is longer\n", "three, which is longer yet\n"} {
		w.write("a", long+text)
		w.eventually("it has another", func() bool {
			known := w.rec.Known()
			return known[len(known)-1].ID != first
		})
		known := w.rec.Known()
		first = known[len(known)-1].ID
	}
	w.rec.Refuse(nil)
	w.quiet()
	if got := w.rec.Content(); got != long+"three, which is longer yet\n" {
		t.Errorf("got %q", got)
	}
}
