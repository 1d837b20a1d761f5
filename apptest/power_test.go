package apptest

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// outage is a loss of power. What was synced before is on the disk; of the rest
// it is the kernel's choice.
type outage struct {
	name        string // of the machine
	logs, state int    // after so many parts of the time they are synced for the last time, 0: never
}

const parts = 10 // of the time in which is written

// lostPower has a machine's logs and its agent's data_dir on a disk that loses
// its power while they are written to, twice. What the disk holds then must be
// in the table, each line once, and so must what is written after; what it
// lost after it was sent stays.
func (o outage) lostPower(t *testing.T, w *town) {
	m := w.machine(t, o.name)
	m.data = m.at("disk/data")
	disk := newDisk(t, filepath.Join(w.dir, o.name+".img"), m.at("disk"))
	logs := []*powered{
		{table: m.name, path: m.at("disk/logs/a.log"), line: func(text string) string { return text + "\n" }},
		{table: m.name, path: m.at("disk/logs/b.log"), line: func(text string) string { return text + "\n" }},
		{table: m.name + "-pods", path: m.at("disk/pods/shop_web-1_11112222-1111-2222-3333-444455556666/web/0.log"), line: func(text string) string {
			return time.Now().UTC().Format(time.RFC3339Nano) + " stdout F " + text + "\n"
		}},
	}
	journal := &journal{table: m.name + "-journal", dir: m.at("disk/journal")}
	adaptors := []string{
		m.tail("logs", "disk/logs/*.log"),
		fmt.Sprintf("{name: pods, kind: pods, type: %s-pods, root: %q}", m.name, m.at("disk/pods")),
	}
	if journal.possible(t) {
		adaptors = append(adaptors, fmt.Sprintf("{name: journal, kind: journald, type: %s-journal, directory: %q}", m.name, journal.dir))
	}
	m.configure(t, adaptors...)
	for life := range 3 {
		m.start(t)
		stop := journal.write(t, m.name, life)
		tick := time.NewTicker(10 * time.Millisecond)
		for i := range 80 * parts {
			<-tick.C
			for _, l := range logs {
				l.write(t, fmt.Sprintf("%s life %d %s line %05d %s", m.name, life, filepath.Base(l.path), i, strings.Repeat("y", i%90)))
			}
			if i == 80*o.logs-1 {
				syncBelow(t, m.at("disk/logs"))
				syncBelow(t, m.at("disk/pods"))
				syncBelow(t, journal.dir)
			}
			if i == 80*o.state-1 {
				syncBelow(t, m.data)
			}
		}
		tick.Stop()
		stop()
		if life == 2 {
			break // the last one ends well
		}
		m.agent.kill()
		for _, l := range logs {
			l.close()
		}
		disk.cutPower(t)
	}
	for _, l := range logs {
		l.last(t)
	}
	eventually(t, slow, "all of "+m.name+" is settled", func() bool { return m.settled(t) })
	lines, may := map[string][]string{}, map[string][]string{}
	for _, l := range logs {
		lines[l.table], may[l.table] = append(lines[l.table], l.onDisk(t)...), append(may[l.table], l.written...)
	}
	if journal.made {
		lines[journal.table], may[journal.table] = journal.onDisk(t), journal.written
	}
	for table := range lines {
		t.Run(table, func(t *testing.T) {
			w.becomes(t, table, "length(replace(message, chr(0), '')) > 0", lines[table], may[table]...)
		})
	}
	for _, l := range logs {
		if o.logs < parts && len(l.written) == len(l.onDisk(t)) {
			t.Errorf("%s: the disk lost nothing of it", l.path)
		}
	}
	if a := m.complete(t); len(a.Lost)+len(a.PerhapsDoubled) > 0 {
		t.Errorf("audit: lost %v, perhaps doubled %v; want none", a.Lost, a.PerhapsDoubled)
	}
}

// powered is a log that a program appends to, until the power goes.
type powered struct {
	table, path string
	line        func(text string) string
	written     []string // texts, on the disk or not
	file        *os.File
}

func (l *powered) write(t *testing.T, text string) {
	t.Helper()
	if l.file == nil {
		l.file = appendTo(t, l.path)
		l.mend(t)
	}
	if _, err := io.WriteString(l.file, l.line(text)); err != nil {
		t.Fatal(err)
	}
	l.written = append(l.written, text)
}

// mend ends a line that the disk has half of.
func (l *powered) mend(t *testing.T) {
	t.Helper()
	if text := mustRead(t, l.path); text != "" && !strings.HasSuffix(text, "\n") {
		if _, err := io.WriteString(l.file, "\n"); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *powered) last(t *testing.T) { t.Helper(); l.write(t, "the last line of "+l.path); l.close() }

func (l *powered) close() {
	l.file.Close()
	l.file = nil
}

var criLine = regexp.MustCompile(`^\S+ (?:stdout|stderr) [FP] (.*)$`)

// onDisk are the texts that the file holds. Of blocks that the disk has and
// that were not written back the NULs don't count.
func (l *powered) onDisk(t *testing.T) (texts []string) {
	t.Helper()
	for line := range strings.Lines(mustRead(t, l.path)) {
		text := strings.TrimSuffix(line, "\n")
		if m := criLine.FindStringSubmatch(text); m != nil {
			text = m[1]
		}
		if text = strings.ReplaceAll(text, "\x00", ""); text != "" {
			texts = append(texts, text)
		}
	}
	return texts
}

// journal is one of systemd's, in a folder.
type journal struct {
	table, dir string
	made       bool
	written    []string
}

const journalRemote = "/lib/systemd/systemd-journal-remote"

// possible reports whether journals can be made and read here, and says so,
// loudly, where they can't.
func (j *journal) possible(t *testing.T) bool {
	t.Helper()
	if _, err := exec.LookPath("journalctl"); err != nil || !exists(journalRemote) {
		t.Logf("SKIPPED: the journal: it needs journalctl (%v) and %s", err, journalRemote)
		return false
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	j.made = true
	return true
}

// write adds 100 entries a second until what it gives is called.
func (j *journal) write(t *testing.T, name string, life int) (stop func()) {
	t.Helper()
	if !j.made {
		return func() {}
	}
	cmd := exec.Command(journalRemote, "--output="+filepath.Join(j.dir, fmt.Sprintf("life-%d.journal", life)), "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ending := make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-ending:
				return
			case now := <-tick.C:
				text := fmt.Sprintf("%s life %d entry %05d", name, life, i)
				if _, err := fmt.Fprintf(in, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032d\nPRIORITY=6\nMESSAGE=%s\n\n", now.UnixMicro(), 1000000+10000*i, life+1, text); err != nil {
					t.Errorf("%s: %v", journalRemote, err)
					return
				}
				j.written = append(j.written, text)
			}
		}
	})
	return func() {
		close(ending)
		writing.Wait()
		if life == 2 {
			in.Close() // it ends well
		} else if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed, as a rule
		in.Close()
	}
}

// onDisk are the messages that journalctl shows.
func (j *journal) onDisk(t *testing.T) (texts []string) {
	t.Helper()
	out := command(t, "journalctl", "--directory", j.dir, "-o", "json", "--quiet")
	for line := range strings.Lines(out) {
		var entry struct{ MESSAGE string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatalf("journalctl: %v in %q", err, line)
		}
		texts = append(texts, entry.MESSAGE)
	}
	slices.Sort(texts)
	return slices.Compact(texts)
}
