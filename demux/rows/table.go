package rows

import "hash/maphash"

// arena keeps the bytes of all strings of a Builder in blocks, so that a
// column of few values costs no block of its own and the garbage collector
// sees no pointers.
type arena struct {
	blocks [][]byte
	cur    int   // the block that is being filled
	used   int64 // bytes of all strings
	seed   maphash.Seed
}

const arenaBlock = 1 << 20

// ref tells where a string lies in an arena.
type ref struct{ block, off, len uint32 }

const refSize = 12

func (a *arena) put(v []byte) ref {
	for ; a.cur < len(a.blocks); a.cur++ {
		if b := a.blocks[a.cur]; cap(b)-len(b) >= len(v) {
			break
		}
	}
	if a.cur == len(a.blocks) {
		a.blocks = append(a.blocks, make([]byte, 0, max(arenaBlock, len(v))))
	}
	a.used += int64(len(v))
	b := a.blocks[a.cur]
	a.blocks[a.cur] = append(b, v...)
	return ref{uint32(a.cur), uint32(len(b)), uint32(len(v))}
}

func (a *arena) get(r ref) []byte {
	return a.blocks[r.block][r.off : r.off+r.len : r.off+r.len]
}

// reset forgets all strings; blocks of the usual size are kept for reuse.
func (a *arena) reset() {
	kept := a.blocks[:0]
	for _, b := range a.blocks {
		if cap(b) == arenaBlock {
			kept = append(kept, b[:0])
		}
	}
	clear(a.blocks[len(kept):])
	a.blocks, a.cur, a.used = kept, 0, 0
}

// table holds the strings of one column. As long as they repeat, each one is
// kept once and a value is its id; when they turn out not to, every further
// value is kept as it comes.
type table struct {
	refs  []ref
	ids   []uint32 // of the values before the table turned plain
	turn  int      // refs that there were then
	plain bool
	slots []slot // hash table over refs; its length is a power of two
}

type slot struct {
	hash uint32
	id   uint32 // plus one; 0 is an empty slot
}

const (
	tryEntries = 2048    // before a table turns plain
	maxEntries = 1 << 17 // above which it is plain in any case
)

func (t *table) add(a *arena, v []byte) {
	if t.plain {
		t.refs = append(t.refs, a.put(v))
		return
	}
	if n := len(t.ids); n > 0 { // values often repeat the one before
		id := t.ids[n-1]
		if r := t.refs[id]; int(r.len) == len(v) && string(a.get(r)) == string(v) {
			t.ids = append(t.ids, id)
			return
		}
	}
	t.ids = append(t.ids, t.intern(a, v))
	if n := len(t.refs); n >= tryEntries && n*2 > len(t.ids) || n >= maxEntries {
		t.plain, t.turn, t.slots = true, n, nil
	}
}

// intern gives the id of v, adding it when it is new.
func (t *table) intern(a *arena, v []byte) uint32 {
	if len(t.refs)*2 >= len(t.slots) {
		t.grow()
	}
	h := uint32(maphash.Bytes(a.seed, v))
	mask := uint32(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s.id == 0 {
			t.refs = append(t.refs, a.put(v))
			id := uint32(len(t.refs))
			t.slots[i] = slot{h, id}
			return id - 1
		}
		if s.hash == h && string(a.get(t.refs[s.id-1])) == string(v) {
			return s.id - 1
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, max(16, 4*len(old)))
	mask := uint32(len(t.slots) - 1)
	for _, s := range old {
		if s.id == 0 {
			continue
		}
		i := s.hash & mask
		for t.slots[i].id != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

// len is the number of values.
func (t *table) len() int {
	if t.plain {
		return len(t.ids) + len(t.refs) - t.turn
	}
	return len(t.ids)
}

// entry gives the index in refs of the i-th value.
func (t *table) entry(i int) int {
	if i < len(t.ids) {
		return int(t.ids[i])
	}
	return t.turn + i - len(t.ids)
}

func (t *table) bytes() int64 {
	return int64(len(t.refs))*refSize + int64(len(t.ids))*4 + int64(len(t.slots))*8
}

func (t *table) reset() {
	clear(t.slots)
	*t = table{refs: t.refs[:0], ids: t.ids[:0], slots: t.slots}
}
