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
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// A file in an instance's folder is one of these, asked in this order:
//
//  1. a file that is open: its inode tells.
//  2. a file that was read or seen before and is not open, also in an earlier
//     life of the agent: inode, birth time, head, and the bytes before what
//     was sent.
//  3. compressed: the file that had the name before, or, where nobody saw the
//     rotation, one whose head it has.
//  4. a new file. Rotated ones follow each other by name, the present log
//     comes last.

// listing is what an instance's folder holds of it.
type listing struct {
	plain []string // names, the rotated ones first, by time
	gz    []string // names without .gz, of those that are not plain as well
	later bool     // the container's next instance is there
}

func listFolder(dir string, restart int) (listing, error) {
	entries, err := os.ReadDir(dir)
	return newListing(dir, restart, entries, err)
}

// listBelow is listFolder of a folder below the root, whatever the root is
// called a moment later: it is an error that there is no root, and none that
// there is no folder.
func listBelow(root, dir string, restart int) (listing, error) {
	at, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return listing{}, fmt.Errorf("look at the folder of all pods: %w", &fs.PathError{Op: "open", Path: root, Err: err})
	}
	defer func() { _ = unix.Close(at) }()
	path := filepath.Join(root, dir)
	fd, err := unix.Openat(at, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return newListing(path, restart, nil, err)
	}
	f := os.NewFile(uintptr(fd), path)
	entries, err := f.ReadDir(-1)
	_ = f.Close() // only read from
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return newListing(path, restart, entries, err)
}

func newListing(dir string, restart int, entries []fs.DirEntry, err error) (listing, error) {
	if errors.Is(err, fs.ErrNotExist) {
		return listing{}, nil
	}
	if err != nil {
		return listing{}, fmt.Errorf("list %s: %w", dir, err)
	}
	var l listing
	current := ""
	for _, e := range entries { // sorted by name, and so NAME before NAME.gz
		n, ok := parseName(e.Name())
		switch {
		case !ok || e.IsDir():
		case n.restart > restart:
			l.later = true
		case n.restart < restart:
		case n.rotated == "":
			current = e.Name()
		case !n.gz:
			l.plain = append(l.plain, e.Name())
		default:
			if name := strings.TrimSuffix(e.Name(), ".gz"); !slices.Contains(l.plain, name) {
				l.gz = append(l.gz, name)
			}
		}
	}
	if current != "" {
		l.plain = append(l.plain, current)
	}
	return l, nil
}

