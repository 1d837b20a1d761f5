package tail

import (
	"errors"

	"golang.org/x/sys/unix"
)

// isStale reports whether an error says that an open file's file system is gone,
// as network and FUSE ones go.
func isStale(err error) bool {
	for _, e := range [...]error{unix.ESTALE, unix.ENOTCONN, unix.EIO, unix.ENODEV, unix.ENXIO, unix.ESHUTDOWN} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
