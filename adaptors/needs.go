package adaptors

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Needer is a kind's config that says what its adaptor reaches for outside of
// the agent. Over REST only adaptors whose config is a Needer can be added, and
// only where the agent's config allows each of their needs.
type Needer interface{ Needs() []Need }

// Need is one thing that an adaptor reaches for.
type Need struct {
	What  What
	Value string
}

// What says what sort of thing a Need is.
type What string

const (
	// Program is a program that is run, as the config names it.
	Program What = "program"
	// File is a pattern of paths that are read. A config that needs one is also
	// a Rooter.
	File What = "file"
	// Change is a path at or below which files are moved or deleted. A config
	// that needs one is also a Changer.
	Change What = "change"
	// Listen is an address that is listened on: host:port, or a socket's path.
	Listen What = "listen"
	// URL is what is connected to: a URL, or tcp://host:port. A kind follows no
	// redirect to another host.
	URL What = "url"
)

// Rooter is a kind's config that can be bound to folders: its adaptors then
// read nothing that lies outside of them once symlinks are resolved, also when
// a link is made later.
type Rooter interface{ SetRoots(Roots) }

// Changer is a Rooter whose adaptor also moves and deletes files: it then does so
// in these folders alone, also when a link is made later.
type Changer interface{ SetChangeRoots(Roots) }

// Globber is a kind's config whose adaptor finds its files by patterns of paths:
// two such adaptors may want the same file. What is excluded is not read, nor
// what lies below it.
type Globber interface {
	Globs() (include, exclude []string)
}

// Roots are folders that files have to lie in. Nil Roots hold everything;
// empty ones nothing. It is safe for concurrent use.
type Roots []string

// ErrOutside says that a file lies outside of the folders that are allowed.
var ErrOutside = errors.New("it leads out of the folders that the agent's config allows")

// HoldsPattern reports whether all that a pattern of paths can match lies in the
// roots as the file system is now. What comes before the pattern's first
// meta character is resolved as far as it exists.
func (r Roots) HoldsPattern(pattern string) error {
	if r == nil {
		return nil
	}
	if !filepath.IsAbs(pattern) || patternHasDots(pattern) {
		return fmt.Errorf("%s: want an absolute path without \"..\": %w", pattern, ErrOutside)
	}
	fixed := pattern
	if i := strings.IndexAny(pattern, `*?[{\`); i >= 0 {
		fixed = pattern[:strings.LastIndexByte(pattern[:i], '/')+1]
	}
	return r.holds(resolve(filepath.Clean(fixed)), pattern)
}

// HoldsPath is HoldsPattern for the path of one file, resolved whole.
func (r Roots) HoldsPath(path string) error {
	if r == nil {
		return nil
	}
	if !filepath.IsAbs(path) || hasDots(path) {
		return fmt.Errorf("%s: want an absolute path without \"..\": %w", path, ErrOutside)
	}
	return r.holds(resolve(filepath.Clean(path)), path)
}

// HoldsFile reports whether an open file lies in the roots: the kernel says
// where, so that no change of a link after the opening matters.
func (r Roots) HoldsFile(f *os.File) error {
	if r == nil {
		return nil
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var path string
	controlErr := conn.Control(func(fd uintptr) {
		path, err = os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	})
	if err = errors.Join(controlErr, err); err != nil {
		return fmt.Errorf("find out where %s lies: %w", f.Name(), err)
	}
	return r.holds(strings.TrimSuffix(path, " (deleted)"), f.Name())
}

func (r Roots) holds(target, shown string) error {
	for _, root := range r {
		if Below(resolve(filepath.Clean(root)), target) {
			return nil
		}
	}
	return fmt.Errorf("%s: %w", shown, ErrOutside)
}

// Below reports whether a clean path is dir or lies below it.
func Below(dir, path string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

func hasDots(path string) bool {
	for _, part := range strings.Split(path, "/") {
		if part == ".." {
			return true
		}
	}
	return false
}

// patternHasDots is hasDots for patterns, where ".." may be written with
// backslashes or be one of several in braces.
func patternHasDots(pattern string) bool {
	plain := strings.ReplaceAll(pattern, `\`, "")
	return hasDots(strings.NewReplacer("{", "/", "}", "/", ",", "/").Replace(plain))
}

// resolve follows the symlinks of a clean absolute path as far as it exists.
func resolve(path string) string {
	rest := ""
	for dir := path; ; {
		target, err := filepath.EvalSymlinks(dir)
		if err == nil {
			return filepath.Join(target, rest)
		}
		if _, lerr := os.Lstat(dir); lerr == nil {
			// It is there and leads nowhere yet: where it may lead one day is not
			// known, but that it leaves its folder is.
			if target, err := os.Readlink(dir); err == nil {
				if !filepath.IsAbs(target) {
					target = filepath.Join(filepath.Dir(dir), target)
				}
				return filepath.Join(filepath.Clean(target), rest)
			}
		}
		rest = filepath.Join(filepath.Base(dir), rest)
		if dir = filepath.Dir(dir); dir == "/" {
			return filepath.Join("/", rest)
		}
	}
}
