// Package find tells which files match: it walks the folders that patterns
// speak of, and watches them, so that a new file is seen at once. It reads no
// file and knows no streams.
package find

import (
	"fmt"
	"log/slog"

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
	watched map[string]watched
	byKey   map[ident.Key]string // watched folders
	folders map[string]*folder   // as they were listed last
	// Refused, where it is set, is called in a scan with each symlink that is
	// not followed.
	Refused func(path, reason string)
	told    map[string]bool // folders whose trouble was logged
	scans   int
}

// queued is how many events wait in the process to be taken. They are few: while
// nobody takes them, the kernel keeps the others, which costs nothing, and wakes
// nobody up for each.
const queued = 4

// New prepares to find what matches a glob of include and none of exclude.
// With watch it takes an inotify instance; where the kernel gives none, it logs
// that and polls.
func New(include, exclude []string, watch bool, log *slog.Logger) (*Finder, error) {
	f := &Finder{log: log, watched: map[string]watched{}, byKey: map[ident.Key]string{}, folders: map[string]*folder{}, told: map[string]bool{}}
	var err error
	if f.include, err = compile(include); err != nil {
		return nil, fmt.Errorf("make paths absolute: %w", err)
	}
	if f.exclude, err = compile(exclude); err != nil {
		return nil, fmt.Errorf("make paths absolute: %w", err)
	}
	if watch {
		if f.watcher, err = fsnotify.NewBufferedWatcher(queued); err != nil {
			log.Warn("can't watch folders, looking for changes every second instead", "error", err)
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

// Events returns what happens in watched folders; nil when polling.
func (f *Finder) Events() <-chan fsnotify.Event {
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Events
}

// Errors returns the watcher's errors; fsnotify.ErrEventOverflow says that
// events were lost and a scan is due.
func (f *Finder) Errors() <-chan error {
	if f.watcher == nil {
		return nil
	}
	return f.watcher.Errors
}

// Blind tells that not everything is watched: only scans see all changes.
func (f *Finder) Blind() bool { return f.blind }

// Match reports whether a path is to be read.
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

// Below reports whether something in the folder, or deeper, can match.
func (f *Finder) Below(dir string) bool {
	for i := range f.include {
		if f.include[i].below(dir) {
			return !f.excluded(dir)
		}
	}
	return false
}
