package parquetfile

import "testing"

// TestChosenNumbersDontCollide hashes numbers that a multiplication by the golden
// ratio's bits, and one that keeps the middle, would put into one slot each.
func TestChosenNumbersDontCollide(t *testing.T) {
	inverse := uint64(1) // of the factor, modulo 2^64, by Newton's method
	for range 6 {
		inverse *= 2 - 0x9E3779B97F4A7C15*inverse
	}
	for name, number := range map[string]func(i uint64) uint64{
		"multiples of the inverse": func(i uint64) uint64 { return i * inverse },
		"high bits":                func(i uint64) uint64 { return i << 44 },
		"small":                    func(i uint64) uint64 { return i },
	} {
		var n numbers
		n.reset()
		slots := map[uint64]bool{}
		const values = 8192
		for i := range uint64(values) {
			slots[n.hash(number(i))&uint64(len(n.slots)-1)] = true
		}
		if len(slots) < values/2 {
			t.Errorf("%s: %d numbers have %d slots", name, values, len(slots))
		}
	}
}
