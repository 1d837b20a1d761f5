package parquetfile

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/parquet-go/parquet-go/bloom"
)

// A leaf's part of a row group gets a split block bloom filter, as the format's
// BloomFilter.md says, where its values are ones that people look for: many
// different ones, and short.
const (
	minNeedles = 1024 // distinct values of a row group
	maxNeedle  = 128  // bytes of them, on average
	// bitsPerValue gives about one wrong «perhaps» in four hundred: each costs as much as
	// the filters of fifty row groups.
	bitsPerValue  = 14
	maxFilterSize = 16 << 20 // bytes
)

// needle reports whether n values of so many bytes together are worth a filter,
// if they are distinct.
func needle(n, size int) bool { return n >= minNeedles && size <= maxNeedle*n }

// filter gives a leaf of the row group a filter of values with these hashes.
func (w *Writer) filter(leaf int, hashes []uint64, b Bloom) {
	n := w.distinct(hashes)
	if len(hashes) == 0 || b == AutoBloom && n < minNeedles {
		return
	}
	blocks := bloom.NumSplitBlocksOf(int64(n), bitsPerValue)
	if blocks*bloom.BlockSize > maxFilterSize {
		return
	}
	f := make(bloom.SplitBlockFilter, blocks)
	f.InsertBulk(hashes)
	w.filters = append(w.filters, filter{column: leaf, blocks: f})
}

// distinct estimates how many of the hashes are distinct. Of many it looks at every
// eighth value, with all of its hashes.
func (w *Writer) distinct(hashes []uint64) int {
	if len(hashes) < sampledHashes {
		return min(w.estimate(hashes), len(hashes))
	}
	w.sample = w.sample[:0]
	for _, h := range hashes {
		if h&7 == 0 {
			w.sample = append(w.sample, h)
		}
	}
	return min(8*w.estimate(w.sample), len(hashes))
}

// sampledHashes are so many that an eighth of them tells how many are distinct.
const sampledHashes = 1 << 16

// estimate estimates how many of the hashes are distinct by how many of a table's
// bits they leave unset (linear counting).
func (w *Writer) estimate(hashes []uint64) int {
	const load = 2
	size := 1 << max(10, bits.Len(uint(len(hashes)/load)))
	if len(w.seen) < size/64 {
		w.seen = make([]uint64, size/64)
	}
	seen := w.seen[:size/64]
	clear(seen)
	for _, h := range hashes {
		h >>= 20
		seen[h/64%uint64(len(seen))] |= 1 << (h % 64)
	}
	unset := 0
	for _, word := range seen {
		unset += bits.OnesCount64(^word)
	}
	if unset == 0 {
		return len(hashes)
	}
	return int(math.Ceil(float64(size) * math.Log(float64(size)/float64(unset))))
}

// filter is one that is to be written behind the row group.
type filter struct {
	column  int
	blocks  bloom.SplitBlockFilter
	encoded []byte // of another file, with its header; or nil
}

// writeFilters writes the row group's filters.
func (w *Writer) writeFilters() {
	for _, f := range w.filters {
		b, err := f.bytes()
		if err != nil && w.err == nil {
			w.err = err
		}
		m := &w.group.Columns[f.column].MetaData
		m.BloomFilterOffset = w.offset
		w.write(b)
		m.BloomFilterLength = int32(w.offset - m.BloomFilterOffset)
	}
	w.filters = w.filters[:0]
}

// blockBytes are a filter's words in the format's byte order.
func blockBytes(f bloom.SplitBlockFilter) []byte {
	out := make([]byte, 0, len(f)*bloom.BlockSize)
	for i := range f {
		for _, word := range f[i] {
			out = binary.LittleEndian.AppendUint32(out, uint32(word))
		}
	}
	return out
}
