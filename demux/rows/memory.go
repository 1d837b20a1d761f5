package rows

import "hash/maphash"

// memory is what a Builder's columns live in. Blocks go from run to run and
// from column to column; what a whole run did not need is dropped.
type memory struct {
	longs  pool[int64]
	words  pool[uint64]
	ids    pool[uint32]
	refs   pool[ref]
	levels pool[Level]
	texts  pool[byte]
	used   int64 // bytes that columns hold, with the rest of their last blocks
	seed   maphash.Seed
}

func newMemory() *memory {
	return &memory{
		longs:  pool[int64]{block: vecBlock, size: 8},
		words:  pool[uint64]{block: vecBlock, size: 8},
		ids:    pool[uint32]{block: vecBlock, size: 4},
		refs:   pool[ref]{block: vecBlock, size: refSize},
		levels: pool[Level]{block: vecBlock, size: 1},
		texts:  pool[byte]{block: arenaBlock, size: 1},
		seed:   maphash.MakeSeed(),
	}
}

// trim drops the blocks that nobody took since the last trim. After it, all
// columns give back theirs.
func (m *memory) trim() {
	m.longs.free, m.words.free, m.ids.free = nil, nil, nil
	m.refs.free, m.levels.free, m.texts.free = nil, nil, nil
	m.used = 0
}

// pool has blocks of one kind that are free.
type pool[T any] struct {
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
	if last := len(p.free) - 1; n == p.block && last >= 0 {
		block, p.free = p.free[last], p.free[:last]
	} else {
		block = make([]T, n)
	}
	m.used += int64(n) * p.size
	if instead {
		copy(block, tail)
		m.used -= int64(cap(tail)) * p.size
	}
	return block, instead
}

func (p *pool[T]) giveBack(blocks [][]T) {
	for _, b := range blocks {
		if len(b) == p.block {
			p.free = append(p.free, b)
		}
	}
}
