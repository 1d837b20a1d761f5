package chunk

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// Block is what a sink file's index tells of one block: one batch.
type Block struct {
	Offset  int64  // from the file's first block to this one
	Len     int    // bytes of the block's data, compressed
	RawLen  int    // bytes of the block's data, decompressed
	CRC     uint32 // CRC-32C of the block's data, compressed
	Agent   string // who built the batch
	Entries []Entry
}

// Index is what a sink file's header tells of all its blocks, so that a plan
// needs to read nothing else.
type Index struct {
	Type    string // data type of all its chunks
	Segment string // id of the spool segment that the file was made from
	Blocks  []Block
	// Parts are what a regrouped file holds of other files, in the order of their
	// blocks; none in the file of a segment.
	Parts  []Part
	size   int64           // bytes of all blocks with their framing
	schema string          // of the files that were joined
	joined map[string]Part // of the parts that were joined, the first of each segment
}

// MaxIndex bounds an index, in serialised bytes.
const MaxIndex = 256 << 20

// Add puts a batch's block behind those added before.
func (x *Index) Add(b *Batch) {
	x.AddFrame(&FrameHeader{Header: b.Header, BlockLen: len(b.Block), BlockCRC: CRC(b.Block)})
}

// AddFrame puts the block of a frame of which only the header was read behind
// those added before.
func (x *Index) AddFrame(f *FrameHeader) {
	blk := Block{
		Offset: x.size, Len: f.BlockLen, RawLen: f.RawLen, CRC: f.BlockCRC,
		Agent: f.Agent, Entries: f.Entries,
	}
	x.Blocks = append(x.Blocks, blk)
	x.size += blk.framedLen()
}

// framedLen is the length of the block in the file: count, size, data, sync.
func (b *Block) framedLen() int64 {
	var head [2 * binary.MaxVarintLen64]byte
	n := binary.PutVarint(head[:], int64(len(b.Entries)))
	n += binary.PutVarint(head[n:], int64(b.Len))
	return int64(n + b.Len + syncLen)
}

func (b *Block) head() []byte {
	h := binary.AppendVarint(make([]byte, 0, 20), int64(len(b.Entries)))
	return binary.AppendVarint(h, int64(b.Len))
}

const (
	syncLen      = 16
	avroMagic    = "Obj\x01"
	metaSchema   = "avro.schema"
	metaCodec    = "avro.codec"
	metaIndex    = "akupara.index"
	metaType     = "akupara.type"
	metaSegment  = "akupara.segment"
	codecZstd    = "zstandard"
	indexVersion = 1 // the index's first number; before it, compressed, its CRC-32C
)

// SinkWriter writes a sink file: an Avro object container file (Avro 1.11
// specification, "Object Container Files") with codec zstandard, whose header
// carries the index, and what parts the file has (see pack). The blocks follow
// verbatim, in the index's order.
type SinkWriter struct {
	w       io.Writer
	index   *Index
	next    int
	started bool
	sync    [syncLen]byte
	header  []byte
}

// NewSinkWriter prepares to write the file that index describes; it writes
// nothing yet.
func NewSinkWriter(w io.Writer, index *Index) (*SinkWriter, error) {
	if err := CheckType(index.Type); err != nil {
		return nil, err
	}
	s := &SinkWriter{w: w, index: index, sync: md5.Sum([]byte(index.Segment))}
	raw := appendIndex(nil, index)
	if len(raw) > MaxIndex {
		return nil, fmt.Errorf("the index of segment %s has %d bytes, at most %d are allowed", index.Segment, len(raw), MaxIndex)
	}
	packed, err := pack(raw)
	if err != nil {
		return nil, err
	}
	s.header = append(s.header, avroMagic...)
	meta := [][2]string{
		{metaSchema, cmp.Or(index.schema, Schema)}, {metaCodec, codecZstd},
		{metaType, index.Type}, {metaSegment, index.Segment},
		{metaIndex, packed},
	}
	if len(index.Parts) > 0 {
		parts, err := pack(appendParts(nil, index.Parts))
		if err != nil {
			return nil, err
		}
		meta = append(meta, [2]string{metaParts, parts})
	}
	s.header = binary.AppendVarint(s.header, int64(len(meta)))
	for _, kv := range meta {
		s.header = appendString(s.header, kv[0])
		s.header = appendString(s.header, kv[1])
	}
	s.header = binary.AppendVarint(s.header, 0)
	s.header = append(s.header, s.sync[:]...)
	return s, nil
}

// Size is the length in bytes that the finished file must have.
func (s *SinkWriter) Size() int64 { return int64(len(s.header)) + s.index.size }

