package spooldir

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

// world is a folder with an adaptor that reads it.
type world struct {
	t        *testing.T
	dir      string
	cfg      *Config
	rec      *adaptortest.Recorder
	name     string // of the adaptor
	nameless bool
	log      *slog.Logger
	a        *Adaptor
	stop     func()
	settle   func() // ends the settling
	probes   int
}

// parse decodes a config.
func parse(t testing.TB, text string) *Config {
	t.Helper()
	n, problems := config.Parse("test", []byte(text))
	cfg := DefaultConfig()
	if err := append(problems, config.Decode(n, &cfg)...).Err(); err != nil {
		t.Fatal(err)
	}
	return &cfg
}

func newWorld(t *testing.T, more string) *world {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: in, rec: adaptortest.NewRecorder(), name: "test", log: slog.New(slog.DiscardHandler)}
	w.cfg = parse(t, "folders: ["+in+"]\n"+strings.ReplaceAll(more, "DIR", dir))
	t.Cleanup(func() {
		w.end()
		for _, p := range w.rec.Problems() {
			t.Error(p)
		}
	})
	return w
}

func testTimes() times {
	return times{missing: time.Hour, retry: 20 * time.Millisecond, poll: 20 * time.Millisecond}
}

// start starts the adaptor; everything it sends is settled soon.
func (w *world) start() {
	w.t.Helper()
	w.begin()
	ctx, cancel := context.WithCancel(context.Background())
	var settling sync.WaitGroup
	settling.Go(func() {
		for ctx.Err() == nil {
			w.rec.SettleOf(w.name, w.a)
			select {
			case <-time.After(5 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	w.settle = func() {
		cancel()
		settling.Wait()
	}
}

// begin starts the adaptor, and nothing is settled.
func (w *world) begin() {
	w.t.Helper()
	a, err := New(*w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.a == nil {
		a.times = testTimes()
	} else {
		a.times = w.a.times
	}
	w.run(a)
}

func (w *world) run(a *Adaptor) {
	w.a, w.settle, a.nameless = a, func() {}, w.nameless
	env := w.rec.EnvOf(w.name)
	env.Log = w.log
	w.launch(a, env)
}

func (w *world) launch(a *Adaptor, env adaptors.Env) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, env) }()
	w.stop = func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				w.t.Errorf("Run: %v", err)
			}
		case <-time.After(90 * time.Second):
			w.t.Error("Run did not return")
		}
	}
}

func (w *world) end() {
	if w.stop != nil {
		w.settle()
		w.stop()
		w.stop = nil
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

func (w *world) write(name, text string) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), []byte(text), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) append(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(w.path(name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) rename(from, to string) {
	w.t.Helper()
	if err := os.Rename(w.path(from), w.path(to)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) remove(name string) {
	w.t.Helper()
	if err := os.Remove(w.path(name)); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			var known strings.Builder
			for _, k := range w.rec.Known() {
				fmt.Fprintf(&known, "\n%s settled %d sent %d ended %v %s", k.ID, k.Settled, k.Sent, k.Ended, k.Identity)
			}
			w.t.Fatalf("not in time: %s; got %.300q, status %+v, known %s", what, w.rec.Content(), w.a.Status(), &known)
		}
	}
}

// content waits until this, and no more, has come.
func (w *world) content(want string) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%.500q", want), func() bool { return w.rec.Content() == want })
}

// quiet waits until nothing is left to do: all is done, or forgotten.
func (w *world) quiet() {
	w.t.Helper()
	w.eventually("nothing is left to do", func() bool { return len(w.a.Status().Sources) == 0 })
}

// probe waits until a file that is written now is read, and all before it, and
// nothing is left to do.
func (w *world) probe() {
	w.t.Helper()
	w.probes++
	text := fmt.Sprintf("probe %d\n", w.probes)
	w.write(fmt.Sprintf("probe-%d", w.probes), text)
	w.eventually(text, func() bool { return strings.Contains(w.rec.Content(), text) })
	w.quiet()
}

// got is what came, without the probes.
func (w *world) got() string {
	var out strings.Builder
	for line := range strings.Lines(w.rec.Content()) {
		if !strings.HasPrefix(line, "probe ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

// ends counts the ends that came, each stream's once.
func (w *world) ends() int {
	seen := map[string]bool{}
	for _, c := range w.rec.Facts(chunk.End) {
		seen[c.Stream] = true
	}
	return len(seen)
}

func packed(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const soon = "settle: 30ms\nrescan: 50ms\n"

func TestConformance(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			var dir string
			n := 0
			adaptortest.Test(t, adaptortest.Kind{
				New: func(t *testing.T) adaptors.Adaptor {
					dir = t.TempDir()
					a, err := Kind().New(parse(t, "folders: ["+dir+"]\nwatch: "+watch+"\n"+soon))
					if err != nil {
						t.Fatal(err)
					}
					a.(*Adaptor).times = testTimes()
					a.(*Adaptor).times.missing = 50 * time.Millisecond
					return a
				},
				Feed: func(t *testing.T) {
					n++
					if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(n)), []byte("some\nlines"), 0o644); err != nil {
						t.Fatal(err)
					}
				},
				Finish: func(*testing.T) {}, // all of a file is there when it is read
				Lose: func(t *testing.T) {
					if err := os.Remove(filepath.Join(dir, fmt.Sprint(n))); err != nil {
						t.Fatal(err)
					}
				},
			})
		})
	}
}

