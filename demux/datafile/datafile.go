// Package datafile says of a table's data file whether it is whole, and what it
// holds: each one tells in its footer where it belongs, which ranges of which
// streams its rows cover, and the checksums of all its bytes. So a table can be
// checked without decoding a page, and made anew from its data files.
package datafile

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// ErrDamaged says that a file holds other bytes than were written, or is not the
// one that was written there. The text names the file.
var ErrDamaged = errors.New("damaged")

// Info is what a data file tells of itself.
type Info struct {
	Run string // that wrote it
	// Ranges are what its rows cover, of each stream: Host, Source and Ranges
	// are set. Nil where it does not say: it is of an older version, or they
	// were too many.
	Ranges  coverage.Set
	Sealed  bool   // it has checksums
	Rows    RowSum // of all its rows
	Summed  bool   // it says that sum
	Columns []schema.Column
	Stats   schema.FileStats // strings' bounds may be missing
}

// Name is how a data file is called in its own footer: its base name and that of
// its folder, by which swapped files are found.
func Name(p string) string { return path.Join(path.Base(path.Dir(p)), path.Base(p)) }

// RunOf returns the run that a data file is of, by its name RUN-N.parquet.
func RunOf(p string) string {
	base := strings.TrimSuffix(path.Base(p), ".parquet")
	if at := strings.LastIndexByte(base, '-'); at > 0 {
		return base[:at]
	}
	return base
}

// maxFooter bounds what is read of a footer, in bytes.
const maxFooter = 64 << 20

// Read reads a data file's footer. The error is ErrDamaged where the footer is no
// more what was written, or is another file's; else it is the store's.
func Read(ctx context.Context, files store.FS, p string) (*Info, error) {
	f, err := open(ctx, files, p, nil)
	if err != nil {
		return nil, err
	}
	defer f.close()
	info, _, err := f.info()
	return info, err
}

// Verify is Read, and compares all bytes of the file with its checksums. What an
// older version wrote has none: its pages are decompressed, which does not find
// all damage. Memory is bounded.
func Verify(ctx context.Context, files store.FS, p string) (*Info, error) {
	f, err := open(ctx, files, p, nil)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.verify(ctx); err != nil {
		return nil, err
	}
	info, _, err := f.info()
	return info, err
}

// verify compares all bytes of the file with its checksums, as far as it has any.
func (f *file) verify(ctx context.Context) error {
	if f.sealed && f.whole != nil {
		return f.compare(chunk.CRC(f.whole[:f.start]))
	}
	if f.sealed {
		return f.sum(ctx)
	}
	return f.decompress(ctx)
}

// file is an open data file whose footer was read.
type file struct {
	path   string
	r      *reader
	footer []byte
	start  int64 // where the footer starts
	body   uint32
	sealed bool
	whole  []byte // all of it; nil: it is not in memory
}

