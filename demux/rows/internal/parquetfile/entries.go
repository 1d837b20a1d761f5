package parquetfile

import (
	"bytes"
	"slices"
)

// entries are the strings of a dictionary, each once.
type entries struct {
	bytes  []byte
	ends   []int
	hashes []uint64
	slots  []int32 // number plus one, by hash; 0 is free
}

func (e *entries) reset() {
	if len(e.ends) > 0 || e.slots == nil {
		if len(e.slots) > 4*dictTry || e.slots == nil {
			e.slots = make([]int32, 2*dictTry)
		}
		clear(e.slots)
	}
	e.bytes, e.ends, e.hashes = e.bytes[:0], e.ends[:0], e.hashes[:0]
}

func (e *entries) get(i int32) []byte {
	from := 0
	if i > 0 {
		from = e.ends[i-1]
	}
	return e.bytes[from:e.ends[i]:e.ends[i]]
}

func (e *entries) intern(v []byte, hash uint64) int32 {
	if 2*len(e.ends) >= len(e.slots) {
		e.grow()
	}
	mask := uint64(len(e.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		at := e.slots[i]
		if at == 0 {
			e.bytes = append(e.bytes, v...)
			e.ends, e.hashes = append(e.ends, len(e.bytes)), append(e.hashes, hash)
			e.slots[i] = int32(len(e.ends))
			return int32(len(e.ends)) - 1
		}
		if e.hashes[at-1] == hash && bytes.Equal(e.get(at-1), v) {
			return at - 1
		}
	}
}

func (e *entries) grow() {
	n := 4 * len(e.slots)
	e.slots = slices.Grow(e.slots[:0], n)[:n]
	clear(e.slots)
	mask := uint64(n - 1)
	for k, hash := range e.hashes {
		i := hash & mask
		for e.slots[i] != 0 {
			i = (i + 1) & mask
		}
		e.slots[i] = int32(k) + 1
	}
}
