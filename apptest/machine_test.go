package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// machine is a host of the town: one agent with a config, a data_dir and logs
// of its own. Its name is the host of its records, and the data type of its
// adaptors where they name none.
type machine struct {
	*town
	name, dir, data string
	config, addr    string
	adaptors        []string // entries of the list
	keys            string   // further keys of the agent's section, a line each
	agent           *proc

	written int      // lines, by write
	lines   []string // all that must be rows
}

func (w *town) machine(t *testing.T, name string) *machine {
	t.Helper()
	dir := filepath.Join(w.dir, name)
	return &machine{town: w, name: name, dir: dir, data: filepath.Join(dir, "data"), config: filepath.Join(dir, "akupara.yaml"), addr: freeAddr(t)}
}

// at is a path in the machine's folder.
func (m *machine) at(path string) string { return filepath.Join(m.dir, filepath.FromSlash(path)) }

// tail is an adaptor's entry: it follows what matches the patterns, which are
// relative to the machine's folder.
func (m *machine) tail(name string, patterns ...string) string {
	var paths []string
	for _, p := range patterns {
		paths = append(paths, fmt.Sprintf("%q", m.at(p)))
	}
	return fmt.Sprintf("{name: %s, kind: tail, type: %s, paths: [%s]}", name, m.name, strings.Join(paths, ", "))
}

// configure writes the config with these adaptors.
func (m *machine) configure(t *testing.T, adaptors ...string) {
	t.Helper()
	m.adaptors = adaptors
	list := "[]"
	if len(adaptors) > 0 {
		list = "\n    - " + strings.Join(adaptors, "\n    - ")
	}
	text := fmt.Sprintf("store: file://%s\ndata_dir: %s\nagent:\n  collectors: [http://%s]\n  listen: %s\n  host: %s\n%s  adaptors: %s\n",
		m.store, m.data, m.collectorAddr, m.addr, m.name, m.keys, list)
	writeFile(t, m.config+".new", text)
	if err := os.Rename(m.config+".new", m.config); err != nil { // never half of one
		t.Fatal(err)
	}
}

// start starts the agent, for the first time or again, and waits until it is
// ready.
func (m *machine) start(t *testing.T) {
	t.Helper()
	m.startBehind(t)
}

// startBehind is start where the agent alone sees the mounts.
func (m *machine) startBehind(t *testing.T, mounts ...mount) {
	t.Helper()
	if m.agent == nil {
		m.agent = startBehind(t, mounts, m.name, "agentd", "--config", m.config)
	} else {
		m.agent.mounts = mounts
		m.agent.start()
	}
	ready(t, m.addr)
}

// restart ends the agent as a crash does and starts it again.
func (m *machine) restart(t *testing.T) {
	t.Helper()
	m.agent.kill()
	m.start(t)
}

// next gives n lines that were never given before, and that must be rows.
func (m *machine) next(n int) string {
	var b strings.Builder
	for range n {
		line := fmt.Sprintf("%s line %06d %s", m.name, m.written, strings.Repeat("x", m.written%50))
		m.written++
		m.lines = append(m.lines, line)
		b.WriteString(line + "\n")
	}
	return b.String()
}

// write appends n lines to each of the files.
func (m *machine) write(t *testing.T, n int, paths ...string) {
	t.Helper()
	for _, p := range paths {
		f := appendTo(t, m.at(p)) // makes its folder
		_, err := f.WriteString(m.next(n))
		if cerr := f.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
	}
}

// arrives waits until the lines that the machine wrote are rows, each once.
func (m *machine) arrives(t *testing.T) {
	t.Helper()
	m.becomes(t, m.name, "host = '"+m.name+"'", m.lines)
}

// adaptor is what the agent shows of one.
func (m *machine) adaptor(t *testing.T, name string) view {
	t.Helper()
	s := site{local: local{agentAddr: m.addr}}
	return s.adaptor(t, name)
}

// skipped is why an adaptor does not read a path, "" if it does.
func (m *machine) skipped(t *testing.T, adaptor, path string) string {
	t.Helper()
	for _, s := range m.adaptor(t, adaptor).Skipped {
		if s.Path == path {
			return s.Reason
		}
	}
	return ""
}

// settled reports whether the adaptors have nothing on its way any more.
func (m *machine) settled(t *testing.T) bool {
	t.Helper()
	return settled(t, m.addr)
}

// reload waits until the config as it stands is applied.
func (m *machine) reload(t *testing.T) {
	t.Helper()
	do(t, "POST", "http://"+m.addr+"/v1/config/reload", "").want(t, "reload", 200)
}

// streams fails the test unless the machine's records are of so many streams.
func (m *machine) streams(t *testing.T, want int) {
	t.Helper()
	got := m.reader.ask(t, filepath.Join(m.store, "tables", m.name), "select count(distinct stream) from t where host = '"+m.name+"'")
	same(t, "streams of "+m.name, got, []any{float64(want)})
}

func (m *machine) rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(m.at(from), m.at(to)); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) remove(t *testing.T, path string) {
	t.Helper()
	var err error
	for range 100 { // an agent that is at work makes files in it meanwhile
		if err = os.RemoveAll(m.at(path)); err == nil {
			return
		}
	}
	t.Fatal(err)
}

func (m *machine) truncate(t *testing.T, path string, to int64) {
	t.Helper()
	if err := os.Truncate(m.at(path), to); err != nil {
		t.Fatal(err)
	}
}

// replace puts another file in the place of one, as rsync does: it begins with
// all that the old one held, and has n lines more.
func (m *machine) replace(t *testing.T, path string, n int) {
	t.Helper()
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".Xy12Za")
	writeFile(t, m.at(temporary), mustRead(t, m.at(path))+m.next(n))
	m.rename(t, temporary, path)
}

// copyDir copies a folder with its files' times, as a backup does.
func (m *machine) copyDir(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", m.at(from), m.at(to)).CombinedOutput(); err != nil {
		t.Fatalf("cp -a: %v: %s", err, out)
	}
}
