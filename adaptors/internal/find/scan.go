package find

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// folder is one that was listed.
type folder struct {
	key      ident.Key
	modified int64    // Unix nanoseconds
	sure     bool     // what changes after the listing changes modified, too
	folders  []string // below it
	links    []string // to folders
	scan     int      // that saw it last
}

// settled is how much older than its listing a folder's last change must be:
// file systems tell the time in steps.
const settled = 100 * time.Millisecond

// Scan calls found for each path that matches, whatever is there, and watches
// all folders where a match can appear: a missing one through its nearest
// ancestor that exists.
func (f *Finder) Scan(found func(path string)) { f.scan(found, false) }

// Rescan is Scan of the folders whose list of names has changed since they were
// scanned, and gives these, along with those that are gone. It reads one
// folder's time where Scan looks at each file.
func (f *Finder) Rescan(found func(path string)) (changed map[string]bool) {
	return f.scan(found, true)
}

func (f *Finder) scan(found func(path string), light bool) map[string]bool {
	f.blind = f.watcher == nil
	f.scans++
	w := f.newWalk(found)
	w.light = light
	for i := range f.include {
		dir := f.include[i].base
		for dir != "/" && !isDir(dir) {
			dir = filepath.Dir(dir)
			if info, err := ident.Stat(dir); err == nil && dir != f.include[i].base {
				f.watch(dir, &info, !light)
			}
		}
		w.dir(dir)
	}
	w.links()
	for dir, known := range f.folders {
		if known.scan != f.scans {
			delete(f.folders, dir)
			w.changed[dir] = true
		}
	}
	return w.changed
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

// Rooted tells that a pattern starts in the folder or below it: when it goes
// or comes, a scan is due.
func (f *Finder) Rooted(dir string) bool {
	for i := range f.include {
		if base := f.include[i].base; base == dir || strings.HasPrefix(base, dir+"/") {
			return true
		}
	}
	return false
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
	light   bool // only folders that have changed are listed
	changed map[string]bool
	visited map[ident.Key]bool
	later   []string // symlinks to folders
}

func (f *Finder) newWalk(found func(string)) *walk {
	return &walk{f: f, found: found, changed: map[string]bool{}, visited: map[ident.Key]bool{}}
}

func (w *walk) dir(dir string) {
	info, err := ident.Stat(dir)
	if err != nil || !info.Mode.IsDir() || w.visited[info.Key()] || !w.f.Below(dir) {
		return
	}
	w.visited[info.Key()] = true
	w.f.watch(dir, &info, !w.light) // first, so that nothing appears unseen after the listing
	if known := w.f.folders[dir]; w.light && known != nil && known.sure && known.key == info.Key() && known.modified == info.Modified {
		known.scan = w.f.scans
		w.later = append(w.later, known.links...)
		for _, path := range known.folders {
			w.dir(path)
		}
		return
	}
	w.changed[dir] = true
	now := &folder{
		key: info.Key(), modified: info.Modified, scan: w.f.scans,
		sure: info.Modified < time.Now().Add(-settled).UnixNano(),
	}
	w.f.folders[dir] = now
	entries, err := os.ReadDir(dir)
	if err != nil {
		now.sure = false
		if !errors.Is(err, fs.ErrNotExist) {
			w.f.tell(dir, "can't list a folder, its files are not read", err)
		}
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.IsDir():
			now.folders = append(now.folders, path)
			w.dir(path)
		case e.Type()&fs.ModeSymlink != 0 && isDir(path):
			now.links = append(now.links, path)
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
		if info, err := ident.Stat(path); err == nil && w.visited[info.Key()] && w.f.Below(path) && w.f.Refused != nil {
			w.f.Refused(path, "a symlink to a folder that is read by another name already: not followed again")
		}
		w.dir(path)
	}
}
