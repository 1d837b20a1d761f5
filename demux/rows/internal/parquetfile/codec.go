package parquetfile

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"github.com/akupara/akupara/demux/rows/internal/stride"
	"github.com/cespare/xxhash/v2"
	"github.com/parquet-go/parquet-go/format"
	"github.com/valyala/gozstd"
)

// codec compresses pages as zstd frames: in one of two ways, where the values
// are of one width.
type codec struct {
	stride stride.Encoder
	trial  []byte
}

// Levels of zstd: texts get smaller for the same time with the second one. Numbers don't,
// and texts of which little can be saved take twice the time.
const (
	fastLevel = 1
	textLevel = 2
)

// nextLevel returns the level of a column chunk's next page.
func nextLevel(level, page, packed int) int {
	if 2*packed > page {
		return fastLevel
	}
	return level
}

// search appends a page as a frame of zstd's own encoder, with a checksum. That is the
// one in C: of pages it takes half to two thirds of the time that the one in Go does, and
// makes them smaller.
func search(dst, page []byte, level int) []byte {
	if len(page) == 0 {
		return stride.Store(dst, page)
	}
	at := len(dst)
	dst = gozstd.CompressLevel(dst, page, level)
	const descriptor, checksum = 4, 1 << 2 // RFC 8878, 3.1.1.1.1
	dst[at+descriptor] |= checksum
	return binary.LittleEndian.AppendUint32(dst, uint32(xxhash.Sum64(page)))
}

// way is how the pages of a column chunk are compressed.
type way uint8

const (
	untried way = iota
	searched
	strided
)

const (
	// sampleBytes of a column chunk's first page decide on its way.
	sampleBytes = 64 << 10
	stridePage  = 16 << 10 // bytes of a page that is worth the question
)

// indexes compresses a page of indexes. Where those of the page before did not get
// smaller, *raw, it stores them as they are: in the bits that they need, most have
// nothing left to be saved.
func (c *codec) indexes(dst, page []byte, raw *bool) []byte {
	if *raw {
		return stride.Store(dst, page)
	}
	at := len(dst)
	dst = search(dst, page, fastLevel)
	*raw = len(page) >= leastStored && len(dst)-at > len(page)-len(page)/16
	return dst
}

// leastStored bytes of a page of indexes tell of those to come.
const leastStored = 512

func (c *codec) compress(dst, page []byte, level int, r stride.Rows, w *way) []byte {
	if len(page) < stridePage || !r.Fits(len(page)) {
		return search(dst, page, level)
	}
	if *w == untried {
		sample := page
		if len(page) > sampleBytes {
			sample = page[:r.Head+sampleBytes/r.Width*r.Width]
		}
		c.trial = search(c.trial[:0], sample, level)
		found := len(c.trial)
		*w = searched
		if r.Fits(len(sample)) {
			c.trial = c.stride.Encode(c.trial[:0], sample, r)
			// It is a multiple as fast: a little more is a good price.
			if len(c.trial)-len(c.trial)/64 <= found {
				*w = strided
			}
		}
	}
	if *w == strided {
		return c.stride.Encode(dst, page, r)
	}
	return search(dst, page, level)
}

// numberRows tells which bytes of the numbers are the same in all of them,
// when they follow head other bytes.
func numberRows(vals []uint64, head int) stride.Rows {
	if len(vals) == 0 {
		return stride.Rows{}
	}
	var vary uint64
	for _, v := range vals {
		vary |= v ^ vals[0]
	}
	// In numbers the high bytes are the ones that stay: for those of doubles
	// the gain is none.
	return stride.Rows{Head: head, Width: 8, From: (bits.Len64(vary) + 7) / 8, To: 8}
}

// likeness finds out whether strings have the same length, and how far they
// begin alike.
type likeness struct {
	first  [maxCommon]byte // of the first one, as far as they may be alike
	length int             // of each
	common int
	any    bool
	differ bool
}

func (l *likeness) reset() { l.any, l.differ = false, false }

func (l *likeness) add(v []byte) {
	switch {
	case l.differ:
	case !l.any:
		l.any, l.length, l.common = true, len(v), copy(l.first[:], v)
	case len(v) != l.length:
		l.differ = true
	default:
		for l.common > 0 && string(v[:l.common]) != string(l.first[:l.common]) {
			l.common--
		}
	}
}

const (
	lengthBytes = 4 // before a string in PLAIN encoding
	maxCommon   = 30
)

// rows describes the strings in PLAIN encoding, after head other bytes.
func (l *likeness) rows(head int) stride.Rows {
	if !l.any || l.differ {
		return stride.Rows{}
	}
	return stride.Rows{Head: head, Width: lengthBytes + l.length, From: 0, To: lengthBytes + l.common}
}

// appendPlain appends numbers in PLAIN encoding.
func appendPlain(p []byte, vals []uint64, t format.Type) []byte {
	at := len(p)
	if t == format.Int32 {
		p = slices.Grow(p, 4*len(vals))
		for _, v := range vals {
			p = binary.LittleEndian.AppendUint32(p, uint32(v))
		}
		return p
	}
	p = slices.Grow(p, 8*len(vals))[:at+8*len(vals)]
	out := p[at:]
	for i, v := range vals {
		binary.LittleEndian.PutUint64(out[8*i:], v)
	}
	return p
}
