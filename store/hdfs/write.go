package hdfs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"github.com/colinmarc/hdfs/v2"

	"github.com/akupara/akupara/store"
)

const (
	writePiece       = 1 << 20 // bytes that one time limit covers
	replicatingTries = 20
	replicatingWait  = 100 * time.Millisecond
)

// Create implements store.FS. The file holds its session until Close.
func (f *FS) Create(ctx context.Context, p string) (store.File, error) {
	p, err := store.CleanTarget(p)
	if err != nil {
		return nil, err
	}
	s, err := f.take(ctx)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", p, err)
	}
	release := s.guard(ctx, f.callLimit())
	fw, err := f.create(s, f.abs(p))
	if isFact(err) {
		err = s.confirm(err, func() error { fw, err = f.create(s, f.abs(p)); return err })
	}
	release()
	if err == nil {
		// Killed in the last moment: the file can't be written.
		err = s.death()
	}
	if err != nil {
		err = s.because(err)
		f.done(s, err)
		return nil, explain("create", p, err)
	}
	w := &writer{fs: f, s: s, fw: fw, path: p}
	return &file{bufio.NewWriterSize(w, bufferLen), w}, nil
}

// bufferLen collects small writes: large ones cost DataNodes and client less.
const bufferLen = 1 << 20

type file struct {
	buf *bufio.Writer
	w   *writer
}

func (f *file) Write(b []byte) (int, error) {
	if f.w.closed {
		return f.w.Write(b) // says so
	}
	return f.buf.Write(b)
}

func (f *file) Close() error {
	if !f.w.closed {
		_ = f.buf.Flush() // w keeps its error, and Close gives it
	}
	return f.w.Close()
}

func (f *FS) create(s *session, abs string) (*hdfs.FileWriter, error) {
	defaults, err := s.client.ServerDefaults() // cached by the client
	if err != nil {
		return nil, err
	}
	replication, blockSize := defaults.Replication, defaults.BlockSize
	if f.opts.Replication > 0 {
		replication = f.opts.Replication
	}
	if f.opts.BlockSize > 0 {
		blockSize = f.opts.BlockSize
	}
	fw, err := s.client.CreateFile(abs, replication, blockSize, 0o644)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.client.MkdirAll(path.Dir(abs), 0o755); err != nil {
			return nil, hide(fmt.Errorf("make its directory: %w", err))
		}
		fw, err = s.client.CreateFile(abs, replication, blockSize, 0o644)
	}
	return fw, err
}

// writer is an open file. Its first error is kept and ends it: what the client
// says after one is not to be believed, a nil least of all.
type writer struct {
	fs      *FS
	s       *session
	fw      *hdfs.FileWriter
	path    string
	written int64
	err     error
	closed  bool
}

func (w *writer) Write(b []byte) (int, error) {
	if w.closed && w.err == nil {
		return 0, fmt.Errorf("write %s: %w", w.path, fs.ErrClosed)
	}
	done := 0
	for done < len(b) && w.err == nil {
		piece := b[done:min(done+writePiece, len(b))]
		release := w.s.guard(context.Background(), w.fs.callLimit())
		n, err := w.fw.Write(piece)
		release()
		if err == nil && n < len(piece) {
			err = fmt.Errorf("wrote %d of %d bytes", n, len(piece))
		}
		done += n
		w.written += int64(n)
		if err != nil {
			w.abandon("write", err)
		}
	}
	return done, w.err
}

func (w *writer) Close() error {
	if w.closed || w.err != nil {
		w.closed = true
		if w.err == nil {
			return fmt.Errorf("close %s: %w", w.path, fs.ErrClosed)
		}
		return w.err
	}
	w.closed = true
	release := w.s.guard(context.Background(), w.fs.callLimit())
	err := w.complete()
	release()
	if err == nil {
		err = w.s.death()
	}
	if err != nil {
		w.abandon("close", err)
		return w.err
	}
	w.fs.put(w.s)
	return nil
}

// complete closes the file once. Only "still replicating", the plain answer
// that all is written and too few DataNodes have told so, is asked again.
func (w *writer) complete() error {
	err := w.fw.Close()
	for try := 0; try < replicatingTries && hdfs.IsErrReplicating(err); try++ {
		time.Sleep(replicatingWait)
		err = w.fw.Close()
	}
	if err != nil {
		return err
	}
	fi, err := w.s.client.Stat(w.fs.abs(w.path))
	if err != nil {
		return fmt.Errorf("check its length: %w", hide(err))
	}
	if fi.Size() != w.written {
		return fmt.Errorf("the NameNode says %d bytes, written were %d", fi.Size(), w.written)
	}
	return nil
}

func (w *writer) abandon(op string, err error) {
	w.err = explain(op, w.path, w.s.because(hide(err)))
	w.fs.failed(w.s, w.err)
	// Ends the goroutine that keeps an idle writer's connection alive. All
	// connections are closed by now, so it can't complete the file.
	go w.fw.Close()
}
