package chunk

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Entry is what an index tells of one chunk: all but its records.
type Entry struct {
	Host   string
	Source string
	Stream string
	First  int64
	Last   int64
	// Dropped is how many bytes of the range a filter dropped: the body is so much
	// shorter.
	Dropped int64
	CRC     uint32 // of the body, and of where drops are; see Chunk.Sum
	Kind    Kind
}

// Range is the part of the stream that the chunk tells of.
func (e *Entry) Range() Range { return Range{e.First, e.Last} }

// Header is the uncompressed part of a batch: what a collector needs, without
// a look at the records.
type Header struct {
	Agent   string // id of the agent that built the batch
	Type    string // data type of all its chunks
	RawLen  int    // bytes of the block, decompressed
	Entries []Entry
}

// Batch is the unit of transport. Its block is one Avro block's data: the
// serialised chunks as one zstd frame with a checksum. Nobody after the agent
// recompresses it.
type Batch struct {
	Header
	Block []byte
	// Frame is the batch as it travels and as it lies in a spool: magic,
	// lengths and CRCs, header, block. Header and Block are decoded from it.
	Frame []byte
}

// A frame is, in little-endian order: the magic, the header's length and
// CRC-32C, the block's length and CRC-32C, each of four bytes; the header; the
// block.
const (
	frameMagic  = "AKB1"
	frameFixed  = 20
	MaxFrameLen = frameFixed + MaxBatchHeader + MaxBatchBlock
)

// Builder collects chunks of one data type into a batch. The zero value is
// not ready: use NewBuilder. It is not safe for concurrent use.
type Builder struct {
	header Header
	raw    []byte
	drops  int
}

// NewBuilder starts an empty batch. agent is the id of the sender.
func NewBuilder(agent, dataType string) *Builder {
	return &Builder{header: Header{Agent: agent, Type: dataType}}
}

// Add serialises the chunk into the batch; c and its body may be reused as
// soon as it returns. ErrFull means that the chunk did not go in and that the
// batch must be finished first; an error of Check is returned as it is.
func (b *Builder) Add(c *Chunk) error {
	if err := c.Check(); err != nil {
		return err
	}
	if c.Type != b.header.Type {
		return invalidf("a chunk of type %s in a batch of type %s", c.Type, b.header.Type)
	}
	const overhead = 6*MaxString + MaxTags*2*MaxString // what the other fields can take at most
	if n := len(b.header.Entries); n > 0 &&
		(n >= MaxBatchChunks || b.drops+len(c.Drops) > MaxBatchDrops ||
			len(b.raw)+len(c.Body)+10*len(c.Borders)+20*len(c.Drops)+overhead > MaxBatchRaw) {
		return ErrFull
	}
	b.drops += len(c.Drops)
	b.raw = appendChunk(b.raw, c)
	b.header.Entries = append(b.header.Entries, c.entry())
	return nil
}

// ErrFull says that a batch can't take another chunk.
var ErrFull = errors.New("the batch is full")

// RawLen is the number of serialised bytes so far.
func (b *Builder) RawLen() int { return len(b.raw) }

// Len is the number of chunks so far.
func (b *Builder) Len() int { return len(b.header.Entries) }

// NewEncoder makes the encoder that batches are compressed with. A checksum is
// part of each frame. It is safe for concurrent use by EncodeAll.
func NewEncoder() (*zstd.Encoder, error) {
	return zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest),
		zstd.WithEncoderCRC(true), zstd.WithEncoderConcurrency(2), zstd.WithLowerEncoderMem(true))
}

// Finish compresses what was added and gives the batch, built into dst's
// memory where it is large enough. The builder is empty afterwards and may be
// used again; the batch's entries stay the batch's own.
func (b *Builder) Finish(enc *zstd.Encoder, dst []byte) Batch {
	b.header.RawLen = len(b.raw)
	h := b.header
	dst = append(dst[:0], make([]byte, frameFixed)...)
	copy(dst, frameMagic)
	dst = appendHeader(dst, &h)
	blockAt := len(dst)
	dst = enc.EncodeAll(b.raw, dst)
	putFixed(dst, blockAt)
	b.raw, b.drops = b.raw[:0], 0
	b.header.Entries = make([]Entry, 0, len(h.Entries))
	return Batch{Header: h, Block: dst[blockAt:], Frame: dst}
}

