package datafile

import (
	"strconv"

	"github.com/cespare/xxhash/v2"
)

// RowSum is a checksum of the (stream, seq) of rows that does not depend on their
// order: that of two sets of rows together is the sum of both. A file's footer says
// its rows' from when they were parsed, so that what is made of files later can be
// compared with it.
type RowSum uint64

// HashStream returns the hash of a stream's id that Add takes.
func HashStream(id []byte) uint64 { return xxhash.Sum64(id) }

// Add adds a row of the stream with that hash.
func (s *RowSum) Add(stream, seq uint64) {
	h := stream ^ seq*0x9E3779B97F4A7C15
	h ^= h >> 32
	h *= 0xD6E8FEB86659FD93
	h ^= h >> 32
	*s += RowSum(h)
}

// String returns the sum as a footer says it.
func (s RowSum) String() string { return strconv.FormatUint(uint64(s), 16) }
