package apptest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// clonedMachine runs a machine and its clone, whose logs are other files at the
// same paths, with the same inodes and beginnings.
func clonedMachine(t *testing.T, w *town) {
	mayMount(t)
	first, second := w.machine(t, "first"), w.machine(t, "second")
	first.data = first.at("disk/data")
	disk := newDisk(t, w.dir+"/first.img", first.at("disk"))
	first.configure(t, first.tail("logs", "disk/logs/*.log*"))
	first.write(t, 100, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/c.log")
	first.start(t)
	first.arrives(t)
	first.write(t, 30, "disk/logs/a.log") // may be sent, and is not settled
	first.agent.kill()
	disk.unmount(t)
	twin := disk.copy(t, w.dir+"/second.img", second.at("disk"))
	disk.mount(t)
	twin.mount(t)
	second.data = first.data
	second.configure(t, first.adaptors...)
	mounts := []mount{
		{writeFile(t, second.at("machine-id"), strings.Repeat("c", 32)+"\n"), "/etc/machine-id"},
		{twin.at, disk.at},
	}
	all := func() []string { return slices.Concat(first.lines, second.lines) }

	// Both go on, the clone first. It has nothing yet that its original has not.
	second.startBehind(t, mounts...)
	second.write(t, 50, "disk/logs/a.log", "disk/logs/b.log")
	w.becomes(t, "first", "true", all())
	first.start(t)
	first.write(t, 40, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/c.log")
	second.write(t, 60, "disk/logs/c.log")
	w.becomes(t, "first", "true", all())
	// A new file of each at the same path; rotations; and starts anew.
	for i := range 2 {
		for _, m := range []*machine{first, second} {
			m.rename(t, "disk/logs/a.log", fmt.Sprintf("disk/logs/a.log.%d", i))
			m.write(t, 30, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/new.log")
		}
		first.agent.kill()
		second.agent.kill()
		second.startBehind(t, mounts...)
		first.start(t)
		first.write(t, 10, "disk/logs/a.log", "disk/logs/b.log")
		second.write(t, 10, "disk/logs/a.log", "disk/logs/b.log")
		w.becomes(t, "first", "true", all())
	}
	var forks []auditRange
	for _, m := range []*machine{first, second} {
		forks = append(forks, m.complete(t).Forks...)
	}
	forked(t, forks, 3) // a, b, c
}

// forked fails the test unless so many forks are told, each with what it is of
// and why it is one.
func forked(t *testing.T, forks []auditRange, atLeast int) {
	t.Helper()
	of := map[string]bool{}
	for _, f := range forks {
		of[f.Of] = true
		if f.Of == "" || f.Cause == "" || f.Source == "" || f.Host == "" || f.Stream == f.Of || f.Bytes <= 0 {
			t.Errorf("a fork is told as %+v, want its host, source, stream, bytes, of and cause", f)
		}
	}
	if len(of) < atLeast {
		t.Errorf("audit: forks of %d streams, %+v; want %d at least", len(of), forks, atLeast)
	}
}

// setBackMachine sets a virtual machine back to a snapshot, twice, from where it
// goes on differently.
func setBackMachine(t *testing.T, w *town) {
	m := w.machine(t, "setback")
	m.data = m.at("disk/data")
	disk := newDisk(t, w.dir+"/setback.img", m.at("disk"))
	m.configure(t, m.tail("logs", "disk/logs/*.log*"))
	m.write(t, 100, "disk/logs/a.log", "disk/logs/b.log")
	m.start(t)
	m.arrives(t)
	m.agent.kill()
	disk.unmount(t)
	snapshot := disk.copy(t, w.dir+"/setback-snapshot.img", m.at("snapshot"))
	for range 3 {
		disk.mount(t)
		m.write(t, 20, "disk/logs/a.log")
		m.start(t)
		m.write(t, 40, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/new.log")
		m.arrives(t)
		m.rename(t, "disk/logs/b.log", "disk/logs/b.log.1")
		m.write(t, 40, "disk/logs/b.log.1", "disk/logs/b.log")
		m.restart(t)
		m.write(t, 10, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/new.log")
		m.arrives(t)
		m.agent.kill()
		disk.unmount(t)
		*disk = *snapshot.copy(t, disk.image, disk.at)
	}
	disk.mount(t)
	m.start(t)
	m.write(t, 200, "disk/logs/a.log", "disk/logs/b.log", "disk/logs/new.log")
	m.arrives(t)
	forked(t, m.complete(t).Forks, 2)
}

// putBackFolders is a machine set back by copies of its folders: its files are
// other ones then, with the old bytes.
func putBackFolders(t *testing.T, w *town) {
	m := w.machine(t, "putback")
	m.configure(t, m.tail("logs", "logs/*.log*"))
	m.write(t, 100, "logs/a.log", "logs/b.log")
	m.start(t)
	m.arrives(t)
	m.agent.kill()
	m.copyDir(t, "logs", "logs-before")
	m.copyDir(t, "data", "data-before")
	for range 2 {
		m.start(t)
		m.write(t, 40, "logs/a.log", "logs/b.log", "logs/new.log")
		m.arrives(t)
		m.agent.kill()
		for _, dir := range []string{"logs", "data"} {
			m.remove(t, dir)
			m.copyDir(t, dir+"-before", dir)
		}
	}
	m.start(t)
	m.write(t, 100, "logs/a.log", "logs/b.log", "logs/new.log")
	m.arrives(t)
	forked(t, m.complete(t).Forks, 2)
}
