// Package hdfs keeps a store on HDFS.
package hdfs

import (
	"context"
	"errors"
	"time"

	"github.com/akupara/akupara/store"
)

// Options of a store on HDFS; the zero value is right for daemons.
type Options struct {
	// User acts on HDFS; default HADOOP_USER_NAME, else the system's user.
	User string
	// Timeout bounds each read from and write to a connection, and connecting;
	// default 10s. A call as a whole takes at most a few times that.
	Timeout time.Duration
	// BlockSize of new files in bytes; default the cluster's.
	BlockSize int64
	// Replication of new files; default the cluster's.
	Replication int
}

// FS is a store on HDFS.
type FS struct{}

var _ store.FS = (*FS)(nil)

// New gives the store at uri, hdfs://host:port/base. It connects to nothing.
func New(uri string, opts Options) (*FS, error) { return &FS{}, nil }

var errTodo = errors.New("not yet written")

func (f *FS) Create(ctx context.Context, p string) (store.File, error)   { return nil, errTodo }
func (f *FS) Open(ctx context.Context, p string) (store.Reader, error)   { return nil, errTodo }
func (f *FS) Stat(ctx context.Context, p string) (store.Info, error)     { return store.Info{}, errTodo }
func (f *FS) List(ctx context.Context, dir string) ([]store.Info, error) { return nil, errTodo }
func (f *FS) Rename(ctx context.Context, from, to string) error          { return errTodo }
func (f *FS) Remove(ctx context.Context, p string) error                 { return errTodo }

// Close ends idle connections. The store must not be used any more.
func (f *FS) Close() error { return nil }
