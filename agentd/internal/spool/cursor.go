package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/akupara/akupara/chunk"
)

// cursor reads records of one segment file after the other.
type cursor struct {
	open func(*segment) (*os.File, error)
	seg  *segment
	file *os.File
	made int32 // seg.restored when its file was opened
	pos  int64 // of the next frame in the file
	next int64 // what that frame starts with in the stream
	buf  []byte

	// After errDamaged: where in the file the damage is, and where in the stream
	// whole records go on behind it; 0 where none do.
	damage chunk.Range
	lostTo int64
}

func (c *cursor) close() {
	if c.file != nil {
		_ = c.file.Close()
	}
	c.file, c.seg = nil, nil
}

// record returns the record that holds off. It is valid until the next call.
// errDamaged says that the record is damaged, and fills damage and lostTo.
func (c *cursor) record(seg *segment, off int64) (chunk.Chunk, error) {
	if made := seg.restored.Load(); c.seg != seg || c.made != made {
		c.close()
		c.pos, c.next = 0, seg.base
		f, err := c.open(seg)
		if err != nil {
			return chunk.Chunk{}, fmt.Errorf("open segment: %w", err)
		}
		c.seg, c.file, c.made = seg, f, made
	}
	if off < c.next {
		c.pos, c.next = 0, seg.base
	}
	for {
		rec, n, err := c.frame(c.pos)
		if err == nil && rec.First != c.next {
			err = errDamaged
		}
		if errors.Is(err, errDamaged) {
			found, failed := c.resync()
			switch {
			case failed != nil:
				err = failed
			case found && off >= c.next:
				continue
			case found:
				return chunk.Chunk{}, err
			}
		}
		if err != nil {
			c.close()
			return chunk.Chunk{}, err
		}
		c.pos, c.next = c.pos+n, rec.Last
		if rec.Last > off {
			return rec, nil
		}
	}
}

// resync looks behind damage at pos for the next whole frame, and goes there.
func (c *cursor) resync() (found bool, err error) {
	c.damage, c.lostTo = chunk.Range{First: c.pos, Last: math.MaxInt64}, 0
	rest, err := io.ReadAll(io.NewSectionReader(c.file, c.pos, math.MaxInt64-c.pos))
	if err != nil {
		return false, fmt.Errorf("read segment: %w", err)
	}
	for i := 1; i+frameHead < len(rest); i++ {
		n, err := frameLen(rest[i:])
		if err != nil || n > len(rest)-i-frameHead {
			continue
		}
		payload := rest[i+frameHead : i+frameHead+n]
		if r, ok := rangeOf(payload); !ok || r.First < c.next || chunk.CRC(payload) != binary.LittleEndian.Uint32(rest[i+4:]) {
			continue
		} else {
			c.damage.Last = c.pos + int64(i)
			c.pos, c.next, c.lostTo = c.damage.Last, r.First, r.First
			return true, nil
		}
	}
	return false, nil
}

// rangeOf reads the range of a payload that may be damaged; ok reports whether
// it makes sense.
func rangeOf(payload []byte) (r chunk.Range, ok bool) {
	if len(payload) == 0 || payload[0] != byte(chunk.Data) && payload[0] != byte(chunk.Dropped) {
		return r, false
	}
	d := decoder{b: payload[1:]}
	r = chunk.Range{First: d.varint(), Last: d.varint()}
	if d.failed || r.First < 0 || r.Empty() {
		return r, false
	}
	return r, payload[0] == byte(chunk.Dropped) || r.Len() <= int64(len(d.b))
}

// damagedTail judges the end of a segment from pos on, where no whole frame is
// found any more: last is the offset up to which records were stored there, 0
// where it is the torn end of a write that was never acknowledged. Of a tail
// whose head is gone it is the most that could have been there.
func (c *cursor) damagedTail(pos int64, seg *segment) (last int64, err error) {
	rest, err := io.ReadAll(io.NewSectionReader(c.file, pos, seg.size-pos))
	if err != nil {
		return 0, fmt.Errorf("read segment: %w", err)
	}
	if len(rest) < frameHead {
		return 0, nil
	}
	switch n := int64(binary.LittleEndian.Uint32(rest)); {
	case n == 0, n <= maxFrame && frameHead+n > int64(len(rest)):
		return 0, nil
	case n <= maxFrame:
		payload := rest[frameHead : frameHead+n]
		if r, ok := rangeOf(payload); ok && r.First == seg.end && payload[0] == byte(chunk.Data) {
			return r.Last, nil
		}
	}
	return seg.end + int64(len(rest)), nil
}

// frame reads the frame at pos and returns its length in the file.
func (c *cursor) frame(pos int64) (chunk.Chunk, int64, error) {
	var head [frameHead]byte
	if err := readAt(c.file, head[:], pos); err != nil {
		return chunk.Chunk{}, 0, err
	}
	n, err := frameLen(head[:])
	if err != nil {
		return chunk.Chunk{}, 0, err
	}
	// A lying length must not allocate more than there is.
	if n > cap(c.buf) {
		info, err := c.file.Stat()
		if err != nil {
			return chunk.Chunk{}, 0, fmt.Errorf("stat segment: %w", err)
		}
		if pos+frameHead+int64(n) > info.Size() {
			return chunk.Chunk{}, 0, errDamaged
		}
		c.buf = make([]byte, n)
	}
	payload := c.buf[:n]
	if cap(c.buf) > 1<<20 {
		c.buf = nil // large ones are rare: not kept
	}
	if err := readAt(c.file, payload, pos+frameHead); err != nil {
		return chunk.Chunk{}, 0, err
	}
	rec, err := parsePayload(head[:], payload)
	if err != nil {
		return rec, 0, err
	}
	// What could not be sent must not be tried for ever.
	whole := rec
	whole.Type, whole.Stream = "any", "any"
	if whole.Check() != nil {
		return rec, 0, errDamaged
	}
	return rec, frameHead + int64(n), nil
}

func readAt(f *os.File, b []byte, pos int64) error {
	_, err := f.ReadAt(b, pos)
	if errors.Is(err, io.EOF) {
		return errDamaged
	}
	if err != nil {
		return fmt.Errorf("read segment: %w", err)
	}
	return nil
}
