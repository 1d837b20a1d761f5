package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestEveryLineIsARowOnceWhateverPeopleDo plays what people do to agents, their
// configs, their disks and their logs. Each story has a machine of its own.
//
// AKUPARA_SOAK=1h makes it go on for so long; -seed repeats its choices.
func TestEveryLineIsARowOnceWhateverPeopleDo(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many agents")
	}
	t.Parallel()
	python(t) // skips before anything starts
	rnd := choices(t, 2)
	outages := []outage{{"logahead", 8, 3}, {"stateahead", 3, 8}, {"nosync", 0, 0}}
	whatPeopleDo(t, outages)
	for round, until := 1, soakUntil(t); time.Now().Before(until); round++ {
		for i := range outages {
			outages[i] = outage{fmt.Sprint("outage", i), rnd.IntN(parts + 1), rnd.IntN(parts + 1)}
		}
		t.Run(fmt.Sprint("again ", round), func(t *testing.T) { whatPeopleDo(t, outages) })
	}
}

func whatPeopleDo(t *testing.T, outages []outage) {
	types := []string{"kinds-journal: {parser: journald}"}
	for _, name := range []string{"looking", "frozen", "kinds"} {
		types = append(types, name+"-pods: {parser: cri, message: raw}")
	}
	stories := []story{
		{"files change while the agent is stopped now and then", func(t *testing.T, w *town) { w.machine(t, "frozen").play(t, 5*time.Second) }},
		{"adaptors of other kinds are renamed and lose their state", otherKinds},
		{"files change while the agent looks", func(t *testing.T, w *town) { w.machine(t, "looking").play(t, 0) }},
		{"an adaptor is renamed", renamedAdaptor},
		{"a path moves to another adaptor", movedPath},
		{"two adaptors match one file", sharedFile},
		{"the data_dir is restored from a backup", restoredDataDir},
		{"the data_dir is lost", lostDataDir},
		{"the data_dir is removed under a live agent", removedDataDir},
		{"the machine-id is another at each start", otherMachineIDs},
		{"a file system comes back under another device number", remounted},
		{"the data_dir is lost and files can't be known", unknowableFiles},
		{"a machine and its clone both run", clonedMachine},
		{"a machine is set back to a snapshot", setBackMachine},
		{"a machine's folders are put back", putBackFolders},
	}
	for _, o := range outages {
		types = append(types, o.name+"-pods: {parser: cri, message: raw}", o.name+"-journal: {parser: journald}")
		stories = append(stories, story{"power is lost, " + o.name, o.lostPower})
	}
	newTown(t, strings.Join(types, ", ")).tell(t, stories)
}

// story is something that people do. Its machine's name is one word of it.
type story struct {
	name string
	play func(t *testing.T, w *town)
}

// tell plays some stories at a time: they wait for the most part.
func (w *town) tell(t *testing.T, stories []story) {
	t.Helper()
	next := make(chan story)
	var tellers sync.WaitGroup
	for range 5 {
		tellers.Go(func() {
			for s := range next {
				t.Run(s.name, func(t *testing.T) { s.play(t, w) })
			}
		})
	}
	for _, s := range stories {
		next <- s
	}
	close(next)
	tellers.Wait()
}

func renamedAdaptor(t *testing.T, w *town) {
	m := w.machine(t, "renamed")
	m.write(t, 100, "logs/a.log", "logs/b.log")
	m.configure(t, m.tail("old", "logs/*.log"))
	m.start(t)
	m.arrives(t)
	// While the agent is down: a file grows, one is rotated, one is new.
	m.agent.kill()
	m.configure(t, m.tail("new", "logs/*.log*"))
	m.write(t, 20, "logs/a.log", "logs/b.log")
	m.rename(t, "logs/b.log", "logs/b.log.1")
	m.write(t, 20, "logs/b.log", "logs/c.log")
	m.start(t)
	m.write(t, 20, "logs/a.log", "logs/b.log", "logs/c.log")
	m.arrives(t)
	// While it runs.
	m.configure(t, m.tail("newer", "logs/*.log*"))
	m.reload(t)
	m.write(t, 20, "logs/a.log", "logs/b.log", "logs/c.log")
	m.arrives(t)
	// What was not settled when the name went is settled under the new one.
	m.agent.freeze()
	m.write(t, 500, "logs/a.log")
	m.configure(t, m.tail("newest", "logs/*.log*"))
	m.agent.thaw()
	m.reload(t)
	m.arrives(t)
	m.restart(t)
	m.write(t, 20, "logs/a.log", "logs/b.log", "logs/c.log")
	m.arrives(t)
	m.streams(t, 4)
	m.clean(t)
}

