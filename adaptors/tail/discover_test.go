package tail

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func TestMissingFolderIsWaitedFor(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "x/y/**/*.log").with(watch)
		r.start()
		r.mkdir("x/y/z")
		r.write("x/y/z/a.log", r.lines(2))
		r.arrived()
		r.write("x/y/b.log", r.lines(2))
		r.arrived()
		r.ok(os.RemoveAll(r.path("x")))
		r.mkdir("x/y/new")
		r.write("x/y/new/a.log", r.lines(2))
		r.exactly()
	})
}

func TestDoubleStarAlsoMatchesNoFolder(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "**/*.log").with(watch)
		r.write("a.log", r.lines(1))
		r.mkdir("b/c")
		r.write("b/c/d.log", r.lines(1))
		r.start()
		r.exactly()
	})
}

func TestBracesWithFolders(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "{a/b,c}/*.{log,txt}").with(watch)
		for _, dir := range []string{"a/b", "c", "d"} {
			r.mkdir(dir)
		}
		r.write("d/no.log", "not this one\n")
		r.start()
		r.write("a/b/x.log", r.lines(1))
		r.write("c/x.txt", r.lines(1))
		r.write("c/x.other", "not this one\n")
		r.exactly()
	})
}

func TestExcludedFilesAreNotRead(t *testing.T) { each(t, excludedFilesAreNotRead) }

func excludedFilesAreNotRead(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.cfg.Exclude = []config.Glob{config.Glob(r.path("**/no*"))}
	r.mkdir("no")
	r.write("no/a.log", "not this one\n")
	r.write("no.log", "not this one\n")
	r.write("yes.log", r.lines(1))
	r.start()
	r.exactly()
}

func TestWhatIsNoTextIsSkippedAndListed(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t, "*").with(watch)
		want := map[string]string{
			"a.log.1.gz": "compressed (gzip), by its name",
			"noname":     "compressed (gzip)",
			"b.bz2":      "compressed (bzip2), by its name",
			"c.xz":       "compressed (xz), by its name",
			"d.zst":      "compressed (zstd), by its name",
			"wtmp":       "binary (many NULs)",
			"zeros":      "binary (starts with NULs)",
			"fifo":       "not a regular file: a FIFO",
			"utf32":      "UTF-32, which is not read",
			"dangling":   "",
		}
		content := map[string]string{
			"noname": "\x1f\x8b\x08rest", "wtmp": "x" + strings.Repeat("\x00\x00\x00a", 100), "zeros": strings.Repeat("\x00", 384) + "x",
			"utf32": "\xff\xfe\x00\x00a\x00\x00\x00",
		}
		r.ok(unix.Mkfifo(r.path("fifo"), 0o644))
		r.ok(os.Symlink("nowhere", r.path("dangling")))
		r.write("a.log", r.lines(2))
		r.start()
		for name := range want {
			if name != "fifo" && name != "dangling" {
				r.write(name, content[name]+"text\n")
			}
		}
		r.arrived()
		r.until("not all is listed as skipped", func() bool { return len(r.a.Status().Skipped) == len(want)-1 })
		for name, reason := range want {
			if got := skippedReason(r.a.Status(), r.path(name)); got != reason {
				t.Errorf("%s is skipped as %q, want %q", name, got, reason)
			}
		}
		r.ok(os.Remove(r.path("fifo")))
		r.until("the removed FIFO is still listed", func() bool { return skippedReason(r.a.Status(), r.path("fifo")) == "" })
		r.write("a.log", r.lines(2))
		r.exactly()
	})
}

func TestGzipBesideARotatedFileIsNotRead(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(3))
		r.start()
		r.arrived()
		r.rename("a.log", "a.log.1")
		r.write("a.log", r.lines(3))
		r.write("a.log.1.gz", "\x1f\x8b\x08\x00")
		r.remove("a.log.1")
		r.exactly()
	})
}

// asNobody runs the test once more in a process without root's rights.
func asNobody(t *testing.T) {
	t.Helper()
	cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$") // by its path it may be out of nobody's reach
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("as nobody: %v\n%s", err, out)
	}
}

func TestUnreadableNeighbourDoesNotMatterUntilItIsReadable(t *testing.T) {
	if os.Geteuid() == 0 { // who may read everything
		asNobody(t)
		return
	}
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.write("a.log", r.lines(1))
		r.write("b.log", r.lines(1))
		r.ok(os.Chmod(r.path("b.log"), 0))
		r.start()
		r.until("b.log is not listed as skipped", func() bool {
			return strings.Contains(skippedReason(r.a.Status(), r.path("b.log")), "permission denied")
		})
		r.ok(os.Chmod(r.path("b.log"), 0o644))
		r.exactly()
		r.noSkips()
	})
}

