package demux

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux/jobs"
	"github.com/akupara/akupara/demux/lease"
	"github.com/akupara/akupara/demux/parse"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/storetest"
)

// following runs a scheduler, and returns how to have a job work on the table app, and
// how that ended.
func following(t *testing.T, d *Demux) func(job string) jobs.Last {
	t.Helper()
	s := NewScheduler(d, Options{})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return func(job string) (last jobs.Last) {
		t.Helper()
		until(t, "the job is started", func() bool {
			_, err := s.StartJob(t.Context(), job, jobs.Request{Type: "app"})
			if err != nil && !errors.Is(err, jobs.ErrOff) {
				t.Fatal(err)
			}
			return err == nil
		})
		until(t, "the job has ended", func() bool {
			for _, j := range s.Jobs() {
				for _, x := range j.Tables {
					if j.Name == job && x.Type == "app" && x.State == jobs.Idle && x.Last != nil {
						last = *x.Last
						return true
					}
				}
			}
			return false
		})
		return last
	}
}

func TestAJobThatFailsIsToldBesideTheTable(t *testing.T) {
	inner := testStore(t)
	st := storetest.NewFaulty(inner)
	d := testDemux(t, st, nil)
	publish(t, inner, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	storetest.Put(t, inner, table.DataPath("app", table.HourPartition(0), "00000001-dead", 0), []byte("a run that died"))
	st.FailWith(func(op, path string) error {
		if op == "remove" && strings.HasSuffix(path, ".parquet") {
			return errors.New("no right to remove it")
		}
		return nil
	})
	do := following(t, d)
	for range 2 {
		if got := do("expire"); got.End != jobs.Failed || !strings.Contains(got.Error, "no right") {
			t.Fatalf("got %+v, want a failure", got)
		}
	}
	told, err := trouble.Read(t.Context(), inner, "app")
	if err != nil || told == nil || told.Jobs["expire"].Times != 2 {
		t.Fatalf("beside the table is %+v (%v), want the job's failures", told, err)
	}
	st.FailWith(nil)
	do("expire")
	until(t, "it is well again", func() bool {
		told, err := trouble.Read(t.Context(), inner, "app")
		return err == nil && told == nil
	})
}

// A job's commit comes between two of a run that has much to do.
func TestARunLetsAJobPass(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, func(c *Config) { c.RunBytes = 300 })
	var batches [][]chunk.Chunk
	for i := range int64(20) {
		batches = append(batches, []chunk.Chunk{lines("a", i*20*lineLen, 20)})
	}
	publish(t, st, batches...)
	passed := make(chan error, 1)
	first := true
	d.parser = func(dataType string, now time.Time) (parse.Parser, error) {
		if first { // the run has the table
			first = false
			go func() {
				passed <- d.change(context.Background(), "app", func(ctx context.Context, tab *table.Table) error {
					cov, err := tab.Coverage(ctx)
					if err == nil && cov["a"].Ranges.Len() == 20*20*lineLen {
						err = errors.New("the run has done all before")
					}
					return err
				})
			}()
			until(t, "the job waits", func() bool { return d.types.asked("app") })
		}
		return d.cfg.parser(dataType, now)
	}
	rep := runOnce(t, d)
	if err := <-passed; err != nil {
		t.Error(err)
	}
	if rep.Records != 400 {
		t.Errorf("got %+v, want 400 records", rep)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": 400})
}

func TestTheArchiveIsKeptWithinItsBounds(t *testing.T) {
	now := time.Now().UTC()
	st := testStore(t)
	put := func(dataType string, daysAgo, bytes int) string {
		p := store.SinkPath(store.Archive, dataType, store.NewSegment(now.AddDate(0, 0, -daysAgo), "test", segments.Add(1)))
		storetest.Put(t, st, p, make([]byte, bytes))
		return p
	}
	type file struct {
		path string
		kept bool
	}
	var files []file
	for _, dataType := range []string{"app", "big", "old"} {
		for days := range 10 {
			for range 4 {
				kept := map[string]bool{"app": days <= 3, "big": days <= 1, "old": true}[dataType]
				files = append(files, file{put(dataType, days, 100), kept})
			}
		}
	}
	half := put("big", 2, 100) // the newest of a day of which the others go
	d := testDemux(t, st, func(c *Config) {
		c.KeepArchive = config.Duration(3 * 24 * time.Hour)
		c.Types = map[string]TypeConfig{
			"big": {Retention: Retention{ArchiveSize: given(config.Size(900))}},
			"old": {Retention: Retention{Archive: given(config.Duration(0))}},
		}
	})
	for _, dataType := range []string{"app", "big", "old"} {
		if _, err := d.retain(t.Context(), jobs.Request{Type: dataType}, func(int64, int64) {}); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range append(files, file{half, true}) {
		if _, err := st.Stat(t.Context(), f.path); (err == nil) != f.kept {
			t.Errorf("%s: %v, want it kept: %v", f.path, err, f.kept)
		}
	}
}

// given is a value that stands in the config.
func given[T any](v T) config.Value[T] {
	return config.Value[T]{V: v, Pos: config.Pos{Line: 1}}
}

func TestSmallFilesAreMergedByTheJob(t *testing.T) {
	st := testStore(t)
	d := testDemux(t, st, nil)
	const files = 12
	for i := range int64(files) {
		publish(t, st, []chunk.Chunk{lines("a", i*10*lineLen, 10)}) // all of one hour, long ago
		runOnce(t, d)
	}
	if got := following(t, d)("compact"); got.End != jobs.Done || !strings.Contains(got.Did, "merged 12 files into 1 file, 120 rows") {
		t.Errorf("got %+v, want 12 files merged", got)
	}
	checkLines(t, tableRows(t, st), map[string]int{"a": files * 10})
}

// A process that runs once leaves alone what may be the files of a job.
func TestNothingExpiresWhileAJobIsAtWork(t *testing.T) {
	st := testStore(t)
	d, other := testDemux(t, st, nil), testDemux(t, st, nil)
	publish(t, st, []chunk.Chunk{lines("a", 0, 10)})
	runOnce(t, d)
	storetest.Put(t, st, table.DataPath("app", table.HourPartition(0), "00000001-busy", 0), []byte("a job's file"))
	release, err := d.leases.Take(t.Context(), lease.JobPath("app"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := other.Expire(t.Context(), "app"); n != 0 || err != nil {
		t.Errorf("removed %d files (%v), want none", n, err)
	}
	release()
	if n, err := other.Expire(t.Context(), "app"); n != 1 || err != nil {
		t.Errorf("removed %d files (%v), want 1", n, err)
	}
	if _, err := other.Redo(t.Context(), Redo{Type: "nosuch"}, 0); err == nil {
		t.Error("rows of a table that is not there are redone")
	}
	if ok, err := other.known(t.Context(), "nosuch"); ok || err != nil {
		t.Errorf("the table that is not there is known: %v, %v", ok, err)
	}
}