func TestFileThatAppearsByARenameIsReadAtOnce(t *testing.T) {
	w := newWorld(t, "settle: 1h")
	w.start()
	w.eventually("it watches", func() bool { return len(w.a.Status().Skipped) == 0 })
	w.write("a.csv.tmp", "one\ntwo")
	w.eventually("the folder is watched", func() bool { // a rename before that is no arrival
		w.rename("a.csv.tmp", "b.csv.tmp")
		w.rename("b.csv.tmp", "a.csv")
		for range 20 {
			if w.rec.Content() != "" {
				return true
			}
			time.Sleep(5 * time.Millisecond) // between two looks
		}
		w.rename("a.csv", "a.csv.tmp")
		return false
	})
	w.content("one\ntwo")
	w.quiet()
	if w.ends() != 1 {
		t.Errorf("%d ends, want one", w.ends())
	}
	if _, err := os.Stat(w.path("a.csv")); err != nil {
		t.Errorf("the file: %v, want it kept", err)
	}
}

func TestFileIsReadOnceItHasNotChangedForItsTime(t *testing.T) {
	for _, watch := range []string{"auto", "poll"} {
		t.Run(watch, func(t *testing.T) {
			w := newWorld(t, "settle: 400ms\nrescan: 50ms\nwatch: "+watch)
			w.start()
			f, err := os.Create(w.path("a"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			last := time.Now()
			for i := range 10 {
				last = time.Now()
				fmt.Fprintf(f, "line %d\n", i)
				time.Sleep(50 * time.Millisecond) // a writer's pace
			}
			w.eventually("all of it", func() bool { return strings.Count(w.rec.Content(), "\n") == 10 })
			if took := time.Since(last); took < 350*time.Millisecond {
				t.Errorf("it was read %v after its last change, want not before 400ms", took)
			}
			w.quiet()
			if got := w.ends(); got != 1 {
				t.Errorf("%d ends, want one", got)
			}
		})
	}
}

func TestIgnoredNamesOthersAndSpecialFilesAreNotRead(t *testing.T) {
	w := newWorld(t, soon+"include: ['*.csv', '*.tmp', x]")
	for _, name := range []string{".hidden.csv", "a.tmp", "b.txt", "c.csv~"} {
		w.write(name, "no\n")
	}
	if err := os.Mkdir(w.path("d.csv"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/etc/passwd", w.path("x")); err != nil {
		t.Fatal(err)
	}
	w.write("empty.csv", "")
	w.write("good.csv", "yes\n")
	w.start()
	w.content("yes\n")
	w.quiet()
	if s := w.a.Status().Skipped; len(s) != 1 || s[0].Path != w.path("x") || !strings.Contains(s[0].Reason, "not a regular file") {
		t.Errorf("skipped %v, want the symlink", s)
	}
}

func TestFilesAreReadOldestFirstAndByRecords(t *testing.T) {
	w := newWorld(t, soon+"record_start: '^#'\nmax_record: 4KiB")
	now := time.Now().Add(-time.Hour)
	for i, name := range []string{"z", "m", "a"} {
		w.write(name, fmt.Sprintf("#%d\nmore\n#%d\nend", i, i))
		if err := os.Chtimes(w.path(name), now, now.Add(time.Duration(i)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	w.start()
	w.content("#0\nmore\n#0\nend#1\nmore\n#1\nend#2\nmore\n#2\nend")
	for _, c := range w.rec.Chunks() {
		if c.Kind == chunk.Data && !slices.Equal(c.Borders, []int64{8, 14}) {
			t.Errorf("borders %v, want those of two records", c.Borders)
		}
	}
}

func TestRecordOverTheBoundIsKeptInMarkedParts(t *testing.T) {
	w := newWorld(t, soon+"max_record: 4KiB")
	w.write("a", "one\n"+strings.Repeat("x", 10000)+"\ntwo")
	w.start()
	w.content("one\n" + strings.Repeat("x", 10000) + "\ntwo")
	var parts []string
	for _, c := range w.rec.Chunks() {
		if c.Kind == chunk.Data {
			parts = append(parts, c.Tags["part"])
		}
	}
	if want := []string{"", "first", "middle", "last", ""}; !slices.Equal(parts, want) {
		t.Errorf("parts %q, want %q", parts, want)
	}
}

func TestCompressedFileIsReadByItsContent(t *testing.T) {
	w := newWorld(t, soon)
	text := strings.Repeat("a line of some length that packs well\n", 100_000)
	w.write("a.gz", packed(t, text))
	w.write("b.log", packed(t, "x\n")+packed(t, "second member\n")) // told by its bytes, not by its name
	w.start()
	w.eventually("both", func() bool { return len(w.rec.Content()) == len(text)+16 })
	w.quiet()
	w.end()
	w.start()
	w.write("c.gz", packed(t, "later\n"))
	w.eventually("the third", func() bool { return strings.HasSuffix(w.rec.Content(), "later\n") })
	if got := len(w.rec.Content()); got != len(text)+22 {
		t.Errorf("%d bytes, want %d: nothing is read twice", got, len(text)+22)
	}
}

func TestReadingOfACompressedFileGoesOnWhereItWasSettled(t *testing.T) {
	w := newWorld(t, soon)
	var text strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&text, "line %d\n", i)
	}
	w.write("a.gz", packed(t, text.String()))
	sent := 0
	var mu sync.Mutex
	w.rec.Refuse(func(c *chunk.Chunk) error {
		mu.Lock()
		defer mu.Unlock()
		if sent++; sent > 2 {
			return context.Canceled
		}
		return nil
	})
	w.begin()
	w.eventually("a part of it", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return sent > 2
	})
	w.rec.Settle(w.a)
	w.end()
	w.rec.Refuse(nil)
	before := w.rec.Known()[0].Settled
	if before == 0 || before == int64(text.Len()) {
		t.Fatalf("settled %d of %d, want a part", before, text.Len())
	}
	w.start()
	w.content(text.String())
	for _, c := range w.rec.Chunks()[2:] {
		if c.First < before {
			t.Fatalf("%v was sent again below %d, which is settled", c.Range(), before)
		}
	}
}

func TestDamagedAndTooLargeCompressedFilesAreReadAsFarAsTheyGoAndStay(t *testing.T) {
	w := newWorld(t, soon+"after: delete\nmax_unpacked: 1MiB")
	cut := packed(t, strings.Repeat("0123456789\n", 1000)+fmt.Sprint(time.Now()))
	w.write("cut.gz", cut[:len(cut)-12])
	w.write("none.gz", "\x1f\x8b\x08garbage and no gzip")
	w.write("bomb.gz", packed(t, strings.Repeat("x\n", 1<<20)))
	w.write("full.gz", packed(t, strings.Repeat("yy\n", 1<<20/3)+"\n"))
	w.start()
	w.probe()
	reasons := map[string]string{}
	for _, s := range w.a.Status().Skipped {
		reasons[filepath.Base(s.Path)] = s.Reason
	}
	for name, want := range map[string]string{"cut.gz": "can't be unpacked from byte", "none.gz": "can't be unpacked from byte 0", "bomb.gz": "max_unpacked"} {
		if !strings.Contains(reasons[name], want) {
			t.Errorf("%s: %q, want %q", name, reasons[name], want)
		}
		if _, err := os.Stat(w.path(name)); err != nil {
			t.Errorf("%s: %v, want it to stay", name, err)
		}
	}
	if _, err := os.Stat(w.path("full.gz")); !os.IsNotExist(err) {
		t.Errorf("a whole file of exactly the bound: %v, want it deleted", err)
	}
	got := w.got()
	if strings.Count(got, "0123456789\n") < 900 || strings.Count(got, "x\n") != 1<<19 {
		t.Errorf("%d and %d lines, want what could be read", strings.Count(got, "0123456789\n"), strings.Count(got, "x\n"))
	}
	w.end()
	w.start()
	w.probe()
	if w.got() != got {
		t.Error("something was read again after a restart")
	}
}

func TestEncodingTravelsWithTheChunks(t *testing.T) {
	w := newWorld(t, soon+"encoding: UTF-16LE")
	w.write("a", "a\x00\n\x00b\x00\n\x00")
	w.start()
	w.content("a\x00\n\x00b\x00\n\x00")
	for _, c := range w.rec.Chunks() {
		if c.Kind == chunk.Data && c.Encoding != "UTF-16LE" {
			t.Errorf("encoding %q, want UTF-16LE", c.Encoding)
		}
	}
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"{}":                           `"folders" is missing`,
		"folders: []":                  "it is empty",
		"folders: [in]":                "must start with /",
		"{folders: [/a], after: copy}": "keep, move, delete",
		"{folders: [/a], after: move}": `"move_to" is missing`,
		"{folders: [/a], move_to: /b}": "after: move alone",
		"{folders: [/a], after: move, move_to: b}":             "must start with /",
		"{folders: [/a/], after: move, move_to: /a}":           "one of the folders",
		"{folders: [/a], ignore: ['x/*']}":                     "have no /",
		"{folders: [/a], record_start: x, record_end: y}":      "want one of",
		"{folders: [/a], record_start: x, record_timeout: 1s}": "no record waits",
		"{folders: [/a], settle: 0}":                           "at least 10ms",
	} {
		n, problems := config.Parse("f", []byte(text))
		cfg := DefaultConfig()
		problems = append(problems, config.Decode(n, &cfg)...)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}
