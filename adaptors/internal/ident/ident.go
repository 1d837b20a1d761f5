// Package ident tells files apart and finds them again: by inode and birth
// time where they can be trusted, and by fingerprints of their bytes always.
// Neither device numbers (they change at a reboot) nor paths take part.
package ident

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

const (
	MaxHead = 1024 // bytes of a file's head that are fingerprinted
	MaxTail = 256  // bytes before a position that are fingerprinted
)

var table = crc64.MakeTable(crc64.ECMA)

// Sum is the fingerprint of b.
func Sum(b []byte) uint64 { return crc64.Checksum(b, table) }

// Info is what the file system tells of a file.
type Info struct {
	Dev, Ino uint64
	Gen      uint32 // generation of the inode; 0: not asked for, or the file system has none
	Birth    int64  // Unix nanoseconds; 0 where the file system has none
	Modified int64  // Unix nanoseconds
	Changed  int64  // Unix nanoseconds; of the inode: it was renamed or unlinked, too
	Size     int64
	Links    uint32
	Mode     fs.FileMode
}

// Key tells live files of one machine apart, as long as one of them is open.
type Key struct{ Dev, Ino uint64 }

// Key is the file's key.
func (i *Info) Key() Key { return Key{i.Dev, i.Ino} }

// Stat follows symlinks.
func Stat(path string) (Info, error) { return statx(unix.AT_FDCWD, path, 0) }

// Fstat tells about an open file.
func Fstat(f *os.File) (Info, error) { return statx(int(f.Fd()), "", unix.AT_EMPTY_PATH) }

func statx(dirfd int, path string, flags int) (Info, error) {
	var st unix.Statx_t
	for {
		err := unix.Statx(dirfd, path, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return Info{}, &fs.PathError{Op: "statx", Path: path, Err: err}
		}
		break
	}
	i := Info{
		Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Modified: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		Changed: st.Ctime.Sec*1e9 + int64(st.Ctime.Nsec),
		Size:    int64(st.Size), Links: st.Nlink, Mode: mode(st.Mode),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		i.Birth = st.Btime.Sec*1e9 + int64(st.Btime.Nsec)
	}
	return i, nil
}

func mode(m uint16) fs.FileMode {
	switch uint32(m) & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFIFO:
		return fs.ModeNamedPipe
	case unix.S_IFSOCK:
		return fs.ModeSocket
	case unix.S_IFCHR:
		return fs.ModeDevice | fs.ModeCharDevice
	case unix.S_IFBLK:
		return fs.ModeDevice
	}
	return fs.ModeIrregular
}

// Identity is what is stored of a file to find it again.
type Identity struct {
	Path    string   `json:"path"`           // where it was seen last
	Real    string   `json:"real,omitempty"` // where it was then, if Path is a symlink
	Ino     uint64   `json:"ino"`
	Birth   int64    `json:"birth,omitempty"`
	Gen     uint32   `json:"gen,omitempty"` // generation of the inode
	HeadLen int      `json:"head_len"`      // bytes that Head covers, at most MaxHead
	Head    uint64   `json:"head"`
	Parts   []uint64 `json:"parts,omitempty"`   // fingerprints of its first bytes, of those of shorter that are less than HeadLen
	Marks   Marks    `json:"marks,omitempty"`   // fingerprints further on in a large file, by their offset
	Line    uint64   `json:"line,omitempty"`    // fingerprint of the first line; 0: not known
	Past    []uint64 `json:"past,omitempty"`    // those of what the inode held before it was truncated
	Size    int64    `json:"size,omitempty"`    // bytes it had, as far as known when this was stored
	Cut     bool     `json:"cut,omitempty"`     // it was cut back: another stream may go on from this one
	Emptied bool     `json:"emptied,omitempty"` // it was emptied, and is kept until something is written to it: what that is begins anew
	Gone    int64    `json:"gone,omitempty"`    // since when the file is not found, Unix seconds
}

// Encode returns the stored form.
func (id *Identity) Encode() []byte {
	b, err := json.Marshal(id)
	if err != nil {
		panic(fmt.Sprintf("ident: %v", err)) // plain fields only
	}
	return b
}