func putFixed(frame []byte, blockAt int) {
	header, block := frame[frameFixed:blockAt], frame[blockAt:]
	binary.LittleEndian.PutUint32(frame[4:], uint32(len(header)))
	binary.LittleEndian.PutUint32(frame[8:], CRC(header))
	binary.LittleEndian.PutUint32(frame[12:], uint32(len(block)))
	binary.LittleEndian.PutUint32(frame[16:], CRC(block))
}

// FrameLen tells, from the first FramePrefix bytes of a frame, how long the
// whole frame is. It fails with ErrInvalid on bytes that start no frame and on
// lengths beyond the bounds.
func FrameLen(prefix []byte) (int, error) {
	if len(prefix) < frameFixed {
		return 0, invalidf("a batch of %d bytes; its fixed part alone has %d", len(prefix), frameFixed)
	}
	if string(prefix[:4]) != frameMagic {
		return 0, invalidf("not a batch: it starts with %q, want %q", prefix[:4], frameMagic)
	}
	header := binary.LittleEndian.Uint32(prefix[4:])
	block := binary.LittleEndian.Uint32(prefix[12:])
	if header > MaxBatchHeader {
		return 0, invalidf("a batch header of %d bytes, at most %d are allowed", header, MaxBatchHeader)
	}
	if block > MaxBatchBlock {
		return 0, invalidf("a batch block of %d bytes, at most %d are allowed", block, MaxBatchBlock)
	}
	return frameFixed + int(header) + int(block), nil
}

// FramePrefix is how many bytes FrameLen needs.
const FramePrefix = frameFixed

// ParseFrame decodes and verifies one whole frame. The batch's bytes are part
// of frame. It checks lengths, both CRCs, the data type, every entry's bounds
// and that the block is a zstd frame with a checksum; it does not decompress.
// Every error is ErrInvalid.
func ParseFrame(frame []byte) (Batch, error) {
	n, err := FrameLen(frame)
	if err != nil {
		return Batch{}, err
	}
	if len(frame) != n {
		return Batch{}, invalidf("a batch of %d bytes says that it has %d", len(frame), n)
	}
	blockAt := frameFixed + int(binary.LittleEndian.Uint32(frame[4:]))
	header, block := frame[frameFixed:blockAt], frame[blockAt:]
	if got, want := CRC(header), binary.LittleEndian.Uint32(frame[8:]); got != want {
		return Batch{}, invalidf("the batch header's CRC is %08x, it says %08x", got, want)
	}
	if got, want := CRC(block), binary.LittleEndian.Uint32(frame[16:]); got != want {
		return Batch{}, invalidf("the batch block's CRC is %08x, it says %08x", got, want)
	}
	b := Batch{Block: block, Frame: frame}
	if b.Header, err = parseHeader(header); err != nil {
		return Batch{}, err
	}
	var z zstd.Header
	if err := z.Decode(block); err != nil {
		return Batch{}, invalidf("the batch block is no zstd frame: %v", err)
	}
	if !z.HasCheckSum {
		return Batch{}, invalidf("the batch block's zstd frame has no checksum")
	}
	return b, nil
}

// ReadFrame reads one frame from r into buf, growing it when needed, and gives
// the frame's bytes. io.EOF means that r ended before a frame, io.ErrUnexpectedEOF
// that it ended inside one.
func ReadFrame(r io.Reader, buf []byte) ([]byte, error) {
	buf = append(buf[:0], make([]byte, frameFixed)...)
	if _, err := io.ReadFull(r, buf); err != nil {
		return nil, err
	}
	n, err := FrameLen(buf)
	if err != nil {
		return nil, err
	}
	if cap(buf) < n {
		buf = append(make([]byte, 0, n), buf...)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf[frameFixed:]); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return buf, nil
}

func appendHeader(b []byte, h *Header) []byte {
	b = appendString(b, h.Agent)
	b = appendString(b, h.Type)
	b = binary.AppendVarint(b, int64(h.RawLen))
	return appendEntries(b, h.Entries)
}

