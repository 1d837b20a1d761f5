package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// ErrPath refuses a path that leaves the store's root, or that a call can't
// act on: the root itself, or a directory's own inside.
var ErrPath = errors.New("path not allowed")

// Clean gives p its one spelling: relative, without ".", ".." or doubled
// slashes; "" is the root. Implementations of FS pass each path through it.
func Clean(p string) (string, error) {
	if p == "" || p == "." {
		return "", nil
	}
	if len(p) > 4000 || !utf8.ValidString(p) || strings.ContainsAny(p, "\x00\\\r\n") {
		return "", fmt.Errorf("path %.100q: at most 4000 bytes of UTF-8 without NUL, line ends and backslashes: %w", p, ErrPath)
	}
	if strings.HasPrefix(p, "/") {
		return "", fmt.Errorf("path %q is not relative to the store: %w", p, ErrPath)
	}
	// HDFS refuses a colon as part of some URIs; nobody needs "..", so even a
	// harmless "a/../b" is taken for a mistake.
	for part := range strings.SplitSeq(p, "/") {
		if part == ".." {
			return "", fmt.Errorf("path %q has a '..': %w", p, ErrPath)
		}
	}
	if p = path.Clean(p); p == "." {
		return "", nil
	}
	return p, nil
}

// CleanTarget is Clean for calls that change what is at p: the root is refused.
func CleanTarget(p string) (string, error) {
	c, err := Clean(p)
	if err == nil && c == "" {
		return "", fmt.Errorf("the store's root can't be written, renamed or removed: %w", ErrPath)
	}
	return c, err
}

// CleanRename is Clean for the two paths of a rename. A path onto itself is
// fs.ErrExist, as on HDFS; a directory can't move into itself.
func CleanRename(from, to string) (f, t string, err error) {
	if f, err = CleanTarget(from); err != nil {
		return "", "", err
	}
	if t, err = CleanTarget(to); err != nil {
		return "", "", err
	}
	if f == t {
		return "", "", fmt.Errorf("rename %s to itself: %w", f, fs.ErrExist)
	}
	if strings.HasPrefix(t, f+"/") {
		return "", "", fmt.Errorf("rename %s into itself, to %s: %w", f, t, ErrPath)
	}
	return f, t, nil
}
