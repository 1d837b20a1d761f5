package coverage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/akupara/akupara/chunk"
)

// smallSet is up to how many raw bytes a set is read at once.
const smallSet = 8 << 20

// maxWindow bounds the memory of reading a set as a stream.
const maxWindow = 32 << 20

// SetFile is a file of a set, as tables had them before there were trees: its
// streams are a source of one. A large one is not held in memory.
type SetFile struct {
	r       io.ReaderAt
	size    int64
	version int
	set     Set // nil: the file is read as a stream
}

// OpenSet reads a set's file once, and checks it. The CRC that it returns is that of
// all its bytes.
func OpenSet(r io.ReaderAt, size int64) (f *SetFile, crc uint32, err error) {
	return openSet(r, size, smallSet)
}

func openSet(r io.ReaderAt, size int64, small uint64) (f *SetFile, crc uint32, err error) {
	if size < int64(fixed) || size > MaxCoded {
		return nil, 0, invalidf("it has %d bytes, a set has %d to %d", size, fixed, MaxCoded)
	}
	head := make([]byte, fixed)
	if err := readFull(r, head, 0); err != nil {
		return nil, 0, err
	}
	f = &SetFile{r: r, size: size, version: 2}
	if string(head[:len(magic)]) == magic1 {
		f.version = 1
	}
	raw := binary.LittleEndian.Uint64(head[8:])
	if raw <= small || string(head[:len(magic)]) != magic && f.version != 1 {
		b := make([]byte, size)
		if err := readFull(r, b, 0); err != nil {
			return nil, 0, err
		}
		f.set, err = Decode(b)
		return f, chunk.CRC(b), err
	}
	if crc, err = f.check(head, raw); err != nil {
		return nil, 0, err
	}
	return f, crc, nil
}

// check reads the file as a stream. It takes it into memory where it must.
func (f *SetFile) check(head []byte, raw uint64) (crc uint32, err error) {
	if raw > MaxRaw {
		return 0, invalidf("%d bytes raw, at most %d are allowed", raw, MaxRaw)
	}
	crc = chunk.CRC(head)
	body := chunk.CRC(head[8:])
	buf := make([]byte, 1<<20)
	for at := int64(fixed); at < f.size; {
		b := buf[:min(int64(len(buf)), f.size-at)]
		if err := readFull(f.r, b, at); err != nil {
			return 0, err
		}
		crc, body = chunk.AddCRC(crc, b), chunk.AddCRC(body, b)
		at += int64(len(b))
	}
	if want := binary.LittleEndian.Uint32(head[4:]); body != want {
		return 0, invalidf("CRC is %08x, should be %08x", body, want)
	}
	s, err := f.stream()
	if err != nil {
		return 0, err
	}
	defer s.close()
	before := ""
	for {
		p, err := s.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, err
		}
		if before != "" && compareIDs(before, p.ID) >= 0 {
			return crc, f.load() // forks lie apart from their streams
		}
		before = p.ID
	}
	if s.read != int64(raw) {
		return 0, invalidf("%d bytes raw, its head says %d", s.read, raw)
	}
	return crc, nil
}

func (f *SetFile) load() error {
	b := make([]byte, f.size)
	if err := readFull(f.r, b, 0); err != nil {
		return err
	}
	var err error
	f.set, err = Decode(b)
	return err
}

// readFull reads all of b; a file that ends before breaks the format.
func readFull(r io.ReaderAt, b []byte, at int64) error {
	_, err := io.ReadFull(io.NewSectionReader(r, at, int64(len(b))), b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidf("it ends within %d bytes after byte %d", len(b), at)
	}
	return err
}

// Source returns the streams of all families from that root on.
func (f *SetFile) Source(root string) (Source, error) {
	if f.set != nil {
		s := SetSource(f.set, nil).(*setSource)
		for len(s.ids) > 0 && compareIDs(s.ids[0], root) < 0 {
			s.ids = s.ids[1:]
		}
		return s, nil
	}
	s, err := f.stream()
	if err != nil {
		return nil, err
	}
	s.from = root
	return s, nil
}

func (f *SetFile) stream() (*setStream, error) {
	at := &failing{r: io.NewSectionReader(f.r, int64(fixed), f.size-int64(fixed))}
	dec, err := zstd.NewReader(at, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("create zstd decoder: %w", err)
	}
	s := &setStream{in: dec, under: at, d: decoder{version: f.version}, buf: make([]byte, 0, 256<<10)}
	s.left = -1
	return s, nil
}

// failing keeps the error of the store apart from what a decoder makes of it.
type failing struct {
	r   io.Reader
	err error
}

func (f *failing) Read(b []byte) (int, error) {
	n, err := f.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		f.err = err
	}
	return n, err
}

// setStream decodes a set stream by stream.
type setStream struct {
	in    *zstd.Decoder
	under *failing
	d     decoder
	buf   []byte // what was read, and is not decoded, is its end
	ended bool
	read  int64 // bytes, decompressed
	left  int   // streams; -1 before their number was read
	from  string
}

func (s *setStream) close() { s.in.Close() }

// Next implements Source.
func (s *setStream) Next() (*Piece, error) {
	for {
		p, err := s.next()
		if err != nil {
			s.close()
			return nil, err
		}
		if s.from == "" || compareIDs(p.ID, s.from) >= 0 {
			return p, nil
		}
	}
}

func (s *setStream) next() (*Piece, error) {
	if s.left < 0 {
		var n uint64
		if err := s.try(func(d *decoder) { n = d.uvarint() }); err != nil {
			return nil, err
		}
		if n > MaxRaw {
			return nil, invalidf("%d streams are too many", n)
		}
		s.left = int(n)
	}
	if s.left == 0 {
		if err := s.fill(); err != nil {
			return nil, err
		}
		if len(s.d.b) > 0 {
			return nil, invalidf("bytes are left over")
		}
		return nil, io.EOF
	}
	s.left--
	p := &Piece{}
	err := s.try(func(d *decoder) { p.ID, p.Stream = d.stream() })
	return p, err
}

// try decodes something of which all may not be there yet.
func (s *setStream) try(decode func(*decoder)) error {
	for {
		d := s.d
		decode(&d)
		if d.err == nil {
			s.d = d
			return nil
		}
		if s.ended {
			return d.err
		}
		if err := s.fill(); err != nil {
			return err
		}
	}
}

// fill reads on, twice as much where all that was there was not enough.
func (s *setStream) fill() error {
	rest := len(s.d.b)
	if rest > cap(s.buf)/2 {
		s.buf = make([]byte, 0, 2*cap(s.buf))
	}
	s.buf = append(s.buf[:0], s.d.b...)
	n, err := io.ReadFull(s.in, s.buf[rest:cap(s.buf)])
	s.buf = s.buf[:rest+n]
	s.d.b = s.buf
	s.read += int64(n)
	switch {
	case s.under.err != nil:
		return s.under.err
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		s.ended = true
	case err != nil:
		return invalidf("decompress: %v", err)
	case s.read > MaxRaw:
		return invalidf("more than %d bytes raw", MaxRaw)
	}
	return nil
}
