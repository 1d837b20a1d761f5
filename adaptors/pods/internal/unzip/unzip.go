// Package unzip reads gzip files at offsets of what they hold.
package unzip

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
)

// history is how many bytes behind the position can be read again without
// beginning anew.
const history = 64 << 10

// File is an open gzip file. It decompresses forward: reading before what is
// in its history begins anew. It holds some 200 KiB, and is used by one
// goroutine.
type File struct {
	f    *os.File
	z    *gzip.Reader
	last []byte // the bytes before pos
	pos  int64
	size int64
	err  error // at pos
}

// Open opens a gzip file.
func Open(path string) (*File, error) {
	z, err := Hold(path)
	if err != nil {
		return nil, err
	}
	if err := z.rewind(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), z.Close())
	}
	return z, nil
}

// Hold opens a gzip file of which nothing is read before ReadAt is called:
// until then it holds a descriptor and no memory.
func Hold(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	z := &File{f: f}
	if err := z.readSize(); err != nil {
		return nil, errors.Join(fmt.Errorf("read the end of %s: %w", path, err), f.Close())
	}
	return z, nil
}

// readSize reads the length that the last member's trailer tells (RFC 1952,
// 2.3.1).
func (z *File) readSize() error {
	info, err := z.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	var b [4]byte
	if info.Size() < 18 {
		return io.ErrUnexpectedEOF
	}
	if _, err := z.f.ReadAt(b[:], info.Size()-4); err != nil {
		return err
	}
	z.size = int64(binary.LittleEndian.Uint32(b[:]))
	return nil
}

// Size returns how many bytes a gzip file holds, as File.Size does.
func Size(path string) (int64, error) {
	z, err := Hold(path)
	if err != nil {
		return 0, err
	}
	return z.size, z.Close()
}

// Size is how many bytes the file holds, as it says itself: modulo 4 GiB.
func (z *File) Size() int64 { return z.size }

// Close gives the file back.
func (z *File) Close() error { return z.f.Close() }

func (z *File) rewind() error {
	if _, err := z.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	r := bufio.NewReaderSize(z.f, 64<<10)
	var err error
	if z.z == nil {
		z.z, err = gzip.NewReader(r)
	} else {
		err = z.z.Reset(r)
	}
	z.last, z.pos, z.err = z.last[:0], 0, nil
	return err
}

// ReadAt implements io.ReaderAt, for one caller at a time.
func (z *File) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if z.z == nil || off < z.pos-int64(len(z.last)) {
		if err := z.rewind(); err != nil {
			return 0, err
		}
	}
	n := 0
	if off < z.pos {
		n = copy(p, z.last[int64(len(z.last))-(z.pos-off):])
	}
	var skipped [32 << 10]byte
	for z.pos < off && z.err == nil {
		z.step(skipped[:min(int64(len(skipped)), off-z.pos)])
	}
	for n < len(p) && z.err == nil && z.pos >= off {
		n += z.step(p[n:])
	}
	if n < len(p) {
		return n, z.err
	}
	return n, nil
}

// step reads once, at pos.
func (z *File) step(p []byte) int {
	n, err := z.z.Read(p)
	z.err = err
	z.pos += int64(n)
	if n >= history {
		z.last = append(z.last[:0], p[n-history:n]...)
		return n
	}
	if over := len(z.last) + n - 2*history; over > 0 { // seldom: half of it is moved
		z.last = append(z.last[:0], z.last[len(z.last)-history:]...)
	}
	z.last = append(z.last, p[:n]...)
	return n
}

// Damaged reports whether an error of Open or ReadAt says that the file's bytes
// are not what gzip wrote, or not all of them.
func Damaged(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &corrupt)
}
