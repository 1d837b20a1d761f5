package spooldir

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// happening is what the kernel told of one name in a folder.
type happening struct {
	path    string // empty: events were lost, or a folder is gone: look at everything
	arrived bool   // it was renamed to this name: whoever made it is done with it
	deleted bool
}

// watcher is an inotify instance. It knows what fsnotify does not tell: whether
// a name appeared by a rename.
type watcher struct {
	file *os.File
	fd   int

	mu      sync.Mutex
	folders map[int32]string
}

const watched = unix.IN_CREATE | unix.IN_CLOSE_WRITE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE |
	unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_ONLYDIR

func newWatcher() (*watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make inotify instance: %w", err)
	}
	return &watcher{file: os.NewFile(uintptr(fd), "inotify"), fd: fd, folders: map[int32]string{}}, nil
}

// watch starts to watch a folder, or goes on with it.
func (w *watcher) watch(dir string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	wd, err := unix.InotifyAddWatch(w.fd, dir, watched)
	if err != nil {
		return fmt.Errorf("watch %s: %w", dir, err)
	}
	w.folders[int32(wd)] = dir
	return nil
}

func (w *watcher) folder(wd int32) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.folders[wd]
}

// run returns what happens to out until the file is closed or ctx is done.
func (w *watcher) run(ctx context.Context, out chan<- []happening) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := w.file.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read inotify events: %w", err)
		}
		select {
		case out <- w.parse(buf[:n]):
		case <-ctx.Done():
			return nil
		}
	}
}

// parse reads events as inotify(7) describes them.
func (w *watcher) parse(b []byte) []happening {
	var out []happening
	for len(b) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(b))
		mask := binary.NativeEndian.Uint32(b[4:])
		size := binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		if int64(size) > int64(len(b)) {
			break
		}
		name := string(bytes.TrimRight(b[:size], "\x00"))
		b = b[size:]
		dir := w.folder(wd)
		if name == "" || dir == "" {
			out = append(out, happening{})
			continue
		}
		out = append(out, happening{
			path: filepath.Join(dir, name), arrived: mask&unix.IN_MOVED_TO != 0, deleted: mask&unix.IN_DELETE != 0,
		})
	}
	return out
}

func (w *watcher) close() { _ = w.file.Close() }
