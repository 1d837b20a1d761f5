package coverage

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
)

// A set's file is the magic, the CRC-32C of all that follows, the length of
// the raw bytes (little-endian, 4 and 8 bytes), and the raw bytes as one zstd
// frame. They are the number of streams and the streams, by ascending id;
// numbers are varints, a list is preceded by its length, and the offsets of
// ranges ascend, so each is the distance from the one before.
//
// Version 1 (AKC1) knows no Doubtful, Cause and Since; it is read, and written no
// more. Data files say so what their rows cover. Tables had such files as their
// coverage before there were trees.
const (
	magic    = "AKC2"
	magic1   = "AKC1"
	fixed    = len(magic) + 4 + 8
	MaxRaw   = 512 << 20 // bytes of a set, decompressed
	MaxCoded = 256 << 20 // bytes of a set, encoded
)

// Encode returns the bytes of a coverage file.
func (s Set) Encode() ([]byte, error) {
	var e Encoder
	return e.Encode(s)
}

// Encoder encodes one set after the other, reusing its memory. The zero value is
// ready. It is not safe for concurrent use.
type Encoder struct {
	zstd *zstd.Encoder
	raw  []byte
}

// Encode returns the bytes of a coverage file.
func (e *Encoder) Encode(s Set) ([]byte, error) {
	raw := binary.AppendUvarint(e.raw[:0], uint64(len(s)))
	for _, id := range s.IDs() {
		raw = appendStream(raw, id, s[id])
	}
	if len(raw) > MaxRaw {
		return nil, fmt.Errorf("encode coverage: %d bytes, at most %d are allowed", len(raw), MaxRaw)
	}
	e.raw = raw
	if e.zstd == nil {
		var err error
		if e.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false)); err != nil {
			return nil, fmt.Errorf("create zstd encoder: %w", err)
		}
	}
	out := append([]byte(magic), make([]byte, fixed-len(magic))...)
	binary.LittleEndian.PutUint64(out[8:], uint64(len(raw)))
	out = e.zstd.EncodeAll(raw, out)
	binary.LittleEndian.PutUint32(out[4:], chunk.CRC(out[8:]))
	if len(out) > MaxCoded {
		return nil, fmt.Errorf("encode coverage: %d bytes, at most %d are allowed", len(out), MaxCoded)
	}
	return out, nil
}

func appendStream(b []byte, id string, s *Stream) []byte {
	for _, t := range [...]string{id, s.Host, s.Source} {
		b = binary.AppendUvarint(b, uint64(len(t)))
		b = append(b, t...)
	}
	for _, r := range [...]chunk.Ranges{s.Ranges, s.Lost, s.Dropped, s.Doubtful} {
		b = binary.AppendUvarint(b, uint64(len(r)))
		at := int64(0)
		for _, x := range r {
			b = binary.AppendUvarint(b, uint64(x.First-at))
			b = binary.AppendUvarint(b, uint64(x.Len()))
			at = x.Last
		}
	}
	b = binary.AppendVarint(b, s.Begin)
	b = binary.AppendVarint(b, s.End)
	b = binary.AppendVarint(b, seconds(s.Since))
	b = binary.AppendVarint(b, s.Seen.Unix())
	b = binary.AppendUvarint(b, uint64(len(s.Cause)))
	b = append(b, s.Cause...)
	return appendSums(b, s.Sums)
}

