package stride

import (
	"encoding/binary"

	"github.com/klauspost/compress/huff0"
)

// Decoder takes rows out of frames that an Encoder made, without putting their bytes
// together. The zero value is ready. It is not safe for concurrent use.
type Decoder struct {
	huff *huff0.Scratch
	lits []byte
}

// Rows returns the bytes that n rows begin with, all of them, and one after the other
// the bytes that they have behind those: both are there until the next call. ok is false
// where the frame is not of n rows whose equal bytes are their first, as far as they are
// From 0 on.
func (d *Decoder) Rows(frame []byte, n int) (equal, own []byte, ok bool) {
	first, match, ok := d.literals(frame)
	if !ok || n < minRows {
		return nil, nil, false
	}
	size := int(binary.LittleEndian.Uint32(frame[len(prefix):]))
	width := (size - first) / (n - 1)
	head := first - width
	tail := width - match
	if head < 0 || tail <= 0 || head+n*width != size || len(d.lits) != first+(n-1)*tail {
		return nil, nil, false
	}
	return d.lits[head:][:match:match], d.lits[head+match:], true
}

// prefix starts each frame.
var prefix = []byte{0x28, 0xB5, 0x2F, 0xFD, 0xA4}

// literals decodes the literals of all blocks. It returns how many the first block
// has, and how long matches are.
func (d *Decoder) literals(frame []byte) (first, match int, ok bool) {
	if len(frame) < len(prefix)+4+3+4 || string(frame[:len(prefix)]) != string(prefix) {
		return 0, 0, false
	}
	d.lits = d.lits[:0]
	rest := frame[len(prefix)+4 : len(frame)-4]
	for blocks := 0; ; blocks++ {
		if len(rest) < 3 {
			return 0, 0, false
		}
		h := uint32(rest[0]) | uint32(rest[1])<<8 | uint32(rest[2])<<16
		size := int(h >> 3)
		if h>>1&3 != 2 || size > len(rest)-3 {
			return 0, 0, false
		}
		m, ok := d.block(rest[3 : 3+size])
		if !ok || blocks > 0 && m != match {
			return 0, 0, false
		}
		if match = m; blocks == 0 {
			first = len(d.lits)
		}
		if rest = rest[3+size:]; h&1 == 1 {
			return first, match, len(rest) == 0
		}
	}
}

// block decodes the literals of a block and returns how long its matches are.
func (d *Decoder) block(b []byte) (match int, ok bool) {
	if len(b) < 5 || b[0]>>2&3 != 3 {
		return 0, false
	}
	at := len(d.lits)
	switch kind, h := b[0]&3, uint64(binary.LittleEndian.Uint32(b))|uint64(b[4])<<32; kind {
	case 0:
		n := int(h >> 4 & (1<<20 - 1))
		if b = b[3:]; n > len(b) {
			return 0, false
		}
		d.lits, b = append(d.lits, b[:n]...), b[n:]
	case 2:
		n, packed := int(h>>4&(1<<18-1)), int(h>>22)
		if b = b[5:]; packed > len(b) || n > blockLiterals {
			return 0, false
		}
		table, in, err := huff0.ReadTable(b[:packed], d.huff)
		if err != nil {
			return 0, false
		}
		d.huff, b = table, b[packed:]
		if cap(d.lits)-at < n+slack {
			d.lits = append(make([]byte, 0, 2*cap(d.lits)+n+slack), d.lits...)
		}
		out, err := table.Decoder().Decompress4X(d.lits[at:at:at+n], in)
		if err != nil || len(out) != n {
			return 0, false
		}
		d.lits = d.lits[:at+n]
	default:
		return 0, false
	}
	if len(b) > 0 && b[0] >= 128 {
		b = b[1:]
	}
	// The number of sequences, their modes, and the codes of literals and of offsets.
	if len(b) < 5 || b[1] != modes || b[4] >= maxMatch {
		return 0, false
	}
	return int(b[4]) + minMatch, true
}

const (
	blockLiterals = 128 << 10
	slack         = 32
	modes         = 1<<6 | 1<<4 | 1<<2 // each of one code
)
