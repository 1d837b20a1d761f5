package tail

import (
	"os"
	"path/filepath"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// stray gives a lost stream its file back, which was renamed, while nobody
// looked, to a name that no pattern matches: what was written to it before is
// still to be read. Unlike one that matches, such a file says nothing of a
// stream whose inode it has and whose bytes it has not.
func (r *run) stray(path string) {
	info, err := ident.Stat(path)
	if err != nil || len(r.files.lost.sameInode(&info)) == 0 {
		return
	}
	c, err := peek(path, r.cfg.roots)
	if err != nil {
		return
	}
	defer c.close()
	if r.files.trim(&c) != nil {
		return
	}
	for _, s := range r.files.lost.sameInode(&c.info) {
		if s.out.Source() == path { // it is where it was: the patterns don't name it any more
			continue
		}
		if same, err := s.sameBytes(c.f, c.info.Size); err != nil || !same || s.reason != "" {
			continue
		}
		if !r.claim(path, c.info.Key()) {
			return
		}
		r.apply(&c, verdict{is: own, of: s})
		r.setPath(s, "") // where it is now is nobody's business
		return
	}
}

// strays looks for all lost streams' files under names that no pattern matches.
func (r *run) strays() {
	dirs := map[string]bool{}
	var targets []string // behind symlinks
	for s := range r.files.lost.all {
		if s.reason == "" && s.ident.Gone == 0 && !s.out.Ended() {
			dirs[filepath.Dir(s.ident.Path)] = true
			if s.ident.Real != "" {
				targets = append(targets, s.ident.Real)
			}
		}
	}
	for _, path := range targets {
		r.stray(path)
	}
	for dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // the folder is gone, and its files with it
		}
		for _, e := range entries {
			if path := filepath.Join(dir, e.Name()); e.Type().IsRegular() && !r.find.Match(path) {
				r.stray(path)
			}
		}
	}
}
