package collectord

import (
	"math/bits"
	"sync"
)

const (
	minBuffer = 16 << 10
	maxBuffer = 4 << 20 // longer ones are rare and not kept
)

// buffers keeps buffers for bodies, by powers of two. The zero value is ready.
type buffers struct{ pools [9]sync.Pool }

// class returns the pool for n bytes and the length of its buffers.
func class(n int) (pool, length int) {
	pool = max(0, bits.Len(uint(n-1))-bits.Len(uint(minBuffer-1)))
	return pool, minBuffer << pool
}

// lengthFor is how much memory a buffer for n bytes takes.
func lengthFor(n int) int {
	if n > maxBuffer {
		return n
	}
	_, length := class(n)
	return length
}

// get gives a buffer of at least n bytes, to be put back.
func (b *buffers) get(n int) *[]byte {
	if n > maxBuffer {
		buf := make([]byte, n)
		return &buf
	}
	pool, length := class(n)
	if buf, ok := b.pools[pool].Get().(*[]byte); ok {
		return buf
	}
	buf := make([]byte, length)
	return &buf
}

func (b *buffers) put(buf *[]byte) {
	if len(*buf) <= maxBuffer {
		pool, _ := class(len(*buf))
		b.pools[pool].Put(buf)
	}
}
