package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// mayFUSE gives the program that mounts a FUSE file system, or skips the test,
// loudly.
func mayFUSE(t *testing.T) string {
	t.Helper()
	bindfs, err := exec.LookPath("bindfs")
	if err != nil || !exists("/dev/fuse") || os.Geteuid() != 0 {
		t.Skipf("SKIPPED: no FUSE file system can be mounted here: bindfs: %v, /dev/fuse: %v, user %d", err, exists("/dev/fuse"), os.Geteuid())
	}
	return bindfs
}

// remounted takes a FUSE file system away and brings it back: other device
// numbers, no birth times, no generations of inodes.
func remounted(t *testing.T, w *town) {
	bindfs := mayFUSE(t)
	m := w.machine(t, "remounted")
	m.write(t, 200, "shared/a.log", "shared/b.log", "shared/deep/c.log")
	// The last is unterminated and short: not even its first line is known.
	appendFile(t, m.at("shared/d.log"), "remounted, part of a line")
	var server *proc
	side, mounts := "", 0
	device := func(path string) uint64 {
		t.Helper()
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Dev
	}
	// mountIt mounts it under another number than before, and gives that. It is
	// mounted elsewhere first: who got the old number stays there.
	mountIt := func(before uint64) (number uint64) {
		t.Helper()
		for number == 0 || number == before {
			at := m.at(fmt.Sprint("side-", mounts))
			mounts++
			command(t, "mkdir", "-p", at, m.at("net"))
			server = start(t, "bindfs", bindfs, "-f", m.at("shared"), at)
			t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) }) // before its server is killed
			eventually(t, slow, "the file system is there", func() bool { return exists(at + "/a.log") })
			side, number = at, device(at+"/a.log")
		}
		if err := unix.Mount(side, m.at("net"), "", unix.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Unmount(m.at("net"), unix.MNT_DETACH) })
		return number
	}
	away := func() {
		t.Helper()
		server.kill() // as a server that died: "transport endpoint is not connected"
		for _, at := range []string{m.at("net"), side} {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	}
	number := mountIt(0)
	m.configure(t, m.tail("logs", "net/**/*.log*"))
	m.start(t)
	m.arrives(t)
	// While the agent runs: it sees an error, then an empty folder.
	away()
	m.write(t, 20, "shared/a.log")
	number = mountIt(number)
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/new.log")
	m.arrives(t)
	// While it is stopped.
	m.agent.kill()
	away()
	m.rename(t, "shared/b.log", "shared/b.log.1")
	m.write(t, 20, "shared/a.log", "shared/b.log")
	number = mountIt(number)
	m.start(t)
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/deep/c.log", "shared/new.log")
	m.arrives(t)
	// Started without it, which looks as if all files were gone.
	m.agent.kill()
	away()
	m.start(t)
	m.write(t, 20, "shared/deep/c.log", "shared/new.log")
	mountIt(number)
	appendFile(t, m.at("shared/d.log"), " and its end\n")
	m.lines = append(m.lines, "remounted, part of a line and its end")
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/deep/c.log", "shared/d.log")
	m.arrives(t)
	a := m.complete(t)
	// Nothing was read of it when it went away, and after 5 s it is told as lost.
	a.Lost = slices.DeleteFunc(a.Lost, func(r auditRange) bool { return r.Source == m.at("net/d.log") && r.Last <= 25 })
	a.nothing(t)
}

// unknowableFiles loses the agent's state where files have neither birth times
// nor generations: they come again rather than not, and the audit says which.
func unknowableFiles(t *testing.T, w *town) {
	bindfs := mayFUSE(t)
	m := w.machine(t, "unknowable")
	m.write(t, 100, "shared/a.log", "shared/b.log")
	if err := os.MkdirAll(m.at("net"), 0o755); err != nil {
		t.Fatal(err)
	}
	start(t, "bindfs", bindfs, "-f", m.at("shared"), m.at("net"))
	t.Cleanup(func() { _ = unix.Unmount(m.at("net"), unix.MNT_DETACH) })
	eventually(t, slow, "the file system is there", func() bool { return exists(m.at("net/a.log")) })
	m.configure(t, m.tail("logs", "net/*.log"))
	m.start(t)
	m.arrives(t)
	m.agent.kill()
	m.remove(t, "data")
	before := len(m.lines)
	m.write(t, 50, "shared/a.log", "shared/new.log")
	m.start(t)
	var counts map[string]int
	eventually(t, slow, "all lines are rows", func() bool {
		counts = m.rows(t, m.name, "true")
		return !slices.ContainsFunc(m.lines, func(line string) bool { return counts[line] == 0 })
	})
	a := m.complete(t)
	counts = m.rows(t, m.name, "true")
	doubled := 0
	for i, line := range m.lines {
		if counts[line] > 1 {
			doubled++
		}
		if counts[line] > 2 || counts[line] > 1 && i >= before {
			t.Fatalf("%d rows of %q", counts[line], line)
		}
	}
	listed := map[string]bool{}
	for _, r := range a.PerhapsDoubled {
		listed[r.Source] = r.Last > r.First
	}
	if doubled > 0 && (!listed[m.at("net/a.log")] || !listed[m.at("net/b.log")]) {
		t.Errorf("%d lines are doubled, and the audit lists %v as perhaps doubled; want both files", doubled, a.PerhapsDoubled)
	}
	if len(a.Lost)+len(a.Forks) > 0 {
		t.Errorf("audit: lost %v, forks %v; want none", a.Lost, a.Forks)
	}
}
