package spool

import (
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/daemon"
)

// Disk is every change that the spool makes to the local disk, so that a test
// can crash at each of them. Names are paths of the operating system.
type Disk interface {
	// Create makes a file that must not exist, for writing at its end.
	Create(name string) (File, error)
	// Truncate cuts a file and makes the cut durable.
	Truncate(name string, size int64) error
	Rename(from, to string) error
	Remove(name string) error
	// SyncDir makes what was created, renamed and removed in dir durable.
	SyncDir(dir string) error
	// Free tells how many bytes may still be written, of how many in all.
	Free(dir string) (free, total int64, err error)
}

// File is a file being written.
type File interface {
	io.Writer
	// Sync makes durable what was written. After it failed nothing more can
	// be learned from this file.
	Sync() error
	Close() error
}

// LocalDisk is the disk of this machine.
type LocalDisk struct{}

type localFile struct{ *os.File }

// Sync leaves times and the like to the kernel; the length is made durable.
func (f localFile) Sync() error {
	for {
		if err := unix.Fdatasync(int(f.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Create implements Disk.
func (LocalDisk) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, 0o640)
	if err != nil {
		return nil, err
	}
	return localFile{f}, nil
}

// Truncate implements Disk.
func (LocalDisk) Truncate(name string, size int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		return err
	}
	return f.Sync()
}

// Rename implements Disk.
func (LocalDisk) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements Disk.
func (LocalDisk) Remove(name string) error { return os.Remove(name) }

// SyncDir implements Disk.
func (LocalDisk) SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Free implements Disk.
func (LocalDisk) Free(dir string) (free, total int64, err error) { return daemon.DiskFree(dir) }
