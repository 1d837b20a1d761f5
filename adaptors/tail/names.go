package tail

import (
	"path/filepath"
)

// originals calls f with each path that duplicate may be a rotation's copy of, the
// longest first, until f says that it is enough: app.log for app.log.1,
// app.log-20260131 and app-20260131.log. What rotation adds starts with neither
// a letter nor a digit: app-10.log is no copy of app-1.log.
func originals(duplicate string, f func(path string) bool) {
	dir, name := filepath.Split(duplicate)
	ext := filepath.Ext(name)
	for n := len(name) - 1; n > 0; n-- {
		if b := name[n]; b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' {
			continue
		}
		if f(dir+name[:n]) || ext != "" && n+len(ext) < len(name) && f(dir+name[:n]+ext) {
			return
		}
	}
}

// related reports whether originals would name path for duplicate.
func related(path, duplicate string) bool {
	found := false
	originals(duplicate, func(p string) bool {
		found = p == path
		return found
	})
	return found
}
