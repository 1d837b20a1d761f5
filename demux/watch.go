package demux

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/akupara/akupara/store"
)

// watched is a store that counts what fails in it, by data type: a run that fails
// while nothing of its type failed in the store, fails because of what it read.
// What is missing or there already has not failed.
type watched struct {
	store.FS
	mu     sync.Mutex
	failed map[string]int64
}

func watch(st store.FS) *watched { return &watched{FS: st, failed: map[string]int64{}} }

// failures returns how many operations on files of the type have failed so far.
func (w *watched) failures(dataType string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed[dataType]
}

func (w *watched) note(path string, err error) error {
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) || errors.Is(err, io.EOF) {
		return err
	}
	_, rest, _ := strings.Cut(path, "/") // below raw/, archive/, tables/ and quarantine/
	dataType, _, _ := strings.Cut(rest, "/")
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failed[dataType]++
	return err
}

func (w *watched) Create(ctx context.Context, path string) (store.File, error) {
	f, err := w.FS.Create(ctx, path)
	if err != nil {
		return nil, w.note(path, err)
	}
	return &watchedFile{f, w, path}, nil
}

func (w *watched) Open(ctx context.Context, path string) (store.Reader, error) {
	r, err := w.FS.Open(ctx, path)
	if err != nil {
		return nil, w.note(path, err)
	}
	return &watchedReader{r, w, path}, nil
}

func (w *watched) Stat(ctx context.Context, path string) (store.Info, error) {
	info, err := w.FS.Stat(ctx, path)
	return info, w.note(path, err)
}

func (w *watched) List(ctx context.Context, dir string) ([]store.Info, error) {
	infos, err := w.FS.List(ctx, dir)
	return infos, w.note(dir, err)
}

func (w *watched) Rename(ctx context.Context, from, to string) error {
	return w.note(to, w.FS.Rename(ctx, from, to))
}

func (w *watched) Remove(ctx context.Context, path string) error {
	return w.note(path, w.FS.Remove(ctx, path))
}

type watchedFile struct {
	store.File
	of   *watched
	path string
}

func (f *watchedFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	return n, f.of.note(f.path, err)
}

func (f *watchedFile) Close() error { return f.of.note(f.path, f.File.Close()) }

type watchedReader struct {
	store.Reader
	of   *watched
	path string
}

func (r *watchedReader) ReadAt(b []byte, at int64) (int, error) {
	n, err := r.Reader.ReadAt(b, at)
	return n, r.of.note(r.path, err)
}
