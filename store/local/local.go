// Package local keeps a store in a directory of the local disk. It behaves as
// HDFS does, and what it has published survives a power failure: files are
// fsynced before they count, directories after each change.
package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/akupara/akupara/store"
)

// removed is where directories go first when they are removed, so that they
// vanish at once: one that is emptied in place could be taken for an empty
// directory by a rename. It is not part of the store.
const removed = ".removed"

// FS is a store in a directory. Every call opens the directory anew, so it may
// be created, or mounted, after New. Symbolic links are followed as long as
// they stay inside.
type FS struct {
	root   string    // absolute
	pieces sync.Pool // of []byte: the buffers of files being written
}

var _ store.FS = (*FS)(nil)

// New returns the store in the directory root, an absolute path. The directory is
// made by the first file.
func New(root string) (*FS, error) {
	if !filepath.IsAbs(root) {
		return nil, fmt.Errorf("local store %q: the path is not absolute", root)
	}
	return &FS{root: filepath.Clean(root), pieces: sync.Pool{New: newPiece}}, nil
}

// Root is the store's directory.
func (f *FS) Root() string { return f.root }

// Create implements store.FS. The file is visible, and may be incomplete,
// until it is closed, as on HDFS.
func (f *FS) Create(ctx context.Context, p string) (store.File, error) {
	p, err := target(p)
	if err != nil {
		return nil, err
	}
	r, err := f.openRoot(ctx, true)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var file *os.File
	err = f.withParents(r, p, func() error {
		file, err = r.OpenFile(p, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		return err
	})
	if err != nil {
		return nil, f.explain("create", p, err)
	}
	// Now and not at Close, when its directory may have another name.
	if err := syncDir(r, path.Dir(p)); err != nil {
		file.Close()
		return nil, f.explain("create", p, hide{err})
	}
	return &writer{fs: f, path: p, file: file}, nil
}

// Open implements store.FS.
func (f *FS) Open(ctx context.Context, p string) (store.Reader, error) {
	p, err := clean(p)
	if err != nil {
		return nil, err
	}
	r, err := f.openRoot(ctx, false)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	// A FIFO must not block us, and a device not be read.
	file, err := r.OpenFile(rel(p), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, f.explain("open", p, err)
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, f.explain("open", p, err)
	}
	if !info.Mode().IsRegular() {
		file.Close()
		return nil, fmt.Errorf("open %s: not a regular file", f.name(p))
	}
	return &reader{File: file, size: info.Size()}, nil
}

// Stat implements store.FS.
func (f *FS) Stat(ctx context.Context, p string) (store.Info, error) {
	p, err := clean(p)
	if err != nil {
		return store.Info{}, err
	}
	r, err := f.openRoot(ctx, false)
	if err != nil {
		return store.Info{}, err
	}
	defer r.Close()
	info, err := r.Stat(rel(p))
	if err != nil {
		return store.Info{}, f.explain("stat", p, err)
	}
	return infoOf(p, info), nil
}

// List implements store.FS. What is neither a file nor a directory, and links
// that lead nowhere or outside, are left out.
func (f *FS) List(ctx context.Context, dir string) ([]store.Info, error) {
	dir, err := clean(dir)
	if err != nil {
		return nil, err
	}
	r, err := f.openRoot(ctx, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer r.Close()
	d, err := r.OpenFile(rel(dir), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		defer d.Close()
		var entries []fs.DirEntry
		if entries, err = d.ReadDir(-1); err == nil {
			return f.infos(r, dir, entries), nil
		}
	}
	if err = f.explain("list", dir, err); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

func (f *FS) infos(r *os.Root, dir string, entries []fs.DirEntry) []store.Info {
	infos := make([]store.Info, 0, len(entries))
	for _, e := range entries {
		if dir == "" && e.Name() == removed {
			continue
		}
		p := path.Join(dir, e.Name())
		info, err := e.Info()
		if err == nil && info.Mode()&fs.ModeSymlink != 0 {
			info, err = r.Stat(p)
		}
		if err != nil || !(info.Mode().IsRegular() || info.IsDir()) {
			continue // removed meanwhile, or nothing of ours
		}
		infos = append(infos, infoOf(p, info))
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos
}

// Rename implements store.FS.
func (f *FS) Rename(ctx context.Context, from, to string) error {
	from, to, err := store.CleanRename(from, to)
	if err != nil {
		return err
	}
	if inRemoved(from) || inRemoved(to) {
		return fmt.Errorf("rename %s to %s: %s is not part of the store: %w", from, to, removed, store.ErrPath)
	}
	r, err := f.openRoot(ctx, false)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := r.Lstat(from); err != nil {
		return f.explain("stat", from, err) // no parents are made for nothing
	}
	if err := f.withParents(r, to, func() error { return rename(r, from, to) }); err != nil {
		if errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOTDIR) {
			if _, statErr := r.Lstat(to); statErr == nil {
				err = fmt.Errorf("a file can't replace a directory, nor a directory a file: %w", fs.ErrExist)
			}
		}
		return f.explain("rename", from, fmt.Errorf("to %s: %w", to, err))
	}
	return nil
}

// Remove implements store.FS. A directory vanishes at once, with all below it.
func (f *FS) Remove(ctx context.Context, p string) error {
	p, err := target(p)
	if err != nil {
		return err
	}
	r, err := f.openRoot(ctx, false)
	if err == nil {
		defer r.Close()
		err = f.explain("remove", p, f.remove(r, p))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

var removals atomic.Uint64

func (f *FS) remove(r *os.Root, p string) error {
	err := r.Remove(p) // files, links and empty directories
	if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, syscall.EEXIST) {
		id := strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36) + "-" + strconv.FormatUint(removals.Add(1), 36)
		grave := path.Join(removed, id)
		if err = f.withParents(r, grave, func() error { return rename(r, p, grave) }); err == nil {
			defer f.sweep(r)
		}
	}
	if err != nil {
		return err
	}
	if err := syncDir(r, path.Dir(p)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// sweep deletes what was removed, also by a process that died over it. What it
// can't delete now, the next removal tries again.
func (f *FS) sweep(r *os.Root) { _ = r.RemoveAll(removed) }

// withParents calls do, and again after making p's parent directories if they
// were missing. Another process may remove an empty parent in between, hence
// the bound.
func (f *FS) withParents(r *os.Root, p string, do func() error) error {
	err := do()
	for try := 0; try < 10 && errors.Is(err, fs.ErrNotExist); try++ {
		if mkErr := mkdirAll(r, path.Dir(p)); mkErr != nil {
			if errors.Is(mkErr, fs.ErrNotExist) {
				continue
			}
			// Not "exists": that would be told of p.
			return fmt.Errorf("make its directory: %w", hide{mkErr})
		}
		err = do()
	}
	return err
}

func (f *FS) openRoot(ctx context.Context, create bool) (*os.Root, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r, err := os.OpenRoot(f.root)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(f.root, 0o755); err == nil {
			err = syncPath(filepath.Dir(f.root))
		}
		if err == nil {
			r, err = os.OpenRoot(f.root)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open the local store: %w", err)
	}
	return r, nil
}

func (f *FS) name(p string) string { return filepath.Join(f.root, filepath.FromSlash(p)) }

func infoOf(p string, info fs.FileInfo) store.Info {
	i := store.Info{Path: p, IsDir: info.IsDir(), Mod: info.ModTime()}
	if !i.IsDir {
		i.Size = info.Size()
	}
	return i
}