// WriteBlock writes the next block's data. It fails when the data is not what
// the index says.
func (s *SinkWriter) WriteBlock(data []byte) error {
	if err := s.writeHeader(); err != nil {
		return err
	}
	if s.next >= len(s.index.Blocks) {
		return fmt.Errorf("write block %d: the index has %d", s.next, len(s.index.Blocks))
	}
	blk := &s.index.Blocks[s.next]
	if len(data) != blk.Len || CRC(data) != blk.CRC {
		return invalidf("block %d of segment %s is not the one that was indexed", s.next, s.index.Segment)
	}
	for _, part := range [][]byte{blk.head(), data, s.sync[:]} {
		if _, err := s.w.Write(part); err != nil {
			return fmt.Errorf("write block %d: %w", s.next, err)
		}
	}
	s.next++
	return nil
}

// Finish makes sure that the file is whole. It does not close the writer.
func (s *SinkWriter) Finish() error {
	if s.next != len(s.index.Blocks) {
		return fmt.Errorf("segment %s: %d of %d blocks were written", s.index.Segment, s.next, len(s.index.Blocks))
	}
	return s.writeHeader()
}

func (s *SinkWriter) writeHeader() error {
	if s.started {
		return nil
	}
	s.started = true
	if _, err := s.w.Write(s.header); err != nil {
		return fmt.Errorf("write header: %w", err)
	}
	return nil
}

func appendIndex(b []byte, x *Index) []byte {
	b = binary.AppendVarint(b, indexVersion)
	b = binary.AppendVarint(b, int64(len(x.Blocks)))
	for i := range x.Blocks {
		blk := &x.Blocks[i]
		b = binary.AppendVarint(b, int64(blk.Len))
		b = binary.AppendVarint(b, int64(blk.RawLen))
		b = binary.LittleEndian.AppendUint32(b, blk.CRC)
		b = appendString(b, blk.Agent)
		b = appendEntries(b, blk.Entries)
	}
	return b
}

// parseIndex reads what appendIndex wrote. The texts of entries are parts of raw.
func parseIndex(raw []byte, x *Index) error {
	d := decoder{b: raw, text: string(raw)}
	if v := d.long(); d.err == nil && v != indexVersion {
		return invalidf("the index has version %d, want %d", v, indexVersion)
	}
	n := d.long()
	if n < 0 || n*8 > int64(len(d.b)) {
		d.fail("an impossible number of blocks")
	}
	x.Blocks = make([]Block, 0, min(max(n, 0), 1<<12)) // more come if there are more
	for ; n > 0 && d.err == nil; n-- {
		blk := Block{Offset: x.size, Len: int(d.long()), RawLen: int(d.long())}
		if len(d.b) < 4 {
			d.fail("a block's entry is cut off")
			break
		}
		blk.CRC = binary.LittleEndian.Uint32(d.b)
		d.b = d.b[4:]
		blk.Agent = d.string(7, "agent")
		// Each block's entries are encoded on their own, as in its batch.
		d.last[0], d.last[1], d.last[2] = "", "", ""
		d.more = int(n)
		blk.Entries = d.entries(MaxBatchChunks)
		if blk.Len < 0 || blk.Len > MaxBatchBlock || blk.RawLen < 0 || blk.RawLen > MaxBatchRaw {
			d.fail("a block with an impossible length")
		}
		x.Blocks = append(x.Blocks, blk)
		x.size += blk.framedLen()
	}
	if d.err == nil && len(d.b) != 0 {
		d.fail("bytes too many")
	}
	if d.err != nil {
		return fmt.Errorf("index: %w", d.err)
	}
	return nil
}

// Sink is a sink file opened for reading. It is safe for concurrent use when
// its ReaderAt is.
type Sink struct {
	Index Index
	// Damage is what keeps some of the blocks from being read, nil when the
	// file has the length that its index implies.
	Damage error
	r      io.ReaderAt
	schema string
	data   int64 // offset of the first block
	sync   [syncLen]byte
}

// ReadSink reads the header of a sink file of size bytes and nothing more.
// ErrInvalid means that the header is damaged or not a sink file's; any other
// error is the reader's.
func ReadSink(r io.ReaderAt, size int64) (*Sink, error) {
	h := headers.Get().(*headerReader)
	defer h.release()
	h.begin(io.NewSectionReader(r, 0, size))
	s := &Sink{r: r}
	err := h.read(s)
	if h.failed != nil {
		return nil, fmt.Errorf("read header: %w", h.failed)
	}
	if err != nil {
		return nil, err
	}
	s.data = h.n
	if err := CheckType(s.Index.Type); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if h.raw, err = unpack(metaIndex, h.index, h.raw[:0]); err != nil {
		return nil, err
	}
	if err := parseIndex(h.raw, &s.Index); err != nil {
		return nil, err
	}
	if len(h.parts) > 0 {
		if h.raw, err = unpack(metaParts, h.parts, h.raw[:0]); err != nil {
			return nil, err
		}
		if s.Index.Parts, err = parseParts(h.raw, len(s.Index.Blocks)); err != nil {
			return nil, err
		}
	}
	if want := s.data + s.Index.size; size != want {
		s.Damage = invalidf("the file has %d bytes, its index implies %d", size, want)
	}
	return s, nil
}

