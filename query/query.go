// Package query answers SQL over the tables of a store, by DuckDB over the
// data files that the tables' own metadata select.
//
// A statement sees one version of each table that it names. Only files that
// may hold rows within its bounds on ts are looked at, or the newest ones where it
// takes the newest rows; the columns that it names are copied from a store that is
// not on the local disk into a bounded cache, all at once or one file after the
// other. Nothing is locked, so queries run beside live daemons.
//
// Statements come from anyone: only what reads is let through, only the
// tables' files can be read, and DuckDB's settings can't be changed.
package query

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/query/internal/output"
	"github.com/akupara/akupara/store"
)

// Options bound what queries may use. Zero fields mean the default.
type Options struct {
	// CacheDir keeps copies of files and what does not fit in memory; it may
	// be shared by processes. Empty, or one that this user may not write to,
	// means a temporary one, removed by Close.
	CacheDir    string
	CacheBytes  int64         // default 10 GiB; spilled data may take as much again
	MemoryLimit int64         // bytes, for all queries together; default 1 GiB
	Threads     int           // default: one for each CPU
	Timeout     time.Duration // of one query; default none
	MaxRows     int64         // of one result; beyond it a query fails; default no bound
	MaxSQL      int           // bytes of a statement; default 1 MiB
	// Brief is set where the engine is for one statement, and the process ends after
	// Close: DuckDB keeps footers that it has read, and its memory is left to the kernel.
	Brief bool
}

