package parquetfile

// numbers is a dictionary of few numbers.
type numbers struct {
	keys  []uint64
	slots []int32 // index in keys plus one; 0 is empty
}

const (
	maxNumbers  = 8192 // entries above which plain values are as small
	numberSlots = 4 * maxNumbers
)

// encode appends the index of each value to idx. It gives false where a
// dictionary does not pay.
func (n *numbers) encode(vals []uint64, idx []int32) ([]int32, bool) {
	if len(vals) == 0 {
		return idx, false
	}
	if n.slots == nil {
		n.slots = make([]int32, numberSlots)
	}
	clear(n.slots)
	n.keys = n.keys[:0]
	last, at := vals[0]+1, int32(0)
	for i, v := range vals {
		if v != last {
			last, at = v, n.find(v)
			// Give up early where nearly all are new.
			if k := len(n.keys); k > maxNumbers || i >= 1024 && k > i/2 {
				return idx, false
			}
		}
		idx = append(idx, at)
	}
	if len(n.keys)*4 > len(vals) && len(n.keys) > 16 {
		return idx, false
	}
	return idx, true
}

func (n *numbers) find(v uint64) int32 {
	for i := v * 0x9E3779B97F4A7C15 >> 32 % numberSlots; ; i = (i + 1) % numberSlots {
		switch at := n.slots[i]; {
		case at == 0:
			n.keys = append(n.keys, v)
			n.slots[i] = int32(len(n.keys))
			return int32(len(n.keys)) - 1
		case n.keys[at-1] == v:
			return at - 1
		}
	}
}
