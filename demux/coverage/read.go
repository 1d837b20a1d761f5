package coverage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"

	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
)

const (
	// tailBytes is what is read of a file first: its end, and mostly its index; all
	// of a small one.
	tailBytes = 128 << 10
	maxIndex  = 64 << 20
	maxBlock  = 16 << 20 // decompressed; a piece is cut long before
	// nearBytes is how much is read for nothing rather than reading twice.
	nearBytes = 64 << 10
)

// File is a file of a tree that was opened. What breaks the format is
// chunk.ErrInvalid, all other errors are the reader's. It is not safe for
// concurrent use.
type File struct {
	r       io.ReaderAt
	tail    []byte // the bytes from tailAt on
	tailAt  int64
	blocks  []indexed
	filter  int64 // its offset
	pages   int
	streams int64
	zstd    *zstd.Decoder

	cur     int // the block that was read last; -1 for none
	entries block
}

// indexed is a block as the index has it.
type indexed struct {
	id          string // with from: not above the block's keys, and above those before
	from        int64
	offset      int64
	length, raw int
	crc         uint32
}

// OpenFile reads the end of a file of a tree. crc is what Finish returned of it.
func OpenFile(r io.ReaderAt, size int64, crc uint32) (*File, error) {
	if size < int64(len(treeMagic)+endBytes) {
		return nil, invalidf("%d bytes are no file of a tree", size)
	}
	f := &File{r: r, cur: -1, tailAt: max(0, size-tailBytes)}
	tail, err := f.read(f.tailAt, int(size-f.tailAt))
	if err != nil {
		return nil, err
	}
	f.tail = tail
	if f.tailAt == 0 && string(tail[:len(treeMagic)]) != treeMagic {
		return nil, invalidf("no file of a tree")
	}
	end := tail[len(tail)-endBytes:]
	if string(end[endBytes-len(treeMagic):]) != treeMagic {
		return nil, invalidf("no file of a tree")
	}
	said := end[:endBytes-len(treeMagic)-4]
	if got, want := chunk.CRC(said), binary.LittleEndian.Uint32(end[len(said):]); got != want || got != crc {
		return nil, invalidf("the CRC of its end is %08x, should be %08x and %08x", got, want, crc)
	}
	indexLen := int64(binary.LittleEndian.Uint32(said[4:]))
	filter := binary.LittleEndian.Uint64(said[12:])
	f.pages = int(binary.LittleEndian.Uint32(said))
	f.streams = int64(binary.LittleEndian.Uint64(said[20:]))
	indexAt := size - int64(endBytes) - indexLen
	if indexLen > maxIndex || filter > uint64(size) || indexAt-int64(f.pages)*pageBytes != int64(filter) {
		return nil, invalidf("its end does not fit its %d bytes", size)
	}
	f.filter = int64(filter)
	index, err := f.read(indexAt, int(indexLen))
	if err != nil {
		return nil, err
	}
	if got, want := chunk.CRC(index), binary.LittleEndian.Uint32(said[8:]); got != want {
		return nil, invalidf("the CRC of its index is %08x, should be %08x", got, want)
	}
	if err := f.parseIndex(index); err != nil {
		return nil, err
	}
	f.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxBlock), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("create zstd decoder: %w", err)
	}
	return f, nil
}

// Close releases memory. The reader is the caller's to close.
func (f *File) Close() { f.zstd.Close() }

// Streams returns how many streams the file tells of.
func (f *File) Streams() int64 { return f.streams }

// read returns n bytes, which are not to be changed.
func (f *File) read(at int64, n int) ([]byte, error) {
	if f.tail != nil && at >= f.tailAt && at+int64(n) <= f.tailAt+int64(len(f.tail)) {
		return f.tail[at-f.tailAt:][:n], nil
	}
	b := make([]byte, n)
	_, err := io.ReadFull(io.NewSectionReader(f.r, at, int64(n)), b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, invalidf("it ends within %d bytes after byte %d", n, at)
	}
	return b, err
}

