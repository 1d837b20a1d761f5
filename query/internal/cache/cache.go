// Package cache keeps copies of a store's files on the local disk, within a
// bound, for several processes at once. Files of a store never change, so a
// copy is right for as long as it is there.
//
//	DIR/files/KEY          whole copies; their mtime is when they were last used
//	DIR/use/ID/lock        held by the process that uses ID, for as long as it lives
//	DIR/use/ID/NAME        hard links to what is in use
//	DIR/use/ID/tmp-*       copies being fetched, of their full length from the start
//	DIR/lock               held for every change of what is there, so that the sum is right
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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

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
}

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
	paths, missing, tmps, err := u.claim(files)
	if err != nil {
		return nil, 0, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(u.c.parallel)
	for n, i := range missing {
		g.Go(func() error { return u.fetch(gctx, files[i], tmps[n], paths[i]) })
	}
	if err := g.Wait(); err != nil {
		for _, tmp := range tmps {
			os.Remove(tmp)
		}
		return nil, 0, err
	}
	return paths, len(missing), nil
}

// claim takes into use the copies that are there, and room for those that are
// missing.
func (u *Use) claim(files []File) (paths []string, missing []int, tmps []string, err error) {
	unlock, err := u.c.exclusive()
	if err != nil {
		return nil, nil, nil, err
	}
	defer unlock()
	paths = make([]string, len(files))
	var need int64
	for i, f := range files {
		paths[i] = filepath.Join(u.Dir, fmt.Sprintf("%d.parquet", u.n.Add(1)))
		ok, err := u.link(f, paths[i])
		if err != nil {
			return nil, nil, nil, err
		}
		if !ok {
			missing = append(missing, i)
			need += f.Size
		}
	}
	if len(missing) > 0 {
		tmps, err = u.reserve(files, missing, need)
	}
	return paths, missing, tmps, err
}

func (c *Cache) path(f File) string {
	sum := sha256.Sum256([]byte(c.base + "\x00" + f.Path))
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
func (u *Use) reserve(files []File, missing []int, need int64) ([]string, error) {
	if err := u.c.makeRoom(need); err != nil {
		return nil, err
	}
	var tmps []string
	for _, i := range missing {
		tmp := filepath.Join(u.Dir, fmt.Sprintf("tmp-%d", u.n.Add(1)))
		tmps = append(tmps, tmp)
		f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			err = f.Truncate(files[i].Size)
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}
		if err != nil {
			for _, tmp := range tmps {
				os.Remove(tmp)
			}
			return nil, fmt.Errorf("reserve room in cache: %w", err)
		}
	}
	return tmps, nil
}

func (u *Use) fetch(ctx context.Context, f File, tmp, out string) error {
	r, err := u.c.fs.Open(ctx, f.Path)
	if err != nil {
		return fmt.Errorf("open %s: %w", f.Path, err)
	}
	defer r.Close()
	if r.Size() != f.Size {
		return fmt.Errorf("read %s: it has %d bytes, the table says %d", f.Path, r.Size(), f.Size)
	}
	w, err := os.OpenFile(tmp, os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("write cached file: %w", err)
	}
	_, err = io.CopyBuffer(onlyWriter{w}, &ctxReader{ctx, io.NewSectionReader(r, 0, f.Size)}, make([]byte, 1<<20))
	if err == nil {
		err = w.Sync()
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("copy %s to cache: %w", f.Path, err)
	}
	unlock, err := u.c.exclusive()
	if err != nil {
		return err
	}
	defer unlock()
	if err := os.Link(tmp, out); err != nil {
		return fmt.Errorf("use cached file: %w", err)
	}
	if err := os.Rename(tmp, u.c.path(f)); err != nil {
		return fmt.Errorf("keep cached file: %w", err)
	}
	return nil
}

type onlyWriter struct{ io.Writer }

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

// exclusive is held for as long as it takes to look and to remove files.
func (c *Cache) exclusive() (unlock func(), err error) {
	c.evicting.Lock()
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
		}
	}
	if err != nil {
		c.evicting.Unlock()
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	return func() { f.Close(); c.evicting.Unlock() }, nil
}

// freeShare is the part of the disk that stays free.
const freeShare = 0.05

// makeRoom removes what dead processes left, and then the copies that were not
// used for longest, until need more bytes fit.
func (c *Cache) makeRoom(need int64) error {
	total, err := c.sweepUses()
	if err != nil {
		return err
	}
	list, err := os.ReadDir(filepath.Join(c.dir, "files"))
	if err != nil {
		return fmt.Errorf("list cache: %w", err)
	}
	var idle []os.FileInfo
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			continue // evicted by hand
		}
		total += info.Size()
		if links(info) == 1 {
			idle = append(idle, info)
		}
	}
	slices.SortFunc(idle, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	limit := c.maxBytes
	if free, ok := c.free(); ok {
		limit = min(limit, total+free) // what is there plus what may be added
	}
	for _, info := range idle {
		if total+need <= limit {
			break
		}
		err := os.Remove(filepath.Join(c.dir, "files", info.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("evict cached file: %w", err)
		}
		total -= info.Size()
	}
	if total+need > limit {
		return fmt.Errorf("%w: %d bytes of data files are needed, and of its %d bytes %d are in use; bound ts in the query, or give it more room",
			ErrFull, need, limit, total)
	}
	return nil
}

// free is how many bytes may be added to the disk.
func (c *Cache) free() (int64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(c.dir, &st) != nil {
		return 0, false
	}
	keep := float64(st.Blocks) * freeShare
	return int64(max(0, float64(st.Bavail)-keep)) * st.Bsize, true
}

// sweepUses removes the uses of dead processes and gives the bytes of the
// temporary files of living ones.
func (c *Cache) sweepUses() (int64, error) {
	root := filepath.Join(c.dir, "use")
	uses, err := os.ReadDir(root)
	if err != nil {
		return 0, fmt.Errorf("list cache uses: %w", err)
	}
	var total int64
	for _, e := range uses {
		dir := filepath.Join(root, e.Name())
		if dead(dir) {
			if err := os.RemoveAll(dir); err != nil {
				return 0, fmt.Errorf("remove a dead process's cache use: %w", err)
			}
			continue
		}
		files, _ := os.ReadDir(dir) // it may have just been closed
		for _, f := range files {
			info, err := f.Info()
			// A use's own links to copies are counted where the copies are.
			if err == nil && (strings.HasPrefix(f.Name(), "tmp-") || links(info) == 1) {
				total += info.Size()
			}
		}
	}
	return total, nil
}

// dead reports whether nobody holds a use's lock.
func dead(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

func links(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 2 // unknown: leave it
	}
	return st.Nlink
}