// Decode reads the stored form.
func Decode(b []byte) (Identity, error) {
	var id Identity
	if err := json.Unmarshal(b, &id); err != nil {
		return Identity{}, fmt.Errorf("decode a file's identity: %w", err)
	}
	if id.HeadLen < 0 || id.HeadLen > MaxHead {
		return Identity{}, fmt.Errorf("decode a file's identity: a head of %d bytes", id.HeadLen)
	}
	if len(id.Parts) > len(shorter) || len(id.Marks) > maxMarks {
		return Identity{}, fmt.Errorf("decode a file's identity: %d parts of a head and %d marks", len(id.Parts), len(id.Marks))
	}
	if len(id.Parts) == 0 {
		id.Parts = nil
	}
	if len(id.Marks) == 0 {
		id.Marks = nil
	}
	if len(id.Past) > maxPast {
		return Identity{}, fmt.Errorf("decode a file's identity: %d first lines of the past", len(id.Past))
	}
	if len(id.Past) == 0 {
		id.Past = nil
	}
	return id, nil
}

// New makes the identity of an open file.
func New(path string, info *Info, head []byte) Identity {
	id := Identity{Path: path, Ino: info.Ino, Birth: info.Birth, Gen: info.Gen, Size: info.Size}
	id.SetHead(head)
	return id
}

// maxPast bounds how many first lines of an inode's past are stored.
const maxPast = 512

// PastWith is the past of what is written to the inode when this is truncated.
func (id *Identity) PastWith() []uint64 { return JoinPasts(id.Past, []uint64{id.Line}) }

// JoinPasts returns all that two lists hold; where that is too much, that nothing
// is known: 0.
func JoinPasts(a, b []uint64) []uint64 {
	past := slices.Clone(a)
	for _, line := range b {
		if !slices.Contains(past, line) {
			past = append(past, line)
		}
	}
	if len(past) > maxPast {
		return []uint64{0}
	}
	return past
}

// IsPast reports whether the inode may have held something with the same first
// line before: it did, or that is not known.
func (id *Identity) IsPast() bool {
	return id.Line == 0 || slices.Contains(id.Past, id.Line) || slices.Contains(id.Past, 0)
}

// SameInode reports whether the file system says it is the same file.
func (id *Identity) SameInode(info *Info) bool {
	return id.Ino == info.Ino && (id.Birth == info.Birth || id.Birth == 0 || info.Birth == 0) &&
		(id.Gen == info.Gen || id.Gen == 0 || info.Gen == 0)
}

// SameHead reports whether head, the first bytes of a file, starts as the file
// did. A head that is shorter than the stored one does not.
func (id *Identity) SameHead(head []byte) bool {
	return len(head) >= id.HeadLen && Sum(head[:id.HeadLen]) == id.Head
}

// ReadHead reads the first bytes of a file, at most MaxHead.
func ReadHead(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, MaxHead)
	n, err := f.ReadAt(b, 0)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b[:n], err
}

// SameTail reports whether the bytes before pos have the fingerprint tail. A
// file that is shorter has not.
func SameTail(f io.ReaderAt, pos int64, tail uint64) (bool, error) {
	w, err := Window(f, pos)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	return err == nil && Sum(w) == tail, err
}

// Window reads the up to MaxTail bytes before pos. io.EOF says that the file
// is shorter than pos.
func Window(f io.ReaderAt, pos int64) ([]byte, error) {
	b := make([]byte, min(pos, MaxTail))
	n, err := f.ReadAt(b, pos-int64(len(b)))
	if n == len(b) {
		return b, nil
	}
	return nil, err
}

// FirstData is the offset of the first byte that is not NUL, looked for past
// holes and in the first MiB of data; the file's size when there is none.
// A writer that does not append leaves such a hole after a truncation.
func FirstData(f *os.File, size int64) (int64, error) {
	pos, err := unix.Seek(int(f.Fd()), 0, unix.SEEK_DATA)
	if err == unix.ENXIO {
		return size, nil
	}
	if err != nil {
		pos = 0 // a file system without holes
	}
	buf := make([]byte, 64<<10)
	for limit := pos + 1<<20; pos < limit; {
		n, err := f.ReadAt(buf, pos)
		for i := range n {
			if buf[i] != 0 {
				return pos + int64(i), nil
			}
		}
		pos += int64(n)
		if errors.Is(err, io.EOF) {
			return pos, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return pos, nil
}
