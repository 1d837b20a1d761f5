package local

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A file is written in pieces of pieceLen, past the system's cache where the
// file system can do that: what a store takes in is many times what memory
// holds, and to fill the cache with it costs several times the write itself.
const (
	pieceLen  = 4 << 20
	directLen = 4096 // what direct writes are aligned to, in memory and in the file
)

// writer is a file being written. The first error is kept: Close repeats it.
type writer struct {
	fs     *FS
	path   string
	file   *os.File
	err    error
	piece  []byte // not written yet; nil before the first Write
	direct bool   // the file's descriptor bypasses the cache
	begun  bool   // a piece was written
}

func (w *writer) Write(b []byte) (int, error) {
	if w.file == nil && w.err == nil {
		w.err = fmt.Errorf("write %s: %w", w.path, os.ErrClosed)
	}
	if w.piece == nil {
		w.piece = w.fs.pieces.Get().([]byte)
	}
	n := len(b)
	for len(b) > 0 && w.err == nil {
		c := copy(w.piece[len(w.piece):pieceLen], b)
		w.piece, b = w.piece[:len(w.piece)+c], b[c:]
		if len(w.piece) == pieceLen {
			w.flush()
		}
	}
	if w.err != nil {
		return 0, w.err
	}
	return n, nil
}

// flush writes a whole piece.
func (w *writer) flush() {
	if !w.begun {
		w.begun = true
		w.setDirect(true)
	}
	w.put(w.piece)
	w.piece = w.piece[:0]
}

// put writes b, whose length is a multiple of directLen in a direct file.
func (w *writer) put(b []byte) {
	if len(b) == 0 || w.err != nil {
		return
	}
	_, err := w.file.Write(b)
	if w.direct && errors.Is(err, syscall.EINVAL) { // some file systems take the flag and refuse the write
		w.setDirect(false)
		_, err = w.file.Write(b)
	}
	if err != nil {
		w.err = w.fs.explain("write", w.path, err)
	}
}

// setDirect is a wish: a file system that can't goes through the cache.
func (w *writer) setDirect(on bool) {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil {
			return
		}
		if on {
			flags |= unix.O_DIRECT
		} else {
			flags &^= unix.O_DIRECT
		}
		if _, err := unix.FcntlInt(fd, unix.F_SETFL, flags); err == nil {
			w.direct = on
		}
	})
}

func (w *writer) Close() error {
	if w.file == nil {
		return fmt.Errorf("close %s: it was closed before", w.path)
	}
	whole := 0
	if w.direct {
		whole = len(w.piece) &^ (directLen - 1)
		w.put(w.piece[:whole])
		w.setDirect(false)
	}
	w.put(w.piece[whole:])
	if w.piece != nil {
		w.fs.pieces.Put(w.piece[:0]) //nolint:staticcheck // a slice header is small beside a piece
		w.piece = nil
	}
	file := w.file
	w.file = nil
	if w.err == nil {
		w.err = file.Sync()
	}
	if err := file.Close(); w.err == nil {
		w.err = err
	}
	return w.fs.explain("close", w.path, w.err)
}

// newPiece returns an empty piece whose memory is aligned for direct writes.
func newPiece() any {
	b := make([]byte, pieceLen+directLen)
	skip := int(-uintptr(unsafe.Pointer(&b[0])) & (directLen - 1))
	return b[skip : skip : skip+pieceLen]
}
