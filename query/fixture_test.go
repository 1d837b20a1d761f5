package query

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/local"
)

// fakeTables is a catalog whose tables are made by hand, and which keeps what
// was asked of it.
type fakeTables struct {
	mu     sync.Mutex
	tables map[string]*fakeTable
}

type fakeTable struct {
	cols  []schema.Column
	files []table.File
	// planned are the spans that were asked for.
	mu      sync.Mutex
	planned []span
	// onPlan runs at every plan, before it is given.
	onPlan func()
}

func (f *fakeTables) List(context.Context) ([]string, error) {
	var names []string
	for n := range f.tables {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

func (f *fakeTables) State(context.Context, string) (string, error) { return Fine, nil }

func (f *fakeTables) Open(_ context.Context, name string) (snapshot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.tables[name]
	if t == nil {
		return nil, fmt.Errorf("open table %s: %w", name, fs.ErrNotExist)
	}
	return t, nil
}

func (t *fakeTable) Columns() []schema.Column { return t.cols }

func (t *fakeTable) Select(_ context.Context, w table.Wanted) ([]table.File, error) {
	from, to := w.From, w.To
	if t.onPlan != nil {
		t.onPlan()
	}
	t.mu.Lock()
	t.planned = append(t.planned, span{from, to})
	t.mu.Unlock()
	var out []table.File
	for _, f := range t.files {
		if from != nil && f.MaxTS.Before(*from) || to != nil && !f.MinTS.Before(*to) {
			continue
		}
		out = append(out, f)
	}
	return out, nil
}

// world is a store on the local disk with tables that are made by hand.
type world struct {
	t      *testing.T
	root   string
	fs     *countingFS
	tables *fakeTables
}

// countingFS counts how often each file is opened.
type countingFS struct {
	store.FS
	mu     sync.Mutex
	opened map[string]int
}

func (f *countingFS) Open(ctx context.Context, path string) (store.Reader, error) {
	f.mu.Lock()
	f.opened[path]++
	f.mu.Unlock()
	return f.FS.Open(ctx, path)
}

func (f *countingFS) total() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, v := range f.opened {
		n += v
	}
	return n
}

func newWorld(t *testing.T) *world {
	t.Helper()
	root := filepath.Join(t.TempDir(), "store")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	files, err := local.New(root)
	if err != nil {
		t.Fatal(err)
	}
	return &world{t, root, &countingFS{FS: files, opened: map[string]int{}}, &fakeTables{tables: map[string]*fakeTable{}}}
}

// engine opens the store as one on the local disk.
func (w *world) engine(opts Options) *Engine {
	return w.open((&url.URL{Scheme: "file", Path: w.root}).String(), opts)
}

// remote opens the store as one whose files must be fetched.
func (w *world) remote(opts Options) *Engine { return w.open("hdfs://nowhere:8020/store", opts) }

func (w *world) open(uri string, opts Options) *Engine {
	w.t.Helper()
	if opts.CacheDir == "" {
		opts.CacheDir = filepath.Join(w.t.TempDir(), "cache")
	}
	e, err := open(w.fs, uri, opts, w.tables)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { e.Close() })
	return e
}

// columns returns the common columns and more, with ids as a new table has them.
func columns(more ...schema.Column) []schema.Column { return schema.Plan(nil, more, 0) }

// table makes a table without files.
func (w *world) table(name string, cols []schema.Column) *fakeTable {
	t := &fakeTable{cols: cols}
	w.tables.tables[name] = t
	return t
}

// add writes a data file with n rows from the given time on, a second apart.
// cols are the columns it has; own gives the values of those that are not
// common, as SQL over i.
func (w *world) add(name string, cols []schema.Column, from time.Time, n int, own map[string]string) table.File {
	w.t.Helper()
	t := w.tables.tables[name]
	rel := fmt.Sprintf("tables/%s/data/f%d.parquet", name, len(t.files))
	path := filepath.Join(w.root, rel)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	values := map[string]string{
		"ts":   fmt.Sprintf("TIMESTAMPTZ '%s' + to_seconds(i)", from.UTC().Format("2006-01-02 15:04:05+00")),
		"host": "'h1'", "source": "'/var/log/x'", "stream": "'s1'", "seq": "i * 10", "level": "'INFO'",
		"message": "'line ' || i", "parse_error": "NULL", "tags": "MAP {'dc': 'a'}", "attributes": "MAP {}",
	}
	for k, v := range own {
		values[k] = v
	}
	var exprs, ids []string
	for _, c := range cols {
		exprs = append(exprs, fmt.Sprintf("CAST(%s AS %s) AS %s", values[c.Name], duckTypes[c.Type], ident(c.Name)))
		if c.Type == schema.Map {
			ids = append(ids, fmt.Sprintf("%s: {__duckdb_field_id: %d, key: %d, value: %d}", ident(c.Name), c.ID, c.KeyID, c.ValueID))
		} else {
			ids = append(ids, fmt.Sprintf("%s: %d", ident(c.Name), c.ID))
		}
	}
	runSQL(w.t, fmt.Sprintf("COPY (SELECT %s FROM range(%d) t(i)) TO %s (FORMAT parquet, FIELD_IDS {%s})",
		strings.Join(exprs, ", "), n, quote(path), strings.Join(ids, ", ")))
	info, err := os.Stat(path)
	if err != nil {
		w.t.Fatal(err)
	}
	f := table.File{Path: rel, Size: info.Size(), Records: int64(n), MinTS: from, MaxTS: from.Add(time.Duration(n-1) * time.Second)}
	t.files = append(t.files, f)
	return f
}

// runSQL runs a statement in a database that nothing locks down.
func runSQL(t *testing.T, sql string) {
	t.Helper()
	db, err := duck.Open(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Connect()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// ask runs a statement and gives its result in a format.
func ask(t *testing.T, e *Engine, format, sql string) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := e.Query(t.Context(), sql, format, &b); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.String()
}

// lines returns the rows of a result as CSV, without the header.
func lines(t *testing.T, e *Engine, sql string) string {
	t.Helper()
	_, rows, _ := strings.Cut(ask(t, e, "csv", sql), "\n")
	return strings.ReplaceAll(strings.TrimSuffix(rows, "\n"), "\n", "|")
}

func day(n, hour int) time.Time { return time.Date(2026, 3, n, hour, 0, 0, 0, time.UTC) }

// writeNothing fails when something is written.
type writeNothing struct{}

func (writeNothing) Write(p []byte) (int, error) { return 0, fmt.Errorf("unexpected output %q", p) }

func contains(s, part string) bool { return strings.Contains(s, part) }
