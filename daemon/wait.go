package daemon

import (
	"cmp"
	"context"
	"math/rand/v2"
	"time"
)

// Backoff is how long to wait between tries: doubling from Min to Max, each
// time a random length between half of that and all of it. The zero value
// waits from 100 ms to 10 s. It is not safe for concurrent use.
type Backoff struct {
	Min, Max time.Duration
	next     time.Duration
}

// Next is how long to wait now.
func (b *Backoff) Next() time.Duration {
	low, high := cmp.Or(b.Min, 100*time.Millisecond), cmp.Or(b.Max, 10*time.Second)
	d := min(max(b.next, low), high)
	b.next = min(2*d, high)
	return d/2 + rand.N(d/2+1)
}

// Reset makes the next wait short again, after a success.
func (b *Backoff) Reset() { b.next = 0 }

// Wait waits; its error is ctx's.
func (b *Backoff) Wait(ctx context.Context) error { return Sleep(ctx, b.Next()) }

// Sleep waits for d, or until ctx is done; its error is ctx's.
func Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
