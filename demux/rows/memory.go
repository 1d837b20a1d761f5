package rows

import (
	"hash/maphash"
	"sync"
)

// memory is what a Builder's columns live in. Blocks go from run to run and
// from column to column; what a whole run did not need is dropped.
type memory struct {
	*pools
	used int64 // bytes that columns hold, with the rest of their last blocks
}

// pools are what Siblings share.
type pools struct {
	longs  pool[int64]
	words  pool[uint64]
	ids    pool[uint32]
	refs   pool[ref]
	levels pool[Level]
	styles pool[style]
	texts  pool[byte]
	seed   maphash.Seed
}

func newMemory() *memory {
	return &memory{pools: &pools{
		longs:  pool[int64]{block: vecBlock, size: 8},
		words:  pool[uint64]{block: vecBlock, size: 8},
		ids:    pool[uint32]{block: vecBlock, size: 4},
		refs:   pool[ref]{block: vecBlock, size: refSize},
		levels: pool[Level]{block: vecBlock, size: 1},
		styles: pool[style]{block: vecBlock, size: 1},
		texts:  pool[byte]{block: arenaBlock, size: 1},
		seed:   maphash.MakeSeed(),
	}}
}

// trim drops the blocks that nobody took since the last trim. After it, all
// columns give back theirs.
func (m *memory) trim() {
	m.longs.trim()
	m.words.trim()
	m.ids.trim()
	m.refs.trim()
	m.levels.trim()
	m.styles.trim()
	m.texts.trim()
}

// pool has blocks of one kind that are free.
type pool[T any] struct {
	mu    sync.Mutex
	free  [][]T
	block int   // values of a block
	size  int64 // bytes of a value
}

// grow returns the block that follows tail, the last one in use, and whether it
// takes its place: a sequence's first block starts small and moves as it grows,
// so that the many columns of few values take little. Blocks have the length
// of their capacity.
func (p *pool[T]) grow(m *memory, tail []T) (block []T, instead bool) {
	n := p.block
	if instead = cap(tail) < p.block; instead {
		n = min(p.block, max(16, 4*cap(tail)))
	}
	if n == p.block {
		block = p.take()
	}
	if block == nil {
		block = make([]T, n)
	}
	m.used += int64(n) * p.size
	if instead {
		copy(block, tail)
		m.used -= int64(cap(tail)) * p.size
	}
	return block, instead
}

// take returns a free block, nil when there is none.
func (p *pool[T]) take() (block []T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := len(p.free) - 1; last >= 0 {
		block, p.free = p.free[last], p.free[:last]
	}
	return block
}

func (p *pool[T]) trim() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = nil
}

func (p *pool[T]) giveBack(blocks [][]T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range blocks {
		if len(b) == p.block {
			p.free = append(p.free, b)
		}
	}
}
