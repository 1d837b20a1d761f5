package filter

import (
	"sync"
	"time"
)

// burst is for how many seconds' worth a limit lets pass at once after a while
// with less.
const burst = 3

// bucket is a token bucket that may go into debt by what was taken last, so
// that a record larger than the bucket passes as well. 0 is no bound.
type bucket struct {
	rate   float64 // a second
	tokens float64
}

func newBucket(rate int64) bucket { return bucket{float64(rate), burst * float64(rate)} }

func (b *bucket) fill(d time.Duration) {
	b.tokens = min(b.tokens+d.Seconds()*b.rate, burst*b.rate)
}

// until is how long it takes before something may be taken.
func (b *bucket) until() time.Duration {
	if b.rate == 0 || b.tokens > 0 {
		return 0
	}
	return time.Duration((-b.tokens/b.rate)*float64(time.Second)) + time.Millisecond
}

// limiter bounds bytes and records a second. It is safe for concurrent use.
type limiter struct {
	mu             sync.Mutex
	bytes, records bucket
	at             time.Time
}

func newLimiter(bytes, records int64) *limiter {
	return &limiter{bytes: newBucket(bytes), records: newBucket(records), at: time.Now()}
}

// set changes the bounds; what was saved up or owed is kept within them.
func (l *limiter) set(bytes, records int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes != int64(l.bytes.rate) {
		l.bytes = newBucket(bytes)
	}
	if records != int64(l.records.rate) {
		l.records = newBucket(records)
	}
}

// take takes both, or neither and tells when to try again.
func (l *limiter) take(bytes, records int64) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	d := now.Sub(l.at)
	l.at = now
	l.bytes.fill(d)
	l.records.fill(d)
	if wait := max(l.bytes.until(), l.records.until()); wait > 0 {
		return wait
	}
	l.bytes.tokens -= float64(bytes)
	l.records.tokens -= float64(records)
	return 0
}
