package datafile

import (
	"bytes"
	"context"

	"github.com/parquet-go/parquet-go/format"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// File is an open data file that was verified.
type File struct {
	*Info
	Meta *format.FileMetaData
	// Data is where the pages are: all before it.
	Data int64
	f    *file
}

// Footer is what a data file tells of itself, decoded once.
type Footer struct {
	*Info
	meta *format.FileMetaData
	crc  uint32 // of its bytes
}

// ReadFooter is Read, for a file that is opened afterwards.
func ReadFooter(ctx context.Context, files store.FS, p string) (*Footer, error) {
	f, err := open(ctx, files, p, nil)
	if err != nil {
		return nil, err
	}
	defer f.close()
	info, meta, err := f.info()
	if err != nil {
		return nil, err
	}
	return &Footer{info, meta, chunk.CRC(f.footer)}, nil
}

// Open is Verify, and leaves the file open for its pages to be read. Close it.
// Its footer is not decoded again where it is the known one, which may be nil. The
// file is read at once into memory of its size, if that is given.
func Open(ctx context.Context, files store.FS, p string, known *Footer, memory []byte) (*File, error) {
	f, err := open(ctx, files, p, memory)
	if err != nil {
		return nil, err
	}
	out, err := f.opened(ctx, known)
	if err != nil {
		f.close()
		return nil, err
	}
	return out, nil
}

func (f *file) opened(ctx context.Context, known *Footer) (*File, error) {
	out := &File{Data: f.start, f: f}
	if err := f.verify(ctx); err != nil {
		return nil, err
	}
	if known != nil && f.sealed && known.crc == chunk.CRC(f.footer) {
		out.Info, out.Meta = known.Info, known.meta
		return out, nil
	}
	var err error
	out.Info, out.Meta, err = f.info()
	return out, err
}

// inMemory is an open file that was read.
type inMemory struct {
	store.Reader
	b *bytes.Reader
}

func (m inMemory) ReadAt(b []byte, at int64) (int, error) { return m.b.ReadAt(b, at) }

// Slice returns the file's n bytes from at on, which stay as they are, or nil: it is
// not in memory, or has not as many.
func (f *File) Slice(at int64, n int) []byte {
	if at < 0 || n < 0 || at+int64(n) > int64(len(f.f.whole)) {
		return nil
	}
	return f.f.whole[at:][:n:n]
}

// ReadAt reads the file's bytes.
func (f *File) ReadAt(b []byte, at int64) (int, error) { return f.f.r.ReadAt(b, at) }

// Undecoded is the error of a reader of the file's pages: the store's where that
// failed, else ErrDamaged for the reason given.
func (f *File) Undecoded(reason error) error { return f.f.undecoded(reason) }

// Close closes the file.
func (f *File) Close() { f.f.close() }
