package disk

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// TempExt ends the names of files that are not whole yet.
const TempExt = ".tmp"

// Create makes a file that must not exist, for writing at its end. Its name is
// durable with SyncDir alone.
func Create(d Disk, name string, perm fs.FileMode) (File, error) {
	return d.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, perm)
}

// Truncate cuts a file and makes the cut durable, and all before it.
func Truncate(d Disk, name string, size int64) error {
	f, err := d.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// Write makes name a file that holds what from reads, whole and durable but
// for its name. It replaces what a crash left under the name.
func Write(d Disk, name string, from io.Reader, perm fs.FileMode) error {
	if err := d.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := Create(d, name, perm)
	if err != nil {
		return err
	}
	_, err = io.Copy(struct{ io.Writer }{f}, from)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Publish makes name a file that holds what from reads, whole or not at all,
// over one that may be there, and durable. One publisher at a time: it writes
// name+TempExt first. After an error of the renaming or of what follows, the
// file may be the old one or the new.
func Publish(d Disk, name string, from io.Reader, perm fs.FileMode) error {
	temp := name + TempExt
	err := Write(d, temp, from, perm)
	if err == nil {
		err = d.Rename(temp, name)
	}
	if err != nil {
		_ = d.Remove(temp) // the first error matters, and the next Publish removes it
		return err
	}
	return d.SyncDir(filepath.Dir(name))
}

// MkdirAll makes a directory and its missing parents, each durable. One that is
// there is left as it is: who needs it durable after a crash that came between
// the making and the syncing syncs its parent.
func MkdirAll(d Disk, dir string, perm fs.FileMode) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := MkdirAll(d, parent, perm); err != nil {
			return err
		}
	}
	if err := d.Mkdir(dir, perm); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return d.SyncDir(parent)
}