// text is the listing as one string, to be compared.
func (l *listing) text() string {
	all := slices.Clone(l.plain)
	for _, n := range l.gz {
		all = append(all, n+".gz")
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// look matches what is in the folder with the chain: every file of the chain
// gets its name, and what is new is put behind it.
func (in *instance) look() error {
	for _, f := range in.takeFresh() {
		in.takeOpen(f)
	}
	in.changed = true // names, at the least
	// A rename between the listing and the look at a name leaves a file out,
	// or takes a later one for it: what is found counts once nothing moved.
	for range 10 {
		l, err := listFolder(in.dir, in.restart)
		if err != nil {
			return err
		}
		if len(l.plain)+len(l.gz) == 0 { // nothing may be told as deleted because a mount is missing
			if l, err = listBelow(in.root, in.container.dir, in.restart); err != nil {
				return err
			}
		}
		surprised, err := in.match(&l)
		if err != nil {
			return err
		}
		if surprised {
			if again, err := listFolder(in.dir, in.restart); err != nil || again.text() != l.text() {
				continue
			}
		}
		in.setListing(l.text())
		absent := len(l.plain)+len(l.gz) == 0
		if absent && !in.absent {
			in.since = time.Now()
		}
		in.absent, in.later, in.looked = absent, l.later, true
		return nil
	}
	in.lookAgain = true
	return fmt.Errorf("look at %s: its files are renamed all the time", in.dir)
}

// match gives files their names, and puts new ones behind the chain. It is
// surprised by files that are new and by those it misses.
func (in *instance) match(l *listing) (surprised bool, err error) {
	known := in.files()
	claimed := map[*file]bool{}
	var anew []*file
	for _, name := range l.plain {
		f, err := in.findPlain(name, known, claimed)
		if err == nil && f == nil && (name == in.logName() || name > in.before) {
			if f, err = in.openNew(name); err == nil {
				anew = append(anew, f)
			}
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // renamed since
			surprised = true
		case err != nil:
			return false, err
		case f != nil:
			claimed[f] = true
			f.called(name, false)
		}
	}
	for _, name := range l.gz {
		f := findName(name, known, claimed)
		if f == nil && name > in.before {
			var wait bool
			if f, wait, err = in.findHead(name, known, claimed); err != nil {
				return false, err
			}
			if wait {
				in.lookAgain = true
				continue
			}
			if f == nil {
				f = &file{id: ident.Identity{Path: name}}
				anew = append(anew, f)
			}
		}
		if f != nil {
			claimed[f] = true
			f.called(name, true)
			if in.unreadOf(f) {
				f.hold(in.dir)
			}
		}
	}
	for _, f := range known {
		if !claimed[f] {
			surprised = surprised || f.exists()
			f.gone()
		}
	}
	anew = slices.DeleteFunc(anew, in.emptyBefore)
	if len(anew) > 0 {
		in.next = append(in.next, anew...)
		in.sortNext()
	}
	in.adopt()
	return surprised || len(anew) > 0, nil
}

// emptyBefore tells that a new file holds nothing and was rotated before the
// file that is being read: as the one after it would end it. It is closed.
func (in *instance) emptyBefore(f *file) bool {
	last := in.last()
	if last == nil || !last.growing() || f.size > 0 || f.name == in.logName() {
		return false
	}
	if f.gz && f.z == nil { // its size is not known
		return false
	}
	if name := last.file.name; name != in.logName() && (name == "" || name < f.name) {
		return false
	}
	f.close()
	return true
}

// unreadOf tells whether anything of a file is still to be read.
func (in *instance) unreadOf(f *file) bool {
	begun := false
	for _, p := range in.parts {
		if p.file == f {
			if begun = true; !p.Gone && (p.growing() || p.Base+p.Len > in.off) {
				return true
			}
		}
	}
	return !begun
}

// adopt finds files of which nothing is known among those that are new: they
// were seen by another name, or another inode's.
func (in *instance) adopt() {
	lost := func(f *file) bool { return f.virgin() && !f.exists() }
	in.next = slices.DeleteFunc(in.next, lost)
	if last := in.last(); last != nil && last.growing() && last.From == 0 && lost(last.file) && len(in.next) > 0 {
		last.file, in.next = in.next[0], in.next[1:]
	}
}

func (in *instance) openNew(name string) (*file, error) {
	o, info, err := openLog(filepath.Join(in.dir, name))
	if err != nil {
		return nil, err
	}
	f := &file{id: ident.Identity{Path: name}}
	f.attach(o, &info)
	return f, nil
}

// takeOpen puts a file that was opened when it appeared behind the chain, if
// it is not known yet.
func (in *instance) takeOpen(f *file) {
	for _, k := range in.files() {
		if k.f != nil && k.key == f.key {
			f.close()
			return
		}
		if k.f == nil && k.mayBe(f.name, &ident.Info{Ino: f.id.Ino, Birth: f.id.Birth}, in.logName()) {
			if same, err := in.same(k)(f.f, f.size); err == nil && same {
				k.f, k.key = f.f, f.key
				k.saw(f.size)
				return
			}
		}
	}
	in.next = append(in.next, f)
}

// findPlain finds the known file that has a name now; nil where it is none.
func (in *instance) findPlain(name string, known []*file, claimed map[*file]bool) (*file, error) {
	path := filepath.Join(in.dir, name)
	info, err := ident.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	for _, f := range known {
		if f.f != nil && f.key == info.Key() {
			if info.Size > f.size {
				f.saw(info.Size)
			}
			return f, nil
		}
	}
	for _, f := range known {
		if f.f != nil || claimed[f] || !f.mayBe(name, &info, in.logName()) {
			continue
		}
		o, now, err := openLog(path)
		if err != nil {
			return nil, err
		}
		same, err := in.same(f)(o, now.Size)
		if err != nil || !same || now.Key() != info.Key() {
			_ = o.Close() // only read from
			if err != nil {
				return nil, fmt.Errorf("compare %s with what was sent of it: %w", path, err)
			}
			continue
		}
		f.attach(o, &now)
		return f, nil
	}
	return nil, nil
}

// findName finds the known file that had a rotated file's name.
func findName(name string, known []*file, claimed map[*file]bool) *file {
	for _, f := range known {
		if !claimed[f] && f.id.Path == name {
			return f
		}
	}
	return nil
}

// findHead finds the known file of which a compressed one is the copy: one
// that is found under no other name, and was rotated while nobody looked. wait
// says that the compressed file may not be whole yet.
func (in *instance) findHead(name string, known []*file, claimed map[*file]bool) (found *file, wait bool, err error) {
	var missing []*file
	for _, f := range known {
		if !claimed[f] && f.id.Path == in.logName() && !f.virgin() {
			missing = append(missing, f)
		}
	}
	if len(missing) == 0 {
		return nil, false, nil
	}
	path := filepath.Join(in.dir, name+".gz")
	z, err := unzip.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, true, nil
	}
	if unzip.Damaged(err) {
		info, statErr := ident.Stat(path)
		return nil, statErr == nil && time.Since(time.Unix(0, info.Modified)) < in.times.still, nil
	}
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = z.Close() }()
	for _, f := range missing {
		if f.f != nil { // all of it is known: nobody compresses what is still written to
			if err := f.look(); err != nil {
				return nil, false, err
			}
			if uint32(f.size) != uint32(z.Size()) {
				continue
			}
			if _, err := f.growHead(f.f); err != nil {
				return nil, false, err
			}
		}
		head := make([]byte, f.id.HeadLen)
		if n, _ := z.ReadAt(head, 0); n == len(head) && f.id.SameHead(head) { // a head that can't be read is another
			return f, false, nil
		}
	}
	return nil, false, nil
}

// findLate lets what was written to a file after its end was told be read now,
// and tells whether there is any.
func (in *instance) findLate() bool {
	last := in.last()
	if last == nil || !last.growing() || in.off < in.sent || in.off < last.Base || in.cut.State != (cri.State{}) {
		return false
	}
	for _, p := range in.parts[:len(in.parts)-1] {
		if upTo, ok := in.told(p.file); ok && !p.file.gz && p.file.size > upTo {
			in.late(p.file, upTo, in.off)
			return true // others follow
		}
	}
	return false
}
