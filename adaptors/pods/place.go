package pods

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// place is where an instance's files are, and how they are named there. The
// kubelet keeps them in the pod's folder and adds the time of the rotation to a
// name. Docker's json-file driver keeps them elsewhere, behind the symlink that
// is the pod's log, and adds a number that grows with each rotation: such a name
// is another file's after the next one.
type place struct {
	dir  string // the folder
	log  string // the name of the file that is written to
	link bool   // docker's
}

// entry is a log file as a folder lists it.
type entry struct {
	name string // without .gz
	gz   bool
}

// linkedPlace is the place of the log at a symlink's end.
func linkedPlace(target string) place {
	return place{dir: filepath.Dir(target), log: filepath.Base(target), link: true}
}

// path is the path of the file that is written to.
func (p *place) path() string { return filepath.Join(p.dir, p.log) }

// pathOf is the path of a file that is listed.
func (p *place) pathOf(e entry) string {
	if e.gz {
		return filepath.Join(p.dir, e.name+".gz")
	}
	return filepath.Join(p.dir, e.name)
}

// lasting reports whether a name is one file's for good.
func (p *place) lasting(name string) bool { return !p.link && name != p.log }

// compare orders names by the age of their files, the oldest first.
func (p *place) compare(a, b string) int {
	switch {
	case a == b:
		return 0
	case a == p.log:
		return 1
	case b == p.log:
		return -1
	case p.link:
		return cmp.Compare(p.number(b), p.number(a))
	}
	return strings.Compare(a, b)
}

func (p *place) number(name string) int {
	n, _ := strconv.Atoi(strings.TrimPrefix(name, p.log+".")) // dockerName lets nothing else pass
	return n
}

// dockerName reads a name in docker's folder; ok is false for another file's.
func (p *place) dockerName(name string) (e entry, ok bool) {
	e.name, e.gz = strings.CutSuffix(name, ".gz")
	if e.name == p.log {
		return e, !e.gz
	}
	number, ok := strings.CutPrefix(e.name, p.log+".")
	n, err := strconv.Atoi(number)
	return e, ok && err == nil && n > 0 && strconv.Itoa(n) == number
}

// maxLinks is how many symlinks in a row the kernel follows.
const maxLinks = 40

// follow returns what a symlink leads to in the end, whether that is there or
// not: while docker rotates a log it is not. ok is false for what is no symlink.
func follow(path string) (target string, ok bool) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if err != nil {
			return path, ok
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		// The folder's own name: what happens in it is told by that.
		if dir, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil {
			to = filepath.Join(dir, filepath.Base(to))
		}
		path, ok = to, true
	}
	return path, false
}
