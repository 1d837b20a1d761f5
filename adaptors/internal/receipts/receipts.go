// Package receipts keeps what the agent tells a Replayer until its run looks:
// the agent must not be held up.
package receipts

import (
	"sync"

	"github.com/akupara/akupara/chunk"
)

// Box takes what is told. An adaptor embeds it, which makes it a Replayer. It
// is safe for concurrent use; the zero value is ready.
type Box struct {
	mu      sync.Mutex
	letters map[string]*Letter
	wake    chan struct{}
}

// Letter is what was told of one stream.
type Letter struct {
	Settled  int64 // the greatest
	Receipts int   // calls of Settled
	Resend   []chunk.Range
}

// Settled implements adaptors.Replayer.
func (b *Box) Settled(stream string, upTo int64) {
	b.put(stream, func(l *Letter) {
		l.Settled = max(l.Settled, upTo)
		l.Receipts++
	})
}

// Resend implements adaptors.Replayer.
func (b *Box) Resend(stream string, r chunk.Range) {
	b.put(stream, func(l *Letter) { l.Resend = append(l.Resend, r) })
}

func (b *Box) put(stream string, write func(*Letter)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready()
	l := b.letters[stream]
	if l == nil {
		l = &Letter{}
		b.letters[stream] = l
	}
	write(l)
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *Box) ready() {
	if b.letters == nil {
		b.letters = map[string]*Letter{}
	}
	if b.wake == nil {
		b.wake = make(chan struct{}, 1)
	}
}

// Wake gets a token when there is something to take.
func (b *Box) Wake() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready()
	return b.wake
}

// Take empties the box: by stream, what was told.
func (b *Box) Take() map[string]*Letter {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := b.letters
	b.letters = nil
	return out
}
