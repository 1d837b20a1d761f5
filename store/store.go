// Package store is where sink files and tables live: HDFS, or a directory of
// the local disk. Everything above it sees one interface, FS, and one set of
// names.
package store

import (
	"context"
	"io"
	"time"
)

// FS is a file system that publishes whole files. Paths are slash-separated
// and relative to the store's root ("raw/hadoop/x.avro"); "" is the root. A
// path that leaves the root is refused with ErrPath.
//
// Errors: fs.ErrNotExist and fs.ErrExist (by errors.Is) are facts about the
// store, believed only after the implementation has made sure of them. Any
// other error leaves the outcome of a mutation unknown only where the method
// says so. Implementations bound every call in time, and are safe for
// concurrent use. None of them retries: the caller decides.
type FS interface {
	// Create opens a new file for writing and makes missing parents. It fails
	// with fs.ErrExist when the path is taken. Bytes count as stored only when
	// Close has returned nil; after any error of Write or Close the file is
	// abandoned: its path must not be used again, and Remove it later.
	Create(ctx context.Context, path string) (File, error)
	// Open opens a file for reading at any offset.
	Open(ctx context.Context, path string) (Reader, error)
	// Stat returns one path's size and kind.
	Stat(ctx context.Context, path string) (Info, error)
	// List returns the direct children of a directory, sorted by name; a missing
	// directory has none.
	List(ctx context.Context, dir string) ([]Info, error)
	// Rename moves a file or directory, makes the target's missing parents,
	// and is durable when it returns nil. A file replaces a file at the target
	// atomically; a directory replaces nothing but an empty directory. After
	// an error that is neither fs.ErrNotExist nor fs.ErrExist it may or may
	// not have happened.
	Rename(ctx context.Context, from, to string) error
	// Remove deletes a file, or a directory with all below it. A missing path
	// is no error.
	Remove(ctx context.Context, path string) error
}

// File is a file being written. It is not safe for concurrent use. It collects
// small writes itself: a later Write, or Close, may return its error.
type File interface {
	io.Writer
	// Close makes the bytes durable and visible. Call it once; its error is
	// final, and after an error of Write it never returns nil.
	Close() error
}

// Reader is an open file. ReadAt is safe for concurrent use, and fails after
// Close.
type Reader interface {
	io.ReaderAt
	io.Closer
	// Size is the file's length in bytes when it was opened.
	Size() int64
}

// Info describes a file or directory.
type Info struct {
	Path  string // relative to the store's root
	Size  int64  // bytes; 0 for a directory
	IsDir bool
	Mod   time.Time
}