func (o Options) withDefaults() Options {
	if o.CacheBytes <= 0 {
		o.CacheBytes = 10 << 30
	}
	if o.MemoryLimit <= 0 {
		o.MemoryLimit = 1 << 30
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.MaxSQL <= 0 {
		o.MaxSQL = 1 << 20
	}
	return o
}

// Formats are the formats that Query writes.
var Formats = [...]string{"table", "csv", "json", "jsonl", "parquet"}

// Error is a fault of the statement, not of the engine: what is wrong with it,
// for whoever wrote it.
type Error struct{ msg string }

func (e *Error) Error() string { return e.msg }

func refuse(format string, args ...any) error { return &Error{fmt.Sprintf(format, args...)} }

type (
	// Column is a column of a result.
	Column = output.Column
	// Cell is one value, as text; package documentation of the formats applies.
	Cell = duck.Cell
)

// Summary tells of a query that has succeeded.
type Summary struct {
	Rows    int64
	Files   int // data files that the plan selected
	Fetched int // of these, how many had to be read from the store
	Elapsed time.Duration
}

// Engine answers queries. It is safe for concurrent use.
type Engine struct {
	opts    Options
	fs      store.FS
	tables  catalog
	local   string // directory of the store's root, empty when it is elsewhere
	cache   *cache.Cache
	use     *cache.Use // of the engine itself: where DuckDB spills to
	tempDir string     // made by Open, removed by Close
	db      *duck.DB
	// How many rows and files are searched at first; see search.
	searchRows  int64
	searchFiles int
	// largeFile is the size from which a file of another store is looked into, so that
	// only some of its row groups are fetched.
	largeFile int64
}

// Open makes an engine over the store whose root is known to other engines as
// baseURI ("file:///…", "hdfs://…").
func Open(files store.FS, baseURI string, opts Options) (*Engine, error) {
	return open(files, baseURI, opts, icebergTables{files, baseURI})
}

func open(files store.FS, baseURI string, opts Options, tables catalog) (_ *Engine, err error) {
	e := &Engine{opts: opts.withDefaults(), fs: files, tables: tables, searchRows: 500_000, searchFiles: 64, largeFile: 16 << 20}
	if u, err := url.Parse(baseURI); err == nil && u.Scheme == "file" {
		e.local = filepath.Clean(u.Path)
	}
	if disk, ok := files.(interface{ Root() string }); ok {
		e.local = disk.Root()
	}
	defer func() {
		if err != nil {
			e.Close()
		}
	}()
	if e.local != "" {
		if e.local, err = filepath.Abs(e.local); err != nil {
			return nil, fmt.Errorf("find the store's directory: %w", err)
		}
	}
	dir, err := e.openCache(baseURI)
	if err != nil {
		return nil, err
	}
	// Nothing may be downloaded, not even while it opens.
	if e.db, err = duck.Open(map[string]string{
		"autoinstall_known_extensions": "false",
		"autoload_known_extensions":    "false",
		"allow_community_extensions":   "false",
		"allow_unsigned_extensions":    "false",
		"memory_limit":                 fmt.Sprintf("%dB", e.opts.MemoryLimit),
		"threads":                      strconv.Itoa(e.opts.Threads),
		"temp_directory":               filepath.Join(e.use.Dir, "spill"),
		"max_temp_directory_size":      fmt.Sprintf("%dB", e.opts.CacheBytes),
	}); err != nil {
		return nil, err
	}
	if err := e.db.EnableStreams(); err != nil {
		return nil, err
	}
	if err := e.db.EnableFloor(); err != nil {
		return nil, err
	}
	if err := e.lockDown(dir); err != nil {
		return nil, fmt.Errorf("lock DuckDB down: %w", err)
	}
	return e, nil
}

// openCache opens the cache and gives its directory.
func (e *Engine) openCache(baseURI string) (dir string, err error) {
	dir = e.opts.CacheDir
	for {
		if dir == "" {
			if dir, err = os.MkdirTemp("", "akupara-query-"); err != nil {
				return "", fmt.Errorf("create temporary directory: %w", err)
			}
			e.tempDir = dir
		}
		if dir, err = filepath.Abs(dir); err != nil {
			return "", fmt.Errorf("find cache directory: %w", err)
		}
		e.cache = cache.New(e.fs, baseURI, dir, e.opts.CacheBytes, fetchParallel)
		e.use, err = e.cache.Use()
		if e.tempDir != "" || !errors.Is(err, fs.ErrPermission) {
			return dir, err
		}
		dir = ""
	}
}

// fetchParallel is how many files of one query are fetched at a time.
const fetchParallel = 8

// lockDown takes from DuckDB all that a query has no use for. What is said
// here can't be unsaid by a statement.
func (e *Engine) lockDown(cacheDir string) error {
	c, err := e.db.Connect()
	if err != nil {
		return err
	}
	defer c.Close()
	var dirs []string
	allow := func(dir string) { // a pattern is checked before it is expanded, and so is what it gives
		dirs = append(dirs, quote(dir+"/"), quote(escapeGlob(dir)+"/"))
	}
	allow(cacheDir)
	if e.local != "" {
		allow(filepath.Join(e.local, store.Tables))
	}
	for _, set := range []string{
		"TimeZone = 'UTC'",
		"enable_logging = false",
		fmt.Sprintf("parquet_metadata_cache = %t", e.opts.Brief),
		// The kernel keeps what one statement reads of local files: a copy costs more than it saves.
		fmt.Sprintf("enable_external_file_cache = %t", !e.opts.Brief || e.local == ""),
		"allowed_directories = [" + strings.Join(dirs, ", ") + "]",
		"enable_external_access = false",
		"lock_configuration = true",
	} {
		if err := c.Exec(context.Background(), "SET GLOBAL "+set); err != nil {
			return fmt.Errorf("set %s: %w", set, err)
		}
	}
	return nil
}

// Close ends the engine; no query may run any more.
func (e *Engine) Close() error {
	if e.db != nil && !e.opts.Brief {
		e.db.Close()
	}
	var err error
	if e.use != nil {
		err = e.use.Close()
	}
	if e.tempDir != "" {
		err = errors.Join(err, os.RemoveAll(e.tempDir))
	}
	return err
}

// Query runs one statement and writes its result to w in one of the Formats,
// row by row. Faults of the statement are an *Error. After an error part of
// the result may have been written.
func (e *Engine) Query(ctx context.Context, sql, format string, w io.Writer) (Summary, error) {
	if format == "parquet" {
		return e.run(ctx, sql, nil, &parquetSink{w: w})
	}
	out, err := output.New(format, w)
	if err != nil {
		return Summary{}, refuse("%v; these are: %s", err, strings.Join(Formats[:], ", "))
	}
	return e.run(ctx, sql, nil, &rowSink{out: out})
}

// Each runs one statement and calls fn with every row, in order. The row is
// valid until fn returns; an error of fn ends the query and is returned.
func (e *Engine) Each(ctx context.Context, sql string, fn func(cols []Column, row []Cell) error) (Summary, error) {
	return e.EachIn(ctx, nil, sql, fn)
}

// EachIn is Each over those data files alone of whose paths among reports true.
func (e *Engine) EachIn(ctx context.Context, among func(path string) bool, sql string, fn func(cols []Column, row []Cell) error) (Summary, error) {
	return e.run(ctx, sql, among, &rowSink{out: &each{fn: fn}})
}

type each struct {
	cols []Column
	fn   func([]Column, []Cell) error
}

func (o *each) Begin(cols []Column) error { o.cols = cols; return nil }
func (o *each) Row(row []duck.Cell) error { return o.fn(o.cols, row) }
func (o *each) End() error                { return nil }

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func ident(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
