package yarn

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
	"github.com/akupara/akupara/store/storetest"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// counting answers a task with a file that it makes: each call with another one.
type counting struct {
	fs store.FS
	mu sync.Mutex
	n  int
}

func (c *counting) Do(ctx context.Context, shared, task json.RawMessage) (json.RawMessage, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	p := fmt.Sprintf("made/%s-%d", strings.Trim(string(task), `"`), c.n)
	if err := store.PublishBytes(ctx, c.fs, store.Temp(p, "1"), p, shared); err != nil {
		return nil, err
	}
	return json.Marshal(p)
}

func (c *counting) Discard(ctx context.Context, result json.RawMessage) {
	var p string
	if json.Unmarshal(result, &p) == nil {
		_ = c.fs.Remove(ctx, p)
	}
}

type fixture struct {
	*Engine
	t    *testing.T
	doer *counting
	dir  string
	job  string // local copy of the job file
}

func setUp(t *testing.T, st store.FS, doer *counting, tasks ...string) *fixture {
	t.Helper()
	e := &Engine{FS: st, BaseURI: "file:///store", Log: quiet, Args: []string{"mapper"}}
	e.SetDefaults()
	w := engine.Work{Name: "run-app-1", Type: "app", Kind: "run", Shared: json.RawMessage(`{"a":1}`)}
	for _, task := range tasks {
		w.Tasks = append(w.Tasks, json.RawMessage(`"`+task+`"`))
	}
	f := &fixture{e, t, doer, dirOf("app", w.Name), filepath.Join(t.TempDir(), jobFile)}
	if err := e.describe(t.Context(), f.dir, &w); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.job, storetest.Get(t, st, f.dir+"/"+jobFile), 0o600); err != nil {
		t.Fatal(err)
	}
	return f
}

// attempt does what Hadoop does with a line.
func (f *fixture) attempt(st store.FS, line string) error {
	m := Mapper{
		Open:  func(string) (store.FS, error) { return st, nil },
		Doers: func(store.FS, string) map[string]engine.Doer { return map[string]engine.Doer{"run": f.doer} },
		In:    strings.NewReader(line), Err: io.Discard,
	}
	return m.Run(f.t.Context(), f.job)
}

