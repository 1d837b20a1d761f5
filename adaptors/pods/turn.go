package pods

import (
	"container/list"
	"sync"
	"time"
)

// turn is whose turn it is: what the run alone knows of an instance, also while
// a reader has that.
type turn struct {
	in     *instance // the reader's while busy
	busy   bool
	queued bool
	toLook bool // among those whose files are to be opened
	again  bool // something happened while it was busy

	wakeAt  time.Time
	heapAt  int // in the heap of those that wait; -1: not there
	lru     *list.Element
	fds     int     // files that are open
	glimpse glimpse // of its log, at the last scan
	target  string  // what its log leads to, where that is a symlink
}

// registry are the instances that there are, and those that ended and are not
// settled yet, by all that they are looked for by. Its owner is the run; of is
// safe for readers, too.
type registry struct {
	all   map[*turn]bool
	byKey map[string]*turn // by the path of its log below the root: the one that goes on

	mu   sync.Mutex
	byID map[string]*turn
}

func newRegistry() registry {
	return registry{all: map[*turn]bool{}, byKey: map[string]*turn{}, byID: map[string]*turn{}}
}

// add takes an instance in. Where one of the same log goes on already it is that
// one's predecessor.
func (l *registry) add(t *turn) {
	l.all[t] = true
	if before := l.byKey[t.in.key()]; before == nil || before.in.out.Ended() {
		l.byKey[t.in.key()] = t
	}
	l.opened(t)
}

// opened lets receipts find an instance, once its stream has an id.
func (l *registry) opened(t *turn) {
	if id := t.in.out.ID(); id != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.byID[id] = t
	}
}

func (l *registry) remove(t *turn) {
	if l.byKey[t.in.key()] == t {
		delete(l.byKey, t.in.key())
	}
	delete(l.all, t)
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.byID, t.in.out.ID())
}

// of returns the instance of a stream; nil: it was forgotten.
func (l *registry) of(id string) *turn {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byID[id]
}

// glimpse is what a scan saw of a log.
type glimpse struct {
	ino   uint64
	birth int64
	size  int64
}

// queue is a heap of the instances that wait for their time (container/heap).
type queue []*turn

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].wakeAt.Before(q[j].wakeAt) }
func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].heapAt, q[j].heapAt = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	t := x.(*turn)
	t.heapAt = len(*q)
	*q = append(*q, t)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	old := *q
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	t.heapAt = -1
	return t
}

// due is how long it is until the first one's time.
func (q queue) due(now time.Time) time.Duration {
	if len(q) == 0 {
		return time.Hour
	}
	return q[0].wakeAt.Sub(now)
}