// open opens a file and reads its footer; all of the file, into memory of its size, if
// that is given.
func open(ctx context.Context, files store.FS, p string, memory []byte) (*file, error) {
	r, err := files.Open(ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open data file %s: %w", p, err)
	}
	f := &file{path: p, r: &reader{Reader: r}}
	if int64(len(memory)) == r.Size() {
		err = f.load(memory)
	}
	if err == nil {
		err = f.readFooter()
	}
	if err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// load reads all of the file.
func (f *file) load(memory []byte) error {
	if err := f.at(memory, 0); err != nil {
		return err
	}
	f.whole = memory
	f.r.Reader = inMemory{f.r.Reader, bytes.NewReader(memory)}
	return nil
}

func (f *file) close() { _ = f.r.Close() } // it was only read

func (f *file) damaged(format string, args ...any) error {
	return fmt.Errorf("data file %s is %w: %s", f.path, ErrDamaged, fmt.Sprintf(format, args...))
}

// at reads len(b) bytes; a file that ends before is damaged.
func (f *file) at(b []byte, offset int64) error {
	_, err := io.ReadFull(io.NewSectionReader(f.r, offset, int64(len(b))), b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.damaged("it ends within %d bytes after byte %d", len(b), offset)
	}
	if err != nil {
		return fmt.Errorf("read data file %s: %w", f.path, err)
	}
	return nil
}

func (f *file) readFooter() error {
	size := f.r.Size()
	if size < int64(len(magic))+tailBytes {
		return f.damaged("it has %d bytes", size)
	}
	end := make([]byte, min(size, endBytes))
	if err := f.at(end, size-int64(len(end))); err != nil {
		return err
	}
	n, reason := tail(end[len(end)-tailBytes:], size)
	if reason != "" {
		return f.damaged("%s", reason)
	}
	if n > maxFooter {
		return f.damaged("its footer has %d bytes, at most %d are allowed", n, maxFooter)
	}
	f.start = size - tailBytes - n
	if has := int64(len(end)) - tailBytes; n <= has {
		f.footer = end[has-n : has]
	} else {
		f.footer = make([]byte, n)
		if err := f.at(f.footer, f.start); err != nil {
			return err
		}
	}
	if f.body, f.sealed, reason = checkSeal(f.footer); reason != "" {
		return f.damaged("%s", reason)
	}
	return nil
}

const (
	bufferBytes = 1 << 20
	// endBytes are read of a file's end: most footers are in them whole.
	endBytes = 16 << 10
)

// sum compares the bytes before the footer with their checksum.
func (f *file) sum(ctx context.Context) error {
	buf := make([]byte, min(bufferBytes, f.start))
	crc := uint32(0)
	for at := int64(0); at < f.start; {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := buf[:min(int64(len(buf)), f.start-at)]
		if err := f.at(b, at); err != nil {
			return err
		}
		crc = chunk.AddCRC(crc, b)
		at += int64(len(b))
	}
	return f.compare(crc)
}

// compare compares the checksum of the bytes before the footer.
func (f *file) compare(crc uint32) error {
	if crc != f.body {
		return f.damaged("it has other bytes than were written: their CRC is %08x, should be %08x", crc, f.body)
	}
	return nil
}

// undecoded tells damage from a store that fails.
func (f *file) undecoded(err error) error {
	if f.r.failed != nil {
		return fmt.Errorf("read data file %s: %w", f.path, f.r.failed)
	}
	return f.damaged("it can't be decoded: %v", err)
}

// reader remembers the store's first error, which decoders may hide behind their
// own. One goroutine reads.
type reader struct {
	store.Reader
	failed error // other than the file's end
}

func (r *reader) ReadAt(b []byte, offset int64) (int, error) {
	n, err := r.Reader.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) && r.failed == nil {
		r.failed = err
	}
	return n, err
}

func (f *file) parquet() (*parquet.File, error) {
	p, err := parquet.OpenFile(f.r, f.r.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, f.undecoded(err)
	}
	return p, nil
}

// info takes what the footer tells.
func (f *file) info() (info *Info, meta *format.FileMetaData, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = f.damaged("its footer can't be read: %v", r)
		}
	}()
	meta = &format.FileMetaData{}
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), f.footer, meta); err != nil {
		return nil, nil, f.damaged("its footer can't be read: %v", err)
	}
	info = &Info{Run: RunOf(f.path), Sealed: f.sealed}
	for _, kv := range meta.KeyValueMetadata {
		switch kv.Key {
		case KeyFile:
			if kv.Value != Name(f.path) {
				return nil, nil, f.damaged("it is %s in another's place", kv.Value)
			}
		case KeyRows:
			sum, err := strconv.ParseUint(kv.Value, 16, 64)
			if err != nil {
				return nil, nil, f.damaged("the sum of its rows is %q", kv.Value)
			}
			info.Rows, info.Summed = RowSum(sum), f.sealed
		case KeyRanges:
			b, err := base64.StdEncoding.DecodeString(kv.Value)
			if err == nil {
				info.Ranges, err = coverage.Decode(b)
			}
			if err != nil {
				return nil, nil, f.damaged("its ranges can't be read: %v", err)
			}
		}
	}
	if info.Columns, err = columns(meta); err != nil {
		return nil, nil, f.damaged("%v", err)
	}
	info.Stats = stats(meta, info.Columns)
	info.Stats.Size = f.r.Size()
	return info, meta, nil
}