func localStore(t *testing.T) store.FS {
	t.Helper()
	st, err := local.New(storetest.FastDir(t))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func TestTheFirstAttemptOfATaskCounts(t *testing.T) {
	st := localStore(t)
	f := setUp(t, st, &counting{fs: st}, "x", "y")
	lines := strings.SplitAfter(string(storetest.Get(t, st, f.dir+"/"+tasksFile)), "\n")
	if len(lines) != 3 {
		t.Fatalf("the tasks are %q, want two lines", lines)
	}
	var attempts sync.WaitGroup
	for range 8 {
		for _, line := range lines[:2] {
			attempts.Go(func() {
				if err := f.attempt(st, line); err != nil {
					t.Error(err)
				}
			})
		}
	}
	attempts.Wait()
	results, missing, err := f.results(t.Context(), f.dir, 2)
	if err != nil || missing != 0 {
		t.Fatalf("%d results are missing, %v", missing, err)
	}
	if made := storetest.Tree(t, st, "made"); len(made) != 2 {
		t.Errorf("files %v are left, want one for each task", made)
	}
	for i, r := range results {
		var p string
		if err := json.Unmarshal(r, &p); err != nil {
			t.Fatal(err)
		}
		if got := string(storetest.Get(t, st, p)); got != `{"a":1}` {
			t.Errorf("the file of task %d holds %s", i, got)
		}
	}
}

func TestNoAttemptClaimsATaskThatIsGivenUp(t *testing.T) {
	st := localStore(t)
	f := setUp(t, st, &counting{fs: st}, "x")
	f.Java = "/bin/true" // there is no job to be ended
	if err := f.clear(t.Context(), "app", "run"); err != nil {
		t.Fatal(err)
	}
	if err := f.attempt(st, "0\t\"x\"\n"); err != nil {
		t.Fatal(err)
	}
	if left := append(storetest.Tree(t, st, "made"), storetest.Tree(t, st, f.dir)...); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// Whenever an attempt dies, the next one leaves the task with one result, whose file
// is there.
func TestAnAttemptThatDiesLeavesTheTaskToTheNext(t *testing.T) {
	for _, when := range []storetest.When{storetest.Before, storetest.After} {
		for k := 0; ; k++ {
			st := localStore(t)
			faulty := storetest.NewFaulty(st)
			f := setUp(t, st, &counting{fs: faulty}, "x")
			faulty.CrashAt(k, when)
			_ = f.attempt(faulty, "0\t\"x\"\n")
			died := faulty.Crashed()
			f.doer.fs = st
			if err := f.attempt(st, "0\t\"x\"\n"); err != nil {
				t.Fatalf("died at %d: %v", k, err)
			}
			results, missing, err := f.results(t.Context(), f.dir, 1)
			if err != nil || missing != 0 {
				t.Fatalf("died at %d: the result is missing, %v", k, err)
			}
			var p string
			if err := json.Unmarshal(results[0], &p); err != nil {
				t.Fatal(err)
			}
			storetest.Get(t, st, p)
			if !died {
				break
			}
		}
	}
}

func TestWhatIsWrongWithTheSectionIsNamed(t *testing.T) {
	var c Config
	n, problems := config.Parse("f.yaml", []byte("{java: '', options: {mapreduce.job.reduces: 1}, classpath: ['a:b']}"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c.SetDefaults()
	if problems := config.Decode(n, &c); len(problems) > 0 {
		t.Fatal(problems)
	}
	got := strings.Join(c.Problems(), "\n")
	for _, want := range []string{"java: it is empty", "options: mapreduce.job.reduces is set by the demux", `classpath: "a:b" is not one`} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in:\n%s", want, got)
		}
	}
	c = Config{}
	c.SetDefaults()
	if got := strings.Join(c.Problems(), "\n"); !strings.Contains(got, "classpath: it is missing") {
		t.Errorf("problems: %s", got)
	}
}

// withJava makes an engine whose Hadoop clients are a script.
func withJava(t *testing.T, st store.FS, script string) *Engine {
	t.Helper()
	e := &Engine{FS: st, BaseURI: "file:///store", Log: quiet, Program: os.Args[0]}
	e.SetDefaults()
	e.Java = filepath.Join(t.TempDir(), "java")
	if err := os.WriteFile(e.Java, []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
	return e
}

// A client that waits for a ResourceManager that does not answer is not waited for
// when all results are there.
func TestResultsCountWhateverTheClientDoes(t *testing.T) {
	st := localStore(t)
	e := withJava(t, st, "echo 'impl.YarnClientImpl: Submitted application application_1796008738255_0008'\nexec sleep 1000\n")
	e.patience = time.Millisecond
	w := engine.Work{Name: "run-app-1", Type: "app", Kind: "run", Tasks: []json.RawMessage{[]byte("1"), []byte("2")}}
	var last engine.Progress
	claimed := false
	results, err := e.Run(t.Context(), w, func(p engine.Progress) {
		last = p
		if p.Job == "" || claimed {
			return
		}
		claimed = true
		for i := range w.Tasks {
			if ours, err := claim(t.Context(), st, dirOf(w.Type, w.Name), i, []byte("9")); err != nil || !ours {
				t.Errorf("claim task %d: %v, %v", i, ours, err)
			}
		}
	})
	if err != nil || len(results) != 2 || string(results[1]) != "9" {
		t.Errorf("results %s, %v", results, err)
	}
	if want := (engine.Progress{Done: 2, Job: "application_1796008738255_0008"}); last != want {
		t.Errorf("told %+v, want %+v", last, want)
	}
	if left := storetest.Tree(t, st, "work/app"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A job that could not be ended with its work is ended before the next one.
func TestAJobThatGoesOnIsEndedBeforeTheNext(t *testing.T) {
	st := localStore(t)
	said := filepath.Join(t.TempDir(), "said")
	// There is no ResourceManager until somebody has asked twice to end the job.
	e := withJava(t, st, `case "$*" in
*HadoopStreaming*) echo Submitted application_1_2; exec sleep 1000;;
*-list*) echo application_1_2;;
*) echo "$*" >>'`+said+`'; [ $(wc -l <'`+said+`') -gt 1 ];;
esac
`)
	w := engine.Work{Name: "run-app-1", Type: "app", Kind: "run", Tasks: []json.RawMessage{[]byte("1")}}
	ctx, stop := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	_, err := e.Run(ctx, w, func(p engine.Progress) {
		if p.Job != "" {
			stop(stopped)
		}
	})
	if !errors.Is(err, stopped) {
		t.Errorf("got %v, want why it was stopped", err)
	}
	if left := storetest.Tree(t, st, "work/app"); len(left) != 1 || !strings.HasSuffix(left[0], jobFile) {
		t.Errorf("left: %v, want the job's file alone, without which nobody would know of it", left)
	}
	if err := e.clear(t.Context(), "app", "run"); err != nil {
		t.Fatal(err)
	}
	if left := storetest.Tree(t, st, "work/app"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	text, err := os.ReadFile(said)
	if n := strings.Count(string(text), "-kill application_1_2"); err != nil || n != 2 {
		t.Errorf("it was ended %d times, %v; want 2:\n%s", n, err, text)
	}
}

func TestProgramsOfOldVersionsDoNotPileUp(t *testing.T) {
	dir := storetest.FastDir(t)
	st, err := local.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, days := range map[string]int{"old": 8, "young": 6} {
		storetest.Put(t, st, "work/bin/"+name, []byte("x"))
		at := time.Now().AddDate(0, 0, -days)
		if err := os.Chtimes(filepath.Join(dir, "work/bin", name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	e := withJava(t, st, "")
	p, err := e.publish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := storetest.Tree(t, st, "work/bin"); len(got) != 2 || !slices.Contains(got, p) || !slices.Contains(got, "work/bin/young") {
		t.Errorf("in the store are %v, want %s and the young one", got, p)
	}
}

func TestAFailedClientIsToldWithWhatItSaid(t *testing.T) {
	st := localStore(t)
	e := withJava(t, st, "case \"$*\" in *HadoopStreaming*) ;; *) exit 0;; esac\necho INFO fine\necho 'ERROR streaming.StreamJob: no such queue'\nexit 1\n")
	_, err := e.Run(t.Context(), engine.Work{Name: "run-app-1", Type: "app", Kind: "run", Tasks: []json.RawMessage{[]byte("1")}}, func(engine.Progress) {})
	if err == nil || !strings.Contains(err.Error(), "1 of 1 tasks") || !strings.Contains(err.Error(), "no such queue") {
		t.Errorf("got %v", err)
	}
	if left := storetest.Tree(t, st, "work/app"); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
	e.Java = "no-such-java"
	_, err = e.Run(t.Context(), engine.Work{Name: "run-app-2", Type: "app", Kind: "run", Tasks: []json.RawMessage{[]byte("1")}}, func(engine.Progress) {})
	if err == nil || !strings.Contains(err.Error(), "demux.yarn.java") {
		t.Errorf("got %v", err)
	}
	e.BaseURI = "hdfs://a:1,b:2/x"
	_, err = e.Run(t.Context(), engine.Work{Name: "run-app-3", Type: "app", Kind: "run", Tasks: []json.RawMessage{[]byte("1")}}, func(engine.Progress) {})
	if err == nil || !strings.Contains(err.Error(), "nameservice") {
		t.Errorf("got %v", err)
	}
}
