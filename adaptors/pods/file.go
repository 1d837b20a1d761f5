package pods

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/unzip"
)

// file is one log file of an instance, whatever it is called now.
type file struct {
	id   ident.Identity // Path is its name in the folder, without .gz, as last known
	name string         // Path as long as it is there; empty: it is found under no name
	gz   bool           // only its compressed form is there, under name + ".gz"
	key  ident.Key      // while f is open
	f    *os.File
	z    *unzip.File
	held bool // z was opened, and not looked into

	size   int64     // bytes as last seen, not compressed
	grewAt time.Time // when that changed, at the earliest when it was found
	unseen time.Time // since when it has no name
}

// Errors with one file. None of them says that its bytes are lost for good.
var (
	errUnseen = errors.New("it is not found in its folder")
	errStale  = errors.New("another file has its name")
)

// exists reports whether the file can be opened by its name, and nothing but
// another look at the folder could tell otherwise.
func (f *file) exists() bool { return f.name != "" }

func (f *file) isOpen() bool { return f.f != nil || f.z != nil }

// reader opens the file where it is not, and makes sure that it is still the
// one it was: same tells that of its bytes.
func (f *file) reader(dir string, same func(r io.ReaderAt, size int64) (bool, error)) (io.ReaderAt, error) {
	switch {
	case f.f != nil:
		return f.f, nil
	case f.z != nil && f.held:
		ok, err := same(f.z, -1)
		if err != nil && !unzip.Damaged(err) {
			return nil, err
		}
		if !ok {
			f.close()
			return nil, cmp.Or(err, errStale)
		}
		f.held = false
		return f.z, nil
	case f.z != nil:
		return f.z, nil
	case !f.exists():
		return nil, errUnseen
	}
	path := filepath.Join(dir, f.name)
	if f.gz {
		return f.openZip(path+".gz", same)
	}
	o, info, err := openLog(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errStale
	}
	if err != nil {
		return nil, err
	}
	ok := f.id.SameInode(&info)
	if ok {
		ok, err = same(o, info.Size)
	}
	if err != nil || !ok {
		return nil, cmp.Or(errors.Join(err, o.Close()), errStale)
	}
	f.attach(o, &info)
	return o, nil
}

func (f *file) openZip(path string, same func(r io.ReaderAt, size int64) (bool, error)) (io.ReaderAt, error) {
	z, err := unzip.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errStale
	}
	if err != nil {
		return nil, err
	}
	ok, err := same(z, -1)
	if err != nil || !ok {
		return nil, cmp.Or(errors.Join(err, z.Close()), errStale)
	}
	f.z, f.size = z, max(f.size, z.Size())
	return z, nil
}

// hold opens a compressed file that is to be read later, so that it may be
// removed until then. What can't be opened now is tried when it is read.
func (f *file) hold(dir string) {
	if f.isOpen() {
		return
	}
	if z, err := unzip.Hold(filepath.Join(dir, f.name+".gz")); err == nil {
		f.z, f.held, f.size = z, true, max(f.size, z.Size())
	}
}

// attach takes an open file.
func (f *file) attach(o *os.File, info *ident.Info) {
	f.f, f.key = o, info.Key()
	f.id.Ino, f.id.Birth = info.Ino, info.Birth
	f.saw(info.Size)
}

// hasName reports whether an open file has a name in some folder.
func (f *file) hasName() bool {
	info, err := ident.Fstat(f.f)
	return err == nil && info.Links > 0
}

// takeOver makes the open file of other its own.
func (f *file) takeOver(other *file) {
	f.f, f.key = other.f, other.key
	f.saw(other.size)
}

func (f *file) saw(size int64) {
	if size != f.size || f.grewAt.IsZero() {
		f.size, f.grewAt = size, time.Now()
	}
}

// look takes note of the size of an open file.
func (f *file) look() error {
	if f.f == nil {
		return nil
	}
	info, err := ident.Fstat(f.f)
	if err != nil {
		return fmt.Errorf("look at %s: %w", f.id.Path, err)
	}
	f.saw(info.Size)
	return nil
}

// growHead lets the fingerprint of the head grow with the file until it is
// full, in a few steps. It reports whether it did.
func (f *file) growHead(r io.ReaderAt) (bool, error) {
	if have := int64(f.id.HeadLen); have == ident.MaxHead || f.size < 2*have && f.size < ident.MaxHead {
		return false, nil
	}
	head, err := ident.ReadHead(r)
	if err != nil {
		return false, fmt.Errorf("read the head of %s: %w", f.id.Path, err)
	}
	if len(head) <= f.id.HeadLen || !f.id.SameHead(head) {
		return false, nil // not what it was: another look finds out
	}
	f.id.SetHead(head)
	return true, nil
}

func (f *file) close() {
	if f.f != nil {
		_ = f.f.Close() // only read from
	}
	if f.z != nil {
		_ = f.z.Close()
	}
	f.f, f.z, f.held = nil, nil, false
}

// virgin tells that nothing is known of the file by which it could be found
// again: it was empty when it was seen last, and is not open.
func (f *file) virgin() bool { return f.id.HeadLen == 0 && !f.isOpen() }

// mayBe reports whether the uncompressed file that has a name now may be this
// one, as far as the file system tells. An inode is soon another file's: one that
// was never read is told by a name of its own alone.
func (f *file) mayBe(p *place, name string, info *ident.Info) bool {
	return f.id.Ino != 0 && !f.gz && f.id.SameInode(info) && (f.id.HeadLen > 0 || f.id.Path == name && p.lasting(name))
}

// called notes under which name the file is there.
func (f *file) called(e entry, info *ident.Info) {
	f.name, f.id.Path, f.gz, f.unseen = e.name, e.name, e.gz, time.Time{}
	f.id.Ino, f.id.Birth = info.Ino, info.Birth
	if !e.gz && f.z != nil {
		f.close()
	}
}

// gone notes that no name leads to the file.
func (f *file) gone() {
	if f.unseen.IsZero() {
		f.unseen = time.Now()
	}
	f.name = ""
}

type answer int

const (
	unknown answer = iota
	no
	yes
)

// mayGrow reports whether anybody has the file open for writing: the kernel
// refuses a read lease then. A lease needs the file's owner or CAP_LEASE; it
// is given back at once.
func (f *file) mayGrow() answer {
	if f.f == nil {
		return no // compressed, or gone
	}
	_, err := unix.FcntlInt(f.f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	switch err {
	case nil:
		_, _ = unix.FcntlInt(f.f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
		return no
	case unix.EAGAIN:
		return yes
	}
	return unknown
}

// openLog opens a regular file for reading; it never blocks on a FIFO and
// follows symlinks, as docker's are.
func openLog(path string) (*os.File, ident.Info, error) {
	f, err := ident.Open(path, 0)
	if err != nil {
		return nil, ident.Info{}, err
	}
	info, err := ident.Fstat(f)
	if err == nil && !info.Mode.IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("it is not a regular file")}
	}
	if err != nil {
		return nil, info, errors.Join(err, f.Close())
	}
	return f, info, nil
}
