package journald

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/adaptortest"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
)

func parseConfig(t testing.TB, text string) *Config {
	t.Helper()
	n, problems := config.Parse("test", []byte(text))
	cfg := DefaultConfig()
	if err := append(problems, config.Decode(n, &cfg)...).Err(); err != nil {
		t.Fatal(err)
	}
	return &cfg
}

// world is a journal with an adaptor that reads it.
type world struct {
	t    *testing.T
	cfg  *Config
	rec  *adaptortest.Recorder
	name string // of the adaptor
	a    *Adaptor
	stop func()
}

func newWorld(t *testing.T, more string) *world {
	w := &world{t: t, rec: adaptortest.NewRecorder(), name: "test", cfg: parseConfig(t, "program: "+os.Args[0]+"\n"+more)}
	t.Cleanup(func() {
		w.end()
		for _, p := range w.rec.Problems() {
			t.Error(p)
		}
	})
	return w
}

func fast(a *Adaptor) *Adaptor {
	a.times = times{age: 5 * time.Millisecond, retry: 50 * time.Millisecond, slow: 200 * time.Millisecond, poll: 100 * time.Millisecond, share: 10 * time.Millisecond}
	return a
}

func (w *world) start() {
	w.t.Helper()
	a, err := New(*w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.a = fast(a)
	env := w.rec.EnvOf(w.name)
	env.Log = slog.New(slog.DiscardHandler)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil { // as the agent does
			if err := a.Run(ctx, env); err != nil {
				select {
				case <-time.After(20 * time.Millisecond):
				case <-ctx.Done():
				}
			}
		}
	}()
	w.stop = func() {
		cancel()
		select {
		case <-done:
		case <-time.After(90 * time.Second):
			w.t.Error("Run did not return")
		}
	}
}

func (w *world) end() {
	if w.stop != nil {
		w.stop()
		w.stop = nil
	}
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(90 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) { // between two looks
		if time.Now().After(deadline) {
			w.t.Fatalf("not in time: %s; got %.500q, status %+v", what, w.rec.Content(), w.a.Status())
		}
	}
}

// messages returns the numbers of the messages that came, in order.
func (w *world) messages() []string {
	var out []string
	for line := range strings.Lines(w.rec.Content()) {
		var e map[string]any
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			return append(out, "broken: "+line)
		}
		out = append(out, strings.TrimPrefix(fmt.Sprint(e["MESSAGE"]), "message "))
	}
	return out
}

// wait waits until the messages from first to last, each once, have come.
func (w *world) wait(first, last int) {
	w.t.Helper()
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprint(i))
	}
	w.eventually(fmt.Sprintf("messages %d to %d", first, last), func() bool {
		return strings.Join(w.messages(), " ") == strings.Join(want, " ")
	})
}

func TestConformance(t *testing.T) {
	for _, how := range []string{"follow", "poll"} {
		t.Run(how, func(t *testing.T) {
			j := newJournal(t)
			adaptortest.Test(t, adaptortest.Kind{
				New: func(t *testing.T) adaptors.Adaptor {
					text := "program: " + os.Args[0]
					if how == "poll" {
						text += "\nfiles: [/x.journal]"
					}
					a, err := Kind().New(parseConfig(t, text))
					if err != nil {
						t.Fatal(err)
					}
					return fast(a.(*Adaptor))
				},
				Feed: func(*testing.T) { j.add(3, nil) },
				Lose: func(*testing.T) {
					j.vacuum(j.n)
					j.add(1, nil)
				},
				Endless: "the journal goes on",
			})
		})
	}
}

func TestEntriesComeOnceInAFormOfTheirOwn(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "units: [a.service]")
	j.add(1, map[string]any{"_SYSTEMD_UNIT": "a.service", "MESSAGE": "<é\n\x01\">", "TAG": []string{"y", "x"}})
	j.add(1, map[string]any{"_SYSTEMD_UNIT": "b.service"})
	j.add(1, map[string]any{"_SYSTEMD_UNIT": "a.service", "MESSAGE": []int{255, 0, 10}})
	w.start()
	const common = `"PRIORITY":"6","SYSLOG_IDENTIFIER":"tester",`
	want := `{"MESSAGE":"<é\n\u0001\">",` + common + `"TAG":["x","y"],"_BOOT_ID":"0b","_PID":"12","_SYSTEMD_UNIT":"a.service","__MONOTONIC_TIMESTAMP":"1","__REALTIME_TIMESTAMP":"1772359200000001"}` + "\n" +
		`{"MESSAGE":[255,0,10],` + common + `"_BOOT_ID":"0b","_PID":"12","_SYSTEMD_UNIT":"a.service","__MONOTONIC_TIMESTAMP":"3","__REALTIME_TIMESTAMP":"1772359200000003"}` + "\n"
	w.eventually("both", func() bool { return len(w.rec.Content()) >= len(want) })
	if got := w.rec.Content(); got != want {
		t.Errorf("got\n%s, want\n%s", got, want)
	}
}

