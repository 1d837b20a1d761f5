package spooldir

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"golang.org/x/sys/unix"
)

// After each of these the file that was read once is looked at again, by the
// running adaptor and by one that was stopped meanwhile.
func TestWhatHappensToAFileAfterItWasRead(t *testing.T) {
	for name, tt := range map[string]struct {
		do      func(w *world)
		want    string // that comes beside what was read first
		skipped string
		streams int // that are kept, with the probe's
	}{
		"nothing": {func(*world) {}, "", "", 2},
		"touched": {func(w *world) {
			if err := os.Chtimes(w.path("a"), time.Time{}, time.Now().Add(-time.Minute)); err != nil {
				w.t.Fatal(err)
			}
		}, "", "", 2},
		"renamed": {func(w *world) { w.rename("a", "b") }, "", "", 2},
		"linked": {func(w *world) {
			if err := os.Link(w.path("a"), w.path("b")); err != nil {
				w.t.Fatal(err)
			}
		}, "", "", 2},
		"replaced": {func(w *world) {
			w.write(".new", "another\n")
			w.rename(".new", "a")
		}, "another\n", "", 0},
		"replaced by the same bytes": {func(w *world) {
			w.write(".new", "first\nsecond\n")
			w.rename(".new", "a")
		}, "first\nsecond\n", "", 0},
		"written anew":     {func(w *world) { w.write("a", "another, in the same file\n") }, "another, in the same file\n", "", 2},
		"grown":            {func(w *world) { w.append("a", "third\n") }, "third\n", "", 2},
		"changed in place": {func(w *world) { w.patch("a", long-3, "X") }, "", "changed in place after it was read", 2},
		"cut short": {func(w *world) {
			if err := os.Truncate(w.path("a"), long-100); err != nil {
				w.t.Fatal(err)
			}
		}, "", "changed in place after it was read", 2},
	} {
		for _, stopped := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stopped %v", name, stopped), func(t *testing.T) {
				w := newWorld(t, soon)
				text := "first\nsecond\n"
				if tt.skipped != "" {
					text = strings.Repeat("0123456789\n", long/11)
				}
				w.write("a", text)
				w.start()
				w.content(text)
				w.eventually("it is done", func() bool { return done(w) == 1 })
				if stopped {
					w.end()
				}
				tt.do(w)
				if stopped {
					w.start()
				}
				w.eventually("it comes", func() bool { return w.got() == text+tt.want })
				w.probe()
				if tt.skipped != "" {
					w.eventually("it is told", func() bool {
						s := w.a.Status().Skipped
						return len(s) == 1 && s[0].Path == w.path("a") && strings.Contains(s[0].Reason, tt.skipped)
					})
				}
				if got := w.got(); got != text+tt.want {
					t.Errorf("got %q, want %q", got, text+tt.want)
				}
				if n := len(w.rec.Known()); tt.streams > 0 && n != tt.streams {
					t.Errorf("%d streams are kept, want %d", n, tt.streams)
				}
				if lost := w.rec.Facts(chunk.Lost); len(lost) > 0 {
					t.Errorf("lost: %v, want nothing", lost)
				}
			})
		}
	}
}

// long is the length of a file whose head and end are apart.
const long = 11 * 400

// patch writes into a file.
func (w *world) patch(name string, at int64, text string) {
	w.t.Helper()
	f, err := os.OpenFile(w.path(name), os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(text), at); err != nil {
		w.t.Fatal(err)
	}
}

func TestFileThatGrewGoesOnAsTheStreamItWas(t *testing.T) {
	for _, first := range []string{"first\n", "first\nseco"} { // also in the middle of a line
		w := newWorld(t, soon)
		w.write("a", first)
		w.start()
		w.content(first)
		w.eventually("it is done", func() bool { return done(w) == 1 })
		w.append("a", "nd\nthird\n")
		w.content(first + "nd\nthird\n")
		w.quiet()
		if ends := w.rec.Facts(chunk.End); len(w.rec.Known()) != 1 || len(ends) != 2 || ends[1].First != int64(len(first))+9 {
			t.Errorf("got %d streams and the ends %v, want one stream that ends at %d at last", len(w.rec.Known()), ends, len(first)+9)
		}
		w.end()
	}
}

func TestFileThatIsRemovedBeforeItIsSecuredIsLostFromThereOn(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "0123456789\n")
	w.begin()
	w.content("0123456789\n")
	w.eventually("its end", func() bool { return w.ends() == 1 })
	w.remove("a")
	id := w.rec.Streams()[0]
	w.rec.Forgive(id, chunk.Range{First: 4, Last: 11})
	w.a.Resend(id, chunk.Range{First: 4, Last: 11})
	w.eventually("the loss is told", func() bool {
		lost := w.rec.Facts(chunk.Lost)
		return len(lost) == 1 && lost[0].Range() == chunk.Range{First: 4, Last: 11} && lost[0].Reason != ""
	})
	w.rec.Settle(w.a)
	w.eventually("it is forgotten", func() bool {
		w.rec.Settle(w.a)
		return len(w.rec.Known()) == 0
	})
}

func TestFileThatIsRemovedWhileStoppedIsLostAfterItsTime(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", strings.Repeat("0123456789\n", 100))
	w.rec.Refuse(func(c *chunk.Chunk) error { return fmt.Errorf("no") })
	w.begin()
	w.eventually("a stream", func() bool { return len(w.rec.Known()) == 1 })
	w.end()
	w.rec.Refuse(nil)
	w.remove("a")
	w.a.times.missing = 100 * time.Millisecond
	w.start()
	w.eventually("the loss is told", func() bool {
		lost := w.rec.Facts(chunk.Lost)
		return len(lost) == 1 && lost[0].Range() == chunk.Range{First: 0, Last: 1100}
	})
	w.eventually("it is forgotten", func() bool { return len(w.rec.Known()) == 0 })
}

