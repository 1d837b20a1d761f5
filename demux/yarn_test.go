package demux

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/engine/yarn"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/akupara/akupara/store/storetest"
)

// The test's own binary is what YARN's nodes start, and a demux that can be killed.
func TestMain(m *testing.M) {
	switch {
	case len(os.Args) == 4 && os.Args[1] == "mapper":
		exit(testMapper(os.Args[2], os.Args[3]))
	case len(os.Args) == 4 && os.Args[1] == "planner":
		exit(testPlanner(os.Args[2], os.Args[3]))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// testMapper does tasks: "fails" with an exit code in the first attempt of each. With
// all but the first task it waits until there is a file of the name how in the store.
func testMapper(how, jobFile string) error {
	if strings.HasPrefix(how, "fails") && strings.HasSuffix(os.Getenv("mapreduce_task_attempt_id"), "_0") {
		os.Exit(3)
	}
	m := yarn.Mapper{
		Open: func(uri string) (store.FS, error) { return open.Open(uri, open.Options{}) },
		Doers: func(st store.FS, uri string) map[string]engine.Doer {
			doers := Doers(st, uri, quiet)
			for kind, d := range doers {
				doers[kind] = waits{d, st, how}
			}
			return doers
		},
		In: os.Stdin, Err: os.Stderr,
	}
	return m.Run(context.Background(), jobFile)
}

type waits struct {
	engine.Doer
	fs   store.FS
	what string
}

func (w waits) Do(ctx context.Context, shared, task json.RawMessage) (json.RawMessage, error) {
	for end := time.Now().Add(2 * time.Minute); !strings.HasSuffix(os.Getenv("mapreduce_task_id"), "_000000") && time.Now().Before(end); {
		if _, err := w.fs.Stat(ctx, w.what); err == nil {
			break
		}
		if err := daemon.Sleep(ctx, 200*time.Millisecond); err != nil {
			return nil, err
		}
	}
	return w.Doer.Do(ctx, shared, task)
}

// testPlanner runs the type app once, by tasks that wait.
func testPlanner(uri, classpath string) error {
	st, err := open.Open(uri, open.Options{})
	if err != nil {
		return err
	}
	_, err = yarnDemux(st, uri, strings.Split(classpath, ":"), "waits").RunType(context.Background(), "app")
	return err
}

func yarnDemux(st store.FS, uri string, classpath []string, how string) *Demux {
	var c Config
	jsonLines(&c)
	c.Yarn.Classpath = classpath
	c.Yarn.Memory = 512 << 20
	c.Yarn.MinBytes = 1
	d := newDemux(c, st, uri)
	d.spreadBy(&yarn.Engine{Config: c.Yarn, FS: d.fs, BaseURI: uri, Log: quiet, Args: []string{"mapper", how}})
	d.tasks.of = 20_000
	return d
}

// A run on YARN makes the rows that a run in one process makes: also when the process
// that planned it is killed while its tasks are at work, and the first attempt of each
// task of its successor fails, and the ResourceManager is killed and started again in
// the middle of that.
func TestRunsOnYARNMakeTheSameRows(t *testing.T) {
	t.Parallel()
	uri := storetest.SharedCluster(t)
	y := storetest.SharedYARN(t)
	st, err := open.Open(uri, open.Options{})
	if err != nil {
		t.Fatal(err)
	}
	here := testStore(t)
	at := int64(0)
	var first []chunk.Chunk
	for n := range 4 {
		var chunks []chunk.Chunk
		for range 10 {
			c := chunk.Chunk{Type: "app", Host: "h", Source: "/log/a", Stream: "a", First: at, Time: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)}
			for i := range 30 {
				c.Body = fmt.Appendf(c.Body, "{\"ts\":%d,\"n\":%d,\"k%d\":\"value\"}\n", 1767322800+at, i, len(first)%4)
			}
			c.Last = c.First + int64(len(c.Body))
			at = c.Last
			chunks = append(chunks, c)
			first = append(first, c)
		}
		for _, s := range []store.FS{here, st} {
			publish(t, s, chunks[:5], chunks[5:])
		}
		if n == 0 || n == 3 {
			if _, err := testDemux(t, here, jsonLines).RunType(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
		}
		if n == 0 { // the table has its columns then: one job makes all rows
			var c Config
			jsonLines(&c)
			if _, err := newDemux(c, st, uri).RunType(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
		}
	}

	planner := exec.Command(os.Args[0], "planner", uri, strings.Join(y.Classpath(), ":"))
	planner.Stderr = os.Stderr
	if err := planner.Start(); err != nil {
		t.Fatal(err)
	}
	work := awaitResult(t, st, "")
	if err := planner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = planner.Wait()
	storetest.Put(t, st, "waits", []byte("x")) // attempts that still run go on beside the next ones

	var killing sync.WaitGroup
	killing.Go(func() {
		// No task but the first is done while there is no ResourceManager.
		awaitResult(t, st, work)
		y.KillRM()
		y.StartRM()
		storetest.Put(t, st, "fails", []byte("x"))
	})
	defer killing.Wait()
	d := yarnDemux(st, uri, y.Classpath(), "fails")
	if err := d.RunOnce(t.Context(), "app", time.Minute, func(rep Report) {
		if rep.Error == "" && (rep.Commits != 1 || rep.Archived != 3) {
			t.Errorf("%d commits, %d sink files archived; want 1 and 3", rep.Commits, rep.Archived)
		}
	}); err != nil {
		t.Fatal(err)
	}
	got, want := rowsOf(t, st, uri), rowsOf(t, here, baseURI)
	if sameText(t, got, want); len(want) != 1200 {
		t.Errorf("%d rows, want 1200", len(want))
	}
	if left, err := st.List(t.Context(), "work/app"); err != nil || len(left) > 0 {
		t.Errorf("left of the work: %v, %v", left, err)
	}
	if jobs := y.Jobs(); strings.Contains(jobs, work) {
		t.Errorf("the first job still runs:\n%s", jobs)
	}
}

// A redo and a compaction on YARN keep all rows, also when the first attempt of each
// task fails.
func TestRedoAndCompactionOnYARNKeepTheRows(t *testing.T) {
	t.Parallel()
	y := storetest.SharedYARN(t)
	// check has do change a table of 2 days, each with 3 files.
	check := func(do func(d *Demux)) {
		uri := storetest.SharedCluster(t)
		st, err := open.Open(uri, open.Options{})
		if err != nil {
			t.Error(err)
			return
		}
		manyDays(t, st, uri, 2, 3)
		want := rowsOf(t, st, uri)
		storetest.Put(t, st, "fails", []byte("x"))
		d := yarnDemux(st, uri, y.Classpath(), "fails")
		do(d)
		sameText(t, rowsOf(t, st, uri), want)
		if left, err := st.List(t.Context(), "work/app"); err != nil || len(left) > 0 {
			t.Errorf("left of the work: %v, %v", left, err)
		}
	}
	var both sync.WaitGroup
	both.Go(func() {
		check(func(d *Demux) {
			d.tasks.of = 250
			rep, err := d.Redo(t.Context(), Redo{Type: "app"}, time.Minute)
			if err != nil || rep.Files != 6 || rep.FilesAfter <= 2 || rep.RowsAfter != 6 || rep.LeftTotal > 0 {
				t.Errorf("redo: %+v, %v; want the rows of 6 files in others, of more than one task", rep, err)
			}
		})
	})
	both.Go(func() {
		check(func(d *Demux) {
			d.tasks.of = 1 // each merge
			out, err := d.compact(t.Context(), jobs.Request{Type: "app"}, func(int64, int64) {})
			if err != nil || out.Did != "merged 6 files into 2 files, 6 rows" {
				t.Errorf("compaction: %q, %v", out.Did, err)
			}
		})
	})
	both.Wait()
}

// awaitResult waits for the first result of a task of other work, and returns the name
// of its work.
func awaitResult(t *testing.T, st store.FS, other string) string {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); {
		works, err := st.List(t.Context(), "work/app")
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range works {
			if path.Base(w.Path) == other {
				continue
			}
			done, err := st.List(t.Context(), w.Path+"/results")
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range done { // Hadoop begins with whichever task it likes
				if !strings.HasPrefix(path.Base(d.Path), "tmp-") {
					return path.Base(w.Path)
				}
			}
		}
		if err := daemon.Sleep(t.Context(), 200*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("no task has a result after 5 minutes")
	return ""
}