func TestStartAtEndIsAboutFilesPresentAtTheFirstStart(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.Start = "end"
		old := "old line\nolder line\nhalf a "
		r.write("a.log", old)
		r.write("empty.log", "")
		r.start()
		r.until("the first start is not stored", func() bool {
			k := r.rec.Known()
			return len(k) == 2 && k[1].Source == marker
		})
		r.write("a.log", "line\n"+r.lines(2))
		r.expect("half a line\n") // it was not finished at the start
		r.write("empty.log", r.lines(1))
		r.write("new.log", r.lines(2))
		r.arrived()
		r.stop()
		r.write("while-stopped.log", r.lines(2))
		r.start()
		r.exactly()
		begin := r.rec.Facts(chunk.Begin)
		if len(begin) == 0 || begin[0].First != 20 || begin[0].Source != r.path("a.log") {
			t.Errorf("begin facts: %+v, want one of a.log at 20", begin)
		}
		for _, b := range begin {
			if b.Source != r.path("a.log") {
				t.Errorf("begin fact of %s, want only of a.log", b.Source)
			}
		}
	})
}

func TestStartAtEndIsAlsoAboutACopyPresentAtTheFirstStart(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.cfg.Start = "end"
		text := strings.Repeat("an old line that nobody asked for\n", 100)
		r.ok(os.WriteFile(r.path("app.log"), []byte(text), 0o644))
		r.ok(os.WriteFile(r.path("app.log.bak"), []byte(text), 0o644))
		r.start()
		r.until("both files' streams and the mark of the first start", func() bool { return len(r.rec.Known()) == 3 })
		r.write("app.log", r.lines(3))
		r.write("app.log.bak", r.lines(3))
		r.exactly()
	})
}

func TestKilledBeforeTheFirstStartWasStored(t *testing.T) {
	each(t, killedBeforeTheFirstStartWasStored)
}

func killedBeforeTheFirstStartWasStored(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.cfg.Start = "end"
	r.write("a.log", "old\n")
	r.rec.FailOpen(fmt.Errorf("the disk is full"))
	r.start()
	r.until("the error is not shown", func() bool { return strings.Contains(r.a.Status().LastErr, "the disk is full") })
	r.kill()
	r.rec.FailOpen(nil)
	r.start()
	r.until("the first start is not stored", func() bool { return len(r.rec.Known()) == 2 })
	r.write("a.log", r.lines(1))
	r.exactly()
}

func TestThousandFilesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, watch string) {
		r := newRig(t).with(watch)
		r.start()
		for i := range 500 {
			dir := fmt.Sprintf("d%d", i%10)
			r.mkdir(dir)
			r.write(filepath.Join(dir, fmt.Sprintf("%d.log", i)), r.lines(2))
		}
		r.arrived()
		r.calm()
		r.stop()
		r.start()
		r.exactly()
	})
}

func TestFilesBeyondTheBoundOfDescriptorsTakeTurns(t *testing.T) {
	each(t, filesBeyondTheBoundOfDescriptorsTakeTurns)
}

func filesBeyondTheBoundOfDescriptorsTakeTurns(t *testing.T, watch string) {
	r := newRig(t).with(watch)
	r.write("0.log", r.lines(1))
	a, err := New(r.cfg)
	r.ok(err)
	a.times = testTimes()
	a.maxOpen = 3
	r.startAdaptor(a)
	for round := range 3 {
		for i := range 20 {
			r.write(fmt.Sprintf("%d.log", i), r.lines(2))
		}
		r.arrived()
		if n := openFiles(t, r.dir); n > 3+readers {
			t.Errorf("round %d: %d files are open, want at most 3 and one for each reader", round, n)
		}
	}
	for i := range 20 {
		r.rename(fmt.Sprintf("%d.log", i), fmt.Sprintf("%d.log.1", i))
		r.write(fmt.Sprintf("%d.log", i), r.lines(2))
		r.write(fmt.Sprintf("%d.log.1", i), r.lines(2))
	}
	r.exactly()
}

func openFiles(t testing.TB, dir string) int {
	t.Helper()
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, fd := range fds {
		to, err := os.Readlink("/proc/self/fd/" + fd.Name())
		if err != nil || !strings.HasPrefix(to, dir+"/") {
			continue
		}
		if info, err := os.Stat("/proc/self/fd/" + fd.Name()); err == nil && info.Mode().IsRegular() { // no folder being listed
			n++
		}
	}
	return n
}

// With a rescan an hour away, what arrives at all arrives by its event.
func TestNewFilesAreReadWithoutARescan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Hour)
	r.start()
	for i := range 20 {
		r.write(fmt.Sprintf("%d.log", i), r.lines(1))
		r.arrived()
	}
}

func TestFileThatLivesShortlyIsReadWhole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Rescan = config.Duration(time.Hour)
	r.start()
	for i := range 5 {
		dir := fmt.Sprintf("pod%d/container", i)
		r.mkdir(dir)
		r.write(dir+"/0.log", r.lines(20))
		r.until("the file is not open", func() bool { return openFiles(t, r.path(dir)) == 1 })
		r.write(dir+"/0.log", r.lines(20))
		r.ok(os.RemoveAll(r.path(fmt.Sprintf("pod%d", i))))
	}
	r.exactly()
}
