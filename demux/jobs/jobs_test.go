package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/akupara/akupara/config"
)

// until waits for a condition, for as long as a machine under load may take.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("waited for 2 minutes: %s", what)
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}

// runs starts a runner of jobs that are due by hand alone, unless change says
// otherwise.
func runs(t *testing.T, change func(*Options), all ...Job) *Runner {
	t.Helper()
	opts := Options{
		Types:    func(context.Context) ([]string, error) { return []string{"a", "b"}, nil },
		Schedule: func(string, string) config.Schedule { return config.Schedule{} },
		Own:      func(string) []string { return nil },
		Log:      slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
	}
	if change != nil {
		change(&opts)
	}
	r := New(all, opts)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	until(t, "the runner runs", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.life != nil
	})
	return r
}

func start(t *testing.T, r *Runner, job, dataType string) <-chan struct{} {
	t.Helper()
	done, err := r.Start(job, Request{Type: dataType})
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func state(r *Runner, job, dataType string) Table {
	for _, s := range r.List() {
		for _, x := range s.Tables {
			if s.Name == job && x.Type == dataType {
				return x
			}
		}
	}
	return Table{}
}

func TestOneJobAtATimeWorksOnATable(t *testing.T) {
	var atWork, most atomic.Int32
	hold := make(chan struct{})
	work := func(ctx context.Context, _ Request, tell func(done, total int64)) (Outcome, error) {
		defer atWork.Add(-1)
		most.Store(max(most.Load(), atWork.Add(1)))
		tell(1, 2)
		select {
		case <-hold:
		case <-ctx.Done():
		}
		return Outcome{Did: "it"}, ctx.Err()
	}
	r := runs(t, nil, Job{Name: "x", Run: work}, Job{Name: "y", Run: work})
	first := start(t, r, "x", "a")
	until(t, "the first is at work", func() bool { return state(r, "x", "a").Done == 1 })
	if _, err := r.Start("x", Request{Type: "a"}); !errors.Is(err, ErrRunning) {
		t.Errorf("started twice: got %v, want ErrRunning", err)
	}
	second := start(t, r, "y", "a")
	if got := state(r, "y", "a").State; got != Waiting {
		t.Errorf("the other job of the table is %s, want waiting", got)
	}
	other := start(t, r, "x", "b")
	until(t, "that of another table is at work, too", func() bool { return atWork.Load() == 2 })
	if n, err := r.Stop("y", ""); err != nil || n != 1 {
		t.Errorf("stopped %d of those that wait (%v), want 1", n, err)
	}
	<-second
	close(hold)
	<-first
	<-other
	if got := state(r, "y", "a").Last.End; got != Stopped {
		t.Errorf("the one that was stopped ended as %q", got)
	}
	if got := state(r, "x", "a").Last; got.End != Done || got.Did != "it" {
		t.Errorf("got %+v, want it done", got)
	}
	if most.Load() != 2 {
		t.Errorf("%d at work at once, want 2", most.Load())
	}
	if _, err := r.Start("z", Request{Type: "a"}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a job that is none: got %v", err)
	}
}

func TestOneHeavyJobAtATime(t *testing.T) {
	var atWork, most atomic.Int32
	r := runs(t, nil, Job{Name: "x", Heavy: true, Run: func(context.Context, Request, func(done, total int64)) (Outcome, error) {
		most.Store(max(most.Load(), atWork.Add(1)))
		<-time.After(time.Millisecond)
		atWork.Add(-1)
		return Outcome{}, nil
	}})
	var all []<-chan struct{}
	for i := range 10 {
		all = append(all, start(t, r, "x", fmt.Sprint("t", i)))
	}
	for _, done := range all {
		<-done
	}
	if most.Load() != 1 {
		t.Errorf("%d at work at once, want 1", most.Load())
	}
}

func TestAFailureIsToldUntilItIsOver(t *testing.T) {
	fail := errors.New("no room")
	var told []string
	r := runs(t, func(o *Options) {
		o.Tell = func(_ context.Context, dataType, job string, f *Failing) {
			if f == nil {
				told = append(told, "well")
			} else {
				told = append(told, fmt.Sprintf("%s of %s: %d times: %s", job, dataType, f.Times, f.Error))
			}
		}
	}, Job{Name: "x", Run: func(context.Context, Request, func(done, total int64)) (Outcome, error) {
		if fail != nil && fail.Error() == "bug" {
			panic("bug")
		}
		return Outcome{}, fail
	}})
	for _, err := range []error{fail, errors.New("bug"), fmt.Errorf("%w: x", ErrBusy), nil, nil} {
		fail = err
		<-start(t, r, "x", "a")
	}
	want := []string{"x of a: 2 times: panic: bug", "well"}
	if fmt.Sprint(told) != fmt.Sprint(want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

func TestSchedulesAreFollowed(t *testing.T) {
	var a, b, c atomic.Int32
	r := runs(t, func(o *Options) {
		o.Types = func(context.Context) ([]string, error) { return []string{"a", "b", "c"}, nil }
		o.Own = func(string) []string { return []string{"b", "c"} }
		o.Schedule = func(_, dataType string) config.Schedule {
			every := map[string]string{"": "@every 1s", "c": "@every 1h"}[dataType]
			if every == "" {
				return config.Schedule{}
			}
			s, err := config.NewSchedule(every)
			if err != nil {
				t.Error(err)
			}
			return s
		}
		o.Mark = func(context.Context, string) (string, error) { return fmt.Sprint(a.Load()), nil }
	}, Job{Name: "x", Run: func(_ context.Context, req Request, _ func(done, total int64)) (Outcome, error) {
		map[string]*atomic.Int32{"a": &a, "b": &b, "c": &c}[req.Type].Add(1)
		return Outcome{}, nil
	}})
	until(t, "two rounds", func() bool { return a.Load() >= 2 })
	if b.Load() != 0 || c.Load() != 0 {
		t.Errorf("ran %d times on the table where it is off, and %d where it is due each hour", b.Load(), c.Load())
	}
	s := r.List()[0]
	if s.Schedule != "@every 1s" || s.Next.IsZero() || state(r, "x", "b").Schedule != "off" || !state(r, "x", "b").Next.IsZero() ||
		time.Until(state(r, "x", "c").Next) < 30*time.Minute {
		t.Errorf("got %+v", s)
	}
}

func TestAJobThatFailedIsTriedOnceMoreSoon(t *testing.T) {
	var n atomic.Int32
	told := make(chan *Failing, 10)
	r := New([]Job{{Name: "x", Run: func(context.Context, Request, func(done, total int64)) (Outcome, error) {
		n.Add(1)
		return Outcome{}, errors.New("no room")
	}}}, Options{
		Own: func(string) []string { return nil }, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Types: func(context.Context) ([]string, error) { return []string{"a"}, nil },
		Tell:  func(_ context.Context, _, _ string, f *Failing) { told <- f },
	})
	r.life, r.again = t.Context(), time.Millisecond
	r.tick(t.Context(), r.jobs[0], "")
	if n.Load() != 2 {
		t.Errorf("tried %d times, want 2", n.Load())
	}
	if f := <-told; f.Times != 2 {
		t.Errorf("told %+v, want 2 failures", f)
	}
}

func TestAQuietTableIsLookedAtLessAndLess(t *testing.T) {
	var q quiet
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	looks := 0
	for day := range 3 {
		looks = 0
		for range 24 * 60 {
			if !at.Before(q.until) {
				q.note("v1", &Last{Started: at, End: Nothing})
				looks++
			}
			at = at.Add(time.Minute)
		}
		if day == 0 && looks < 5 {
			t.Errorf("%d looks on the first day, want some", looks)
		}
	}
	if looks < 1 || looks > 2 {
		t.Errorf("%d looks on the third day, want 1 or 2", looks)
	}
	q.note("v1", &Last{Started: at, End: Failed})
	if at.Before(q.until) {
		t.Error("after a failure it is put off")
	}
}
