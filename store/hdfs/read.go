package hdfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"github.com/colinmarc/hdfs/v2"

	"github.com/akupara/akupara/store"
)

const (
	readPiece  = 4 << 20 // bytes that one time limit covers
	maxCursors = 4
)

// Open implements store.FS. The reader holds a session until Close, more where
// it is read at several places at once.
func (f *FS) Open(ctx context.Context, p string) (store.Reader, error) {
	p, err := store.Clean(p)
	if err != nil {
		return nil, err
	}
	r := &reader{fs: f, path: p, places: make(chan struct{}, maxCursors)}
	var c *cursor
	s, err := f.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p, err)
	}
	release := s.guard(ctx, f.callLimit())
	c, err = f.cursor(s, p)
	if isFact(err) {
		err = s.confirm(err, func() error { c, err = f.cursor(s, p); return err })
	}
	release()
	if err == nil {
		err = s.death()
	}
	if err != nil {
		err = s.because(err)
		f.done(s, err)
		return nil, explain("open", p, err)
	}
	if c.fr.Stat().IsDir() {
		f.put(s)
		return nil, fmt.Errorf("open %s on HDFS: it is a directory", p)
	}
	r.size, r.inode = c.fr.Stat().Size(), inode(c.fr.Stat())
	r.idle = []*cursor{c}
	return r, nil
}

func (f *FS) cursor(s *session, p string) (*cursor, error) {
	fr, err := s.client.Open(f.abs(p))
	if err != nil {
		return nil, noParent(err)
	}
	return &cursor{s: s, fr: fr}, nil
}

// cursor is one place of reading: the client's readers have a position and are
// fast only when they go on from it.
type cursor struct {
	s   *session
	fr  *hdfs.FileReader
	pos int64
}

type reader struct {
	fs     *FS
	path   string
	size   int64
	inode  uint64
	places chan struct{} // one for each call of ReadAt under way

	mu     sync.Mutex
	idle   []*cursor
	closed bool
}

func (r *reader) Size() int64 { return r.size }

// ReadAt reads from the replicas in turn until one answers. When none does, the
// NameNode is asked once more where they are: it knows them only some time
// after the file was closed, and they move. A file that was renamed or removed
// may be read on, or be fs.ErrNotExist.
func (r *reader) ReadAt(b []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %s: negative offset %d", r.path, off)
	}
	if off >= r.size {
		return 0, io.EOF
	}
	var end error
	if int64(len(b)) > r.size-off {
		b, end = b[:r.size-off], io.EOF
	}
	r.places <- struct{}{}
	defer func() { <-r.places }()
	done, err := r.readAt(b, off, false)
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		var n int
		n, err = r.readAt(b[done:], off+int64(done), true)
		done += n
	}
	if err != nil {
		return done, err
	}
	return done, end
}

// readAt reads all of b, which is inside the file. Anew means by a new cursor.
func (r *reader) readAt(b []byte, off int64, anew bool) (done int, err error) {
	c, err := r.take(off, anew)
	if err != nil {
		return 0, err
	}
	for done < len(b) {
		n, err := c.read(b[done:min(done+readPiece, len(b))], off+int64(done), r.fs)
		done += n
		if err != nil {
			err = c.s.because(err)
			r.fs.failed(c.s, err)
			return done, explain("read", r.path, hide(err))
		}
	}
	r.put(c)
	return done, nil
}

func (c *cursor) read(b []byte, off int64, f *FS) (int, error) {
	release := c.s.guard(context.Background(), f.callLimit())
	defer release()
	if off != c.pos {
		// Not when it is there already: seeking always connects anew.
		if _, err := c.fr.Seek(off, io.SeekStart); err != nil {
			return 0, err
		}
		c.pos = off
	}
	n, err := io.ReadFull(c.fr, b)
	c.pos += int64(n)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the file ends at %d: %w", c.pos, io.ErrUnexpectedEOF)
	}
	return n, err
}

// take returns the idle cursor that stands at off, or any, or a new one.
func (r *reader) take(off int64, anew bool) (*cursor, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, fmt.Errorf("read %s: %w", r.path, fs.ErrClosed)
	}
	for i, c := range r.idle {
		if anew {
			break
		}
		if c.pos == off || i == len(r.idle)-1 {
			r.idle = append(r.idle[:i:i], r.idle[i+1:]...)
			r.mu.Unlock()
			return c, nil
		}
	}
	r.mu.Unlock()

	ctx := context.Background() // ReadAt has none; take and guard have limits
	s, err := r.fs.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", r.path, err)
	}
	release := s.guard(ctx, r.fs.callLimit())
	c, err := r.fs.cursor(s, r.path)
	if isFact(err) {
		err = s.confirm(err, func() error { c, err = r.fs.cursor(s, r.path); return err })
	}
	release()
	if err == nil && inode(c.fr.Stat()) != r.inode {
		err = errors.New("another file has taken its place")
	}
	if err != nil {
		err = s.because(err)
		r.fs.done(s, err)
		return nil, explain("read", r.path, err)
	}
	return c, nil
}

func (r *reader) put(c *cursor) {
	r.mu.Lock()
	closed := r.closed
	if !closed {
		r.idle = append(r.idle, c)
	}
	r.mu.Unlock()
	if closed {
		r.fs.put(c.s)
	}
}

// Close ends the reader; calls of ReadAt under way end by themselves.
func (r *reader) Close() error {
	r.mu.Lock()
	idle := r.idle
	r.idle, r.closed = nil, true
	r.mu.Unlock()
	for _, c := range idle {
		_ = c.fr.Close()
		r.fs.put(c.s)
	}
	return nil
}
