// Package stride compresses rows of one width whose bytes are random but for a
// part that is the same in all of them: identifiers with their length before
// them, numbers below a bound. It writes zstd frames (RFC 8878) that any
// decoder reads. Each row is a run of literals and one match, the one part of
// the row before; literals are Huffman coded. A zstd encoder that searches for
// matches takes three times as long for such data and finds less.
package stride

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/huff0"
)

// Rows tell how data is laid out: Head bytes, then rows of Width bytes each,
// up to the end. The bytes From up to To of all rows are equal.
type Rows struct {
	Head, Width, From, To int
}

// Limits of what Encode takes.
const (
	minMatch = 3  // of a zstd sequence
	maxMatch = 34 // the longest with a code of its own
	maxHead  = 4 << 10
	maxWidth = 4 << 10
	maxData  = 64 << 20
	minRows  = 16

	blockBytes = 120 << 10 // of a block, about; zstd's limit is 128 KiB
)

// Fits reports whether n bytes of such rows can be encoded.
func (r Rows) Fits(n int) bool {
	return r.Width > 0 && r.Width <= maxWidth && r.Head >= 0 && r.Head <= maxHead &&
		r.From >= 0 && r.To <= r.Width && r.To-r.From >= minMatch && r.To-r.From < r.Width &&
		n <= maxData && n-r.Head >= minRows*r.Width && (n-r.Head)%r.Width == 0
}

// Encoder encodes; its memory is used again. The zero value is ready. It is
// not safe for concurrent use.
type Encoder struct {
	huff huff0.Scratch
	lits []byte
}

// begin starts the frame of n bytes: of one segment, with its size in four bytes and
// a checksum at its end (3.1.1.1).
func begin(dst []byte, n int) []byte {
	dst = append(dst, prefix...)
	return binary.LittleEndian.AppendUint32(dst, uint32(n))
}

// Store appends data as one frame to dst, as it is.
func Store(dst, data []byte) []byte {
	const most = 128 << 10 // of a block
	dst = begin(dst, len(data))
	rest := data
	for {
		n := min(len(rest), most)
		header := uint32(n) << 3 // raw (3.1.1.2)
		if n == len(rest) {
			header |= 1
		}
		dst = append(dst, byte(header), byte(header>>8), byte(header>>16))
		dst = append(dst, rest[:n]...)
		if rest = rest[n:]; len(rest) == 0 {
			return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(data)))
		}
	}
}

// Encode appends data as one frame to dst. r must fit.
func (e *Encoder) Encode(dst, data []byte, r Rows) []byte {
	match := min(r.To-r.From, maxMatch)
	dst = begin(dst, len(data))

	// The first block says how far back matches are. It ends behind the match
	// of the second row, and so the others behind those of their last rows.
	at := r.Head + r.Width + r.From
	dst = e.block(dst, data[:at], false, sequence{lits: at, match: match, offset: uint32(r.Width) + 3}, 1)
	at += match
	rows := (len(data)-r.Head)/r.Width - 2
	repeat := sequence{lits: r.Width - match, match: match, offset: 1}
	for rows > 0 {
		n := min(rows, max(1, blockBytes/r.Width))
		rows -= n
		e.lits = e.lits[:0]
		for range n {
			e.lits = append(e.lits, data[at:at+repeat.lits]...)
			at += r.Width
		}
		if rows == 0 {
			e.lits = append(e.lits, data[at:]...)
		}
		dst = e.block(dst, e.lits, rows == 0, repeat, n)
	}
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(data)))
}

// sequence is how many literals to take, and how long a match after them, from
// where. offset is zstd's offset value: 1 for the one before, else that many
// bytes plus three (3.1.1.3.2.1.1).
type sequence struct {
	lits, match int
	offset      uint32
}

// block appends a block of n times the same sequence, with all literals.
func (e *Encoder) block(dst, lits []byte, last bool, s sequence, n int) []byte {
	at := len(dst)
	dst = append(dst, 0, 0, 0)
	dst = e.literals(dst, lits)
	dst = sequences(dst, s, n)
	header := uint32(len(dst)-at-3)<<3 | 2<<1 // compressed
	if last {
		header |= 1
	}
	dst[at], dst[at+1], dst[at+2] = byte(header), byte(header>>8), byte(header>>16)
	return dst
}

// literals appends a literals section (3.1.1.3.1), in its widest header.
func (e *Encoder) literals(dst, lits []byte) []byte {
	n := uint64(len(lits))
	if n >= 256 {
		e.huff.Reuse = huff0.ReusePolicyNone
		out, _, err := huff0.Compress4X(lits, &e.huff)
		switch {
		case err == nil:
			h := 2 | 3<<2 | n<<4 | uint64(len(out))<<22
			dst = append(dst, byte(h), byte(h>>8), byte(h>>16), byte(h>>24), byte(h>>32))
			return append(dst, out...)
		case errors.Is(err, huff0.ErrUseRLE):
			h := 1 | 3<<2 | n<<4
			return append(dst, byte(h), byte(h>>8), byte(h>>16), lits[0])
		}
	}
	h := 3<<2 | n<<4 // as they are
	dst = append(dst, byte(h), byte(h>>8), byte(h>>16))
	return append(dst, lits...)
}

// sequences appends a sequences section (3.1.1.3.2) of n times s. As all are
// alike, the three codes need no bits of their own, their extra bits only.
func sequences(dst []byte, s sequence, n int) []byte {
	if n < 128 {
		dst = append(dst, byte(n))
	} else { // below 0x7F00, by the size of a block
		dst = append(dst, byte(n>>8)+128, byte(n))
	}
	litCode, litExtra, litBits := litLength(uint32(s.lits))
	offCode := bits.Len32(s.offset) - 1
	offExtra := uint64(s.offset) - 1<<offCode
	dst = append(dst, modes, litCode, byte(offCode), byte(s.match-minMatch))
	// Bits are read from the end: the offset's, then the literals' length's.
	var acc uint64
	filled := 0
	for range n {
		acc |= (litExtra | offExtra<<litBits) << filled
		for filled += litBits + offCode; filled >= 8; filled -= 8 {
			dst = append(dst, byte(acc))
			acc >>= 8
		}
	}
	return append(dst, byte(acc|1<<filled)) // the highest bit ends the stream
}

// litLength returns the code of a length of literals, its extra bits and their
// number (3.1.1.3.2.1.1).
func litLength(n uint32) (code byte, extra uint64, width int) {
	switch {
	case n < 16:
		return byte(n), 0, 0
	case n < 64:
		bases := [...]uint32{16, 18, 20, 22, 24, 28, 32, 40, 48, 64}
		widths := [...]int{1, 1, 1, 1, 2, 2, 3, 3, 4}
		i := 0
		for n >= bases[i+1] {
			i++
		}
		return byte(16 + i), uint64(n - bases[i]), widths[i]
	}
	width = bits.Len32(n) - 1 // 64 is code 25, with 6 bits
	return byte(19 + width), uint64(n) - 1<<width, width
}
