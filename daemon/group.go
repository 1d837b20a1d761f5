// Package daemon holds what every daemon needs: a run group, signals, an HTTP
// server, logs, metrics, health, a lock on the data directory, and how to wait
// between tries. It imports none of ours.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
)

// Group runs the parts of a process together and stops them in the reverse
// order they were added in: what is added first is what the later ones need.
// The zero value is ready. It is not safe for concurrent use.
type Group struct{ members []member }

type member struct {
	name string
	run  func(ctx context.Context) error
}

// Add adds a part. run blocks until its ctx is done, drains under a deadline
// of its own, and returns nil then. A part may also return nil earlier, when
// it has nothing left to do; that stops nobody.
func (g *Group) Add(name string, run func(ctx context.Context) error) {
	g.members = append(g.members, member{name, run})
}

// Run starts all parts in the order they were added in, and blocks until all
// have returned. Once ctx is done or a part fails, it stops them one after
// the other, the last one first. It returns what the parts returned, each
// with the part's name.
func (g *Group) Run(ctx context.Context) error {
	type result struct {
		err  error
		done chan struct{}
	}
	failed := make(chan struct{}, len(g.members))
	results := make([]result, len(g.members))
	cancels := make([]context.CancelFunc, len(g.members))
	for i, m := range g.members {
		// Detached from ctx: who stops when is decided below.
		var partCtx context.Context
		partCtx, cancels[i] = context.WithCancel(context.WithoutCancel(ctx))
		results[i].done = make(chan struct{})
		go func() {
			defer close(results[i].done)
			if err := m.run(partCtx); err != nil && !errors.Is(err, context.Canceled) {
				results[i].err = fmt.Errorf("%s: %w", m.name, err)
				failed <- struct{}{}
			}
		}()
	}
	allDone := make(chan struct{})
	go func() {
		for i := range results {
			<-results[i].done
		}
		close(allDone)
	}()
	select {
	case <-ctx.Done():
	case <-failed:
	case <-allDone:
	}
	var errs []error
	for i := len(g.members) - 1; i >= 0; i-- {
		cancels[i]()
		<-results[i].done
		errs = append(errs, results[i].err)
	}
	return errors.Join(errs...)
}

// Signals returns a context that the first SIGTERM or SIGINT ends. The second
// one calls abort, which should exit at once. stop ends the watching.
func Signals(ctx context.Context, log *slog.Logger, abort func()) (_ context.Context, stop context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	quit := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case <-quit:
				return
			case s := <-signals:
				if !first {
					log.Warn("second signal: aborting without draining", "signal", s.String())
					abort()
					return
				}
				log.Info("stopping; a second signal aborts", "signal", s.String())
				cancel()
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(quit)
		cancel()
	}
}
