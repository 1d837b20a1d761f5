package local

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"
)

func TestFullDiskIsSaidSo(t *testing.T) {
	f := &FS{root: "/srv/store"}
	for err, want := range map[error]string{
		syscall.ENOSPC: "the disk of the local store /srv/store is full",
		syscall.EDQUOT: "the disk quota of the local store /srv/store is used up",
	} {
		got := f.explain("write", "raw/x", &fs.PathError{Op: "write", Path: "raw/x", Err: err})
		if !strings.Contains(got.Error(), want) || !errors.Is(got, err) {
			t.Errorf("explained as %q, want %q of it", got, want)
		}
		// Also when it was a parent directory that did not fit.
		got = f.explain("create", "raw/x", fmt.Errorf("make its directory: %w", hide{err}))
		if !strings.Contains(got.Error(), want) {
			t.Errorf("explained as %q, want %q of it", got, want)
		}
	}
}

func TestErrorOfAParentIsNotTakenForThePaths(t *testing.T) {
	if errors.Is(hide{fs.ErrExist}, fs.ErrExist) || errors.Is(hide{fs.ErrNotExist}, fs.ErrNotExist) {
		t.Error("a hidden error shows through")
	}
}
