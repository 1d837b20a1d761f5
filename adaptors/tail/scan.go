package tail

import (
	"maps"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

func (r *run) event(ev fsnotify.Event) {
	path := filepath.Clean(ev.Name)
	s := r.files.live.byPath[path]
	if ev.Op == fsnotify.Write && s != nil {
		r.turns.grown(s)
		return
	}
	if at := r.files.at(path); at != nil {
		at.leftPath = at.leftPath || ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename)
		at.overPath = at.overPath || ev.Has(fsnotify.Create)
	}
	if s != nil || r.find.Match(path) {
		if r.check(path); s != nil || r.files.live.byPath[path] != nil {
			return
		}
		// Perhaps a folder: patterns such as /srv/** match these, too.
	}
	switch {
	case !r.find.Below(path):
	case ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename):
		if r.find.Watched(path) {
			if ev.Has(fsnotify.Rename) {
				r.find.UnwatchTree(path)
			} else {
				r.find.Unwatch(path)
			}
			r.goneDirs[path] = true
			r.scanNow = r.scanNow || r.find.Rooted(path)
		}
	case ev.Has(fsnotify.Create) || ev.Has(fsnotify.Chmod): // a folder that is new, or whose permissions have changed
		r.find.ScanBelow(path, r.check)
	}
}

// full is how many scans are made for one that looks at each file, where
// everything is watched: the others only list the folders that have changed.
const full = 12

// scan looks for what events did not tell of.
func (r *run) scan() {
	all := r.scanAll || r.find.Blind() || r.scans%full == 0
	r.scans++
	r.scanNow, r.scanAll = false, false
	seen := map[string]bool{}
	check := func(path string) {
		if !seen[path] {
			seen[path] = true
			r.check(path)
		}
	}
	r.find.Refused = func(path, reason string) {
		seen[path] = true
		r.skip(path, reason)
	}
	var changed map[string]bool
	if all {
		r.find.Scan(check)
	} else {
		changed = r.find.Rescan(check)
		for path := range r.links {
			check(path) // what they lead to may change where nobody looks
		}
	}
	away := func(path string) bool { return !seen[path] && (all || changed[filepath.Dir(path)]) }
	for path := range r.files.live.byPath {
		if away(path) {
			r.check(path)
		}
	}
	for path := range r.files.suspects {
		if away(path) {
			r.check(path)
		}
	}
	for path := range r.files.blank {
		if away(path) {
			r.check(path)
		}
	}
	for path := range r.shared.refused {
		if away(path) {
			r.check(path)
		}
	}
	maps.DeleteFunc(r.files.ignored, func(path string, _ ignored) bool { return away(path) })
	maps.DeleteFunc(r.links, func(path string, _ bool) bool { return away(path) })
	r.board.Unskip(away)
}

// folderGone looks after the files below a folder that was removed or renamed,
// of which no event tells by itself.
func (r *run) foldersGone() {
	if len(r.goneDirs) == 0 {
		return
	}
	below := func(path string) bool {
		for dir := filepath.Dir(path); len(dir) > 1; dir = filepath.Dir(dir) {
			if r.goneDirs[dir] {
				return true
			}
		}
		return false
	}
	for path := range r.files.live.byPath {
		if below(path) {
			r.check(path)
		}
	}
	for path := range r.files.suspects {
		if below(path) {
			r.check(path)
		}
	}
	clear(r.goneDirs)
}
