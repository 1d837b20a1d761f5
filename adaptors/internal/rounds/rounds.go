// Package rounds calls several things at intervals, side by side.
package rounds

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// maxSpread bounds how long the first calls are spread over, so that what is
// asked by many, or all at once by one, isn't asked in the same moment.
const maxSpread = 5 * time.Second

// Run calls do for each i below n, and again each interval, until ctx is done;
// then it returns nil, when all calls have. Each i has a goroutine of its own:
// a slow call delays no other, and skips the rounds it takes. The first calls
// come spread at random over half an interval, at most 5 s. When a call
// returns an error, the others' ctx is done and Run returns that error; what
// calls return once ctx is done does not count.
func Run(ctx context.Context, n int, interval time.Duration, do func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var running sync.WaitGroup
	var once sync.Once
	var failed error
	for i := range n {
		running.Go(func() {
			if err := each(ctx, interval, func() error { return do(ctx, i) }); err != nil && ctx.Err() == nil {
				once.Do(func() { failed = err })
				cancel()
			}
		})
	}
	<-ctx.Done()
	running.Wait()
	return failed
}

func each(ctx context.Context, interval time.Duration, do func() error) error {
	spread := min(interval/2, maxSpread)
	first := time.NewTimer(time.Duration(rand.Int64N(int64(spread) + 1)))
	defer first.Stop()
	select {
	case <-first.C:
	case <-ctx.Done():
		return nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if err := do(); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