// CheckSchema returns an error that is ErrInvalid where the header's schema is none
// that any version wrote. It is for other readers: here nothing needs it.
func (s *Sink) CheckSchema() error {
	if s.schema != Schema && s.schema != secondSchema && s.schema != firstSchema {
		return invalidf("the schema in its header is damaged")
	}
	return nil
}

// ReadBlock reads block i's data, still compressed, into buf, growing it when
// needed, and holds it against the index. ErrInvalid means that the block is
// damaged; any other error is the reader's.
func (s *Sink) ReadBlock(i int, buf []byte) ([]byte, error) { return s.ReadBlockFrom(s.r, i, buf) }

// ReadBlockFrom is ReadBlock from another reader of the same file.
func (s *Sink) ReadBlockFrom(r io.ReaderAt, i int, buf []byte) ([]byte, error) {
	blk := &s.Index.Blocks[i]
	n := int(blk.framedLen())
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if got, err := r.ReadAt(buf, s.data+blk.Offset); got < n {
		if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, invalidf("block %d: %d of %d bytes are there", i, got, n)
		}
		return nil, fmt.Errorf("read block %d: %w", i, err)
	}
	head := blk.head()
	data := buf[len(head) : len(head)+blk.Len]
	if !bytes.HasPrefix(buf, head) || !bytes.Equal(buf[len(head)+blk.Len:], s.sync[:]) {
		return nil, invalidf("block %d: its framing is damaged", i)
	}
	if got := CRC(data); got != blk.CRC {
		return nil, invalidf("block %d: its CRC is %08x, the index says %08x", i, got, blk.CRC)
	}
	return data, nil
}

// NewDecoder makes a decoder whose output is at most maxLen bytes. It is safe
// for concurrent use by DecodeAll.
func NewDecoder(maxLen int, more ...zstd.DOption) (*zstd.Decoder, error) {
	return zstd.NewReader(nil, append(more, zstd.WithDecoderMaxMemory(uint64(maxLen)), zstd.WithDecoderConcurrency(2))...)
}

var (
	// The index has checksums of a block as it is compressed, and of its chunks: a third
	// one, of what zstd makes of it, would tell nothing more.
	blockDecoder = sync.OnceValues(func() (*zstd.Decoder, error) { return NewDecoder(MaxBatchRaw, zstd.IgnoreChecksum(true)) })
	indexEncoder = sync.OnceValues(NewEncoder)
	indexDecoder = sync.OnceValues(func() (*zstd.Decoder, error) { return NewDecoder(MaxIndex) })
)

// Decode decompresses a block's data into buf, growing it when needed, and
// gives its chunks in order; their bodies are part of the raw bytes returned.
// It checks that the chunks are the very ones that the index tells of: on any
// mismatch the error is ErrInvalid and no chunk is given.
func (b *Block) Decode(dataType string, data, buf []byte) (chunks []Chunk, raw []byte, err error) {
	return b.DecodeInto(nil, dataType, data, buf)
}

// DecodeInto is Decode with memory for the chunks, which is used again.
func (b *Block) DecodeInto(into []Chunk, dataType string, data, buf []byte) (chunks []Chunk, raw []byte, err error) {
	if err := CheckType(dataType); err != nil {
		return nil, buf, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	dec, err := blockDecoder()
	if err != nil {
		return nil, buf, fmt.Errorf("create zstd decoder: %w", err)
	}
	raw, err = dec.DecodeAll(data, buf[:0])
	if err != nil {
		return nil, buf, invalidf("decompress block: %v", err)
	}
	if len(raw) != b.RawLen {
		return nil, raw, invalidf("the block has %d bytes raw, the index says %d", len(raw), b.RawLen)
	}
	d := decoder{b: raw}
	chunks = slices.Grow(into[:0], len(b.Entries))[:len(b.Entries)]
	for i := range chunks {
		c := &chunks[i]
		c.Type = dataType
		if d.chunk(c); d.err != nil {
			return nil, raw, fmt.Errorf("chunk %d: %w", i, d.err)
		}
		if err := c.checkFields(); err != nil {
			return nil, raw, fmt.Errorf("chunk %d: %w", i, err)
		}
		if got := c.entry(); got != b.Entries[i] {
			return nil, raw, invalidf("chunk %d is %+v, the index says %+v", i, got, b.Entries[i])
		}
	}
	if len(d.b) != 0 {
		return nil, raw, invalidf("the block holds %d bytes more than its %d chunks", len(d.b), len(chunks))
	}
	return chunks, raw, nil
}