func movedPath(t *testing.T, w *town) {
	m := w.machine(t, "moved")
	files := []string{"one/a.log", "two/b.log", "three/c.log"}
	m.write(t, 100, files...)
	m.configure(t, m.tail("first", "one/*.log", "two/*.log"), m.tail("second", "three/*.log"))
	m.start(t)
	m.arrives(t)
	m.agent.kill()
	m.configure(t, m.tail("first", "one/*.log"), m.tail("second", "two/*.log", "three/*.log"))
	m.write(t, 20, files...)
	m.start(t)
	m.arrives(t)
	// And back, live, with another one going the other way.
	m.configure(t, m.tail("first", "two/*.log", "three/*.log"), m.tail("second", "one/*.log"))
	m.write(t, 20, files...)
	m.reload(t)
	m.write(t, 20, files...)
	m.arrives(t)
	// The file itself moves from one adaptor's folder to the other's.
	m.rename(t, "one/a.log", "two/a.log")
	m.write(t, 20, "two/a.log")
	m.arrives(t)
	m.agent.kill()
	m.rename(t, "two/b.log", "one/b.log")
	m.write(t, 20, "one/b.log")
	m.start(t)
	m.write(t, 20, "one/b.log", "two/a.log", "three/c.log")
	m.arrives(t)
	m.streams(t, 3)
	m.clean(t)
}

