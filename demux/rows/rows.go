// Package rows holds a demux run's rows in memory, column by column, and
// writes them as Parquet files: sorted by (ts, stream, seq), split by UTC hour,
// the files of one hour not overlapping in ts.
//
// Parsers fill a Builder; the demux asks it for the columns it wants, lets the
// table give them their ids, and calls WriteFiles.
package rows

import (
	"context"
	"io"

	"github.com/akupara/akupara/demux/schema"
)

// Options of a Builder.
type Options struct {
	// Existing are the table's columns. Their types are fixed: a value that
	// does not fit goes to attributes.
	Existing []schema.Column
	// Keys are the table's, of columns that were renamed or dropped.
	Keys schema.Keys
	// Declared are the columns that the config gives, by the keys of records: name,
	// type and doc. They are there from the first row on. Values of another type
	// are converted where nothing is lost by it; where the table has the key's
	// column with another type, they go to a column beside it, see SiblingName.
	Declared []schema.Column
	// Time reads a text as a time, in microseconds since 1970 UTC; exact says that
	// the text does not say more. It is used by one Builder alone: NewTime makes
	// one, and may be nil where no column is a Timestamp.
	NewTime func() func(text []byte) (micros int64, exact, ok bool)
	// Templates make the columns that are made of messages; those of the zero value
	// make none.
	Templates Templates
	// Begun are columns that the table does not have, as wide as others have found
	// that they must be. They may widen still.
	Begun []schema.Column
	// MaxColumns bounds the columns of the table, the common ones included;
	// keys beyond it go to attributes. 0 means schema.MaxColumns.
	MaxColumns int
}

// Layout of the files that WriteFiles writes. Zero fields mean the default.
type Layout struct {
	FileBytes int64 // a file that has reached this size is ended; default 128 MiB
	GroupRows int   // rows of a row group, about; default 122880
}

// Create opens the n-th data file (from 0, over all hours) of the given hour
// (hours since 1970 UTC, Iceberg's hour transform) for writing, and gives the
// path that the file is to be known by. WriteFiles closes it, once.
type Create func(ctx context.Context, hour int64, n int) (w io.WriteCloser, path string, err error)

// File is a data file that WriteFiles has begun. Its Stats are set when it was
// closed without an error.
type File struct {
	Path  string
	Hour  int64 // hours since 1970 UTC
	Stats schema.FileStats
}
