// Package table keeps one Apache Iceberg table (format version 2) per data
// type in a store, laid out as a Hadoop catalog lays them out, with the store
// as its warehouse and the namespace "tables".
package table

import (
	"context"
	"errors"
	"time"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

var (
	// ErrConflict says that nothing was committed: the table is not, or no
	// longer, what the commit was planned from. Open it and plan anew.
	ErrConflict = errors.New("the table has moved since the commit was planned")
	// ErrUnknown says that the commit may have happened or may yet happen. The
	// files it names must stay. Open the table again: HasRun, or its coverage,
	// tells; a new commit from what was opened is right either way.
	ErrUnknown = errors.New("the outcome of the commit is unknown")
)

// Table is one version of a table. It does not change, and is safe for
// concurrent use.
type Table struct{}

// Open gives the current version of the data type's table; fs.ErrNotExist when
// there is none. baseURI is the store's root as other engines name it, such as
// "hdfs://host:8020/akupara" or "file:///var/lib/akupara/store".
func Open(ctx context.Context, fs store.FS, baseURI, dataType string) (*Table, error) {
	return nil, errors.ErrUnsupported
}

// New gives the version 0 of a table that does not exist yet: no columns, no
// coverage, nothing in the store. The first commit planned from it creates it.
func New(fs store.FS, baseURI, dataType string) (*Table, error) { return nil, errors.ErrUnsupported }

// List gives the data types that have a table, sorted.
func List(ctx context.Context, fs store.FS) ([]string, error) { return nil, errors.ErrUnsupported }

// Version is the number of the metadata file; 0 when the table does not exist.
func (t *Table) Version() int { return 0 }

// Columns gives the columns of the current schema, with ids.
func (t *Table) Columns() []schema.Column { return nil }

// PlanColumns gives the columns, with ids, that the table will have after a
// commit planned from t that wants these columns.
func (t *Table) PlanColumns(wanted []schema.Column) []schema.Column { return nil }

// Coverage reads what the table holds.
func (t *Table) Coverage(ctx context.Context) (coverage.Set, error) {
	return nil, errors.ErrUnsupported
}

// DataFile is a Parquet file to be added.
type DataFile struct {
	Path  string // relative to the store's root; of DataPath
	Hour  int    // hours since 1970 of every row's ts
	Stats schema.FileStats
}

// DataPath is where a run writes its n-th data file; attempt tells tries of
// the same run apart.
func DataPath(dataType string, hour int, run string, n int) string { return "" }

// Commit is one atomic change of a table.
type Commit struct {
	RunID   string // letters, digits, '-', '_' and '.'; at most 100
	Columns []schema.Column
	Files   []DataFile        // each sorted by ts
	Delta   coverage.Set      // what the files and facts add
	Summary map[string]string // goes into the snapshot's summary
}

// Commit commits on top of exactly t, and gives the new version. It fails with
// ErrConflict, having removed all it made but the data files, when the table
// is not t any more; with ErrUnknown when it can't tell; any other error means
// that nothing was committed.
func (t *Table) Commit(ctx context.Context, c Commit) (*Table, error) {
	return nil, errors.ErrUnsupported
}

// HasRun reports whether a commit of that run is in the table, as far back as
// its snapshots reach.
func (t *Table) HasRun(id string) bool { return false }

// File is a data file of the table.
type File struct {
	Path         string // relative to the store's root
	Size         int64
	Records      int64
	MinTS, MaxTS time.Time // both inclusive
}

// Files gives the data files that may hold rows with from <= ts < to; a nil
// bound is none.
func (t *Table) Files(ctx context.Context, from, to *time.Time) ([]File, error) {
	return nil, errors.ErrUnsupported
}

// Run is one commit that added rows.
type Run struct {
	ID      string
	Time    time.Time
	Files   int64
	Records int64
	Bytes   int64
	Summary map[string]string // what the Commit's Summary held, and Iceberg's own
}

// Runs gives the newest commits that added rows, newest first, as far back as
// the table keeps snapshots (about 100).
func (t *Table) Runs() []Run { return nil }

// RemoveOrphans removes what no version names any more, or never did, and is
// older than the given age: data files, manifests, coverage, claims.
func (t *Table) RemoveOrphans(ctx context.Context, olderThan time.Duration) (removed int, err error) {
	return 0, errors.ErrUnsupported
}
