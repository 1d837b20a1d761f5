package coverage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
)

// A file of a tree is the magic, blocks, a filter, an index, and an end of fixed
// length. It has pieces, sorted by the root of their stream, its id, and From.
//
// A block is a zstd frame of: the number of its strings, each with its length,
// and pieces to its end. A piece is: how many bytes of the id it shares with the
// one before, how many more follow, these; a byte of flags; From, in all but first
// pieces; the length of what follows; host, source and cause as numbers of
// strings, Begin, End, Seen, Since and checksums, in first pieces alone; where a flag
// says so, how many bytes were filtered, and by which filters, as a string's number;
// ranges.
//
// The filter, of a file of several blocks, tells of most roots that are not in the file that they are not: it
// is a Bloom filter in pages of pageBytes, each of which ends with its CRC-32C. The
// upper half of a root's hash selects the page.
//
// The index has of each block: a key that is above all keys before it and not above
// its own (how many bytes of the id it shares with the one before, how many more
// follow, these; From), its length, its length decompressed, and its CRC-32C.
//
// The end is: the number of pages, the index's length and CRC-32C, the offset of the
// filter, the number of streams, the CRC-32C of that, and the magic again. All
// numbers outside of blocks and index are little-endian; in these they are varints,
// and CRCs.
const (
	treeMagic  = "AKC3"
	endBytes   = 4 + 4 + 4 + 8 + 8 + 4 + len(treeMagic)
	blockBytes = 32 << 10 // of a block, decompressed, when it ends
	pageBytes  = 4 << 10
	pageBits   = (pageBytes - 4) * 8
	bitsPerKey = 8
	probes     = 5

	flagWhole    = 1
	flagFirst    = 2
	flagFiltered = 4
)

// Writer writes a file of a tree. It is not safe for concurrent use.
type Writer struct {
	w       io.Writer
	zstd    *zstd.Encoder
	written int64
	packing *packed // the block before, until it is written; nil: none

	strings map[string]uint64 // of the block
	texts   []byte
	entries []byte
	body    []byte
	first   Piece // of the block: its key
	shared  []byte

	last    Piece // its key
	any     bool
	index   []byte
	key     []byte // of the block, as the index has it
	before  string // the id in the index before
	hashes  []uint64
	streams int64
	blocks  int
	spare   *packed
}

// packed is a block that is compressed beside those who make the next one.
type packed struct {
	key, raw, frame []byte
	done            chan struct{}
}

// NewWriter returns a Writer of a file that is written to w.
func NewWriter(w io.Writer) (*Writer, error) {
	enc, err := newEncoder()
	if err != nil {
		return nil, err
	}
	return &Writer{w: w, zstd: enc, strings: map[string]uint64{}}, nil
}

func newEncoder() (*zstd.Encoder, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false),
		zstd.WithWindowSize(blockBytes*2), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return nil, fmt.Errorf("create zstd encoder: %w", err)
	}
	return enc, nil
}

// Size returns about how many bytes were written.
func (w *Writer) Size() int64 {
	n := len(w.entries) + len(w.texts)
	if w.packing != nil {
		n += len(w.packing.raw)
	}
	return w.written + int64(n)/4
}

// Streams returns how many streams were written.
func (w *Writer) Streams() int64 { return w.streams }