func TestFolderThatIsNotThereSaysNothingOfItsFiles(t *testing.T) {
	w := newWorld(t, soon)
	w.write("a", "x\n")
	w.start()
	w.content("x\n")
	w.eventually("it is done", func() bool { return done(w) == 1 })
	w.end()
	aside := w.dir + ".aside"
	if err := os.Rename(w.dir, aside); err != nil {
		t.Fatal(err)
	}
	w.a.times.missing = time.Millisecond
	w.start()
	w.eventually("it is told", func() bool { return len(w.a.Status().Skipped) == 1 })
	if err := os.Rename(aside, w.dir); err != nil {
		t.Fatal(err)
	}
	w.probe()
	if got := w.got(); got != "x\n" {
		t.Errorf("got %q, want it once", got)
	}
}

func TestBytesThatNobodyHoldsAreSentAgain(t *testing.T) {
	w := newWorld(t, soon+"record_start: '^#'")
	plain, zipped := "#a\n1\n#b\n2\n#c\n3", "#d\n4\n#e\n5\n"
	w.write("a", plain)
	w.write("b.gz", packed(t, zipped))
	w.begin()
	w.eventually("both", func() bool { return w.ends() == 2 })
	for _, id := range w.rec.Streams() {
		w.rec.Forgive(id, chunk.Range{First: 0, Last: 100})
		w.a.Resend(id, chunk.Range{First: 0, Last: 5})
		w.a.Resend(id, chunk.Range{First: 5, Last: int64(len(w.rec.Bytes(id)))})
		w.a.Resend(id, chunk.Range{First: int64(len(w.rec.Bytes(id))), Last: int64(len(w.rec.Bytes(id)))})
	}
	w.eventually("both again", func() bool { return len(w.rec.Content()) == len(plain+zipped) && len(w.rec.Facts(chunk.End)) == 4 })
	for _, c := range w.rec.Chunks() {
		if c.Kind == chunk.Data && len(c.Borders) == 0 {
			t.Errorf("%v came without borders", c.Range())
		}
	}
}

func TestStreamIsReadAgainFromWhereItIsSetBackTo(t *testing.T) {
	for _, name := range []string{"a", "a.gz"} {
		w := newWorld(t, soon)
		text := "first\nsecond\nthird\n"
		if name == "a.gz" {
			w.write(name, packed(t, text))
		} else {
			w.write(name, text)
		}
		w.start()
		w.content(text)
		w.eventually("it is done", func() bool { return done(w) == 1 })
		w.end()
		chunks := len(w.rec.Chunks())
		w.rec.Rewind(w.rec.Streams()[0], 6)
		w.begin()
		w.eventually(name+" comes again", func() bool {
			for _, c := range w.rec.Chunks()[chunks:] {
				if c.Kind == chunk.Data && c.First == 6 && c.Last == int64(len(text)) {
					return true
				}
			}
			return false
		})
		w.eventually("it is done again", func() bool {
			w.rec.Settle(w.a)
			return done(w) == 1
		})
		w.end()
	}
}

func TestEventsAreReadAsTheKernelWritesThem(t *testing.T) {
	w, err := newWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	dir := t.TempDir()
	if err := w.watch(dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a", "a long name with spaces"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(dir+"/a", dir+"/b"); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(dir + "/b"); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := unix.Read(w.fd, buf)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, h := range w.parse(buf[:n]) {
		got = append(got, fmt.Sprintf("%s %v %v", filepath.Base(h.path), h.arrived, h.deleted))
	}
	want := "a false false|a false false|a long name with spaces false false|a long name with spaces false false|a false false|b true false|b false true"
	if strings.Join(got, "|") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Whatever stands in a buffer of events or in a checkpoint: no panic, and what
// is read of an identity can be written.
func FuzzStored(f *testing.F) {
	f.Add([]byte(`{"path":"/a","ino":1,"head_len":3,"size":7}`))
	f.Add(make([]byte, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		w := watcher{folders: map[int32]string{0: "/d"}}
		for _, h := range w.parse(b) {
			if h.path != "" && !strings.HasPrefix(h.path, "/d") {
				t.Errorf("a path %q", h.path)
			}
		}
		if id, err := decodeIdentity(b); err == nil {
			if again, err := decodeIdentity(id.encode()); err != nil || again.Size != id.Size {
				t.Errorf("%+v became %+v: %v", id, again, err)
			}
		}
	})
}

func TestExampleOfTheReadme(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	cfg := adaptortest.Example(t, Kind(), "/srv/exports", in, "/srv/exported", filepath.Join(dir, "done")).(*Config)
	w := &world{t: t, dir: in, cfg: cfg, rec: adaptortest.NewRecorder()}
	t.Cleanup(w.end)
	w.cfg.Settle = parse(t, "folders: [/x]\nsettle: 30ms").Settle
	w.write("orders.csv.gz", packed(t, "1,2\n3,4\n"))
	w.write("orders.csv.part", "not yet")
	w.start()
	w.content("1,2\n3,4\n")
	w.eventually("it is moved", func() bool {
		got := names(t, filepath.Join(dir, "done"))
		return len(got) == 1 && got[0] == "orders.csv.gz"
	})
}
