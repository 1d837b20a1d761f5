// Package disk is how daemons change a local disk so that what they say is
// stored survives a crash and a loss of power.
package disk

import (
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Disk is every change that is made to a local disk, so that a test can crash
// at each of them (disktest.Disk). Names are paths of the operating system.
// Reading needs no Disk. It is safe for concurrent use.
type Disk interface {
	// OpenFile is os.OpenFile for writing: flag has os.O_WRONLY.
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	Mkdir(name string, perm fs.FileMode) error
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes what was created, renamed and removed in dir durable.
	SyncDir(dir string) error
	// Free returns how many bytes of dir's file system an ordinary user may
	// still write, of how many in all.
	Free(dir string) (free, total int64, err error)
}

// File is a file being written.
type File interface {
	io.Writer
	// Sync makes durable what was written or cut, times and the like aside.
	// After it failed nothing more can be learned from this file.
	Sync() error
	// Truncate cuts the file. What is written goes on at the new end only where
	// the file was opened with os.O_APPEND.
	Truncate(size int64) error
	Close() error
	Stat() (fs.FileInfo, error)
	Fd() uintptr
}

// Local is the disk of this machine.
type Local struct{}

var _ Disk = Local{}

type localFile struct{ *os.File }

// Sync leaves times and the like to the kernel; the length is made durable.
func (f localFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// OpenFile implements Disk.
func (Local) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

// Mkdir implements Disk.
func (Local) Mkdir(name string, perm fs.FileMode) error { return os.Mkdir(name, perm) }

// Rename implements Disk.
func (Local) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Disk.
func (Local) Remove(name string) error { return os.Remove(name) }

// SyncDir implements Disk.
func (Local) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Free implements Disk.
func (Local) Free(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}
