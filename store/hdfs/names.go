package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/akupara/akupara/store"
)

// Stat implements store.FS. A file that is being written shows the length of
// its completed blocks.
func (f *FS) Stat(ctx context.Context, p string) (store.Info, error) {
	p, err := store.Clean(p)
	if err != nil {
		return store.Info{}, err
	}
	var info store.Info
	err = f.with(ctx, "stat", p, func(s *session) error {
		fi, err := s.client.Stat(f.abs(p))
		if err != nil {
			return noParent(err)
		}
		info = infoOf(p, fi)
		return nil
	})
	return info, err
}

// List implements store.FS. Large directories come in batches; what is created
// or removed meanwhile may or may not be in the list.
func (f *FS) List(ctx context.Context, dir string) ([]store.Info, error) {
	dir, err := store.Clean(dir)
	if err != nil {
		return nil, err
	}
	var infos []store.Info
	err = f.with(ctx, "list", dir, func(s *session) error {
		found, err := s.client.ReadDir(f.abs(dir))
		if err != nil {
			return noParent(err)
		}
		infos = make([]store.Info, len(found))
		for i, fi := range found {
			infos[i] = infoOf(path.Join(dir, fi.Name()), fi)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	sort.Slice(infos, func(i, j int) bool { return infos[i].Path < infos[j].Path })
	return infos, err
}

// Remove implements store.FS.
func (f *FS) Remove(ctx context.Context, p string) error {
	p, err := store.CleanTarget(p)
	if err != nil {
		return err
	}
	err = f.with(ctx, "remove", p, func(s *session) error {
		if err := s.client.RemoveAll(f.abs(p)); err != nil {
			return noParent(err)
		}
		// Nil also says "was not there", which is a fact to be made sure of.
		return s.confirm(nil, func() error { return s.client.RemoveAll(f.abs(p)) })
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Rename implements store.FS.
func (f *FS) Rename(ctx context.Context, from, to string) error {
	from, to, err := store.CleanRename(from, to)
	if err != nil {
		return err
	}
	var id uint64 // what is to be moved; 0: the rename was never sent
	err = f.with(ctx, "rename", from+" to "+to, func(s *session) error {
		id = 0
		fi, err := s.client.Stat(f.abs(from))
		if err != nil {
			return noParent(err)
		}
		id = inode(fi)
		err = s.client.Rename(f.abs(from), f.abs(to))
		if errors.Is(err, fs.ErrNotExist) {
			// from was there, so to's parent is not.
			if err := s.client.MkdirAll(path.Dir(f.abs(to)), 0o755); err != nil {
				return hide(fmt.Errorf("make its directory: %w", err))
			}
			err = s.client.Rename(f.abs(from), f.abs(to))
		}
		return conflict(err)
	})
	if err == nil || isFact(err) || id == 0 {
		return err
	}
	return f.settle(ctx, from, to, id, err)
}

// settle finds out whether the rename of inode id happened although the answer
// to it was renameErr or nothing.
func (f *FS) settle(ctx context.Context, from, to string, id uint64, renameErr error) error {
	end := time.Now().Add(settleTimeouts * f.opts.Timeout)
	for {
		var target uint64
		err := f.with(ctx, "look for", to, func(s *session) (err error) {
			// Whatever was sent before has happened by the time of the barrier.
			if _, err = s.barrier(); err != nil {
				return hide(err)
			}
			target, err = inodeAt(s, f.abs(to))
			return err
		})
		switch {
		case err == nil && target == id:
			return nil
		case err == nil:
			return renameErr
		case ctx.Err() != nil || !time.Now().Before(end):
			return fmt.Errorf("%w (and its outcome could not be found out: %w)", renameErr, hide(err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryIn):
		}
	}
}

// inodeAt returns the inode number at an absolute path, 0 for none.
func inodeAt(s *session, abs string) (uint64, error) {
	fi, err := s.client.Stat(abs)
	if err = noParent(err); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return inode(fi), nil
}

func inode(fi os.FileInfo) uint64 {
	status, ok := fi.Sys().(*hdfs.FileStatus)
	if !ok {
		return 0
	}
	return status.GetFileId()
}

func infoOf(p string, fi os.FileInfo) store.Info {
	return store.Info{Path: p, Size: fi.Size(), IsDir: fi.IsDir(), Mod: fi.ModTime()}
}

// noParent turns "a parent is a file" into what it means of a path below it.
func noParent(err error) error {
	var remote hdfs.Error
	if errors.As(err, &remote) && remote.Exception() == "org.apache.hadoop.fs.ParentNotDirectoryException" {
		return fmt.Errorf("a file is in the place of a directory: %w", fs.ErrNotExist)
	}
	return err
}

// conflict recognises that the target of a rename is in the way: for the
// NameNode that is a plain IOException (FSDirRenameOp.validateOverwrite).
func conflict(err error) error {
	m := remoteMessage(err)
	if strings.Contains(m, "rename destination directory is not empty") || strings.Contains(m, "must both be directories") {
		return fmt.Errorf("%w: %w", fs.ErrExist, err)
	}
	return err
}

// hidden keeps an error of a path from being taken for one of another path.
type hidden struct{ err error }

func hide(err error) error {
	if !isFact(err) {
		return err
	}
	return hidden{err}
}

func (h hidden) Error() string { return h.err.Error() }
