package pods

import (
	"sync"

	"github.com/akupara/akupara/adaptors/internal/turns"
)

// The lanes that turns are given in.
const (
	toRead = iota
	toOpen // the files, so that what is gone until its turn to be read is known to be missing
	numLanes
)

// turn is whose turn it is: what the run alone knows of an instance, also while
// a reader has that.
type turn struct {
	turns.Turn
	in      *instance // the reader's while busy
	glimpse glimpse   // of its log, at the last scan
	nowhere bool      // that is shown of its symlink
	target  string    // what its log leads to, where that is a symlink
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
