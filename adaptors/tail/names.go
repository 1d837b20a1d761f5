package tail

import (
	"path/filepath"
	"regexp"
	"strings"
)

// originals calls f with each path that duplicate may be a rotation's copy of, the
// longest first, until f says that it is enough: app.log for app.log.1,
// app.log-20260131 and app-20260131.log. What rotation adds starts with neither
// a letter nor a digit: app-10.log is no copy of app-1.log. For .app.log.Xy12Za,
// which rsync writes and renames then, it is app.log.
func originals(duplicate string, f func(path string) bool) {
	dir, name := filepath.Split(duplicate)
	if of := rsyncs.FindStringSubmatch(name); of != nil && f(dir+of[1]) {
		return
	}
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

var (
	rsyncs  = regexp.MustCompile(`^\.(.+)\.[A-Za-z0-9]{6}$`)
	backups = regexp.MustCompile(`^(~|\.~\d+~|\.bak|\.backup|\.orig|\.save)$`)
)

// isBackup reports whether name is one that a program gives the old file at path
// when it puts a new one there that has the old one's bytes and more: an
// editor's app.log~, not a rotation's app.log.1 or app.log.old.
func isBackup(path, name string) bool {
	added, ok := strings.CutPrefix(name, path)
	return ok && backups.MatchString(added)
}

// headName is what a copy in another folder is looked up by.
type headName struct {
	head uint64 // of MaxHead bytes; 0: not known to be so long yet
	name string // without its folder
}
