// Package cache keeps copies of a store's files on the local disk, or of those
// parts of them that are asked for, within a bound, for several processes at
// once. Files of a store never change, so a copy is right for as long as it is
// there.
//
//	DIR/files/KEY          copies; their mtime is when they were last used
//	DIR/use/ID/lock        held by the process that uses ID, for as long as it lives
//	DIR/use/ID/NAME        hard links to what is in use
//	DIR/use/ID/tmp-N-BYTES copies being fetched, of their full length from the start, and how much is to be in them
//	DIR/lock               held for every change of what is there, so that the sum is right
//
// A copy of parts is as long as the file, with holes between them, which take no
// room on the disk and count as none. It is never added to: other parts are another
// copy.
//
// What is in use has a second link and is never evicted; what a dead process
// leaves in use/ is removed by the next one that makes room.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// ErrFull means that what is asked for at once does not fit.
var ErrFull = errors.New("the cache is too small")

// Cache is safe for concurrent use, also by several processes.
type Cache struct {
	fs       store.FS
	base     string // tells the files of several stores apart
	dir      string
	maxBytes int64
	parallel int
	evicting sync.Mutex // flock is per open file: this is for our own goroutines
}

// New makes a cache of the store at base in dir; it touches nothing yet.
func New(fs store.FS, base, dir string, maxBytes int64, parallel int) *Cache {
	return &Cache{fs: fs, base: base, dir: dir, maxBytes: maxBytes, parallel: parallel}
}

// File is a file of the store, as its plan knows it.
type File struct {
	Path string // relative to the store's root
	Size int64  // bytes
	// Part names what is wanted of it, and Ranges finds out where that is. All of
	// it, where Part is empty.
	Part   string
	Ranges func(r io.ReaderAt, size int64) ([]Range, error)
}

// Range is a part of a file: [First, Last), in bytes.
type Range = chunk.Range

// Use is a set of files that stay until it is closed, and a place for
// temporary files that goes with it.
type Use struct {
	c    *Cache
	Dir  string
	lock *os.File
	n    atomic.Int64
}

// Use opens an empty set.
func (c *Cache) Use() (*Use, error) {
	for _, d := range []string{"files", "use"} {
		if err := os.MkdirAll(filepath.Join(c.dir, d), 0o700); err != nil {
			return nil, fmt.Errorf("create cache: %w", err)
		}
	}
	// Nobody may take it for dead before it is locked.
	unlock, err := c.exclusive()
	if err != nil {
		return nil, err
	}
	defer unlock()
	dir, err := os.MkdirTemp(filepath.Join(c.dir, "use"), time.Now().UTC().Format("20060102T150405-"))
	if err != nil {
		return nil, fmt.Errorf("create cache use: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
			lock.Close()
		}
	}
	if err != nil {
		os.RemoveAll(dir)
		return nil, fmt.Errorf("lock cache use: %w", err)
	}
	return &Use{c: c, Dir: dir, lock: lock}, nil
}

// Close releases the files.
func (u *Use) Close() error {
	unlock, err := u.c.exclusive()
	if err == nil {
		err = os.RemoveAll(u.Dir)
		unlock()
	}
	if cerr := u.lock.Close(); err == nil {
		err = cerr
	}
	return err
}

// Get returns local paths of the files, in their order, and how many of them it
// had to fetch. fs.ErrNotExist means that the store does not have one any more,
// ErrFull that they do not fit.
func (u *Use) Get(ctx context.Context, files []File) (paths []string, fetched int, err error) {
	paths, missing, err := u.claim(files)
	if err != nil {
		return nil, 0, err
	}
	if len(missing) == 0 {
		return paths, 0, nil
	}
	defer func() {
		for _, m := range missing {
			if m.opened != nil {
				m.opened.Close()
			}
		}
	}()
	if err := u.measure(ctx, missing); err != nil {
		return nil, 0, err
	}
	if err := u.reserve(missing); err != nil {
		return nil, 0, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.c.parallel)
	for _, m := range missing {
		g.Go(func() error { return u.fetch(gctx, m) })
	}
	if err := g.Wait(); err != nil {
		for _, m := range missing {
			os.Remove(m.tmp)
		}
		return nil, 0, err
	}
	return paths, len(missing), nil
}

// copying is a file of which there is no copy.
type copying struct {
	File
	ranges   []Range
	tmp, out string
	opened   store.Reader // nil: not yet
}

// maxOpened is how many files stay open from when they are measured until they are copied.
const maxOpened = 64

func (m *copying) bytes() (n int64) {
	for _, r := range m.ranges {
		n += r.Last - r.First
	}
	return n
}

