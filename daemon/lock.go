package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Lock is a directory that this process holds. The kernel releases it when
// the process ends, however it ends.
type Lock struct{ file *os.File }

// ErrLocked says that another process holds the directory.
var ErrLocked = errors.New("in use by another process")

// LockDir makes the directory where it is missing, and takes it for this
// process: who says what that is ("akupara agent"), for the message that
// others get. It does not wait.
func LockDir(dir, who string) (*Lock, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("lock data directory: %w", notOurs(dir, err))
	}
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", notOurs(dir, err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("data directory %s is %w (%s): stop that one first, or set another data_dir", dir, ErrLocked, holder(f))
		}
		return nil, fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	// Only for people: the lock itself is the kernel's.
	note := fmt.Sprintf("%s, pid %d\n", who, os.Getpid())
	if err := f.Truncate(0); err == nil {
		_, _ = f.WriteAt([]byte(note), 0)
	}
	return &Lock{f}, nil
}

// notOurs says of a directory that this user may not use whose it is, and what to do.
func notOurs(dir string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	info, statErr := os.Stat(filepath.Join(dir, "lock"))
	if statErr != nil {
		info, statErr = os.Stat(dir)
	}
	if statErr != nil {
		return err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return err
	}
	owner := strconv.FormatUint(uint64(st.Uid), 10)
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	return fmt.Errorf("%w: %s was used by %s: go on as that user, or give it to yours (sudo chown -R %d:%d %s), or choose another directory",
		err, dir, owner, os.Geteuid(), os.Getegid(), dir)
}

func holder(f *os.File) string {
	note := make([]byte, 200)
	n, _ := f.ReadAt(note, 0)
	if s := strings.TrimSpace(string(note[:n])); s != "" {
		return s
	}
	return "it has not said which"
}

// Unlock releases the directory.
func (l *Lock) Unlock() error { return l.file.Close() }
