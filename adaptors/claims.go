package adaptors

import (
	"maps"
	"sync"
)

// Claims says which adaptor of one agent reads which file: for each data type a
// file has one reader, also where several names lead to it. It is safe for
// concurrent use.
type Claims struct {
	mu      sync.Mutex
	holders map[claim]*Claimant
	version uint64
}

// claim is a file as one data type.
type claim struct {
	dataType string
	dev, ino uint64
}

// NewClaims makes one without claims.
func NewClaims() *Claims { return &Claims{holders: map[claim]*Claimant{}} }

// Join lets one more adaptor claim files, until Leave.
func (c *Claims) Join(name string) *Claimant {
	return &Claimant{of: c, name: name}
}

// Version changes whenever a claim was dropped or a stream was released:
// whoever was refused looks again then.
func (c *Claims) Version() uint64 {
	if c == nil {
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.version
}

// Released says that streams were released, by whoever keeps them.
func (c *Claims) Released() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.version++
}

// Claimant is one adaptor's part. That of nil Claims is never refused.
type Claimant struct {
	of   *Claims
	name string
}

// Claim asks to be the one who reads a file as a data type, and reports whether
// the adaptor is; if not, holder is the name of the adaptor that is. To claim a
// file twice is the same as once.
func (h *Claimant) Claim(dataType string, dev, ino uint64) (holder string, ok bool) {
	c := h.of
	if c == nil {
		return h.name, true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	key := claim{dataType, dev, ino}
	if other := c.holders[key]; other != nil && other != h {
		return other.name, false
	}
	c.holders[key] = h
	return h.name, true
}

// Drop lets others claim a file. It does nothing if the adaptor has no claim.
func (h *Claimant) Drop(dataType string, dev, ino uint64) {
	c := h.of
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := (claim{dataType, dev, ino}); c.holders[key] == h {
		delete(c.holders, key)
		c.version++
	}
}

// Leave drops all of the adaptor's claims.
func (h *Claimant) Leave() {
	c := h.of
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.holders)
	maps.DeleteFunc(c.holders, func(_ claim, holder *Claimant) bool { return holder == h })
	if len(c.holders) < before {
		c.version++
	}
}
