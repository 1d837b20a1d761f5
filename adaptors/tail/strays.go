package tail

import (
	"os"
	"path/filepath"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// strays finds the files that were renamed, while nobody looked, to a name in
// their folder that no pattern matches: what was written to them before is
// still to be read.
func (r *run) strays() {
	dirs := map[string]bool{}
	var targets []string // behind symlinks
	for s := range r.lost.all {
		if s.reason == "" && s.ident.Gone == 0 && !s.ended {
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

// stray looks at a file that does not match. Unlike one that does, it says
// nothing of a stream whose inode it has and whose bytes it has not.
func (r *run) stray(path string) {
	info, err := ident.Stat(path)
	if err != nil || len(r.lost.sameInode(&info)) == 0 {
		return
	}
	c, err := peek(path, r.cfg.roots)
	if err != nil {
		return
	}
	defer c.close()
	for _, s := range r.lost.sameInode(&c.info) {
		if same, err := s.sameBytes(c.f, c.info.Size); err != nil || !same || s.reason != "" {
			continue
		}
		r.found(s, &c)
		r.setPath(s, "") // where it is now is nobody's business
		return
	}
}
