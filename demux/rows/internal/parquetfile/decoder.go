package parquetfile

import (
	"fmt"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/demux/rows/internal/stride"
)

// Decoder decodes pages. It is not safe for concurrent use.
type Decoder struct {
	checked   *zstd.Decoder // for pages whose bytes were compared with a checksum
	unchecked *zstd.Decoder // compares those of frames
	rows      stride.Decoder
}

// NewDecoder makes a Decoder.
func NewDecoder() (*Decoder, error) {
	var d [2]*zstd.Decoder
	for i := range d {
		var err error
		if d[i], err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPageSize),
			zstd.WithDecodeAllCapLimit(true), zstd.IgnoreChecksum(i == 0)); err != nil {
			return nil, fmt.Errorf("create zstd decoder: %w", err)
		}
	}
	return &Decoder{checked: d[0], unchecked: d[1]}, nil
}

// Close frees what the Decoder holds.
func (d *Decoder) Close() {
	d.checked.Close()
	d.unchecked.Close()
}

// padding behind a page's bytes: unpacking reads ahead, and decompression writes
// faster where it need not stop at the last byte.
const padding = 64

// Decompress returns the page's bytes, in dst where it has the room.
func (d *Decoder) Decompress(p *Page, dst []byte) ([]byte, error) {
	if cap(dst) < p.Size+padding {
		dst = make([]byte, p.Size+padding)
	}
	dec := d.unchecked
	if p.crc != 0 {
		if out, ok := d.rows.Unpack(dst[:0], p.packed); ok && len(out) == p.Size {
			return out, nil
		}
		dec = d.checked
	}
	out, err := dec.DecodeAll(p.packed, dst[:0:p.Size+padding])
	if err != nil {
		return nil, invalidf("decompress page: %v", err)
	}
	if len(out) != p.Size {
		return nil, invalidf("a page has %d bytes, its header says %d", len(out), p.Size)
	}
	return dst[:p.Size], nil
}
