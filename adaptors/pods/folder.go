package pods

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// listing is what there is of an instance.
type listing struct {
	place
	entries []entry // oldest first; a file that stands there uncompressed, too, is listed as that
	there   bool    // the pod's folder has a file of the instance, or a symlink to it
	later   bool    // the container's next instance is there
	seen    seen
}

// seen is what tells that a folder has changed since it was listed.
type seen struct {
	names    string // in the pod's folder
	linked   string // docker's folder; empty: the pod's own is all
	modified int64  // docker's folder, Unix nanoseconds
	sure     bool   // what changes after the listing changes modified, too
}

// coarse is how coarsely file systems may tell the time.
const coarse = 100 * time.Millisecond

// listFiles lists an instance's files, wherever they are. was is where they were
// last: what docker keeps is there for a moment longer than the symlink to it.
func listFiles(root string, c *container, was *place) (listing, error) {
	dir := filepath.Join(root, c.dir)
	entries, err := os.ReadDir(dir)
	l, err := ownListing(dir, c.restart, entries, err)
	if err == nil && !l.there { // nothing may be told as deleted because a mount is missing
		l, err = listBelow(root, c.dir, c.restart)
	}
	if err != nil {
		return listing{}, err
	}
	switch target, ok := follow(filepath.Join(dir, c.logName())); {
	case ok && !slices.ContainsFunc(l.entries, func(e entry) bool { return e.name != l.log }):
		l.place = linkedPlace(target)
	case !l.there && was.link:
		l.place = *was
	default:
		return l, nil
	}
	return l, l.listLinked()
}

// listLinked lists docker's folder.
func (l *listing) listLinked() error {
	l.entries, l.seen.linked = nil, l.dir
	info, err := ident.Stat(l.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at docker's folder: %w", err)
	}
	l.seen.modified, l.seen.sure = info.Modified, info.Modified < time.Now().Add(-coarse).UnixNano()
	entries, err := os.ReadDir(l.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("list docker's folder: %w", err)
	}
	for _, e := range entries {
		if d, ok := l.dockerName(e.Name()); ok && !e.IsDir() {
			l.entries = append(l.entries, d)
		}
	}
	l.tidy()
	return nil
}

// listBelow lists a pod's folder below the root, whatever the root is called a
// moment later: it is an error that there is no root, and none that there is no
// folder.
func listBelow(root, dir string, restart int) (listing, error) {
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return listing{}, fmt.Errorf("look at the folder of all pods: %w", &fs.PathError{Op: "open", Path: root, Err: err})
	}
	defer func() { _ = unix.Close(at) }()
	path := filepath.Join(root, dir)
	fd, err := unix.Openat(at, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ownListing(path, restart, nil, err)
	}
	f := os.NewFile(uintptr(fd), path)
	entries, err := f.ReadDir(-1)
	_ = f.Close() // only read from
	return ownListing(path, restart, entries, err)
}

// ownListing is the listing of a pod's folder.
func ownListing(dir string, restart int, entries []fs.DirEntry, err error) (listing, error) {
	c := container{restart: restart}
	l := listing{place: place{dir: dir, log: c.logName()}}
	if errors.Is(err, fs.ErrNotExist) {
		return l, nil
	}
	if err != nil {
		return l, fmt.Errorf("list %s: %w", dir, err)
	}
	for _, e := range entries {
		switch n, ok := parseName(e.Name()); {
		case !ok || e.IsDir() || n.restart < restart:
		case n.restart > restart:
			l.later = true
		default:
			l.add(e.Name(), n.gz)
		}
	}
	l.tidy()
	l.there, l.seen.names = len(l.entries) > 0, l.names()
	return l, nil
}

// add takes a file of the instance by its whole name.
func (l *listing) add(name string, gz bool) {
	if gz {
		name = strings.TrimSuffix(name, ".gz")
	}
	l.entries = append(l.entries, entry{name, gz})
}

// tidy puts the files in their order, and leaves compressed ones out that
// stand there uncompressed, too: they may not be whole yet.
func (l *listing) tidy() {
	slices.SortFunc(l.entries, func(a, b entry) int {
		if n := l.compare(a.name, b.name); n != 0 || a.gz == b.gz {
			return n
		} else if a.gz {
			return 1
		}
		return -1
	})
	l.entries = slices.CompactFunc(l.entries, func(a, b entry) bool { return a.name == b.name })
}

// names are the listed names as one string, to be compared.
func (l *listing) names() string {
	var b strings.Builder
	for _, e := range l.entries {
		b.WriteString(e.name)
		if e.gz {
			b.WriteString(".gz")
		}
		b.WriteByte(' ')
	}
	return b.String()
}