func TestReadingGoesOnAfterAStopAKillAndALossOfWhatWasSent(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(300, nil)
	w.start()
	w.wait(1, 300)
	id := w.rec.Streams()[0]
	for round := range 6 {
		switch round % 3 {
		case 0:
			w.rec.Kill()
		case 1: // all that is not settled is gone with its collector
			if n := w.rec.Known()[0].Settled; round == 4 {
				w.rec.Forgive(id, chunk.Range{First: n, Last: 1 << 40})
			}
		case 2:
			w.rec.Settle(w.a)
		}
		w.end()
		j.add(50, nil)
		w.start()
		w.wait(1, 350+50*round)
	}
	if n := len(w.rec.Streams()); n != 1 {
		t.Errorf("%d streams, want one", n)
	}
	if n := len(w.rec.Facts(chunk.Lost)); n != 0 {
		t.Errorf("%d losses were told, want none", n)
	}
}

func TestBytesThatNobodyHoldsAreProducedAgain(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	w.start()
	for range 20 {
		before := len(w.rec.Content())
		j.add(20, nil)
		w.eventually("more", func() bool { return len(w.rec.Content()) > before })
	}
	w.wait(1, 400)
	id := w.rec.Streams()[0]
	all := w.rec.Bytes(id)
	for _, rg := range []chunk.Range{{First: 100, Last: 333}, {First: 0, Last: int64(len(all))}, {First: int64(len(all)) - 5, Last: int64(len(all))}} {
		w.rec.Forgive(id, rg)
		w.a.Resend(id, rg)
		w.eventually(fmt.Sprint(rg), func() bool { return w.rec.Contiguous(id, 0) == int64(len(all)) })
		if got := w.rec.Bytes(id); !bytes.Equal(got, all) {
			t.Fatalf("after %v was sent again the bytes differ", rg)
		}
	}
	w.rec.Settle(w.a)
	w.end()
	w.rec.Rewind(id, 1000)
	chunks := len(w.rec.Chunks())
	w.start()
	w.eventually("all from 1000 on comes again", func() bool {
		for _, c := range w.rec.Chunks()[chunks:] {
			if c.Last == int64(len(all)) {
				return true
			}
		}
		return false
	})
	if c := w.rec.Chunks()[chunks]; c.First != 1000 {
		t.Errorf("reading went on at %d, want 1000", c.First)
	}
}

func TestStartAtTheEndSkipsWhatIsThereAlsoAfterARestart(t *testing.T) {
	for _, before := range []int{0, 10} {
		j := newJournal(t)
		j.add(before, nil)
		w := newWorld(t, "start: end")
		w.start()
		w.eventually("a stream", func() bool { return len(w.rec.Known()) == 1 })
		w.end()
		j.add(5, nil)
		w.start()
		w.wait(before+1, before+5)
		w.end()
	}
}

func TestForgottenEntriesAreToldAndANewStreamBegins(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(20, nil)
	w.start()
	w.wait(1, 20)
	w.rec.Settle(w.a)
	w.end()
	j.add(20, nil)
	j.vacuum(25)
	w.start()
	w.eventually("the rest", func() bool { return len(w.messages()) == 35 })
	ends := w.rec.Facts(chunk.End)
	if len(ends) != 1 || !strings.Contains(ends[0].Reason, "forgot") {
		t.Fatalf("ends %v, want one that says why", ends)
	}
	if s := w.a.Status().Skipped; len(s) != 1 || !strings.Contains(s[0].Reason, "i=1a") {
		t.Errorf("skipped %v, want where it goes on", s)
	}
	w.eventually("the old one is forgotten", func() bool {
		w.rec.Settle(w.a)
		return len(w.rec.Known()) == 1
	})
}

