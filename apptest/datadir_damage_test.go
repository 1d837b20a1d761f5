package apptest

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// dataDirKinds are the kinds of files of an agent's data directory. A file that
// is none of them fails the test: what its damage costs is to be said first.
var dataDirKinds = []struct {
	name    string
	path    *regexp.Regexp // below the agent's folder
	damaged bool           // has a damage of its own; else it holds nothing
}{
	{"lock", regexp.MustCompile(`^checkpoints/lock$`), false},
	{"snapshot", regexp.MustCompile(`^checkpoints/snapshot-\d+$`), true},
	{"journal", regexp.MustCompile(`^checkpoints/journal-\d+$`), true},
	{"segment", regexp.MustCompile(`^spool/said/[^/]+/[0-9a-f]{38}-\d{20}\.seg$`), true},
}

// dataDirFiles returns the files of each kind, the oldest first.
func (m *machine) dataDirFiles(t *testing.T) map[string][]string {
	t.Helper()
	root, out := filepath.Join(m.data, "agent"), map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		for _, k := range dataDirKinds {
			if k.path.MatchString(rel) {
				out[k.name] = append(out[k.name], path)
				return err
			}
		}
		t.Errorf("%s is of no kind that this test knows: what does its damage cost?", rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, paths := range out {
		slices.Sort(paths)
	}
	return out
}

// dataDirDamages are what happens to a file; before is the same file some time ago,
// nil if there was none.
var dataDirDamages = map[string]func(t *testing.T, path string, before []byte){
	"flipped":   func(t *testing.T, path string, _ []byte) { flip(t, path, 1, 2) },
	"early":     func(t *testing.T, path string, _ []byte) { flip(t, path, 1, 20) },
	"truncated": func(t *testing.T, path string, _ []byte) { tear(t, path, int64(len(mustRead(t, path)))/3) },
	"empty":     func(t *testing.T, path string, _ []byte) { writeFile(t, path, "") },
	"missing":   func(t *testing.T, path string, _ []byte) { mustRemove(t, path) },
	"older":     func(t *testing.T, path string, before []byte) { writeFile(t, path, string(before)) },
	"folder": func(t *testing.T, path string, _ []byte) {
		mustRemove(t, path)
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
	},
}

func mustRemove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// flip turns a bit over, at that part of the file.
func flip(t *testing.T, path string, part, of int) {
	t.Helper()
	data := []byte(mustRead(t, path))
	if len(data) == 0 {
		t.Fatalf("%s is empty", path)
	}
	data[len(data)*part/of] ^= 0x10
	writeFile(t, path, string(data))
}

// TestDamagedAgentsDataDir dataDirDamages each kind of file of an agent's data
// directory while the agent is down. No line is lost and none is doubled that
// nobody tells of, and the agent says what is wrong.
func TestDamagedAgentsDataDir(t *testing.T) {
	t.Parallel()
	w := newTown(t, "")
	for damage, apply := range dataDirDamages {
		for _, kind := range []string{"snapshot", "journal"} {
			t.Run(kind+"/"+damage, func(t *testing.T) {
				t.Parallel()
				damagedDataDir(t, w, kind, damage, apply)
			})
		}
	}
}

// TestAgentsDataDirWithoutRights takes the rights on a file of the data
// directory: the agent names it and ends, rather than to forget what it can't
// read; with the rights back nothing is doubled or lost.
func TestAgentsDataDirWithoutRights(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		if _, err := os.Stat(setpriv); err != nil {
			t.Skipf("SKIPPED: root needs setpriv to be without rights: %v", err)
		}
	}
	w := newTown(t, "")
	for _, kind := range []string{"lock", "snapshot", "journal"} {
		m := w.machine(t, "rights-"+kind)
		m.configure(t, m.tail("logs", "logs/*.log*"))
		m.write(t, 100, "logs/a.log", "logs/b.log")
		m.start(t)
		m.arrives(t)
		m.agent.kill()
		paths := m.dataDirFiles(t)[kind]
		path := paths[len(paths)-1]
		if err := os.Chmod(path, 0); err != nil {
			t.Fatal(err)
		}
		m.write(t, 10, "logs/a.log")
		name, args := m.agent.name, m.agent.args
		if os.Getuid() == 0 {
			m.agent.name, m.agent.args = setpriv, append([]string{"--bounding-set=-dac_override,-dac_read_search", filepath.Join(bin, name)}, args...)
		}
		m.agent.start()
		eventually(t, slow, "the agent ends", func() bool {
			select {
			case <-m.agent.done:
				return true
			default:
				return false
			}
		})
		if log, code := mustRead(t, m.agent.log.Name()), m.agent.cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(log, path) || !strings.Contains(log, "permission denied") {
			t.Errorf("%s: exit code %d, want 1 with its name and why", kind, code)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
		m.agent.name, m.agent.args = name, args
		m.start(t)
		m.write(t, 10, "logs/a.log", "logs/b.log")
		m.arrives(t)
		m.clean(t)
	}
}

const setpriv = "/usr/bin/setpriv"

func damagedDataDir(t *testing.T, w *town, kind, damage string, apply func(*testing.T, string, []byte)) {
	m := w.machine(t, kind+"-"+damage)
	m.configure(t, m.tail("logs", "logs/*.log*"), "{name: said, kind: command, type: said, command: [echo, hello], every: 1h}")
	m.write(t, 100, "logs/a.log", "logs/b.log", "logs/c.log", "logs/d.log")
	m.start(t)
	m.arrives(t)
	before := map[string][]byte{}
	for _, paths := range m.dataDirFiles(t) {
		for _, p := range paths {
			before[p] = []byte(mustRead(t, p))
		}
	}
	m.write(t, 50, "logs/a.log", "logs/new.log")
	m.rename(t, "logs/b.log", "logs/b.log.1")
	m.write(t, 50, "logs/b.log")
	m.truncate(t, "logs/c.log", 0)
	m.write(t, 50, "logs/c.log")
	m.arrives(t)
	m.agent.kill()
	m.write(t, 10, "logs/a.log", "logs/b.log")
	paths := m.dataDirFiles(t)[kind]
	path := paths[len(paths)-1]
	apply(t, path, before[path])
	m.start(t)
	m.write(t, 10, "logs/a.log", "logs/b.log", "logs/b.log.1", "logs/c.log", "logs/d.log", "logs/new.log")
	m.arrives(t)
	m.restart(t)
	m.write(t, 10, "logs/a.log", "logs/c.log", "logs/new.log")
	m.arrives(t)
	m.complete(t)
	if damage == "older" {
		return // it is whole
	}
	if log := mustRead(t, m.agent.log.Name()); !strings.Contains(log, "checkpoint") {
		t.Errorf("the agent says nothing of %s", path)
	}
	if a := do(t, "GET", "http://"+m.addr+"/metrics", ""); a.status != 200 {
		t.Errorf("metrics: %d", a.status)
	}
}