// seconds is a time as it is stored: 0 for none.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// Decode reads a coverage file's bytes. What breaks the format is
// chunk.ErrInvalid; memory stays within a small multiple of the raw length.
func Decode(b []byte) (Set, error) {
	if len(b) < fixed || string(b[:len(magic)]) != magic && string(b[:len(magic)]) != magic1 {
		return nil, invalidf("no coverage file of version 1 or 2")
	}
	version := int(b[len(magic)-1] - '0')
	if got, want := chunk.CRC(b[8:]), binary.LittleEndian.Uint32(b[4:]); got != want {
		return nil, invalidf("CRC is %08x, should be %08x", got, want)
	}
	rawLen := binary.LittleEndian.Uint64(b[8:])
	if rawLen > MaxRaw {
		return nil, invalidf("%d bytes raw, at most %d are allowed", rawLen, MaxRaw)
	}
	// The length is not believed: the decoder stops at it. But a small frame's
	// window may be larger than what is in it, twice as large at 1 KiB.
	const window = 64 << 10
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(max(rawLen, window)))
	if err != nil {
		return nil, fmt.Errorf("create zstd decoder: %w", err)
	}
	defer dec.Close()
	raw, err := dec.DecodeAll(b[fixed:], nil)
	if err != nil {
		return nil, invalidf("decompress: %v", err)
	}
	if uint64(len(raw)) != rawLen {
		return nil, invalidf("%d bytes raw, its head says %d", len(raw), rawLen)
	}
	return decodeRaw(raw, version)
}

func decodeRaw(raw []byte, version int) (Set, error) {
	d := decoder{b: raw, version: version}
	n := d.count(11) // a stream takes at least that many bytes
	set := make(Set, n)
	prev := ""
	for i := range n {
		id, s := d.stream()
		if d.err != nil {
			return nil, fmt.Errorf("stream %d: %w", i, d.err)
		}
		if id <= prev {
			return nil, invalidf("stream %d: ids do not ascend", i)
		}
		set[id], prev = s, id
	}
	if d.err == nil && len(d.b) != 0 {
		d.fail("bytes are left over")
	}
	return set, d.err
}

func invalidf(format string, args ...any) error {
	return fmt.Errorf("decode coverage: %w: %s", chunk.ErrInvalid, fmt.Sprintf(format, args...))
}

// decoder returns zero values after its first error.
type decoder struct {
	b                   []byte
	version             int
	err                 error
	host, source, cause string // the ones before: streams repeat them
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = invalidf("%s, %d bytes before the end", what, len(d.b))
	}
	d.b = nil
}

func (d *decoder) uvarint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) varint() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads the length of a list whose items take minBytes each or more.
func (d *decoder) count(minBytes int) int {
	n := d.uvarint()
	if n > uint64(len(d.b)/minBytes) {
		d.fail("a list is longer than the file")
		return 0
	}
	return int(n)
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > chunk.MaxString || n > uint64(len(d.b)) {
		d.fail("a string has an impossible length")
		return nil
	}
	out := d.b[:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) repeated(last *string) string {
	if b := d.bytes(); string(b) != *last {
		*last = string(b)
	}
	return *last
}

// offset adds a distance to an offset; both must stay within int64.
func (d *decoder) offset(at int64, dist uint64) int64 {
	n := at + int64(dist)
	if int64(dist) < 0 || n < at {
		d.fail("an offset is too large")
		return 0
	}
	return n
}

func (d *decoder) ranges() chunk.Ranges {
	n := d.count(2)
	if n == 0 {
		return nil
	}
	out := make(chunk.Ranges, 0, n)
	at := int64(0)
	for i := range n {
		dist := d.uvarint()
		first := d.offset(at, dist)
		at = d.offset(first, d.uvarint())
		if d.err != nil {
			return nil
		}
		if at == first || i > 0 && dist == 0 {
			d.fail("a range is empty or touches another")
			return nil
		}
		out = append(out, chunk.Range{First: first, Last: at})
	}
	return out
}

func (d *decoder) stream() (string, *Stream) {
	id := string(d.bytes())
	s := &Stream{Host: d.repeated(&d.host), Source: d.repeated(&d.source)}
	s.Ranges, s.Lost, s.Dropped = d.ranges(), d.ranges(), d.ranges()
	if d.version > 1 {
		s.Doubtful = d.ranges()
	}
	s.Begin, s.End = d.varint(), d.varint()
	if d.version > 1 {
		if n := d.varint(); n != 0 {
			s.Since = time.Unix(n, 0).UTC()
		}
	}
	s.Seen = time.Unix(d.varint(), 0).UTC()
	if d.version > 1 {
		s.Cause = d.repeated(&d.cause)
	}
	if s.Begin < Unknown || s.End < Unknown {
		d.fail("a begin or end is negative")
	}
	s.Sums = d.sums()
	return id, s
}
