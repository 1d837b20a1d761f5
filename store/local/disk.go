package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/store"
)

type reader struct {
	*os.File
	size int64
}

func (r *reader) Size() int64 { return r.size }

// mkdirAll makes dir and its parents, each durable before its child is made.
func mkdirAll(r *os.Root, dir string) error {
	if dir == "." {
		return nil
	}
	if info, err := r.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := mkdirAll(r, path.Dir(dir)); err != nil {
		return err
	}
	if err := r.Mkdir(dir, 0o755); err != nil {
		if info, statErr := r.Stat(dir); statErr == nil && info.IsDir() {
			return nil // made by another meanwhile
		}
		return err
	}
	return syncDir(r, path.Dir(dir))
}

// rename is rename(2), durable. os.Root's own never replaces a directory.
func rename(r *os.Root, from, to string) error {
	source, err := r.Open(path.Dir(from))
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := r.Open(path.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Renameat(int(source.Fd()), path.Base(from), int(target.Fd()), path.Base(to)); err != nil {
		return err
	}
	if err := target.Sync(); err != nil {
		return err
	}
	return source.Sync()
}

func syncDir(r *os.Root, dir string) error {
	d, err := r.Open(dir)
	if err != nil {
		return err
	}
	return closeSynced(d)
}

func syncPath(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return closeSynced(d)
}

func closeSynced(d *os.File) error {
	err := d.Sync()
	if closeErr := d.Close(); err == nil {
		err = closeErr
	}
	return err
}

func clean(p string) (string, error) {
	p, err := store.Clean(p)
	if err == nil && inRemoved(p) {
		err = fmt.Errorf("path %s: %s is not part of the store: %w", p, removed, store.ErrPath)
	}
	return p, err
}

func target(p string) (string, error) {
	if _, err := store.CleanTarget(p); err != nil {
		return "", err
	}
	return clean(p)
}

func inRemoved(p string) bool { return p == removed || strings.HasPrefix(p, removed+"/") }

func rel(p string) string {
	if p == "" {
		return "."
	}
	return p
}

// hide keeps an error's text, and of its identity only that the disk is full:
// "exists" said of a parent must not be believed of the path.
type hide struct{ err error }

func (h hide) Error() string { return h.err.Error() }

func (h hide) Is(target error) bool {
	return (target == syscall.ENOSPC || target == syscall.EDQUOT) && errors.Is(h.err, target)
}

// explain names the operation, the file and, where people have to act, the
// reason in their words.
func (f *FS) explain(op, p string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC):
		return fmt.Errorf("%s %s: the disk of the local store %s is full: %w", op, p, f.root, err)
	case errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s %s: the disk quota of the local store %s is used up: %w", op, p, f.root, err)
	case strings.HasSuffix(err.Error(), "path escapes from parent"): // os.Root has no exported error for it
		return fmt.Errorf("%s %s: a symbolic link leads out of the store: %w", op, p, store.ErrPath)
	case errors.Is(err, syscall.ENOTDIR) && (op == "stat" || op == "open" || op == "remove"):
		return fmt.Errorf("%s %s: a file is in the place of a directory: %w", op, p, fs.ErrNotExist)
	}
	return fmt.Errorf("%s in local store %s: %w", op, f.root, err)
}
