package spool

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/akupara/akupara/chunk"
)

// A segment file is a sequence of frames: the payload's length and CRC-32C,
// four bytes each, little-endian, and the payload: one chunk without its data
// type and stream, which stand in the file's name and folder.
const (
	frameHead = 8
	maxFrame  = 64 << 20 // bytes of a payload
)

var errDamaged = errors.New("cut off or damaged")

func appendFrame(b []byte, c *chunk.Chunk) []byte {
	at := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = append(b, byte(c.Kind))
	b = binary.AppendVarint(b, c.First)
	b = binary.AppendVarint(b, c.Last)
	b = binary.AppendVarint(b, c.Time.UnixMicro())
	for _, s := range [...]string{c.Host, c.Source, c.Encoding, c.Reason} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Tags)))
	for k, v := range c.Tags {
		b = appendString(appendString(b, k), v)
	}
	// One more than their number, so that nil differs from none.
	if c.Borders == nil {
		b = binary.AppendUvarint(b, 0)
	} else {
		b = binary.AppendUvarint(b, uint64(len(c.Borders))+1)
		prev := int64(0)
		for _, n := range c.Borders {
			b = binary.AppendUvarint(b, uint64(n-prev))
			prev = n
		}
	}
	b = append(b, c.Body...)
	payload := b[at+frameHead:]
	binary.LittleEndian.PutUint32(b[at:], uint32(len(payload)))
	binary.LittleEndian.PutUint32(b[at+4:], chunk.CRC(payload))
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// frameLen returns the length of the payload behind a frame's head.
func frameLen(head []byte) (int, error) {
	n := binary.LittleEndian.Uint32(head)
	if n == 0 || n > maxFrame {
		return 0, errDamaged
	}
	return int(n), nil
}

// parsePayload decodes what stands behind head. The chunk's body is part of
// payload; its Type and Stream are left to the caller.
func parsePayload(head, payload []byte) (chunk.Chunk, error) {
	if chunk.CRC(payload) != binary.LittleEndian.Uint32(head[4:]) || len(payload) == 0 {
		return chunk.Chunk{}, errDamaged
	}
	d := decoder{b: payload[1:]}
	c := chunk.Chunk{Kind: chunk.Kind(payload[0])}
	c.First, c.Last = d.varint(), d.varint()
	c.Time = time.UnixMicro(d.varint()).UTC()
	for _, s := range [...]*string{&c.Host, &c.Source, &c.Encoding, &c.Reason} {
		*s = d.string()
	}
	tags := d.uvarint()
	if tags > chunk.MaxTags {
		return chunk.Chunk{}, errDamaged
	}
	for range tags {
		if c.Tags == nil {
			c.Tags = make(map[string]string, tags)
		}
		k := d.string()
		c.Tags[k] = d.string()
	}
	if n := d.uvarint(); n > 0 {
		if n--; n > uint64(len(d.b)) { // each takes a byte at least
			return chunk.Chunk{}, errDamaged
		}
		c.Borders = make([]int64, n)
		prev := int64(0)
		for i := range c.Borders {
			prev += int64(d.uvarint())
			c.Borders[i] = prev
		}
	}
	if d.failed {
		return chunk.Chunk{}, errDamaged
	}
	if len(d.b) > 0 {
		c.Body = d.b
	}
	return c, nil
}

// decoder gives zero values after the first failure.
type decoder struct {
	b      []byte
	failed bool
}

func (d *decoder) advance(n int) bool {
	if n <= 0 || d.failed {
		d.failed, d.b = true, nil
		return false
	}
	d.b = d.b[n:]
	return true
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if !d.advance(n) {
		return 0
	}
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if !d.advance(n) {
		return 0
	}
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) || n > chunk.MaxString {
		d.failed, d.b = true, nil
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}
