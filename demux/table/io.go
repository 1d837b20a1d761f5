package table

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/akupara/akupara/store"
)

// maxManifest bounds what is read of a manifest or a list of them, in bytes.
const maxManifest = 256 << 20

// tableIO is iceberg-go's view of one table's files, for one operation: its
// methods take no context. It remembers what was created and whether all of it
// was written, since iceberg-go does not report each failed Close.
type tableIO struct {
	ctx      context.Context
	fs       store.FS
	location string // the table's URI
	dir      string // the table's directory in the store

	mu      sync.Mutex
	created []string // relative to the store's root
	err     error    // the first failure of a write
}

var _ iceio.WriteFileIO = (*tableIO)(nil)

// rel maps a URI of the metadata to a path of the store. The table's own
// location is what counts: a store that is reached by another name, or was
// moved, still reads.
func (o *tableIO) rel(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, o.location+"/")
	if !ok {
		return "", &fs.PathError{Op: "open", Path: uri, Err: fs.ErrInvalid}
	}
	return path.Join(o.dir, rest), nil
}

func (o *tableIO) uri(rel string) string { return o.location + strings.TrimPrefix(rel, o.dir) }

func (o *tableIO) failed(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
	return err
}

// writeErr is the first failure of a write, of any file.
func (o *tableIO) writeErr() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

// Open reads the whole file: manifests are small, and are read to their end.
func (o *tableIO) Open(name string) (iceio.File, error) {
	p, err := o.rel(name)
	if err != nil {
		return nil, err
	}
	r, err := o.fs.Open(o.ctx, p)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	defer r.Close()
	if r.Size() > maxManifest {
		return nil, fmt.Errorf("read %s: %d bytes, at most %d are allowed", p, r.Size(), maxManifest)
	}
	b := make([]byte, r.Size())
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, r.Size()), b); err != nil {
		return nil, fmt.Errorf("read %s: %w", p, err)
	}
	return &memFile{bytes.NewReader(b), path.Base(p)}, nil
}

func (o *tableIO) Remove(name string) error {
	p, err := o.rel(name)
	if err != nil {
		return err
	}
	return o.fs.Remove(o.ctx, p)
}

func (o *tableIO) Create(name string) (iceio.FileWriter, error) {
	p, err := o.rel(name)
	if err != nil {
		return nil, o.failed(err)
	}
	o.mu.Lock()
	o.created = append(o.created, p)
	o.mu.Unlock()
	w, err := o.fs.Create(o.ctx, p)
	if err != nil {
		return nil, o.failed(fmt.Errorf("create %s: %w", p, err))
	}
	return &writer{o: o, path: p, w: w}, nil
}

func (o *tableIO) WriteFile(name string, b []byte) error {
	w, err := o.Create(name)
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		_ = w.Close()
		return err
	}
	return w.Close()
}

// removeCreated removes, as far as it can, all that was created.
func (o *tableIO) removeCreated(ctx context.Context) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.created {
		_ = o.fs.Remove(ctx, p)
	}
	o.created = nil
}

// writer closes its file once: a store's file must not be closed again.
type writer struct {
	o      *tableIO
	path   string
	w      store.File
	closed bool
	err    error // of the first Close
}

func (w *writer) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	if err != nil {
		err = w.o.failed(fmt.Errorf("write %s: %w", w.path, err))
	}
	return n, err
}

func (w *writer) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{w}, r)
}

func (w *writer) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if err := w.w.Close(); err != nil {
		w.err = w.o.failed(fmt.Errorf("write %s: %w", w.path, err))
	}
	return w.err
}

// memFile is a file that was read whole.
type memFile struct {
	*bytes.Reader
	name string
}

func (f *memFile) Close() error               { return nil }
func (f *memFile) Stat() (fs.FileInfo, error) { return memInfo{f}, nil }

type memInfo struct{ f *memFile }

func (i memInfo) Name() string       { return i.f.name }
func (i memInfo) Size() int64        { return i.f.Reader.Size() }
func (i memInfo) Mode() fs.FileMode  { return 0o444 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }
