package stride

import (
	"encoding/binary"
	mathbits "math/bits"
	"slices"

	"github.com/klauspost/compress/huff0"
)

// Decoder takes rows out of frames that an Encoder made, without putting their bytes
// together. The zero value is ready. It is not safe for concurrent use.
type Decoder struct {
	huff  *huff0.Scratch
	lits  []byte
	width int // of a row, as the frame's first block says it
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

// Unpack appends the bytes of a frame that an Encoder made to dst, in a fraction of the
// time that its sequences would take one by one. ok is false where the frame is another
// one: then dst is as it was.
func (d *Decoder) Unpack(dst, frame []byte) (out []byte, ok bool) {
	first, match, ok := d.literals(frame)
	if !ok {
		return dst, false
	}
	size, own := int(binary.LittleEndian.Uint32(frame[len(prefix):])), d.width-match
	matched := size - len(d.lits)
	if own <= 0 || matched <= 0 || matched%match != 0 {
		return dst, false
	}
	rows := matched/match + 1
	r := Rows{Head: size - rows*d.width, Width: d.width}
	r.From = first - r.Head - r.Width
	r.To = r.From + match
	if !r.Fits(size) || len(d.lits) != r.Head+r.Width+(rows-1)*own {
		return dst, false
	}
	return d.expand(slices.Grow(dst, size), r), true
}

// expand puts rows together again of the literals.
func (d *Decoder) expand(dst []byte, r Rows) []byte {
	equal, own := d.lits[r.Head+r.From:r.Head+r.To], d.lits[r.Head+r.Width:]
	dst = append(dst, d.lits[:r.Head+r.Width]...)
	tail := r.Width - len(equal)
	if r.Width == 8 && r.To == 8 {
		return expandWords(dst, own, tail)
	}
	for ; len(own) > 0; own = own[tail:] {
		dst = append(append(append(dst, own[:r.From]...), equal...), own[r.From:tail]...)
	}
	return dst
}

// expandWords appends the words that are like dst's last one in all but so many of their
// low bytes.
func expandWords(dst, low []byte, bytes int) []byte {
	const word = 8
	mask := uint64(1)<<(8*bytes) - 1
	high := binary.LittleEndian.Uint64(dst[len(dst)-word:]) &^ mask
	n := len(low) / bytes
	low = slices.Grow(low, word)[:len(low)+word] // each is read as a whole word
	at := len(dst)
	dst = dst[:at+n*word]
	for i := range n {
		binary.LittleEndian.PutUint64(dst[at+i*word:], binary.LittleEndian.Uint64(low[i*bytes:])&mask|high)
	}
	return dst
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
		seqs, ok := d.block(rest[3 : 3+size])
		if !ok {
			return 0, 0, false
		}
		if m := int(seqs[3]) + minMatch; blocks == 0 {
			first, match, d.width = len(d.lits), m, lastOffset(seqs)-3
		} else if m != match || seqs[2] != 0 {
			return 0, 0, false
		}
		if rest = rest[3+size:]; h&1 == 1 {
			return first, match, len(rest) == 0
		}
	}
}

// lastOffset returns the offset of a block's last sequence: it has the highest bits of
// its section, below the one that ends it.
func lastOffset(seqs []byte) int {
	code, bits := int(seqs[2]), seqs[4:]
	last := bits[len(bits)-1]
	if last == 0 || code > 16 {
		return 0
	}
	var top [4]byte
	copy(top[max(0, 4-len(bits)):], bits[max(0, len(bits)-4):])
	below := 24 + mathbits.Len8(last) - 1
	return 1<<code | int(binary.LittleEndian.Uint32(top[:])>>(below-code)&(1<<code-1))
}

// block decodes the literals of a block and returns its sequences: their modes, the codes
// that all of them have, of literals, offsets and matches, and their bits.
func (d *Decoder) block(b []byte) (sequences []byte, ok bool) {
	if len(b) < 5 || b[0]>>2&3 != 3 {
		return nil, false
	}
	at := len(d.lits)
	switch kind, h := b[0]&3, uint64(binary.LittleEndian.Uint32(b))|uint64(b[4])<<32; kind {
	case 0:
		n := int(h >> 4 & (1<<20 - 1))
		if b = b[3:]; n > len(b) {
			return nil, false
		}
		d.lits, b = append(d.lits, b[:n]...), b[n:]
	case 2:
		n, packed := int(h>>4&(1<<18-1)), int(h>>22)
		if b = b[5:]; packed > len(b) || n > blockLiterals {
			return nil, false
		}
		table, in, err := huff0.ReadTable(b[:packed], d.huff)
		if err != nil {
			return nil, false
		}
		d.huff, b = table, b[packed:]
		if cap(d.lits)-at < n+slack {
			d.lits = append(make([]byte, 0, 2*cap(d.lits)+n+slack), d.lits...)
		}
		out, err := table.Decoder().Decompress4X(d.lits[at:at:at+n], in)
		if err != nil || len(out) != n {
			return nil, false
		}
		d.lits = d.lits[:at+n]
	default:
		return nil, false
	}
	if len(b) > 0 && b[0] >= 128 {
		b = b[1:]
	}
	// Their number is first.
	if len(b) < 6 || b[1] != modes || b[4] >= maxMatch {
		return nil, false
	}
	return b[1:], true
}

const (
	blockLiterals = 128 << 10
	slack         = 32
	modes         = 1<<6 | 1<<4 | 1<<2 // each of one code
)
