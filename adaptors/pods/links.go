package pods

import (
	"path/filepath"
)

// links are the instances whose logs are symlinks, by the folders that these
// lead into: docker rotates them there, and the pods' folders tell of nothing.
type links map[string][]*turn

// of returns the instances that a path in docker's folder is a log of, rotated
// or not.
func (l links) of(path string) (out []*turn) {
	for _, t := range l[filepath.Dir(path)] {
		p := linkedPlace(t.target)
		if _, ok := p.dockerName(filepath.Base(path)); ok {
			out = append(out, t)
		}
	}
	return out
}