// claim takes into use the copies that are there.
func (u *Use) claim(files []File) (paths []string, missing []*copying, err error) {
	unlock, err := u.c.exclusive()
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	paths = make([]string, len(files))
	for i, f := range files {
		paths[i] = filepath.Join(u.Dir, fmt.Sprintf("%d.parquet", u.n.Add(1)))
		ok, err := u.link(File{Path: f.Path, Size: f.Size}, paths[i])
		if err == nil && !ok && f.Part != "" {
			ok, err = u.link(f, paths[i])
		}
		if err != nil {
			return nil, nil, err
		}
		if !ok {
			missing = append(missing, &copying{File: f, out: paths[i]})
		}
	}
	return paths, missing, nil
}

// measure finds out where the wanted parts of the missing files are.
func (u *Use) measure(ctx context.Context, missing []*copying) error {
	var g errgroup.Group // whose context would end what is opened
	g.SetLimit(u.c.parallel)
	for _, m := range missing {
		if m.Part == "" {
			m.ranges = []Range{{First: 0, Last: m.Size}}
			continue
		}
		g.Go(func() error {
			r, err := u.c.open(ctx, m.File)
			if err != nil {
				return err
			}
			if len(missing) <= maxOpened {
				m.opened = r
			} else {
				defer r.Close()
			}
			if m.ranges, err = m.Ranges(r, m.Size); err != nil {
				return fmt.Errorf("read %s: %w", m.Path, err)
			}
			m.ranges = joined(m.ranges, m.Size)
			return nil
		})
	}
	return g.Wait()
}

// joined returns ranges in order, none of which touch, within a file.
func joined(ranges []Range, size int64) []Range {
	within := make([]Range, len(ranges))
	for i, r := range ranges {
		within[i] = r.Intersect(Range{First: 0, Last: size})
	}
	return chunk.Union(within)
}

func (c *Cache) open(ctx context.Context, f File) (store.Reader, error) {
	r, err := c.fs.Open(ctx, f.Path)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", f.Path, err)
	}
	if r.Size() != f.Size {
		r.Close()
		return nil, fmt.Errorf("read %s: it has %d bytes, the table says %d", f.Path, r.Size(), f.Size)
	}
	return r, nil
}

func (c *Cache) path(f File) string {
	id := c.base + "\x00" + f.Path
	if f.Part != "" {
		id += "\x00" + f.Part
	}
	sum := sha256.Sum256([]byte(id))
	return filepath.Join(c.dir, "files", hex.EncodeToString(sum[:16])+fmt.Sprintf("-%d", f.Size))
}

// link takes a copy into use if there is one.
func (u *Use) link(f File, to string) (bool, error) {
	from := u.c.path(f)
	info, err := os.Stat(from)
	if err == nil && info.Size() != f.Size { // cut by a crash of the machine
		os.Remove(from)
		return false, nil
	}
	if err == nil {
		err = os.Link(from, to)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("use cached file: %w", err)
	}
	now := time.Now()
	_ = os.Chtimes(from, now, now) // only the order of eviction depends on it
	return true, nil
}

// reserve makes room and takes it, by sparse files of full length.
func (u *Use) reserve(missing []*copying) error {
	unlock, err := u.c.exclusive()
	if err != nil {
		return err
	}
	defer unlock()
	var need int64
	for _, m := range missing {
		need += m.bytes()
	}
	if err := u.c.makeRoom(need); err != nil {
		return err
	}
	for i, m := range missing {
		m.tmp = filepath.Join(u.Dir, fmt.Sprintf("tmp-%d-%d", u.n.Add(1), m.bytes()))
		f, err := os.OpenFile(m.tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			err = f.Truncate(m.Size)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}
		if err != nil {
			for _, m := range missing[:i+1] {
				os.Remove(m.tmp)
			}
			return fmt.Errorf("reserve room in cache: %w", err)
		}
	}
	return nil
}

func (u *Use) fetch(ctx context.Context, m *copying) error {
	r := m.opened
	if r == nil {
		var err error
		if r, err = u.c.open(ctx, m.File); err != nil {
			return err
		}
		defer r.Close()
	}
	w, err := os.OpenFile(m.tmp, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write cached file: %w", err)
	}
	buf := make([]byte, 1<<20)
	for _, part := range m.ranges {
		n := part.Last - part.First
		var copied int64
		copied, err = io.CopyBuffer(io.NewOffsetWriter(w, part.First), &ctxReader{ctx, io.NewSectionReader(r, part.First, n)}, buf)
		if err == nil && copied != n {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copy %s to cache: %w", m.Path, err)
	}
	unlock, err := u.c.exclusive()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Link(m.tmp, m.out); err != nil {
		return fmt.Errorf("use cached file: %w", err)
	}
	if err := os.Rename(m.tmp, u.c.path(m.File)); err != nil {
		return fmt.Errorf("keep cached file: %w", err)
	}
	return nil
}

type ctxReader struct {
	ctx context.Context // of the copy that is running
	r   io.Reader
}

func (r *ctxReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
