package rows

// arena keeps strings, back to back in blocks, where the garbage collector
// sees no pointers. Each column has its own: its values lie in the order of
// its rows, which is nearly the order that they are written in.
type arena struct {
	blocks [][]byte // whole ones
	tail   []byte   // what is in use of the block at
	at     int
}

const arenaBlock = 64 << 10

// ref tells where a string lies in an arena.
type ref struct{ block, off, len uint32 }

const refSize = 12

func (a *arena) put(m *memory, v []byte) ref {
	if cap(a.tail)-len(a.tail) <= len(v) { // = so that an empty string has a block, too
		if len(v) > arenaBlock/4 { // a block of its own
			a.blocks = append(a.blocks, append(make([]byte, 0, len(v)), v...))
			m.used += int64(len(v))
			return ref{uint32(len(a.blocks) - 1), 0, uint32(len(v))}
		}
		for cap(a.tail)-len(a.tail) <= len(v) {
			a.grow(m)
		}
	}
	off := len(a.tail)
	a.tail = append(a.tail, v...)
	return ref{uint32(a.at), uint32(off), uint32(len(v))}
}

func (a *arena) grow(m *memory) {
	block, instead := m.texts.grow(m, a.tail)
	if instead && cap(a.tail) > 0 {
		a.blocks[a.at], a.tail = block, block[:len(a.tail)]
		return
	}
	a.at = len(a.blocks)
	a.blocks, a.tail = append(a.blocks, block), block[:0]
}

func (a *arena) get(r ref) []byte {
	return a.blocks[r.block][r.off : r.off+r.len : r.off+r.len]
}

func (a *arena) reset(m *memory) {
	m.texts.giveBack(a.blocks)
	clear(a.blocks)
	*a = arena{blocks: a.blocks[:0]}
}
