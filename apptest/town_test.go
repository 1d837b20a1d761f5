package apptest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// slow is how long something may take that happens at once on an idle machine.
const slow = 120 * time.Second

// town is what many machines share: a store, a collector, a demux, and somebody
// who reads the tables and is not ours.
type town struct {
	dir, store, config string
	collectorAddr      string
	reader             *reader
}

// newTown starts one; types are those of the demux, as a flow mapping's content.
func newTown(t *testing.T, types string) *town {
	t.Helper()
	w := &town{dir: t.TempDir(), collectorAddr: freeAddr(t)}
	w.reader = startReader(t)
	w.store = filepath.Join(w.dir, "store")
	w.config = writeFile(t, filepath.Join(w.dir, "town.yaml"), fmt.Sprintf(`store: file://%s
data_dir: %s
collector:
  listen: %s
  seal: {bytes: 128MiB, age: 1s}
demux: {schedule: "@every 1s", listen: %s, types: {%s}}
`, w.store, filepath.Join(w.dir, "data"), w.collectorAddr, freeAddr(t), types))
	start(t, "collector", "akupara", "collector", "--config", w.config)
	start(t, "demux", "akupara", "demux", "--config", w.config)
	ready(t, w.collectorAddr)
	return w
}

// rows are the messages of a table without their NULs, with how many rows hold
// each.
func (w *town) rows(t *testing.T, table, where string) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, row := range w.reader.ask(t, filepath.Join(w.store, "tables", table), "select replace(message, chr(0), ''), count(*) from t where "+where+" group by 1") {
		n, _ := row[1].(float64)
		counts[fmt.Sprint(row[0])] += int(n)
	}
	return counts
}

// becomes waits until the rows of a table are these lines, each once. Others
// that are not among them are allowed if may holds them, once, too.
func (w *town) becomes(t *testing.T, table, where string, lines []string, may ...string) {
	t.Helper()
	var wrong string
	deadline, tick := time.After(slow), time.NewTicker(400*time.Millisecond)
	defer tick.Stop()
	for right := 0; right < 3; { // a doubled row may be a moment late
		counts := w.rows(t, table, where)
		var worse bool
		if wrong, worse = compare(counts, lines, may); wrong == "" {
			right++
		} else if worse || right > 0 {
			t.Fatalf("rows of %s where %s: %s", table, where, wrong)
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("rows of %s where %s, after %v still: %s", table, where, slow, wrong)
		}
	}
}

// compare tells what is wrong with counts, and whether it can't come right any
// more.
func compare(counts map[string]int, lines, may []string) (wrong string, worse bool) {
	counts = maps.Clone(counts)
	var missing, doubled, foreign []string
	for _, line := range lines {
		switch n := counts[line]; {
		case n == 0:
			missing = append(missing, line)
		case n > 1:
			doubled = append(doubled, line)
		}
		delete(counts, line)
	}
	for _, line := range may {
		if counts[line] > 1 {
			doubled = append(doubled, line)
		}
		delete(counts, line)
	}
	for line := range counts {
		foreign = append(foreign, line)
	}
	slices.Sort(foreign)
	for _, k := range []struct {
		what  string
		lines []string
	}{{"missing", missing}, {"more than once", doubled}, {"never written", foreign}} {
		if n := len(k.lines); n > 0 {
			wrong += fmt.Sprintf("%d of %d %s: %q … %q; ", n, len(lines), k.what, brief(k.lines[0]), brief(k.lines[n-1]))
		}
	}
	return wrong, len(doubled)+len(foreign) > 0
}

// brief is the beginning of a line.
func brief(line string) string { return line[:min(len(line), 30)] }

// town's audit, of the records of one host.
func (w *town) audit(t *testing.T, host string) hostAudit {
	t.Helper()
	out, _ := akupara(t, "audit", "--json", "--config", w.config)
	var all hostAudit
	if err := json.Unmarshal([]byte(out), &all); err != nil {
		t.Fatalf("audit --json: %v in %q", err, out)
	}
	of := func(ranges []auditRange) []auditRange {
		return slices.DeleteFunc(ranges, func(r auditRange) bool { return r.Host != host })
	}
	return hostAudit{of(all.Gaps), of(all.Overlaps), of(all.Lost), of(all.Forks), of(all.PerhapsDoubled), all.Unreadable}
}

type hostAudit struct {
	Gaps           []auditRange
	Overlaps       []auditRange
	Lost           []auditRange
	Forks          []auditRange
	PerhapsDoubled []auditRange `json:"perhaps_doubled"`
	Unreadable     []string
}

// auditRange is a range of the report, or a fork.
type auditRange struct {
	Type, Host, Source, Stream, Of, Cause string
	First, Last, Bytes                    int64
}

// clean waits until all that the host sent is in the tables, and fails the test
// unless the audit finds nothing to tell of it.
func (m *machine) clean(t *testing.T) {
	t.Helper()
	m.complete(t).nothing(t)
}

func (a hostAudit) nothing(t *testing.T) {
	t.Helper()
	if len(a.Lost)+len(a.Forks)+len(a.PerhapsDoubled) > 0 {
		t.Errorf("audit: lost %v, forks %v, perhaps doubled %v; want none", a.Lost, a.Forks, a.PerhapsDoubled)
	}
}

// complete is clean where losses, forks and doubts are allowed.
func (m *machine) complete(t *testing.T) hostAudit {
	t.Helper()
	eventually(t, slow, "all of "+m.name+" is settled", func() bool { return m.settled(t) })
	var a hostAudit
	eventually(t, slow, "the audit of "+m.name+" knows of no gap", func() bool {
		a = m.audit(t, m.name)
		return len(a.Gaps) == 0
	})
	if len(a.Overlaps)+len(a.Unreadable) > 0 {
		t.Errorf("audit of %s: overlaps %v, unreadable %v; want none", m.name, a.Overlaps, a.Unreadable)
	}
	for _, table := range []string{m.name, m.name + "-pods", m.name + "-journal"} {
		if dir := filepath.Join(m.store, "quarantine", table); exists(dir) {
			t.Errorf("quarantine holds %v, want nothing", files(t, dir, "*"))
		}
	}
	return a
}

// reader is a process that answers questions about tables.
type reader struct {
	mu  sync.Mutex
	in  io.Writer
	out *bufio.Reader
}

func startReader(t *testing.T) *reader {
	t.Helper()
	cmd := exec.Command(python(t), filepath.Join("testdata", "serve.py"))
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs strings.Builder
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("serve.py: %v\n%s", err, errs.String())
		}
	})
	return &reader{in: in, out: bufio.NewReader(out)}
}

// ask gives the rows that DuckDB answers about what PyIceberg reads of the
// table in a folder, which the SQL calls t; none while it is not there.
func (r *reader) ask(t *testing.T, folder, sql string) [][]any {
	t.Helper()
	question, err := json.Marshal(map[string]string{"table": folder, "sql": sql})
	if err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.in.Write(append(question, '\n')); err != nil {
		t.Fatalf("serve.py: %v", err)
	}
	line, err := r.out.ReadBytes('\n')
	if err != nil {
		t.Fatalf("serve.py: %v", err)
	}
	var rows [][]any
	if err := json.Unmarshal(line, &rows); err != nil {
		t.Fatalf("serve.py: %s to %s", line, sql)
	}
	return rows
}

// freeze stops a process in the middle of whatever it does, until thaw.
func (p *proc) freeze() { p.signal(syscall.SIGSTOP) }
func (p *proc) thaw()   { p.signal(syscall.SIGCONT) }

func (p *proc) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Errorf("%s: %v", s, err)
	}
}
