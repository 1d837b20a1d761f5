package daemon

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// How a file is watched. Editors and tools write in several steps: it is taken
// as done after watchStill without another.
const (
	watchStill = 300 * time.Millisecond
	watchMost  = 3 * time.Second  // however busy its folder is
	watchPoll  = 10 * time.Second // where no event tells of a change, as on network file systems
)

// WatchFile calls changed, from one goroutine, once when it watches, and then
// whenever the file at path may have changed, also by being replaced or by a change of a symlink that leads
// to it, as in a ConfigMap of Kubernetes. It blocks until ctx is done. Where
// folders can't be watched it looks every ten seconds.
func WatchFile(ctx context.Context, path string, log *slog.Logger, changed func()) {
	w := fileWatch{path: path, folders: map[string]bool{}, log: log}
	var events <-chan fsnotify.Event
	if watcher, err := fsnotify.NewWatcher(); err != nil {
		log.Warn("a file can't be watched; it is looked at from time to time", "file", path, "every", watchPoll, "error", err)
	} else {
		w.watcher, events = watcher, watcher.Events
		defer watcher.Close()
	}
	w.look()
	last := w.stamp()
	changed()
	poll := time.NewTicker(watchPoll)
	defer poll.Stop()
	still := time.NewTimer(time.Hour)
	still.Stop()
	defer still.Stop()
	var first time.Time // of the events that are not taken yet
	for {
		select {
		case <-ctx.Done():
			return
		case _, ok := <-events:
			if !ok {
				events = nil
				continue
			}
			if first.IsZero() {
				first = time.Now()
			}
			still.Reset(min(watchStill, max(0, watchMost-time.Since(first))))
			continue
		case <-still.C:
		case <-poll.C:
		}
		first = time.Time{}
		w.look()
		if now := w.stamp(); now != last {
			last = now
			changed()
		}
	}
}

type fileWatch struct {
	path    string
	watcher *fsnotify.Watcher // nil: none
	folders map[string]bool
	log     *slog.Logger
}

// look watches the folders of the path and of each link on the way from it.
// Their contents tell of every way to replace the file.
func (w *fileWatch) look() {
	if w.watcher == nil {
		return
	}
	wanted := map[string]bool{}
	for path, hops := w.path, 0; hops < 16; hops++ {
		dir := filepath.Dir(path)
		wanted[dir] = true
		if target, err := filepath.EvalSymlinks(dir); err == nil && target != filepath.Clean(dir) {
			wanted[target] = true
			if parent := filepath.Dir(dir); parent != dir { // where dir itself is a link
				wanted[parent] = true
			}
		}
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		path = target
	}
	for dir := range wanted {
		if !w.folders[dir] {
			if err := w.watcher.Add(dir); err != nil {
				w.log.Debug("a folder can't be watched", "folder", dir, "error", err)
				continue
			}
			w.folders[dir] = true
		}
	}
	for dir := range w.folders {
		if !wanted[dir] {
			_ = w.watcher.Remove(dir) // it may be gone
			delete(w.folders, dir)
		}
	}
}

// fileStamp is what tells that a file has changed.
type fileStamp struct {
	real           string
	size, modified int64
	inode          uint64
}

func (w *fileWatch) stamp() fileStamp {
	info, err := os.Stat(w.path)
	if err != nil {
		return fileStamp{}
	}
	s := fileStamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	s.real, _ = filepath.EvalSymlinks(w.path)
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}
