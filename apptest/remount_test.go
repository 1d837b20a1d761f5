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
	mountIt := func() {
		t.Helper()
		if err := os.MkdirAll(m.at("net"), 0o755); err != nil {
			t.Fatal(err)
		}
		if server == nil {
			server = start(t, "bindfs", bindfs, "-f", m.at("shared"), m.at("net"))
		} else {
			server.start()
		}
		eventually(t, slow, "the file system is there", func() bool { return exists(m.at("net/a.log")) })
	}
	t.Cleanup(func() { _ = unix.Unmount(m.at("net"), unix.MNT_DETACH) }) // before the server is killed
	device := func(path string) uint64 {
		t.Helper()
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			t.Fatal(err)
		}
		return st.Dev
	}
	away := func() {
		t.Helper()
		server.kill() // as a server that died: "transport endpoint is not connected"
		if err := unix.Unmount(m.at("net"), unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	// takeNumber makes sure that the next mount gets another number: what is
	// mounted gets the smallest that is free.
	fillers := 0
	takeNumber := func(number uint64) {
		t.Helper()
		for range 50 {
			at := m.at(fmt.Sprint("filler-", fillers))
			fillers++
			command(t, "mkdir", "-p", at)
			if err := unix.Mount("tmpfs", at, "tmpfs", 0, "size=1m"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
			if device(at) == number {
				return
			}
		}
	}
	mountIt()
	m.configure(t, m.tail("logs", "net/**/*.log*"))
	m.start(t)
	m.arrives(t)
	first := device(m.at("net/a.log"))
	// While the agent runs: it sees an error, then an empty folder.
	away()
	takeNumber(first)
	m.write(t, 20, "shared/a.log")
	mountIt()
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/new.log")
	m.arrives(t)
	second := device(m.at("net/a.log"))
	// While it is stopped.
	m.agent.kill()
	away()
	takeNumber(second)
	m.rename(t, "shared/b.log", "shared/b.log.1")
	m.write(t, 20, "shared/a.log", "shared/b.log")
	mountIt()
	m.start(t)
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/deep/c.log", "shared/new.log")
	m.arrives(t)
	// Started without it, which looks as if all files were gone.
	m.agent.kill()
	third := device(m.at("net/a.log"))
	away()
	takeNumber(third)
	m.start(t)
	m.write(t, 20, "shared/deep/c.log", "shared/new.log")
	mountIt()
	appendFile(t, m.at("shared/d.log"), " and its end\n")
	m.lines = append(m.lines, "remounted, part of a line and its end")
	m.write(t, 20, "shared/a.log", "shared/b.log", "shared/deep/c.log", "shared/d.log")
	m.arrives(t)
	if fourth := device(m.at("net/a.log")); first == second || second == third || third == fourth {
		t.Errorf("device numbers %d, %d, %d, %d: want others each time", first, second, third, fourth)
	}
	m.clean(t)
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
