package ident

import (
	"bytes"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// getVersion is FS_IOC_GETVERSION of linux/fs.h, _IOR('v', 1, long), as most
// machines number it. Others refuse what is none of their numbers.
const getVersion = 2<<30 | uint(unsafe.Sizeof(uintptr(0)))<<16 | 'v'<<8 | 1

// generation returns the number that the file system gives each new file of an
// inode; ok is false where it has none.
func generation(f *os.File) (n uint32, ok bool) {
	n, err := unix.IoctlGetUint32(int(f.Fd()), getVersion)
	return n, err == nil
}

// AskGeneration adds the generation of the file's inode, where the file system
// has one. Those without birth times, such as FUSE, may number each mount anew.
func (i *Info) AskGeneration(f *os.File) {
	if i.Birth != 0 {
		i.Gen, _ = generation(f)
	}
}

// FirstLine is the first line of a file, with its end, or the first KiB of one
// that is longer; nil if that is not whole in head, the first bytes of the file.
func FirstLine(head []byte) []byte {
	line := head[:min(len(head), MaxHead)]
	if end := bytes.IndexByte(line, '\n'); end >= 0 {
		return line[:end+1]
	}
	if len(line) < MaxHead {
		return nil
	}
	return line
}

// Origin names a file so that it is known again when nothing is stored of it:
// by inode, birth time, generation, and its first line (or first KiB), which
// must be whole in head, the first bytes of the file. It is empty where that
// can't tell the file from every other one: it has no line yet, or the file
// system tells no birth. Where the inode is known to have
// been another file's before, reused, a birth alone does not do: both may be of
// the same tick of the clock.
func Origin(f *os.File, info *Info, head []byte, reused bool) string {
	line := FirstLine(head)
	if line == nil {
		return ""
	}
	n, ok := generation(f)
	if info.Birth == 0 || !ok && reused {
		return ""
	}
	return fmt.Sprintf("%d %d %d %x", info.Ino, info.Birth, n, Sum(line))
}
