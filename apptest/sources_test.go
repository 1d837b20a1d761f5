package apptest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// source is something that an agent reads while everything is killed: an
// adaptor, who feeds it, and what its table must hold in the end.
type source interface {
	// adaptor is its entry in the agent's config, and types its entry among the
	// demux's.
	adaptor(dir string) string
	types() string
	// work makes a little more to read, and last what must come at the end.
	work(t testing.TB)
	last(t testing.TB)
	// rows is how many rows there must be, unless only the table can tell: -1.
	rows() int
	// check asks the table, by SQL over t.
	check(t testing.TB, ask func(sql string) [][]any)
}

// same compares what a table said with what it should have said.
func same(t testing.TB, what string, got [][]any, want ...[]any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// logs are rotated files of numbered lines, one line a record.
type logs struct{ writers []*rotator }

func (l *logs) adaptor(dir string) string {
	for _, w := range l.writers {
		w.path = filepath.Join(dir, "logs", w.name+".log")
	}
	return fmt.Sprintf(`{name: app, kind: tail, type: app, paths: ["%s/logs/**/*.log*"]}`, dir)
}

func (l *logs) types() string { return "app: {parser: raw}" }

func (l *logs) work(t testing.TB) {
	for _, w := range l.writers {
		w.write(t, 20)
	}
}

// The last lines end with a newline, as all do.
func (l *logs) last(t testing.TB) {
	for _, w := range l.writers {
		w.write(t, 1)
	}
}

func (l *logs) rows() (n int) {
	for _, w := range l.writers {
		n += w.written
	}
	return n
}

func (l *logs) check(t testing.TB, ask func(sql string) [][]any) {
	var want [][]any
	for _, w := range l.writers {
		n := float64(w.written)
		want = append(want, []any{w.name, n, n, n - 1, 0.0})
	}
	same(t, "writer, rows, distinct lines, highest line, damaged lines", ask(`
		select split_part(message, ' ', 1) w, count(*), count(distinct split_part(message, ' ', 2)), max(split_part(message, ' ', 2)::int),
			count(*) filter (parse_error is not null or length(split_part(message, ' ', 3)) <> split_part(message, ' ', 2)::int % 120)
		from t group by w order by w`), want...)
}

// filtered is a rotated file of which a filter drops every other line.
type filtered struct{ writer *rotator }

func (f *filtered) adaptor(dir string) string {
	f.writer.path = filepath.Join(dir, "filtered", "f.log")
	return fmt.Sprintf(`{name: filtered, kind: tail, type: filtered, paths: ["%s/filtered/*.log*"], drop: ['^f \d*[13579] ']}`, dir)
}

func (f *filtered) types() string       { return "filtered: {parser: raw}" }
func (f *filtered) work(t testing.TB)   { f.writer.write(t, 5) }
func (f *filtered) last(t testing.TB)   { f.writer.write(t, 1) }
func (f *filtered) dropped(i int) bool  { return i%2 == 1 }
func (f *filtered) lineBytes(i int) int { return len(f.writer.name) + 1 + 9 + 1 + i%120 + 1 }

func (f *filtered) rows() (n int) {
	for i := range f.writer.written {
		if !f.dropped(i) {
			n++
		}
	}
	return n
}

// droppedBytes is what the audit must tell as dropped.
func (f *filtered) droppedBytes() (n int64) {
	for i := range f.writer.written {
		if f.dropped(i) {
			n += int64(f.lineBytes(i))
		}
	}
	return n
}

func (f *filtered) check(t testing.TB, ask func(sql string) [][]any) {
	n := float64(f.rows())
	same(t, "filtered rows, distinct lines, lines that should have been dropped", ask(`
		select count(*), count(distinct message), count(*) filter (split_part(message, ' ', 2)::int % 2 = 1) from t`), []any{n, n, 0.0})
}

// stacks are records of three lines, which chunks may not cut; their collectors
// keep their disks, so that their checkpoint may move with the spool.
type stacks struct {
	path    string
	written int
}

func (s *stacks) adaptor(dir string) string {
	s.path = filepath.Join(dir, "stacks", "s.log")
	return fmt.Sprintf(`{name: stacks, kind: tail, type: stacks, paths: ["%s"], record_start: '^S ', record_timeout: 30s, delivery: store_on_failure}`, s.path)
}

func (s *stacks) types() string { return "stacks: {parser: raw}" }

func (s *stacks) work(t testing.TB) {
	f := appendTo(t, s.path)
	defer f.Close()
	for range 3 {
		fmt.Fprintf(f, "S %09d failed\n\tat one(%d)\n", s.written, s.written)
		fmt.Fprintf(f, "\tat two(%d)\n", s.written) // in a write of its own
		s.written++
	}
}

func (s *stacks) last(testing.TB) {}
func (s *stacks) rows() int       { return s.written }

func (s *stacks) check(t testing.TB, ask func(sql string) [][]any) {
	n := float64(s.written)
	same(t, "stacks, distinct ones, cut ones", ask(`
		select count(*), count(distinct split_part(message, ' ', 2)),
			count(*) filter (not regexp_full_match(message, 'S \d+ failed\n\tat one\(\d+\)\n\tat two\(\d+\)', 's')) from t`), []any{n, n, 0.0})
}

func appendTo(t testing.TB, path string) *os.File {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// made are lines that the agent makes itself; each tells where it belongs.
type made struct{}

const madeBytes = 192 // of a line

func (made) adaptor(string) string {
	return fmt.Sprintf("{name: made, kind: generate, type: made, rate: 400 lines/s, streams: 2, line_bytes: %d}", madeBytes)
}

func (made) types() string   { return "made: {parser: json}" }
func (made) work(testing.TB) {}
func (made) last(testing.TB) {}
func (made) rows() int       { return -1 }
func (made) check(t testing.TB, ask func(sql string) [][]any) {
	rows := ask(fmt.Sprintf(`
		select seed, count(*) = count(distinct n), count(*) = max(n) + 1, count(*) filter (seq <> n * %d or at_offset <> seq), count(*) > 100
		from t group by seed order by seed`, madeBytes))
	same(t, "seed, each line once, no line missing, lines elsewhere than they say, many lines", rows,
		[]any{1.0, true, true, 0.0, true}, []any{2.0, true, true, 0.0, true})
}

// drops are whole files that are put into a folder.
type drops struct {
	dir   string
	files int
}

const dropLines = 40

func (d *drops) adaptor(dir string) string {
	d.dir = filepath.Join(dir, "drops")
	return fmt.Sprintf(`{name: drops, kind: spool_dir, type: drops, folders: ["%s"], after: delete}`, d.dir)
}

func (d *drops) types() string { return "drops: {parser: raw}" }

func (d *drops) work(t testing.TB) {
	var text strings.Builder
	for i := range dropLines {
		fmt.Fprintf(&text, "d %d\n", d.files*dropLines+i)
	}
	d.files++
	part := writeFile(t, filepath.Join(d.dir, fmt.Sprintf(".%d.part", d.files)), text.String())
	if err := os.Rename(part, filepath.Join(d.dir, fmt.Sprintf("%d.txt", d.files))); err != nil {
		t.Error(err)
	}
}

func (d *drops) last(testing.TB) {}
func (d *drops) rows() int       { return d.files * dropLines }

func (d *drops) check(t testing.TB, ask func(sql string) [][]any) {
	n := float64(d.rows())
	same(t, "lines of whole files, distinct ones, highest", ask(`
		select count(*), count(distinct message), max(split_part(message, ' ', 2)::int) from t`), []any{n, n, n - 1})
	eventually(t, time.Minute, "all files that were settled are deleted", func() bool {
		left, err := filepath.Glob(filepath.Join(d.dir, "*.txt"))
		return err == nil && len(left) == 0
	})
}

// kubelet writes the logs of pods as a container runtime does, with messages
// in parts and both streams between each other, and rotates them as the
// kubelet does: by renaming, and by compressing all but the newest.
type kubelet struct {
	root    string
	pods    []*pod
	written int // messages
	rounds  int
}

type pod struct {
	path    string // of the container's log
	size    int
	rotated []string
	files   int
}

func (k *kubelet) adaptor(dir string) string {
	k.root = filepath.Join(dir, "pods")
	return fmt.Sprintf(`{name: pods, kind: pods, type: pods, root: "%s"}`, k.root)
}

func (k *kubelet) types() string { return "pods: {parser: cri, message: raw}" }

func (k *kubelet) work(t testing.TB) {
	if k.rounds++; k.rounds%300 == 1 && len(k.pods) < 20 {
		k.pods = append(k.pods, &pod{path: filepath.Join(k.root, fmt.Sprintf("shop_web-%d_00000000-0000-4000-8000-%012d", len(k.pods), len(k.pods)), "server", "0.log")})
	}
	for i, p := range k.pods {
		k.message(t, p, (k.rounds+i)%7)
	}
}

// message writes one message of stdout in parts, perhaps one of stderr amid it.
func (k *kubelet) message(t testing.TB, p *pod, parts int) {
	text := fmt.Sprintf("m %09d %s", k.written, strings.Repeat("y", k.written%300))
	k.written++
	for range parts {
		if len(text) < 8 {
			break
		}
		k.line(t, p, "stdout", "P", text[:5])
		text = text[5:]
		if parts == 3 {
			k.line(t, p, "stderr", "F", fmt.Sprintf("m %09d ", k.written))
			k.written++
			parts = 0
		}
	}
	k.line(t, p, "stdout", "F", text)
}

func (k *kubelet) line(t testing.TB, p *pod, stream, flag, text string) {
	f := appendTo(t, p.path)
	defer f.Close()
	n, err := fmt.Fprintf(f, "%s %s %s %s\n", time.Now().UTC().Format(time.RFC3339Nano), stream, flag, text)
	if err != nil {
		t.Error(err)
	}
	if p.size += n; p.size > 64<<10 { // also amid a message
		k.rotate(t, p)
	}
}

func (k *kubelet) rotate(t testing.TB, p *pod) {
	p.files++
	p.size = 0
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(p.files) * time.Minute)
	to := p.path + "." + at.Format("20060102-150405")
	if n := len(p.rotated); n > 0 {
		compress(t, p.rotated[n-1])
	}
	if err := os.Rename(p.path, to); err != nil {
		t.Error(err)
	}
	p.rotated = append(p.rotated, to)
}

func compress(t testing.TB, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
		return
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(data); err != nil {
		t.Error(err)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	writeFile(t, path+".tmp", packed.String())
	if err := os.Rename(path+".tmp", path+".gz"); err != nil {
		t.Error(err)
	}
	if err := os.Remove(path); err != nil {
		t.Error(err)
	}
}

func (k *kubelet) last(testing.TB) {}
func (k *kubelet) rows() int       { return k.written }

func (k *kubelet) check(t testing.TB, ask func(sql string) [][]any) {
	n := float64(k.written)
	same(t, "pods' messages, distinct ones, highest, damaged ones", ask(`
		select count(*), count(distinct split_part(message, ' ', 2)), max(split_part(message, ' ', 2)::int),
			count(*) filter (parse_error is not null or not regexp_full_match(message, 'm \d{9} y*')) from t`), []any{n, n, n - 1, 0.0})
}