func (f *File) parseIndex(b []byte) error {
	d := decoder{b: b}
	at := int64(len(treeMagic))
	var id []byte
	for len(d.b) > 0 && d.err == nil {
		id = d.shared(id)
		x := indexed{id: string(id), from: d.offset(0, d.uvarint()), offset: at}
		length, raw := d.uvarint(), d.uvarint()
		if length > maxBlock || raw > maxBlock || len(d.b) < 4 {
			d.fail("a block of the index is too long or cut off")
			break
		}
		x.length, x.raw, x.crc = int(length), int(raw), binary.LittleEndian.Uint32(d.b)
		d.b = d.b[4:]
		at += int64(length)
		if n := len(f.blocks); n > 0 && compareKeys(f.blocks[n-1].id, f.blocks[n-1].from, x.id, x.from) >= 0 {
			d.fail("the index does not ascend")
		}
		f.blocks = append(f.blocks, x)
	}
	if d.err == nil && at != f.filter {
		return invalidf("its index ends at %d, its blocks at %d", at, f.filter)
	}
	return d.err
}

// shared reads a text of which the one before may have the beginning.
func (d *decoder) shared(before []byte) []byte {
	n, more := d.uvarint(), d.uvarint()
	if n > uint64(len(before)) || more > uint64(len(d.b)) || n+more > chunk.MaxString {
		d.fail("an id has an impossible length")
		return before
	}
	before = append(before[:n], d.b[:more]...)
	d.b = d.b[more:]
	return before
}

// block is a block that is being read.
type block struct {
	d     decoder
	texts []string
	id    []byte
	// The piece that was found last.
	from  int64
	flags byte
	body  []byte
}

// load reads a block.
func (f *File) load(n int) error {
	x := &f.blocks[n]
	frame, err := f.read(x.offset, x.length)
	if err != nil {
		return err
	}
	if got := chunk.CRC(frame); got != x.crc {
		return invalidf("the CRC of block %d is %08x, should be %08x", n, got, x.crc)
	}
	raw, err := f.zstd.DecodeAll(frame, make([]byte, 0, x.raw))
	if err != nil {
		return invalidf("decompress block %d: %v", n, err)
	}
	if len(raw) != x.raw {
		return invalidf("block %d has %d bytes, its index says %d", n, len(raw), x.raw)
	}
	f.cur = n
	return f.entries.start(raw)
}

func (b *block) start(raw []byte) error {
	*b = block{d: decoder{b: raw}, id: b.id[:0], texts: b.texts[:0]}
	for range b.d.count(1) {
		b.texts = append(b.texts, string(b.d.bytes()))
	}
	return b.d.err
}

// next finds the next piece; it returns io.EOF where there is none.
func (b *block) next() error {
	if b.d.err != nil {
		return b.d.err
	}
	if len(b.d.b) == 0 {
		return io.EOF
	}
	b.id = b.d.shared(b.id)
	b.flags, b.from = 0, 0
	if len(b.d.b) == 0 {
		b.d.fail("a piece is cut off")
		return b.d.err
	}
	b.flags, b.d.b = b.d.b[0], b.d.b[1:]
	if b.flags&flagFirst == 0 {
		if b.from = b.d.offset(0, b.d.uvarint()); b.from == 0 {
			b.d.fail("a piece that is not the first begins at 0")
		}
	}
	n := b.d.count(1)
	if b.d.err != nil {
		return b.d.err
	}
	b.body, b.d.b = b.d.b[:n], b.d.b[n:]
	return nil
}

// piece decodes the piece that was found.
func (b *block) piece() (*Piece, error) {
	d := decoder{b: b.body}
	p := &Piece{ID: string(b.id), From: b.from, Whole: b.flags&flagWhole != 0, Stream: &Stream{}}
	if b.flags&flagFirst != 0 {
		text := func() string {
			n := d.uvarint()
			if n >= uint64(len(b.texts)) {
				d.fail("a string is not there")
				return ""
			}
			return b.texts[n]
		}
		p.Host, p.Source, p.Cause = text(), text(), text()
		p.Begin, p.End = d.varint(), d.varint()
		p.Seen, p.Since = d.time(), d.time()
		if p.Begin < Unknown || p.End < Unknown {
			d.fail("a begin or end is negative")
		}
		p.Sums = d.sums()
		if b.flags&flagFiltered != 0 {
			p.Filtered, p.Filters = d.offset(0, d.uvarint()), text()
		}
	}
	d.segments(p.Stream)
	if d.err == nil && len(d.b) > 0 {
		d.fail("bytes are left over")
	}
	return p, d.err
}

