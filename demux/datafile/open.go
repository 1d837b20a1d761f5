package datafile

import (
	"bytes"
	"context"

	"github.com/parquet-go/parquet-go/format"

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

// wholeBytes is up to how many bytes a file is read into memory at once: most
// data files are small, and each read costs a round trip.
const wholeBytes = 1 << 20

// Open is Verify, and leaves the file open for its pages to be read. Close it.
func Open(ctx context.Context, files store.FS, p string) (*File, error) {
	f, err := open(ctx, files, p)
	if err != nil {
		return nil, err
	}
	out, err := f.opened(ctx)
	if err != nil {
		f.close()
		return nil, err
	}
	return out, nil
}

func (f *file) opened(ctx context.Context) (*File, error) {
	if size := f.r.Size(); size <= wholeBytes {
		whole := make([]byte, size)
		if err := f.at(whole, 0); err != nil {
			return nil, err
		}
		f.r.Reader = inMemory{f.r.Reader, bytes.NewReader(whole)}
	}
	if err := f.verify(ctx); err != nil {
		return nil, err
	}
	info, meta, err := f.info()
	if err != nil {
		return nil, err
	}
	return &File{Info: info, Meta: meta, Data: f.start, f: f}, nil
}

// inMemory is an open file that was read.
type inMemory struct {
	store.Reader
	b *bytes.Reader
}

func (m inMemory) ReadAt(b []byte, at int64) (int, error) { return m.b.ReadAt(b, at) }

// ReadAt reads the file's bytes.
func (f *File) ReadAt(b []byte, at int64) (int, error) { return f.f.r.ReadAt(b, at) }

// Undecoded is the error of a reader of the file's pages: the store's where that
// failed, else ErrDamaged for the reason given.
func (f *File) Undecoded(reason error) error { return f.f.undecoded(reason) }

// Close closes the file.
func (f *File) Close() { f.f.close() }
