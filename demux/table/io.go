package table

import (
	"bytes"
	"context"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	iceio "github.com/apache/iceberg-go/io"

	"github.com/akupara/akupara/store"
)

// maxRead bounds what is read of a manifest or a list of them, in bytes.
const maxRead = 256 << 20

// tableIO is iceberg-go's view of one table's files, for one operation: its
// methods take no context. It remembers what was created and whether all of it
// was written, since iceberg-go does not report each failed Close.
type tableIO struct {
	ctx      context.Context
	fs       store.FS
	location string // the table's URI
	dir      string // the table's directory in the store
	metadata string // the version's metadata file, for messages
	known    sums   // what files must hold that the version names

	mu      sync.Mutex
	created []string       // relative to the store's root
	written map[string]sum // of created files that were closed, by path
	err     error          // the first failure of a write
}

var _ iceio.WriteFileIO = (*tableIO)(nil)

func (t *Table) io(ctx context.Context) *tableIO {
	return &tableIO{
		ctx: ctx, fs: t.fs, location: t.Location(), dir: dir(t.dataType), metadata: t.MetadataPath(),
		known: t.sums, written: map[string]sum{},
	}
}

// rel maps a URI of the metadata to a path of the store. The table's own
// location is what counts: a store that is reached by another name, or was
// moved, still reads.
func (o *tableIO) rel(uri string) (string, error) {
	rest, ok := strings.CutPrefix(uri, o.location+"/")
	if !ok {
		return "", &fs.PathError{Op: "open", Path: uri, Err: fs.ErrInvalid}
	}
	// A damaged name may be one that no file has.
	p, err := store.Clean(o.dir + "/" + rest)
	if err != nil {
		return "", fmt.Errorf("open %q: %w", uri, err)
	}
	return p, nil
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
	b, err := o.read(p)
	if err != nil {
		return nil, err
	}
	return newMemFile(p, b), nil
}

// read returns a manifest's or a list's bytes. Where it is known what was
// written, other bytes are ErrDamaged.
func (o *tableIO) read(p string) ([]byte, error) {
	b, err := readFile(o.ctx, o.fs, kindOf(p), p, maxRead)
	if err != nil {
		return nil, err
	}
	if want, ok := o.sum(p); ok {
		if why := want.check(b); why != "" {
			return nil, damaged(kindOf(p), p, "%s", why)
		}
	}
	return b, nil
}

// sum is what a file was written with, as far as that is known.
func (o *tableIO) sum(p string) (sum, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if s, ok := o.written[p]; ok {
		return s, true
	}
	return o.known.of(p)
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
	return &writer{o: o, path: p, w: w, crc: crc32.New(crc32.MakeTable(crc32.Castagnoli))}, nil
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
	size   int64
	crc    hash.Hash32
	closed bool
	err    error // of the first Close
}

func (w *writer) Write(b []byte) (int, error) {
	n, err := w.w.Write(b)
	w.size += int64(n)
	_, _ = w.crc.Write(b[:n]) // never fails
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
		return w.err
	}
	w.o.mu.Lock()
	defer w.o.mu.Unlock()
	w.o.written[w.path] = sum{w.size, w.crc.Sum32()}
	return nil
}

// memFile is a file that was read whole.
type memFile struct {
	*bytes.Reader
	name string
}

func newMemFile(p string, b []byte) *memFile { return &memFile{bytes.NewReader(b), path.Base(p)} }

func (f *memFile) Close() error               { return nil }
func (f *memFile) Stat() (fs.FileInfo, error) { return memInfo{f}, nil }

type memInfo struct{ f *memFile }

func (i memInfo) Name() string       { return i.f.name }
func (i memInfo) Size() int64        { return i.f.Reader.Size() }
func (i memInfo) Mode() fs.FileMode  { return 0o444 }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return false }
func (i memInfo) Sys() any           { return nil }