func sharedFile(t *testing.T, w *town) {
	m := w.machine(t, "shared")
	m.write(t, 100, "logs/app.log", "logs/other.log")
	for _, dir := range []string{"links", "hard"} {
		if err := os.MkdirAll(m.at(dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(m.at("logs/app.log"), m.at("links/linked.log")); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(m.at("logs/app.log"), m.at("hard/twin.log")); err != nil {
		t.Fatal(err)
	}
	adaptors := map[string]string{"all": "logs/*.log", "app": "logs/app*", "linked": "links/*.log", "twin": "hard/*.log"}
	names := map[string]string{"all": "logs/app.log", "app": "logs/app.log", "linked": "links/linked.log", "twin": "hard/twin.log"}
	var entries []string
	for _, name := range []string{"all", "app", "linked", "twin"} {
		entries = append(entries, m.tail(name, adaptors[name]))
	}
	// Another type is another table: there, it is read too.
	entries = append(entries, fmt.Sprintf("{name: elsewhere, kind: tail, type: shared-too, paths: [%q]}", m.at("logs/app.log")))
	m.configure(t, entries...)
	if out := mustAkupara(t, "check", "--config", m.config); !strings.Contains(out, "all") || !strings.Contains(out, "app") || strings.Count(out, "\n") < 2 {
		t.Errorf("check: got %q, want a warning that all and app match the same files", out)
	}
	m.start(t)
	m.arrives(t)
	// others waits until one adaptor reads app.log and the rest say who does.
	others := func(of ...string) (holder string) {
		t.Helper()
		eventually(t, slow, "one of "+fmt.Sprint(of)+" reads the file and the others say so", func() bool {
			var refused []string
			holder = ""
			for _, name := range of {
				if reason := m.skipped(t, name, m.at(names[name])); reason == "" {
					holder = name
				} else {
					refused = append(refused, reason)
				}
			}
			for _, reason := range refused {
				if !strings.Contains(reason, fmt.Sprintf("%q", holder)) {
					return false
				}
			}
			return len(refused) == len(of)-1 && holder != ""
		})
		return holder
	}
	first := others("all", "app", "linked", "twin")
	refused := "app"
	if first == refused {
		refused = "all"
	}
	if out := mustAkupara(t, "adaptor", "show", refused, "--config", m.config); !strings.Contains(out, first) || !strings.Contains(out, "app.log") {
		t.Errorf("adaptor show %s: got %s, want %s named as the reader of app.log", refused, out, first)
	}
	m.write(t, 20, "logs/app.log", "logs/other.log")
	m.restart(t)
	others("all", "app", "linked", "twin")
	m.write(t, 20, "logs/app.log")
	m.arrives(t)
	// Who reads it stops: another one goes on.
	holder := others("all", "app", "linked", "twin")
	do(t, "POST", "http://"+m.addr+"/v1/adaptors/"+holder+"/stop", "").want(t, "stop", 200)
	m.write(t, 20, "logs/app.log")
	var rest []string
	for name := range adaptors {
		if name != holder {
			rest = append(rest, name)
		}
	}
	others(rest...)
	m.write(t, 20, "logs/app.log")
	do(t, "POST", "http://"+m.addr+"/v1/adaptors/"+holder+"/start", "").want(t, "start", 200)
	m.write(t, 20, "logs/app.log")
	m.arrives(t)
	var of []string
	for _, line := range m.lines {
		if strings.Contains(mustRead(t, m.at("logs/app.log")), line+"\n") {
			of = append(of, line)
		}
	}
	m.becomes(t, "shared-too", "host = 'shared'", of)
	m.clean(t)
}

func restoredDataDir(t *testing.T, w *town) {
	m := w.machine(t, "restored")
	m.configure(t, m.tail("logs", "logs/**/*.log*"))
	m.write(t, 100, "logs/a.log", "logs/b.log", "logs/c.log", "logs/d.log")
	m.start(t)
	m.arrives(t)
	m.agent.kill() // a backup of what is at rest
	m.copyDir(t, "data", "backup")
	m.start(t)
	m.write(t, 50, "logs/a.log", "logs/b.log", "logs/new.log")
	m.arrives(t)
	m.rename(t, "logs/b.log", "logs/b.log.1")
	m.write(t, 50, "logs/b.log", "logs/deep/er.log")
	m.arrives(t)
	m.truncate(t, "logs/c.log", 0)
	m.write(t, 50, "logs/c.log")
	m.replace(t, "logs/d.log", 50)
	m.arrives(t)
	m.agent.kill()
	m.remove(t, "data")
	m.copyDir(t, "backup", "data")
	m.write(t, 10, "logs/a.log", "logs/c.log")
	m.start(t)
	m.write(t, 10, "logs/a.log", "logs/b.log", "logs/b.log.1", "logs/c.log", "logs/d.log", "logs/new.log", "logs/deep/er.log")
	m.arrives(t)
	m.restart(t)
	m.write(t, 10, "logs/a.log", "logs/new.log", "logs/c.log", "logs/d.log")
	m.arrives(t)
	m.clean(t)
}

func lostDataDir(t *testing.T, w *town) {
	m := w.machine(t, "forgetful")
	m.configure(t, m.tail("logs", "logs/*.log*"))
	m.write(t, 500, "logs/a.log", "logs/b.log")
	m.start(t)
	m.arrives(t)
	for range 2 {
		m.agent.kill()
		m.remove(t, "data")
		m.write(t, 50, "logs/a.log")
		m.rename(t, "logs/b.log", fmt.Sprintf("logs/b.log.%d", m.written))
		m.write(t, 50, "logs/b.log")
		m.start(t)
		m.write(t, 50, "logs/a.log", "logs/b.log")
		m.arrives(t)
	}
	m.clean(t)
}

func removedDataDir(t *testing.T, w *town) {
	m := w.machine(t, "removed")
	m.configure(t, m.tail("logs", "logs/*.log*"))
	m.write(t, 500, "logs/a.log", "logs/b.log")
	m.start(t)
	m.arrives(t)
	m.remove(t, "data")
	writeFile(t, m.data, "in the way: no data_dir can be made here")
	eventually(t, slow, "the agent says that it can't work", func() bool {
		_, status := get("http://" + m.addr + "/readyz")
		return status == 503
	})
	m.write(t, 100, "logs/a.log", "logs/c.log")
	if err := os.Remove(m.data); err != nil {
		t.Fatal(err)
	}
	ready(t, m.addr) // it heals by itself
	m.write(t, 100, "logs/a.log", "logs/b.log", "logs/c.log")
	m.arrives(t)
	m.restart(t)
	m.write(t, 100, "logs/a.log", "logs/b.log", "logs/c.log")
	m.arrives(t)
	// Nothing stands in the way of the next one.
	m.remove(t, "data")
	m.write(t, 100, "logs/a.log", "logs/d.log")
	m.arrives(t)
	eventually(t, slow, "there is a data_dir again", func() bool { return exists(m.data) })
	m.restart(t)
	m.write(t, 100, "logs/a.log", "logs/d.log")
	m.arrives(t)
	m.clean(t)
}

func otherMachineIDs(t *testing.T, w *town) {
	mayMount(t)
	m := w.machine(t, "container")
	m.configure(t, m.tail("logs", "logs/*.log*"))
	m.write(t, 500, "logs/a.log", "logs/b.log")
	for i := range 3 {
		id := writeFile(t, m.at(fmt.Sprint("machine-id-", i)), strings.Repeat(fmt.Sprint(i+1), 32)+"\n")
		m.startBehind(t, mount{id, "/etc/machine-id"})
		m.write(t, 50, "logs/a.log", fmt.Sprintf("logs/new-%d.log", i))
		m.arrives(t)
		m.agent.kill()
		m.write(t, 50, "logs/b.log", fmt.Sprintf("logs/newer-%d.log", i))
	}
	m.startBehind(t, mount{writeFile(t, m.at("no-machine-id"), ""), "/etc/machine-id"})
	m.arrives(t)
	m.streams(t, 8)
	m.clean(t)
}

// mayMount skips the test, loudly, where a process can't have mounts of its own.
func mayMount(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("unshare", "-m", "mount", "--bind", t.TempDir(), t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: no mount namespaces here: %v: %s", err, out)
	}
}