// Add writes what is known of a stream from an offset on. Pieces come in order.
func (w *Writer) Add(p *Piece) error {
	p.settle()
	for _, part := range p.pieces() {
		if err := w.add(part); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) add(p *Piece) error {
	if w.any && compareKeys(w.last.ID, w.last.From, p.ID, p.From) >= 0 {
		return fmt.Errorf("write coverage: stream %s at %d comes after %s at %d", p.ID, p.From, w.last.ID, w.last.From)
	}
	if len(w.entries) == 0 {
		w.first, w.shared = Piece{ID: p.ID, From: p.From}, w.shared[:0]
		w.seal(p)
	}
	if root := Root(p.ID); !w.any || root != Root(w.last.ID) {
		w.hashes = append(w.hashes, xxhash.Sum64String(root))
	}
	if !w.any || p.ID != w.last.ID {
		w.streams++
	}
	w.any = true
	w.last.ID, w.last.From = p.ID, p.From
	b := w.body[:0]
	flags := byte(0)
	if p.From == 0 {
		flags |= flagFirst
		if p.Whole {
			flags |= flagWhole
		}
		for _, t := range [...]string{p.Host, p.Source, p.Cause} {
			b = binary.AppendUvarint(b, w.number(t))
		}
		for _, n := range [...]int64{p.Begin, p.End, seconds(p.Seen), seconds(p.Since)} {
			b = binary.AppendVarint(b, n)
		}
		b = appendSums(b, p.Sums)
		if p.Filtered > 0 {
			flags |= flagFiltered
			b = binary.AppendUvarint(b, uint64(p.Filtered))
			b = binary.AppendUvarint(b, w.number(p.Filters))
		}
	}
	b = appendSegments(b, p.Stream)
	w.body = b
	e := appendShared(w.entries, string(w.shared), p.ID)
	w.shared = append(w.shared[:0], p.ID...)
	e = append(e, flags)
	if p.From > 0 {
		e = binary.AppendUvarint(e, uint64(p.From))
	}
	e = binary.AppendUvarint(e, uint64(len(b)))
	w.entries = append(e, b...)
	if len(w.entries)+len(w.texts) >= blockBytes {
		return w.flush()
	}
	return nil
}

func appendShared(b []byte, before, s string) []byte {
	n := 0
	for n < len(before) && n < len(s) && before[n] == s[n] {
		n++
	}
	b = binary.AppendUvarint(b, uint64(n))
	b = binary.AppendUvarint(b, uint64(len(s)-n))
	return append(b, s[n:]...)
}

func (w *Writer) number(s string) uint64 {
	n, ok := w.strings[s]
	if !ok {
		n = uint64(len(w.strings))
		w.strings[s] = n
		w.texts = binary.AppendUvarint(w.texts, uint64(len(s)))
		w.texts = append(w.texts, s...)
	}
	return n
}

// seal notes the key of a block that begins with p.
func (w *Writer) seal(p *Piece) {
	id, from := p.ID, p.From
	if from == 0 && w.any {
		id = between(w.last.ID, p.ID)
	}
	w.key = appendShared(w.key[:0], w.before, id)
	w.key = binary.AppendUvarint(w.key, uint64(from))
	w.before = id
}

// between returns a short key that is above a, and not above b, which is.
func between(a, b string) string {
	for n := 1; n < len(b); n++ {
		if s := b[:n]; compareIDs(a, s) < 0 && compareIDs(s, b) <= 0 {
			return s
		}
	}
	return b
}

func (w *Writer) flush() error {
	if len(w.entries) == 0 {
		return nil
	}
	p := w.spare
	if p == nil {
		p = &packed{}
	}
	p.raw = binary.AppendUvarint(p.raw[:0], uint64(len(w.strings)))
	p.raw = append(p.raw, w.texts...)
	p.raw = append(p.raw, w.entries...)
	p.key = append(p.key[:0], w.key...)
	p.done = make(chan struct{})
	w.blocks++
	clear(w.strings)
	w.texts, w.entries = w.texts[:0], w.entries[:0]
	if err := w.writePacked(); err != nil {
		return err
	}
	w.packing = p
	go func() { // the only one that compresses
		p.frame = w.zstd.EncodeAll(p.raw, p.frame[:0])
		close(p.done)
	}()
	return nil
}

// writePacked writes the block that is being compressed.
func (w *Writer) writePacked() error {
	p := w.packing
	if p == nil {
		return nil
	}
	<-p.done
	w.packing, w.spare = nil, p
	w.index = append(w.index, p.key...)
	w.index = binary.AppendUvarint(w.index, uint64(len(p.frame)))
	w.index = binary.AppendUvarint(w.index, uint64(len(p.raw)))
	w.index = binary.LittleEndian.AppendUint32(w.index, chunk.CRC(p.frame))
	return w.write(p.frame)
}

func (w *Writer) write(b []byte) error {
	if w.written == 0 {
		b = append([]byte(treeMagic), b...)
	}
	n, err := w.w.Write(b)
	w.written += int64(n)
	if err != nil {
		return fmt.Errorf("write coverage: %w", err)
	}
	return nil
}

// Finish writes what is left. It returns the file's length, and the checksum by
// which it is told from all others.
func (w *Writer) Finish() (size int64, crc uint32, err error) {
	if err := errors.Join(w.flush(), w.writePacked()); err != nil {
		return 0, 0, err
	}
	if w.written == 0 {
		if err := w.write(nil); err != nil {
			return 0, 0, err
		}
	}
	at := w.written
	var filter []byte
	if w.blocks > 1 {
		filter = makeFilter(w.hashes)
	}
	end := make([]byte, 0, endBytes)
	end = binary.LittleEndian.AppendUint32(end, uint32(len(filter)/pageBytes))
	end = binary.LittleEndian.AppendUint32(end, uint32(len(w.index)))
	end = binary.LittleEndian.AppendUint32(end, chunk.CRC(w.index))
	end = binary.LittleEndian.AppendUint64(end, uint64(at))
	end = binary.LittleEndian.AppendUint64(end, uint64(w.streams))
	crc = chunk.CRC(end)
	end = binary.LittleEndian.AppendUint32(end, crc)
	end = append(end, treeMagic...)
	if err := w.write(slices.Concat(filter, w.index, end)); err != nil {
		return 0, 0, err
	}
	return w.written, crc, nil
}

func makeFilter(hashes []uint64) []byte {
	pages := (len(hashes)*bitsPerKey + pageBits - 1) / pageBits
	if pages == 0 {
		return nil
	}
	b := make([]byte, pages*pageBytes)
	for _, h := range hashes {
		page := b[pageOf(h, pages)*pageBytes:][:pageBytes]
		eachBit(h, func(bit uint32) bool {
			page[bit/8] |= 1 << (bit % 8)
			return true
		})
	}
	for page := range slices.Chunk(b, pageBytes) {
		binary.LittleEndian.PutUint32(page[pageBytes-4:], chunk.CRC(page[:pageBytes-4]))
	}
	return b
}

func pageOf(h uint64, pages int) int { return int(h >> 32 * uint64(pages) >> 32) }

// eachBit calls do with the bits of a hash in its page, while it returns true.
func eachBit(h uint64, do func(bit uint32) bool) {
	a, b := uint32(h), uint32(h*0x9e3779b97f4a7c15>>32)|1
	for range probes {
		if !do(a % pageBits) {
			return
		}
		a += b
	}
}

// WriteSet writes a file of all streams of a set.
func WriteSet(w io.Writer, s Set) (size int64, crc uint32, err error) {
	out, err := NewWriter(w)
	if err != nil {
		return 0, 0, err
	}
	for src := SetSource(s, nil); ; {
		p, err := src.Next()
		if errors.Is(err, io.EOF) {
			return out.Finish()
		}
		if err != nil {
			return 0, 0, err
		}
		if err := out.Add(p); err != nil {
			return 0, 0, err
		}
	}
}
