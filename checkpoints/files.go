package checkpoints

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/akupara/akupara/disk"
)

// Nobody else may look at them.
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// The names of the files that make up a generation.
const (
	snapshotFile  = "snapshot"
	journalFile   = "journal"
	quarantineDir = "quarantine"
)

func fileName(kind string, gen uint64) string { return fmt.Sprintf("%s-%d", kind, gen) }

func parseName(name string) (kind string, gen uint64, ok bool) {
	kind, number, _ := strings.Cut(name, "-")
	gen, err := strconv.ParseUint(number, 10, 64)
	ok = err == nil && (kind == snapshotFile || kind == journalFile) && fileName(kind, gen) == name
	return kind, gen, ok
}

// create makes a file for writing at its end, also after a Truncate; one that
// is there is emptied.
func (s *Store) create(path string) (disk.File, error) {
	return s.disk.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, fileMode)
}

func (s *Store) list() ([]string, error) {
	entries, err := os.ReadDir(s.dir)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// makeDir makes what is missing of a directory of checkpoints, and of those
// above it.
func makeDir(d disk.Disk, dir string) error {
	err := disk.MkdirAll(d, filepath.Join(dir, quarantineDir), dirMode)
	if err == nil { // it may have been made, and not synced, before a crash
		err = d.SyncDir(filepath.Dir(dir))
	}
	if err != nil {
		return fmt.Errorf("make directory of checkpoints: %w", err)
	}
	return nil
}