func TestForgottenEntriesThatWereNotSettledAreLostByOffset(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	w.start()
	for i := range 10 {
		j.add(10, nil)
		w.wait(1, 10*i+10)
	}
	id := w.rec.Streams()[0]
	all := int64(len(w.rec.Bytes(id)))
	w.end()
	w.rec.Forgive(id, chunk.Range{First: 0, Last: all})
	j.vacuum(45)
	w.start()
	w.eventually("all is told or comes", func() bool { return w.rec.Contiguous(id, 0) == all })
	lost := w.rec.Facts(chunk.Lost)
	if len(lost) != 1 || lost[0].First != 0 || lost[0].Last >= all || !strings.Contains(lost[0].Reason, "does not hold the entry") {
		t.Errorf("lost %v, want one from the beginning on that says why", lost)
	}
	if got := w.messages(); got[len(got)-1] != "100" || len(got) < 40 {
		t.Errorf("came: %q, want what is still there", got)
	}
	j.add(1, nil)
	w.eventually("the next one", func() bool { return strings.Contains(w.rec.Content(), "message 101\"") })
}

func TestJournalThatGivesOtherEntriesThanBeforeIsNotSentAsTheOldOnes(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(10, nil)
	w.start()
	w.wait(1, 10)
	w.end()
	b, _ := os.ReadFile(j.path)
	if err := os.WriteFile(j.path, bytes.Replace(b, []byte("message 5"), []byte("massage 5"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.eventually("a loss", func() bool { return len(w.rec.Facts(chunk.Lost)) == 1 })
	j.add(1, nil)
	w.eventually("the next one", func() bool { return strings.Contains(w.rec.Content(), "message 11\"") })
	if strings.Contains(w.rec.Content(), "massage") {
		t.Error("other bytes were sent at offsets that were sent before")
	}
}

func TestOtherConfigEndsTheStreamAndANewOneGoesOn(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(10, map[string]any{"_SYSTEMD_UNIT": "a.service"})
	w.start()
	w.wait(1, 10)
	w.end()
	w.rec.Forgive(w.rec.Streams()[0], chunk.Range{First: 0, Last: 1 << 40}) // the old entries must come as the old config gives them
	w.cfg.Units = []string{"b.service"}
	j.add(5, map[string]any{"_SYSTEMD_UNIT": "a.service"})
	j.add(5, map[string]any{"_SYSTEMD_UNIT": "b.service"})
	w.start()
	w.eventually("both streams", func() bool {
		return strings.Join(w.messages(), " ") == "1 2 3 4 5 6 7 8 9 10 16 17 18 19 20"
	})
	w.eventually("the old one is forgotten", func() bool {
		w.rec.Settle(w.a)
		return len(w.rec.Known()) == 1
	})
}

func TestJournalctlThatDiesIsStartedAgainWhereItWas(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	j.add(10, nil)
	w.start()
	w.wait(1, 10)
	kept, _ := os.ReadFile(j.path)
	if err := os.Truncate(j.path, 0); err != nil { // the stand-in ends at that
		t.Fatal(err)
	}
	w.eventually("it is told", func() bool { return strings.Contains(w.a.Status().LastErr, "the journal is gone") })
	if err := os.WriteFile(j.path, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	j.add(10, nil)
	w.wait(1, 20)
	if n := len(w.rec.Streams()); n != 1 {
		t.Errorf("%d streams, want one", n)
	}
	w.eventually("the error is gone", func() bool { return w.a.Status().LastErr == "" })
}

func TestMissingProgramIsAnError(t *testing.T) {
	a, _ := New(*parseConfig(t, "program: /nonexistent/journalctl\nstart: end"))
	env := adaptortest.NewRecorder().Env()
	env.Log = slog.New(slog.DiscardHandler)
	if err := a.Run(context.Background(), env); err == nil || !strings.Contains(err.Error(), "/nonexistent/journalctl") {
		t.Errorf("got %v, want an error that names the program", err)
	}
}

// The real journalctl, where it is there with what makes journal files.
func TestRealJournalIsReadAndReadAgain(t *testing.T) {
	remote := "/lib/systemd/systemd-journal-remote"
	journalctl, err := exec.LookPath("journalctl")
	if _, statErr := os.Stat(remote); err != nil || statErr != nil {
		t.Log("journalctl or systemd-journal-remote is missing: the stand-in alone is tested")
		return
	}
	for _, how := range []string{"directory", "files"} {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "test.journal")
			add := func(from, to int) {
				var in strings.Builder
				for i := from; i <= to; i++ {
					fmt.Fprintf(&in, "__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=0123456789abcdef0123456789abcdef\nPRIORITY=3\n"+
						"_SYSTEMD_UNIT=a.service\nSYSLOG_IDENTIFIER=tester\nTAG=x\nTAG=y\nMESSAGE=message %d\n", 1772359200000000+i, 1000+i, i)
					fmt.Fprintf(&in, "BINARY\n\x02\x00\x00\x00\x00\x00\x00\x00\xff\n\nBIG=%s\n\n", strings.Repeat("b", 70000))
				}
				cmd := exec.Command(remote, "--output="+path, "-")
				cmd.Stdin = strings.NewReader(in.String())
				if said, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("systemd-journal-remote: %v: %s", err, said)
				}
			}
			add(1, 20)
			more := "directory: " + dir
			if how == "files" {
				more = "files: [" + path + "]"
			}
			w := newWorld(t, more+"\nunits: [a.service]\npriority: emerg..err\nidentifiers: [tester]\nmatches: [_BOOT_ID=0123456789abcdef0123456789abcdef]")
			w.cfg.Journalctl = journalctl
			w.start()
			w.wait(1, 20)
			add(21, 30)
			w.wait(1, 30)
			id := w.rec.Streams()[0]
			all := w.rec.Bytes(id)
			if got := string(all[:bytes.IndexByte(all, '\n')]); !strings.Contains(got, `"BINARY":[255,10]`) ||
				!strings.Contains(got, `"__CUT":{"BIG":70000}`) || !strings.Contains(got, `"TAG":["x","y"]`) {
				t.Errorf("the first entry is %.300s", got)
			}
			w.rec.Forgive(id, chunk.Range{First: 0, Last: int64(len(all))})
			w.rec.Kill()
			w.end()
			add(31, 40)
			w.start()
			w.wait(1, 40)
			if n := len(w.rec.Streams()); n != 1 {
				t.Errorf("%d streams, want one", n)
			}
		})
	}
}

