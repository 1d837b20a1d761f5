// Package find tells which files match: it walks the folders that patterns
// speak of, and watches them, so that a new file is seen at once. It reads no
// file and knows no streams.
package find

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// Finder finds the files that match. It is used by one goroutine.
type Finder struct {
	include []pattern
	exclude []pattern
	watcher *fsnotify.Watcher // nil: polling only
	log     *slog.Logger
	// blind is set when some folder can't be watched: scans then come more
	// often.
	blind   bool
	watched map[string]bool
	told    map[string]bool // folders whose trouble was logged
}

// queued is how many events wait in the process to be taken. They are few: while
// nobody takes them, the kernel keeps the others, which costs nothing, and wakes
// nobody up for each.
const queued = 4

// New prepares to find what matches a glob of include and none of exclude.
// With watch it takes an inotify instance; where there is none to be had, it
// says so and polls.
func New(include, exclude []string, watch bool, log *slog.Logger) (*Finder, error) {
	f := &Finder{log: log, watched: map[string]bool{}, told: map[string]bool{}}
	var err error
	if f.include, err = compile(include); err != nil {
		return nil, fmt.Errorf("make paths absolute: %w", err)
	}
	if f.exclude, err = compile(exclude); err != nil {
		return nil, fmt.Errorf("make paths absolute: %w", err)
	}
	if watch {
		if f.watcher, err = fsnotify.NewBufferedWatcher(queued); err != nil {
			log.Warn("can't watch folders, looking for changes every second instead", "err", err)
			f.watcher = nil
		}
	}
	f.blind = f.watcher == nil
	return f, nil
}

// Close gives the inotify instance back.
func (f *Finder) Close() error {
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Close()
}

// Events gives what happens in watched folders; nil when polling.
func (f *Finder) Events() <-chan fsnotify.Event {
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Events
}

// Errors gives the watcher's errors; fsnotify.ErrEventOverflow says that
// events were lost and a scan is due.
func (f *Finder) Errors() <-chan error {
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Errors
}

// Blind tells that not everything is watched: only scans see all changes.
func (f *Finder) Blind() bool { return f.blind }

// Match tells whether a path is to be read.
func (f *Finder) Match(path string) bool {
	for i := range f.include {
		if f.include[i].match(path) {
			return !f.excluded(path)
		}
	}
	return false
}

func (f *Finder) excluded(path string) bool {
	for i := range f.exclude {
		if f.exclude[i].match(path) {
			return true
		}
	}
	return false
}

// Below tells whether something in the folder, or deeper, can match.
func (f *Finder) Below(dir string) bool {
	for i := range f.include {
		if f.include[i].below(dir) {
			return !f.excluded(dir)
		}
	}
	return false
}

// Scan calls found for each path that matches, whatever is there, and watches
// all folders where a match can appear: a missing one through its nearest
// ancestor that exists.
func (f *Finder) Scan(found func(path string)) {
	f.blind = f.watcher == nil
	w := f.newWalk(found)
	for i := range f.include {
		dir := f.include[i].base
		for dir != "/" && !isDir(dir) {
			dir = filepath.Dir(dir)
			if dir != f.include[i].base {
				f.watch(dir)
			}
		}
		w.dir(dir)
	}
	w.links()
}

// ScanBelow is Scan of one folder and what is below it.
func (f *Finder) ScanBelow(dir string, found func(path string)) {
	if !f.Below(dir) {
		return
	}
	w := f.newWalk(found)
	w.dir(dir)
	w.links()
}

// WatchFile watches a file itself: one that is reached through a symlink
// changes in a folder that nobody watches.
func (f *Finder) WatchFile(path string) { f.watch(path) }

// Watched tells whether the path is a folder or file that is watched itself.
func (f *Finder) Watched(path string) bool { return f.watched[path] }

// Unwatch forgets a folder that is gone or was moved.
func (f *Finder) Unwatch(dir string) {
	delete(f.watched, dir)
	if f.watcher != nil {
		_ = f.watcher.Remove(dir) // mostly gone by itself
	}
}

func (f *Finder) watch(path string) {
	if f.watcher == nil {
		return
	}
	err := f.watcher.Add(path)
	if err == nil {
		f.watched[path] = true
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	f.blind = true
	f.tell(path, "can't watch a folder, looking for changes every second instead", err)
}

func (f *Finder) tell(path, msg string, err error) {
	if !f.told[path] && len(f.told) < 1000 {
		f.told[path] = true
		f.log.Warn(msg, "path", path, "err", err)
	}
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// walk is one scan. Every folder is visited once, by whatever name it is
// reached first; symlinks come last, so that a folder's own name wins.
type walk struct {
	f       *Finder
	found   func(path string)
	visited map[ident.Key]bool
	later   []string // symlinks to folders
}

func (f *Finder) newWalk(found func(string)) *walk {
	return &walk{f: f, found: found, visited: map[ident.Key]bool{}}
}

func (w *walk) dir(dir string) {
	info, err := ident.Stat(dir)
	if err != nil || !info.Mode.IsDir() || w.visited[info.Key()] || !w.f.Below(dir) {
		return
	}
	w.visited[info.Key()] = true
	w.f.watch(dir) // first, so that nothing appears unseen after the listing
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.f.tell(dir, "can't list a folder, its files are not read", err)
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			w.dir(path)
		case e.Type()&fs.ModeSymlink != 0 && isDir(path):
			w.later = append(w.later, path)
		case w.f.Match(path):
			w.found(path)
		}
	}
}

func (w *walk) links() {
	for len(w.later) > 0 {
		path := w.later[0]
		w.later = w.later[1:]
		w.dir(path)
	}
}
