package checkpoints

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// files is what a Store does to the disk, so that tests can let the k-th of
// these calls fail.
type files interface {
	create(path string) (file, error) // for writing, truncated
	rename(from, to string) error
	remove(path string) error
	syncDir(dir string) error
	list(dir string) ([]string, error)
}

type file interface {
	io.WriteCloser
	Sync() error
	// Truncate cuts the file; writing goes on at the new end.
	Truncate(size int64) error
}

type osFiles struct{}

type osFile struct{ *os.File }

func (osFiles) create(path string) (file, error) {
	// O_APPEND, so that writing goes on at the end after a Truncate.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

func (osFiles) rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) remove(path string) error     { return os.Remove(path) }

func (osFiles) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osFiles) list(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// The names of the files that make up a generation.
const (
	snapshotFile  = "snapshot"
	journalFile   = "journal"
	tmpSuffix     = ".tmp"
	quarantineDir = "quarantine"
)

func fileName(kind string, gen uint64) string { return fmt.Sprintf("%s-%d", kind, gen) }

func parseName(name string) (kind string, gen uint64, ok bool) {
	kind, number, _ := strings.Cut(name, "-")
	gen, err := strconv.ParseUint(number, 10, 64)
	ok = err == nil && (kind == snapshotFile || kind == journalFile) && fileName(kind, gen) == name
	return kind, gen, ok
}
