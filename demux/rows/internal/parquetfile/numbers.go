package parquetfile

import (
	"math/bits"
	"math/rand/v2"
	"slices"
)

// numbers is a dictionary of numbers.
type numbers struct {
	factor uint64 // of the hash, another one in each process: nobody can choose values that collide
	keys   []uint64
	slots  []int32 // index in keys plus one; 0 is empty
}

const (
	maxNumbers  = 8192  // entries above which plain values are as small, where only near ones repeat
	mostNumbers = 32768 // and where all repeat
	numberSlots = 4 * maxNumbers
)

func (n *numbers) reset() {
	if n.factor == 0 {
		n.factor = rand.Uint64() | 1
	}
	if len(n.slots) != numberSlots {
		n.slots = make([]int32, numberSlots)
	}
	if len(n.keys) > 0 {
		clear(n.slots)
	}
	n.keys = n.keys[:0]
}

// encode appends the index of each value to idx. It gives false where a
// dictionary does not pay.
func (n *numbers) encode(vals []uint64, idx []int32) ([]int32, bool) {
	if len(vals) == 0 {
		return idx, false
	}
	most, fewNew := maxNumbers, false
	if Repeats(len(vals), n.sampled(vals)) {
		most, fewNew = min(mostNumbers, len(vals)/4), true
	}
	n.reset()
	last, at := vals[0]+1, int32(0)
	for i, v := range vals {
		if v != last {
			last, at = v, n.find(v)
			// Give up early where nearly all are new.
			if k := len(n.keys); k > most || i >= 1024 && k > i/2 && !fewNew {
				return idx, false
			}
		}
		idx = append(idx, at)
	}
	return idx, !manyNumbers(len(n.keys), len(vals))
}

// sampled returns how many of a sample of the values are different.
func (n *numbers) sampled(vals []uint64) func(step int) int {
	return func(step int) int {
		n.reset()
		for i := 0; i < len(vals); i += step {
			n.find(vals[i])
		}
		return len(n.keys)
	}
}

const (
	// sampleSize is how many values are looked at to tell whether a dictionary
	// pays, of a leaf that has several times as many.
	sampleSize = 2048
	// sampleRepeats are as many repetitions among them as there are, about, where
	// a fourth of the values of a row group are different, all as often.
	sampleRepeats = 60
)

// Repeats reports whether so many values seem to repeat so often that a
// dictionary of them all pays. different returns how many of every step-th value
// are; it is asked only where a sample is worth it. Values that repeat only near
// each other don't show in it.
func Repeats(values int, different func(step int) int) bool {
	if values < 4*sampleSize {
		return false
	}
	step := values / sampleSize
	return (values+step-1)/step-different(step) >= sampleRepeats
}

// manyNumbers reports whether so many different numbers are too many for a
// dictionary of values.
func manyNumbers(different, values int) bool { return different*4 > values && different > 16 }

func (n *numbers) hash(v uint64) uint64 {
	hi, lo := bits.Mul64(v^n.factor>>1, n.factor)
	hi, lo = bits.Mul64(hi^lo, n.factor)
	return hi ^ lo
}

func (n *numbers) find(v uint64) int32 {
	mask := uint64(len(n.slots) - 1)
	for i := n.hash(v) & mask; ; i = (i + 1) & mask {
		switch at := n.slots[i]; {
		case at == 0:
			n.keys = append(n.keys, v)
			n.slots[i] = int32(len(n.keys))
			if 2*len(n.keys) > len(n.slots) {
				n.grow()
			}
			return int32(len(n.keys)) - 1
		case n.keys[at-1] == v:
			return at - 1
		}
	}
}

func (n *numbers) grow() {
	n.slots = slices.Grow(n.slots[:0], 2*len(n.slots))[:2*len(n.slots)]
	clear(n.slots)
	mask := uint64(len(n.slots) - 1)
	for k, v := range n.keys {
		i := n.hash(v) & mask
		for n.slots[i] != 0 {
			i = (i + 1) & mask
		}
		n.slots[i] = int32(k) + 1
	}
}
