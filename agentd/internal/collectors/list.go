package collectors

import (
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// MaxBackoff bounds how long a collector that failed is left alone.
const MaxBackoff = 10 * time.Second

const minBackoff = 100 * time.Millisecond

// List chooses among collectors: it stays with one until that fails, so that a
// broken one is not tried with every batch. It is safe for concurrent use.
type List struct {
	mu      sync.Mutex
	members []*member
	current int
}

type member struct {
	url      string
	failures int
	failed   time.Time // when it failed last
	since    time.Time // when it failed first, since it worked
	cause    error     // of the last failure
	until    time.Time // left alone
}

// NewList starts at the member of that number; agents start at a random one, so
// that they spread.
func NewList(urls []string, first int) *List {
	l := &List{current: first % len(urls)}
	for _, u := range urls {
		l.members = append(l.members, &member{url: u})
	}
	return l
}

// Set changes the members; those that stay keep what is known of them.
func (l *List) Set(urls []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := l.members[l.current].url
	members := make([]*member, 0, len(urls))
	current := rand.IntN(len(urls))
	for i, u := range urls {
		m := l.find(u)
		if m == nil {
			m = &member{url: u}
		}
		if u == at {
			current = i
		}
		members = append(members, m)
	}
	l.members, l.current = members, current
}

// URLs returns the members.
func (l *List) URLs() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, len(l.members))
	for i, m := range l.members {
		out[i] = m.url
	}
	return out
}

// Pick returns the collector to try now, or how long to wait for one.
func (l *List) Pick(now time.Time) (url string, wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	wait = MaxBackoff
	for i := range l.members {
		at := (l.current + i) % len(l.members)
		m := l.members[at]
		if !m.until.After(now) {
			l.current = at
			return m.url, 0
		}
		wait = min(wait, m.until.Sub(now))
	}
	return "", wait
}

// Failed notes that a try that was begun at started failed now. It reports
// whether the collector worked before, so that its going away is told once.
func (l *List) Failed(url string, started, now time.Time, cause error) (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.find(url)
	if m == nil || started.Before(m.failed) {
		return false // several posts failed together: that counts once
	}
	if m.failures++; m.failures == 1 {
		m.since = now
	}
	m.failed, m.cause = now, cause
	m.until = now.Add(backoff(m.failures))
	return m.failures == 1
}

// Worked notes a success. It reports whether the collector was away before.
func (l *List) Worked(url string) (back bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.find(url)
	if m == nil {
		return false
	}
	back = m.failures > 0
	m.failures, m.until = 0, time.Time{}
	return back
}

// Away is when no collector takes data: since when, and why the one that is tried
// next did not.
type Away struct {
	Since time.Time `json:"since"`
	Error string    `json:"error"`
}

// Away returns nil while a member works, or was not tried yet.
func (l *List) Away() *Away {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out Away
	for _, m := range l.members {
		if m.failures == 0 {
			return nil
		}
		if m.since.After(out.Since) { // the last one that went
			out.Since = m.since.UTC()
		}
	}
	if cause := l.members[l.current].cause; cause != nil {
		out.Error = cause.Error()
	}
	return &out
}

// Others returns the members beside url, the working ones first.
func (l *List) Others(url string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var up, down []string
	for _, m := range l.members {
		switch {
		case m.url == url:
		case m.failures == 0:
			up = append(up, m.url)
		default:
			down = append(down, m.url)
		}
	}
	return slices.Concat(up, down)
}

func (l *List) find(url string) *member {
	for _, m := range l.members {
		if m.url == url {
			return m
		}
	}
	return nil
}

// backoff doubles with each failure and has a jitter of half its length.
func backoff(failures int) time.Duration {
	d := MaxBackoff
	if shift := failures - 1; shift < 7 {
		d = min(minBackoff<<shift, MaxBackoff)
	}
	return d/2 + rand.N(d/2)
}
