package ident

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// Open opens a file for reading and never blocks on a FIFO. It follows symlinks,
// unless more, which are further flags of open(2), say otherwise. It uses
// O_NOATIME where the process owns the file or has CAP_FOWNER, which spares the
// file system an access-time write.
func Open(path string, more int) (*os.File, error) {
	flags := unix.O_RDONLY | unix.O_NONBLOCK | unix.O_CLOEXEC | unix.O_NOCTTY | more
	fd, err := unix.Open(path, flags|unix.O_NOATIME, 0)
	if errors.Is(err, unix.EPERM) { // another's file
		fd, err = unix.Open(path, flags, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	// A regular file is always ready: clear the flag, so that os.File keeps
	// it away from the poller.
	if err := unix.SetNonblock(fd, false); err != nil {
		_ = unix.Close(fd)
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Text is a path as text: a byte that is no UTF-8, which a name may have and a
// reader of sink files or tables does not take, stands as \xNN.
func Text(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var b strings.Builder
	for rest := path; rest != ""; {
		r, n := utf8.DecodeRuneInString(rest)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, rest[0])
		} else {
			b.WriteString(rest[:n])
		}
		rest = rest[n:]
	}
	return b.String()
}
