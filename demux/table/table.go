// Package table keeps one Apache Iceberg table (format version 2) per data
// type in a store, laid out as a Hadoop catalog lays them out, with the store
// as its warehouse and the namespace "tables". Engines read these tables; only
// this package writes them.
//
// A commit adds data files, columns and coverage at once, on top of exactly
// the version it was planned from: it is never rebased.
package table

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	ice "github.com/apache/iceberg-go/table"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table/internal/versions"
	"github.com/akupara/akupara/store"
)

var (
	// ErrConflict says that nothing was committed: the table is not, or no
	// longer, what the commit was planned from. Open it and plan anew.
	ErrConflict = errors.New("the table has moved since the commit was planned")
	// ErrUnknown says that the commit may have happened or may yet happen. The
	// files it names must stay. Open the table again: its coverage tells, and a
	// new commit planned from what was opened is right either way.
	ErrUnknown = errors.New("the outcome of the commit is unknown")
)

// Names of Iceberg table properties and snapshot summary fields of ours.
const (
	propCoverage = "akupara.coverage" // the coverage's files
	propSinks    = "akupara.sinks"    // sink files in raw/ of which it holds all or some blocks
	propRun      = "akupara.run"      // the run that committed last; in a summary, the snapshot's run
	propSwept    = "akupara.swept"    // up to which number what runs left was removed
	propKeys     = "akupara.keys"     // of renamed and dropped columns
)

// Table is one version of a table. It does not change (but for Patient), and
// is safe for concurrent use.
type Table struct {
	fs       store.FS
	baseURI  string
	dataType string
	log      *versions.Log
	version  int
	meta     ice.Metadata // nil in version 0
	crc      uint32       // of the metadata file's bytes
	sums     sums         // of the manifests that it names
	columns  []schema.Column
	keys     schema.Keys
	specs    specs
	opened   time.Time
	keep     int // snapshots and old metadata files to keep
	cover    coverageLimits
}

func dir(dataType string) string { return path.Join(store.Tables, dataType) }

// New returns version 0 of a table that does not exist: no columns, no coverage,
// nothing in the store. The first commit planned from it creates the table.
//
// baseURI is the store's root as other engines name it, such as
// "hdfs://host:8020/akupara" or "file:///var/lib/akupara/store"; an absolute
// path is a file:// one. It is written into the tables that are made.
func New(fs store.FS, baseURI, dataType string) (*Table, error) {
	if err := chunk.CheckType(dataType); err != nil {
		return nil, err
	}
	if path.IsAbs(baseURI) {
		baseURI = "file://" + baseURI
	}
	if !strings.Contains(baseURI, "://") {
		return nil, fmt.Errorf("store URI %q: must have a scheme, such as file:// or hdfs://", baseURI)
	}
	return &Table{
		fs: fs, baseURI: strings.TrimRight(baseURI, "/"), dataType: dataType,
		log: versions.New(fs, dir(dataType)), opened: time.Now(), keep: keepSnapshots,
	}, nil
}

// Open returns the current version of the data type's table; fs.ErrNotExist when
// there is none, ErrDamaged where its newest version can't be read or is gone.
// It publishes what a committer that died on the way has claimed, if it may
// write.
func Open(ctx context.Context, fsys store.FS, baseURI, dataType string) (*Table, error) {
	t, err := New(fsys, baseURI, dataType)
	if err != nil {
		return nil, err
	}
	const tries = 5 // versions are removed while we look, but not that fast
	for i := range tries {
		n, err := t.log.Settle(ctx)
		if err != nil && !errors.Is(err, versions.ErrMissing) && ctx.Err() == nil {
			// An older version is as true as a newer one, for who reads; who
			// commits on it will learn that it has moved.
			n, err = t.log.Newest(ctx)
		}
		if err != nil {
			return nil, fmt.Errorf("open table %s: %w", dataType, t.missing(err))
		}
		if n == 0 {
			return nil, fmt.Errorf("open table %s: %w", dataType, fs.ErrNotExist)
		}
		err = t.load(ctx, n)
		if errors.Is(err, fs.ErrNotExist) && i < tries-1 {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open table %s: %w", dataType, err)
		}
		return t, nil
	}
	panic("unreachable")
}

// Again returns the current version, as Open does. Where that is t still, nothing is
// parsed once more.
func (t *Table) Again(ctx context.Context) (*Table, error) {
	if t.version > 0 {
		opened := time.Now()
		n, err := t.log.Settle(ctx)
		if err == nil && n == t.version {
			b, err := readFile(ctx, t.fs, KindMetadata, t.MetadataPath(), versions.MaxMetadata)
			if err == nil && chunk.CRC(b) == t.crc {
				again := *t
				again.opened = opened
				return &again, nil
			}
		}
	}
	return Open(ctx, t.fs, t.baseURI, t.dataType)
}

// load makes t the version n, as it is in the store.
func (t *Table) load(ctx context.Context, n int) error {
	b, err := readFile(ctx, t.fs, KindMetadata, t.log.Path(n), versions.MaxMetadata)
	if err != nil {
		return err
	}
	return t.set(n, b)
}

