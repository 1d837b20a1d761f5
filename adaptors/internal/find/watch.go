package find

import (
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// watched is a folder or file that is watched.
type watched struct {
	key    ident.Key
	birth  int64
	remote bool // other machines change it, and inotify does not tell
}

// WatchFile watches a file itself: one that is reached through a symlink
// changes in a folder that nobody watches.
func (f *Finder) WatchFile(path string) {
	if info, err := ident.Stat(path); err == nil {
		f.watch(path, &info, true)
	}
}

// WatchFolder watches a folder in which no match can appear: its events come
// with the others, under its own name.
func (f *Finder) WatchFolder(dir string) {
	if info, err := ident.Stat(dir); err == nil && info.Mode.IsDir() {
		f.watch(dir, &info, false)
	}
}

// Watched reports whether the path is a folder or file that is watched itself.
func (f *Finder) Watched(path string) bool {
	_, is := f.watched[path]
	return is
}

// Unwatch forgets a folder or file that is gone or was moved.
func (f *Finder) Unwatch(path string) {
	if key := f.watched[path].key; f.byKey[key] == path {
		delete(f.byKey, key)
	}
	delete(f.watched, path)
	delete(f.folders, path)
	if f.watcher != nil {
		_ = f.watcher.Remove(path) // mostly gone by itself
	}
}

// UnwatchTree is Unwatch of a folder that was moved and of all below it, which
// the kernel would go on to watch under their old names.
func (f *Finder) UnwatchTree(dir string) {
	f.Unwatch(dir)
	for path := range f.watched {
		if strings.HasPrefix(path, dir+"/") {
			f.Unwatch(path)
		}
	}
}

// watch watches a path; again says to ask for it although it is watched as far
// as is known.
func (f *Finder) watch(path string, info *ident.Info, again bool) {
	if f.watcher == nil {
		return
	}
	old, is := f.watched[path]
	if is && !again && old.key == info.Key() && old.birth == info.Birth {
		f.blind = f.blind || old.remote
		return
	}
	if was, known := f.byKey[info.Key()]; known && was != path && info.Mode.IsDir() {
		if now, err := ident.Stat(was); err == nil && now.Key() == info.Key() {
			return // by a symlink: its events bear its own name
		}
		f.Unwatch(was) // renamed unseen: its events would go on to bear the old name
	}
	err := f.watcher.Add(path)
	if err == nil {
		if info.Mode.IsDir() {
			f.byKey[info.Key()] = path
		}
		now := watched{key: info.Key(), birth: info.Birth, remote: old.remote}
		if !is || old.key != now.key {
			now.remote = remote(path)
		}
		f.watched[path] = now
		if now.remote {
			f.blind = true
			f.tell(path, "a network file system does not tell of all changes, looking for them every second", nil)
		}
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return
	}
	f.blind = true
	f.tell(path, "can't watch a folder, looking for changes every second instead", err)
}

// remote tells that a path is on a file system that others than this machine's
// kernel change: inotify(7) does not see that.
func remote(path string) bool {
	var st unix.Statfs_t
	if unix.Statfs(path, &st) != nil {
		return false
	}
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC,
		unix.V9FS_MAGIC, unix.AFS_FS_MAGIC, unix.AFS_SUPER_MAGIC, unix.CODA_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC:
		return true
	}
	return false
}

func (f *Finder) tell(path, msg string, err error) {
	if f.told[path] || len(f.told) >= 1000 {
		return
	}
	f.told[path] = true
	if err == nil {
		f.log.Warn(msg, "path", path)
	} else {
		f.log.Warn(msg, "path", path, "error", err)
	}
}