// kindThinned stands in an entry for the kind of Data with drops: how many bytes they
// are is behind its CRC. Who does not know of drops refuses it.
const kindThinned = numKinds

// appendEntries writes host, source and stream only where they differ from
// the entry before: most neighbours share them.
func appendEntries(b []byte, entries []Entry) []byte {
	b = binary.AppendVarint(b, int64(len(entries)))
	var prev Entry
	for i := range entries {
		e := &entries[i]
		same := int64(0)
		for bit, eq := range [...]bool{e.Host == prev.Host, e.Source == prev.Source, e.Stream == prev.Stream} {
			if eq {
				same |= 1 << bit
			}
		}
		kind := e.Kind
		if e.Dropped > 0 {
			kind = kindThinned
		}
		b = binary.AppendVarint(b, int64(kind)<<3|same)
		for bit, s := range [...]string{e.Host, e.Source, e.Stream} {
			if same&(1<<bit) == 0 {
				b = appendString(b, s)
			}
		}
		b = binary.AppendVarint(b, e.First)
		b = binary.AppendVarint(b, e.Last-e.First)
		b = binary.LittleEndian.AppendUint32(b, e.CRC)
		if kind == kindThinned {
			b = binary.AppendVarint(b, e.Dropped)
		}
		prev = *e
	}
	return b
}

func parseHeader(raw []byte) (Header, error) {
	d := decoder{b: raw}
	h := Header{Agent: d.string(6, "agent"), Type: d.string(7, "data type")}
	rawLen := d.long()
	h.Entries = d.entries(MaxBatchChunks)
	switch {
	case d.err != nil:
		return Header{}, fmt.Errorf("batch header: %w", d.err)
	case len(d.b) != 0:
		return Header{}, invalidf("batch header: %d bytes too many", len(d.b))
	case rawLen < 0 || rawLen > MaxBatchRaw:
		return Header{}, invalidf("batch header: a block of %d bytes raw, at most %d are allowed", rawLen, MaxBatchRaw)
	case len(h.Entries) == 0:
		return Header{}, invalidf("batch header: no chunks")
	}
	if err := CheckType(h.Type); err != nil {
		return Header{}, fmt.Errorf("%w: batch header: %w", ErrInvalid, err)
	}
	h.RawLen = int(rawLen)
	return h, nil
}

func (d *decoder) entries(maxEntries int) []Entry {
	n := d.long()
	// An entry takes at least seven bytes: a lying count allocates nothing.
	if n < 0 || n > int64(maxEntries) || n*7 > int64(len(d.b)) {
		d.fail("an impossible number of chunks")
		return nil
	}
	entries := d.allocate(int(n))
	for range n {
		flags := uint64(d.long())
		e := Entry{Kind: Kind(min(flags>>3, uint64(kindThinned+1)))}
		for bit, s := range [...]*string{&e.Host, &e.Source, &e.Stream} {
			if flags&(1<<bit) == 0 {
				d.string(bit, "an entry's text")
			}
			*s = d.last[bit]
		}
		e.First = d.long()
		e.Last = e.First + d.long()
		if len(d.b) < 4 {
			d.fail("an entry is cut off")
			return nil
		}
		e.CRC = binary.LittleEndian.Uint32(d.b)
		d.b = d.b[4:]
		if e.Kind == kindThinned {
			if e.Kind, e.Dropped = Data, d.long(); e.Dropped <= 0 || e.Dropped > e.Last-e.First {
				d.fail("an entry with an impossible number of dropped bytes")
			}
		}
		if e.Kind >= numKinds || e.First < 0 || e.Last < e.First || e.Stream == "" {
			d.fail("an entry with an impossible kind, range or stream")
			return nil
		}
		entries = append(entries, e)
	}
	return entries
}

// allocate returns memory for n entries, and keeps some for those of the next blocks,
// which are likely as many.
func (d *decoder) allocate(n int) []Entry {
	if n > cap(d.spare) {
		d.spare = make([]Entry, 0, max(n, min(n*d.more, 256)))
	}
	out := d.spare[:0:n]
	d.spare = d.spare[n:cap(d.spare)][:0]
	return out
}
