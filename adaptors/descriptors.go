package adaptors

import (
	"sync"

	"golang.org/x/sys/unix"
)

// Descriptors is the bound of the files that the adaptors of one agent keep
// open together. Each of them may use what the others leave, and each has its
// fair part. It is safe for concurrent use.
type Descriptors struct {
	most int

	mu      sync.Mutex
	total   int
	holders map[*Holder]bool
}

// NewDescriptors makes a bound of so many files. With 0 it is half of what the
// process may have open, at most 8,192: the network and others need some, too.
func NewDescriptors(most int) *Descriptors {
	if most <= 0 {
		most = 256
		var lim unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err == nil {
			most = int(min(max(lim.Cur/2, 16), 8192))
		}
	}
	return &Descriptors{most: most, holders: map[*Holder]bool{}}
}

// Join lets one more adaptor keep files open, until Leave.
func (d *Descriptors) Join() *Holder {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &Holder{of: d, short: make(chan struct{}, 1)}
	d.holders[h] = true
	return h
}

// Holder is one adaptor's part.
type Holder struct {
	of    *Descriptors
	short chan struct{}
	open  int // under of.mu
}

// Short tells that others are short of descriptors: time to ask Excess again.
func (h *Holder) Short() <-chan struct{} { return h.short }

// Hold says how many files the adaptor has open now.
func (h *Holder) Hold(open int) {
	d := h.of
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total += open - h.open
	h.open = open
	if d.total <= d.most {
		return
	}
	for other := range d.holders {
		if other != h && other.open > d.fair() {
			select {
			case other.short <- struct{}{}:
			default:
			}
		}
	}
}

// Excess is how many files the adaptor has to close: by those that can be
// opened again, and, once all together are half as many again as the bound
// allows, by any.
func (h *Holder) Excess() (soft, hard int) {
	d := h.of
	d.mu.Lock()
	defer d.mu.Unlock()
	over := h.open - d.fair()
	return max(0, min(d.total-d.most, over)), max(0, min(d.total-d.most-d.most/2, over))
}

func (d *Descriptors) fair() int { return max(1, d.most/max(1, len(d.holders))) }

// Leave gives everything back.
func (h *Holder) Leave() {
	d := h.of
	d.mu.Lock()
	defer d.mu.Unlock()
	d.total -= h.open
	h.open = 0
	delete(d.holders, h)
}