func TestExampleOfTheReadme(t *testing.T) {
	j := newJournal(t)
	w := newWorld(t, "")
	w.cfg = adaptortest.Example(t, Kind(), "/usr/bin/journalctl", os.Args[0]).(*Config)
	j.add(3, nil)
	w.start()
	w.eventually("a stream", func() bool { return len(w.rec.Known()) == 1 })
	j.add(2, map[string]any{"_SYSTEMD_UNIT": "sshd.service"})
	w.wait(4, 5)
}

func TestBadConfigIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"program: ''":                  "it is empty",
		"priority: bad":                "is no priority",
		"matches: [--vacuum-size=1]":   "is no match",
		"directory: x":                 "must start with /",
		"files: [x]":                   "must start with /",
		"{directory: /a, files: [/b]}": "exclude each other",
		"start: middle":                "beginning, end",
		"max_field: 1":                 "from 1KiB to 1MiB",
	} {
		n, problems := config.Parse("f", []byte(text))
		cfg := DefaultConfig()
		problems = append(problems, config.Decode(n, &cfg)...)
		if err := problems.Err(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", text, err, want)
		}
	}
}

// journalctl expands patterns by glob(3): also braces, and .* to "..".
func TestNoPatternOfFilesLeadsOutOfTheFoldersThatAreAllowed(t *testing.T) {
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	in, out := filepath.Join(base, "in"), filepath.Join(base, "out")
	err = errors.Join(os.Mkdir(in, 0o755), os.Mkdir(out, 0o755), os.WriteFile(filepath.Join(out, "x.journal"), nil, 0o644),
		os.Symlink(out, filepath.Join(in, "link")), os.Symlink(filepath.Join(out, "x.journal"), filepath.Join(in, "leads-out.journal")))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, want := range map[string]bool{
		"a.journal": true, "system*.journal": true, "sub/[a-c]?.journal": true,
		"*.journal": false, "link/x.journal": false, "l*k/*.journal": false, "{link,sub}/*.journal": false,
		".*/out/*.journal": false, ".*": false, "{../out/x,a}.journal": false, "../out/*": false, `l\ink/x.journal`: false,
	} {
		if err := holdsFiles(adaptors.Roots{in}, in+"/"+pattern); (err == nil) != want {
			t.Errorf("%s: got %v, want it to be held: %v", pattern, err, want)
		} else if err != nil && !errors.Is(err, adaptors.ErrOutside) {
			t.Errorf("%s: got %v, want ErrOutside", pattern, err)
		}
	}
}
