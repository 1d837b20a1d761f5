package syslog

import (
	"context"
	"net/netip"
	"sync"
	"time"
)

// Messages of one peer and one type are handed over together when there are so
// many bytes of them, or when the first has waited so long.
const (
	pileBytes    = 64 << 10
	pileAge      = 200 * time.Millisecond
	pendingBytes = 4 << 20 // of all piles; beyond, readers wait
	pileCost     = 512     // bytes that a pile costs beside its messages
	messageCost  = 8
)

// key tells whose messages may share a chunk.
type key struct {
	peer     netip.Addr // not valid for a unix socket
	door     *door
	dataType string
	part     part
}

// pile is messages that will be one chunk.
type pile struct {
	key
	body    []byte
	borders []int64
	since   time.Time // when its first message was read
	cost    int       // of memory, roughly
	sealed  bool      // nothing is added any more
	number  uint64
}

// pending is what was read and not handed over yet. It outlives a Run: what
// could not be handed over at a stop goes first at the next start.
type pending struct {
	limit int

	mu      sync.Mutex
	piles   []*pile // by age
	open    map[key]*pile
	cost    int
	blocked int           // calls of add that wait
	number  uint64        // of the youngest pile
	done    uint64        // piles up to this number are handed over
	wake    chan struct{} // gets a token when a pile may be due
	freed   chan struct{} // closed and renewed when a pile was handed over
}

func newPending(limit int) *pending {
	return &pending{limit: limit, open: map[key]*pile{}, wake: make(chan struct{}, 1), freed: make(chan struct{})}
}

// add takes a message, and blocks while too much is pending. It gives the
// number of the pile that has it.
func (p *pending) add(ctx context.Context, k key, msg []byte, now time.Time) (uint64, error) {
	p.mu.Lock()
	for p.cost > 0 && p.cost+len(msg) > p.limit {
		freed := p.freed
		p.blocked++
		p.nudge()
		p.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
		}
		p.mu.Lock()
		p.blocked--
		if ctx.Err() != nil {
			p.mu.Unlock()
			return 0, ctx.Err()
		}
	}
	defer p.mu.Unlock()
	pl := p.open[k]
	if pl != nil && len(pl.body)+len(msg) > pileBytes {
		p.seal(pl)
		pl = nil
	}
	if k.part != whole {
		before := k
		if before.part = whole; p.open[before] != nil {
			p.seal(p.open[before]) // it goes first
		}
	}
	if pl == nil {
		p.number++
		pl = &pile{key: k, since: now, number: p.number, cost: pileCost}
		p.cost += pileCost
		p.open[k] = pl
		p.piles = append(p.piles, pl)
		p.nudge()
	}
	pl.body = append(pl.body, msg...)
	pl.borders = append(pl.borders, int64(len(pl.body)))
	pl.cost += len(msg) + messageCost
	p.cost += len(msg) + messageCost
	if k.part != whole {
		p.seal(pl) // a piece is a chunk of its own, so that its mark is
	}
	return pl.number, nil
}

func (p *pending) seal(pl *pile) {
	pl.sealed = true
	delete(p.open, pl.key)
	p.nudge()
}

func (p *pending) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// due returns the oldest pile that is full or has waited long enough, sealed; or
// how long to wait for one. all takes any, and so does who has to wait.
func (p *pending) due(now time.Time, all bool) (*pile, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	wait := time.Hour
	for _, pl := range p.piles {
		if left := pileAge - now.Sub(pl.since); !all && p.blocked == 0 && !pl.sealed && left > 0 {
			wait = min(wait, left, pileAge)
			continue
		}
		if !pl.sealed {
			pl.sealed = true
			delete(p.open, pl.key)
		}
		return pl, 0
	}
	return nil, wait
}

// handedOver lets go of a pile.
func (p *pending) handedOver(pl *pile) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range p.piles {
		if p.piles[i] == pl {
			p.piles = append(p.piles[:i], p.piles[i+1:]...)
			break
		}
	}
	p.done = p.number
	if len(p.piles) > 0 {
		p.done = p.piles[0].number - 1
	}
	p.cost -= pl.cost
	close(p.freed)
	p.freed = make(chan struct{})
}

// wait waits until the pile of that number, and all before it, are handed over.
func (p *pending) wait(ctx context.Context, number uint64) error {
	for {
		p.mu.Lock()
		done, freed := p.done >= number, p.freed
		p.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// bytes counts what is pending.
func (p *pending) bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for _, pl := range p.piles {
		n += len(pl.body)
	}
	return int64(n)
}