// set makes t the version n with these bytes.
func (t *Table) set(n int, b []byte) error {
	bad := func(why string, args ...any) error { return damaged(KindMetadata, t.log.Path(n), why, args...) }
	if why := checkSeal(b, n); why != "" {
		return bad("%s", why)
	}
	meta, err := parseMetadata(b)
	if err != nil {
		return bad("can't be parsed: %v", err)
	}
	return t.become(n, b, meta)
}

// become makes t the version n, whose bytes say what meta does.
func (t *Table) become(n int, b []byte, meta ice.Metadata) error {
	bad := func(why string, args ...any) error { return damaged(KindMetadata, t.log.Path(n), why, args...) }
	cols, err := columnsOf(meta.CurrentSchema())
	if err != nil {
		return bad("is wrong: %v", err)
	}
	known, err := parseSums(meta.Properties()[propManifests])
	if err != nil {
		return bad("is wrong: %v", err)
	}
	keys, err := schema.ParseKeys(meta.Properties()[propKeys])
	if err != nil {
		return bad("is wrong: %v", err)
	}
	t.version, t.meta, t.columns, t.crc, t.sums, t.specs = n, meta, cols, chunk.CRC(b), known, specsOf(meta)
	t.keys = keys
	return nil
}

// parseMetadata survives what iceberg-go does not expect: files of older
// versions have no checksum that keeps damaged ones away from it.
func parseMetadata(b []byte) (meta ice.Metadata, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse metadata: %v", r)
		}
	}()
	return ice.ParseMetadataBytes(b)
}

// missing turns a log's error about a version that is gone into damage.
func (t *Table) missing(err error) error {
	if !errors.Is(err, versions.ErrMissing) {
		return err
	}
	return damaged(KindMetadata, path.Join(dir(t.dataType), "metadata"), "lacks its newest file: %v", err)
}

// List returns the data types that have a table, sorted; also where its
// metadata is damaged or missing.
func List(ctx context.Context, fsys store.FS) ([]string, error) {
	infos, err := fsys.List(ctx, store.Tables)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	var out []string
	for _, in := range infos {
		name := path.Base(in.Path)
		if !in.IsDir || chunk.CheckType(name) != nil {
			continue
		}
		ok, err := versions.New(fsys, dir(name)).Exists(ctx)
		if err != nil {
			return nil, fmt.Errorf("look for table %s: %w", name, err)
		}
		if ok {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// Patient sets how long Commit looks into an unclear outcome before it gives up
// with ErrUnknown, also after its context is done (30 s by default), and gives t.
func (t *Table) Patient(d time.Duration) *Table {
	t.log.Patience = d
	return t
}

// Type is the data type.
func (t *Table) Type() string { return t.dataType }

// Version is the number of the metadata file; 0 when the table does not exist.
func (t *Table) Version() int { return t.version }

// Location is the table's URI, as its metadata has it.
func (t *Table) Location() string {
	if t.meta == nil {
		return t.baseURI + "/" + dir(t.dataType)
	}
	return t.meta.Location()
}

// MetadataPath is the current metadata file, relative to the store's root.
func (t *Table) MetadataPath() string { return t.log.Path(t.version) }

// Columns returns the columns of the current schema, with ids.
func (t *Table) Columns() []schema.Column { return slices.Clone(t.columns) }

// PlanColumns returns the columns, with ids, that the table will have after a
// commit planned from t with these Commit.Columns. The data files must be
// written with these ids.
func (t *Table) PlanColumns(wanted []schema.Column) []schema.Column {
	return schema.Plan(t.columns, wanted, t.LastColumnID())
}

// HasRun reports whether a commit of that run is in the table, as far back as
// its snapshots reach; of a run that added no rows, only when it was the last.
func (t *Table) HasRun(id string) bool {
	if t.meta == nil {
		return false
	}
	return t.meta.Properties()[propRun] == id ||
		slices.ContainsFunc(t.meta.Snapshots(), func(s ice.Snapshot) bool {
			return s.Summary != nil && s.Summary.Properties[propRun] == id
		})
}

// Run is one commit that added rows.
type Run struct {
	ID      string
	Time    time.Time
	Files   int64
	Records int64
	Bytes   int64             // of the Parquet files
	Summary map[string]string // Commit.Summary and Iceberg's own fields
}

// Runs returns the newest commits that added rows, newest first, as far back as
// the table keeps snapshots. Those that replaced files are not among them.
func (t *Table) Runs() []Run {
	if t.meta == nil {
		return nil
	}
	var out []Run
	for _, s := range t.meta.Snapshots() {
		if s.Summary != nil && s.Summary.Properties[propReplaced] != "" {
			continue
		}
		r := Run{Time: time.UnixMilli(s.TimestampMs).UTC()}
		if s.Summary != nil {
			p := s.Summary.Properties
			r.ID, r.Summary = p[propRun], p
			r.Files = p.GetInt64("added-data-files", 0)
			r.Records = p.GetInt64("added-records", 0)
			r.Bytes = p.GetInt64("added-files-size", 0)
		}
		out = append(out, r)
	}
	slices.Reverse(out)
	return out
}
