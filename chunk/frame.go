package chunk

import (
	"encoding/binary"
	"fmt"
)

// FrameHeader is what the start of a frame tells, without the block: enough to
// index the frames of a spool and to find their blocks.
type FrameHeader struct {
	Header
	BlockAt  int    // bytes before the block: the fixed part and the header
	BlockLen int    // bytes of the block
	BlockCRC uint32 // CRC-32C that the block must have
}

// FrameLen is the length of the whole frame.
func (f *FrameHeader) FrameLen() int { return f.BlockAt + f.BlockLen }

// FrameHeaderLen tells, from the first FramePrefix bytes of a frame, how many
// bytes ParseFrameHeader needs. It fails as FrameLen does.
func FrameHeaderLen(prefix []byte) (int, error) {
	if _, err := FrameLen(prefix); err != nil {
		return 0, err
	}
	return frameFixed + int(binary.LittleEndian.Uint32(prefix[4:])), nil
}

// ParseFrameHeader decodes and verifies the start of a frame; start has at
// least the FrameHeaderLen bytes. Every error is ErrInvalid.
func ParseFrameHeader(start []byte) (FrameHeader, error) {
	n, err := FrameHeaderLen(start)
	if err != nil {
		return FrameHeader{}, err
	}
	if len(start) < n {
		return FrameHeader{}, invalidf("%d bytes of a frame whose header ends at %d", len(start), n)
	}
	raw := start[frameFixed:n]
	if got, want := CRC(raw), binary.LittleEndian.Uint32(start[8:]); got != want {
		return FrameHeader{}, invalidf("the batch header's CRC is %08x, it says %08x", got, want)
	}
	h, err := parseHeader(raw)
	if err != nil {
		return FrameHeader{}, fmt.Errorf("parse frame: %w", err)
	}
	return FrameHeader{
		Header: h, BlockAt: n,
		BlockLen: int(binary.LittleEndian.Uint32(start[12:])),
		BlockCRC: binary.LittleEndian.Uint32(start[16:]),
	}, nil
}