// Source returns all pieces from that root on.
func (f *File) Source(root string) (Source, error) {
	if err := f.seek(root, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return &fileSource{f: f}, nil
}

type fileSource struct {
	f       *File
	started bool
}

// Next implements Source.
func (s *fileSource) Next() (*Piece, error) {
	if s.started {
		if err := s.f.next(); err != nil {
			return nil, err
		}
	}
	s.started = true
	if s.f.cur < 0 {
		return nil, io.EOF
	}
	return s.f.entries.piece()
}

// next goes to the next piece of the file.
func (f *File) next() error {
	err := f.entries.next()
	for errors.Is(err, io.EOF) {
		if f.cur < 0 || f.cur+1 >= len(f.blocks) {
			f.cur = -1
			return io.EOF
		}
		if err := f.load(f.cur + 1); err != nil {
			return err
		}
		err = f.entries.next()
	}
	return err
}

// seek goes to the first piece whose key is not below that one.
func (f *File) seek(id string, from int64) error {
	n := f.blockOf(id, from)
	if n < 0 {
		f.cur = -1
		return io.EOF
	}
	if n == f.cur && len(f.entries.id) > 0 {
		// Families are asked for in order: mostly it is one of the next.
		switch at := compareKeys(string(f.entries.id), f.entries.from, id, from); {
		case at == 0:
			return nil
		case at < 0:
			return f.skip(id, from)
		}
	}
	if err := f.load(n); err != nil {
		return err
	}
	return f.skip(id, from)
}

// skip goes on to the first piece whose key is not below that one.
func (f *File) skip(id string, from int64) error {
	for {
		if err := f.next(); err != nil {
			return err
		}
		if compareKeys(string(f.entries.id), f.entries.from, id, from) >= 0 {
			return nil
		}
	}
}

// blockOf returns the block that a key is in, if any is; -1 where there are none.
func (f *File) blockOf(id string, from int64) int {
	n := sort.Search(len(f.blocks), func(i int) bool { return compareKeys(f.blocks[i].id, f.blocks[i].from, id, from) > 0 })
	return min(max(n-1, 0), len(f.blocks)-1)
}

// MayHold reports of each root whether the file may tell of its family. A few are
// said to that it does not.
func (f *File) MayHold(roots []string) ([]bool, error) {
	out := make([]bool, len(roots))
	if f.pages == 0 {
		for i := range out {
			out[i] = len(f.blocks) > 0
		}
		return out, nil
	}
	type ask struct {
		page, i int
		hash    uint64
	}
	asks := make([]ask, len(roots))
	for i, r := range roots {
		h := xxhash.Sum64String(r)
		asks[i] = ask{pageOf(h, f.pages), i, h}
	}
	slices.SortFunc(asks, func(a, b ask) int { return a.page - b.page })
	for from := 0; from < len(asks); {
		to := from + 1
		for to < len(asks) && (asks[to].page-asks[to-1].page-1)*pageBytes <= nearBytes {
			to++
		}
		first, last := asks[from].page, asks[to-1].page
		b, err := f.read(f.filter+int64(first)*pageBytes, (last-first+1)*pageBytes)
		if err != nil {
			return nil, err
		}
		checked := -1
		for _, a := range asks[from:to] {
			page := b[(a.page-first)*pageBytes:][:pageBytes]
			if checked != a.page {
				if err := checkPage(page, a.page); err != nil {
					return nil, err
				}
				checked = a.page
			}
			out[a.i] = true
			eachBit(a.hash, func(bit uint32) bool {
				out[a.i] = page[bit/8]>>(bit%8)&1 == 1
				return out[a.i]
			})
		}
		from = to
	}
	return out, nil
}

func checkPage(page []byte, n int) error {
	if got, want := chunk.CRC(page[:pageBytes-4]), binary.LittleEndian.Uint32(page[pageBytes-4:]); got != want {
		return invalidf("the CRC of page %d of its filter is %08x, should be %08x", n, got, want)
	}
	return nil
}

// Verify compares all bytes of the file with their checksums.
func (f *File) Verify() error {
	for n := range f.blocks {
		x := &f.blocks[n]
		frame, err := f.read(x.offset, x.length)
		if err != nil {
			return err
		}
		if got := chunk.CRC(frame); got != x.crc {
			return invalidf("the CRC of block %d is %08x, should be %08x", n, got, x.crc)
		}
	}
	for n := range f.pages {
		page, err := f.read(f.filter+int64(n)*pageBytes, pageBytes)
		if err != nil {
			return err
		}
		if err := checkPage(page, n); err != nil {
			return err
		}
	}
	magic, err := f.read(0, len(treeMagic))
	if err == nil && string(magic) != treeMagic {
		return invalidf("no file of a tree")
	}
	return err
}
