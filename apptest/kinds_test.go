package apptest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// otherKinds renames adaptors of kinds that read what can be read again, and
// restores and loses the state of their agent.
func otherKinds(t *testing.T, w *town) {
	m := w.machine(t, "kinds")
	tables := map[string]*[]string{"kinds-pods": {}, "kinds-drops": {}}
	journal := &journal{table: "kinds-journal", dir: m.at("journal")}
	if journal.possible(t) {
		tables[journal.table] = &journal.written
	}
	configure := func(prefix string) {
		t.Helper()
		adaptors := []string{
			fmt.Sprintf("{name: %s-pods, kind: pods, type: kinds-pods, root: %q}", prefix, m.at("pods")),
			fmt.Sprintf("{name: %s-drops, kind: spool_dir, type: kinds-drops, folders: [%q]}", prefix, m.at("drops")),
		}
		if journal.made {
			adaptors = append(adaptors, fmt.Sprintf("{name: %s-journal, kind: journald, type: kinds-journal, directory: %q}", prefix, journal.dir))
		}
		m.configure(t, adaptors...)
	}
	rounds := 0
	more := func() {
		t.Helper()
		rounds++
		for i := range 3 {
			log := appendTo(t, m.at(fmt.Sprintf("pods/shop_web-%d_11112222-1111-2222-3333-%012d/web/0.log", i, i)))
			for line := range strings.Lines(m.next(15)) {
				*tables["kinds-pods"] = append(*tables["kinds-pods"], strings.TrimSuffix(line, "\n"))
				if _, err := fmt.Fprintf(log, "%s stdout F %s", time.Now().UTC().Format(time.RFC3339Nano), line); err != nil {
					t.Fatal(err)
				}
			}
			if err := log.Close(); err != nil {
				t.Fatal(err)
			}
		}
		text := m.next(20)
		*tables["kinds-drops"] = append(*tables["kinds-drops"], strings.Split(strings.TrimSuffix(text, "\n"), "\n")...)
		drop := writeFile(t, m.at(fmt.Sprintf("drops/.%d.part", rounds)), text)
		if err := os.Rename(drop, m.at(fmt.Sprintf("drops/%d.txt", rounds))); err != nil {
			t.Fatal(err)
		}
		if journal.made {
			journal.add(t, m.name, rounds, 20)
		}
	}
	arrives := func() {
		t.Helper()
		for table, lines := range tables {
			w.becomes(t, table, "true", *lines)
		}
	}
	more()
	configure("old")
	m.start(t)
	arrives()
	// A name for a name, live and over a start.
	configure("new")
	m.reload(t)
	more()
	arrives()
	m.agent.kill()
	configure("newer")
	more()
	m.copyDir(t, "data", "backup")
	m.start(t)
	more()
	arrives()
	m.rename(t, "pods/shop_web-1_11112222-1111-2222-3333-000000000001/web/0.log", "pods/shop_web-1_11112222-1111-2222-3333-000000000001/web/0.log.20261129-010203")
	more()
	arrives()
	m.agent.kill()
	m.remove(t, "data")
	m.copyDir(t, "backup", "data")
	more()
	m.start(t)
	more()
	arrives()
	m.agent.kill()
	m.remove(t, "data")
	more()
	m.start(t)
	more()
	arrives()
	m.restart(t)
	more()
	arrives()
	m.clean(t)
}

// add appends entries to the journal, in one go.
func (j *journal) add(t *testing.T, name string, round, n int) {
	t.Helper()
	var in strings.Builder
	for i := range n {
		text := fmt.Sprintf("%s round %d entry %05d", name, round, i)
		j.written = append(j.written, text)
		fmt.Fprintf(&in, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\nPRIORITY=6\nMESSAGE=%s\n\n",
			time.Now().UnixMicro(), 1000000*round+i, 1, text)
	}
	cmd := exec.Command(journalRemote, "--output="+filepath.Join(j.dir, "all.journal"), "-")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", journalRemote, err, out)
	}
}
