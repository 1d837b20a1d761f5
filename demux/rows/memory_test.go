package rows

import (
	"bytes"
	"fmt"
	"runtime"
	"testing"
)

func TestVecGivesWhatWasAdded(t *testing.T) {
	m := newMemory()
	for round := range 3 { // the later ones in used blocks
		var v vec[uint64]
		n := 3*vecBlock + 7
		for i := range n {
			if v.len() != i {
				t.Fatalf("round %d: length is %d, want %d", round, v.len(), i)
			}
			v.add(m, &m.words, uint64(i+round))
		}
		for i := range n {
			if got := v.at(i); got != uint64(i+round) {
				t.Fatalf("round %d, value %d: got %d, want %d", round, i, got, i+round)
			}
		}
		if want := int64(4 * vecBlock * 8); m.used != want {
			t.Errorf("round %d: %d bytes are used, want %d", round, m.used, want)
		}
		v.drop(m, &m.words)
		if m.used != 0 || v.len() != 0 {
			t.Errorf("round %d: dropped, but %d bytes are used, length is %d", round, m.used, v.len())
		}
	}
	if n := len(m.words.free); n != 4 {
		t.Errorf("%d blocks are free, want 4", n)
	}
}

func TestArenaGivesWhatWasPut(t *testing.T) {
	m := newMemory()
	var a arena
	var refs []ref
	sizes := []int{0, 1, 15, 16, 0, 300, 5000, arenaBlock / 4, arenaBlock/4 + 1, 3, arenaBlock, 2 * arenaBlock, 9, 0}
	text := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, sizes[i%len(sizes)]) }
	for i := range 200 {
		refs = append(refs, a.put(m, text(i)))
	}
	for i, r := range refs {
		if got := a.get(r); !bytes.Equal(got, text(i)) {
			t.Fatalf("string %d: got %d bytes from %+v, want %d", i, len(got), r, len(text(i)))
		}
	}
}

func TestBytesIsTheMemoryThatRowsTake(t *testing.T) {
	heap := func() int64 {
		for range 3 { // what pools of tests before have goes with the second one
			runtime.GC()
		}
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	for _, tc := range []struct {
		what string
		put  func(b *Builder, i int)
	}{
		{"longs", func(b *Builder, i int) { b.Column("n").Long(int64(i)) }},
		{"unique strings", func(b *Builder, i int) { b.Column("s").String(fmt.Append(nil, "value ", i)) }},
		{"repeated strings", func(b *Builder, i int) { b.Column("s").String(fmt.Append(nil, "value ", i%5000)) }},
		{"attributes", func(b *Builder, i int) { b.Attr("key", fmt.Append(nil, "value ", i)) }},
		{"many columns", func(b *Builder, i int) { b.Column(fmt.Sprint("c", i%400)).String(fmt.Append(nil, i)) }},
		{"widened", func(b *Builder, i int) {
			if c := b.Column("w"); i < 99_999 {
				c.Long(int64(i))
			} else {
				c.String([]byte("x"))
			}
		}},
		{"origins", func(b *Builder, i int) { b.Origin("h", "s", fmt.Sprint("stream ", i), nil) }},
	} {
		before := heap()
		b := NewBuilder(Options{})
		b.Origin("h", "s", "x", nil)
		for i := range 100_000 {
			b.Row(int64(i), int64(i))
			tc.put(b, i)
		}
		// What the widened numbers left is free, not gone.
		b.mem.words.free = nil
		got, want := b.Bytes()-int64(b.Len())*rowSize, heap()-before
		runtime.KeepAlive(b)
		if diff := got - want; diff < -want/10-100_000 || diff > want/4 {
			t.Errorf("%s: %d bytes by Bytes, %d on the heap", tc.what, got, want)
		}
	}
}
