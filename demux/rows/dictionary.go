package rows

import "hash/maphash"

// dictionary holds the strings of one column. As long as they repeat, each one is
// kept once and a value is its id; when they turn out not to, every further
// value is kept as it comes.
type dictionary struct {
	arena arena
	refs  vec[ref]
	ids   vec[uint32] // of the values before it turned plain
	turn  int         // refs that there were then
	plain bool
	slots []slot // hash table over refs; its length is a power of two
	last  slot   // of the value before: values often repeat it
}

type slot struct {
	hash uint32
	id   uint32 // plus one; 0 is an empty slot
}

const slotSize = 8

const (
	tryEntries = 2048    // before a dictionary turns plain
	maxEntries = 1 << 17 // above which it is plain in any case
)

func (t *dictionary) add(m *memory, v []byte) {
	if t.plain {
		t.refs.add(m, &m.refs, t.arena.put(m, v))
		return
	}
	t.ids.add(m, &m.ids, t.intern(m, v))
	t.consider(m)
}

// consider turns the dictionary plain when it does not pay.
func (t *dictionary) consider(m *memory) {
	if n := t.refs.len(); n >= tryEntries && n*2 > t.ids.len() || n >= maxEntries {
		t.turnPlain(m)
	}
}

func (t *dictionary) turnPlain(m *memory) {
	m.used -= int64(len(t.slots)) * slotSize
	t.plain, t.turn, t.slots, t.last = true, t.refs.len(), nil, slot{}
}

// get returns an entry's string.
func (t *dictionary) get(entry int) []byte { return t.arena.get(t.refs.at(entry)) }

// intern returns the id of v, adding it when it is new.
func (t *dictionary) intern(m *memory, v []byte) uint32 {
	h := uint32(maphash.Bytes(m.seed, v))
	if t.last.hash == h && t.last.id > 0 && string(t.get(int(t.last.id-1))) == string(v) {
		return t.last.id - 1
	}
	if t.refs.len()*2 >= len(t.slots) {
		t.grow(m)
	}
	mask := uint32(len(t.slots) - 1)
	for i := h & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s.id == 0 {
			id := uint32(t.refs.len())
			t.refs.add(m, &m.refs, t.arena.put(m, v))
			t.last = slot{h, id + 1}
			t.slots[i] = t.last
			return id
		}
		if s.hash == h && string(t.get(int(s.id-1))) == string(v) {
			t.last = s
			return s.id - 1
		}
	}
}

func (t *dictionary) grow(m *memory) {
	old := t.slots
	t.slots = make([]slot, max(16, 4*len(old)))
	m.used += int64(len(t.slots)-len(old)) * slotSize
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
func (t *dictionary) len() int {
	if t.plain {
		return t.ids.len() + t.refs.len() - t.turn
	}
	return t.ids.len()
}

// entry returns the index in refs of the i-th value.
func (t *dictionary) entry(i int) int {
	if n := t.ids.len(); i >= n {
		return t.turn + i - n
	}
	return int(t.ids.at(i))
}

// entriesOf puts the entries of values in the place of their numbers.
func (t *dictionary) entriesOf(values []uint32) {
	for k, i := range values {
		values[k] = uint32(t.entry(int(i)))
	}
}

// reset drops all values, after the memory's trim.
func (t *dictionary) reset(m *memory) {
	t.arena.reset(m)
	t.refs.reset(&m.refs)
	t.ids.reset(&m.ids)
	*t = dictionary{arena: t.arena, refs: t.refs, ids: t.ids}
}
