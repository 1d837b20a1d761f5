package query

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
)

// catalog is where tables come from.
type catalog interface {
	List(ctx context.Context) ([]string, error)
	// Open gives a version of a table that does not change; fs.ErrNotExist
	// when there is none.
	Open(ctx context.Context, name string) (snapshot, error)
	// State says how the table is; see StateOf.
	State(ctx context.Context, name string) (string, error)
}

// snapshot is one version of a table.
type snapshot interface {
	Columns() []schema.Column
	Select(ctx context.Context, w table.Wanted) ([]table.File, error)
}

type icebergTables struct {
	fs      store.FS
	baseURI string
}

func (t icebergTables) List(ctx context.Context) ([]string, error) { return table.List(ctx, t.fs) }

func (t icebergTables) Open(ctx context.Context, name string) (snapshot, error) {
	return table.Open(ctx, t.fs, t.baseURI, name)
}

func (t icebergTables) State(ctx context.Context, name string) (string, error) {
	return StateOf(ctx, t.fs, t.baseURI, name)
}

// At returns an engine that reads this version of its table, whatever was committed
// since. It is part of e, which is the one to be closed.
func (e *Engine) At(t *table.Table) *Engine {
	at := *e
	at.tables = pinned{e.tables, t}
	return &at
}

// pinned is a catalog in which one table stays as it was.
type pinned struct {
	catalog
	table *table.Table
}

func (p pinned) Open(ctx context.Context, name string) (snapshot, error) {
	if name == p.table.Type() {
		return p.table, nil
	}
	return p.catalog.Open(ctx, name)
}

// openTable opens the table of that name; it is an *Error when there is none.
func (e *Engine) openTable(ctx context.Context, name string) (snapshot, error) {
	if chunk.CheckType(name) == nil {
		t, err := e.tables.Open(ctx, name)
		if err == nil {
			return t, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("open table %s: %w", name, err)
		}
		if sinks, err := e.fs.List(ctx, store.Raw+"/"+name); err == nil && len(sinks) > 0 {
			return nil, refuse("table %s has no rows yet: its sink files are there, and the demux has not run since (akupara demux --once)", name)
		}
	}
	names, err := e.tables.List(ctx)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	switch {
	case len(names) == 0:
		return nil, refuse("there is no table %s; the store has no tables yet", name)
	case len(names) <= 20:
		return nil, refuse("there is no table %s; `show tables` lists them: %s", name, strings.Join(names, ", "))
	}
	return nil, refuse("there is no table %s; `show tables` lists all %d", name, len(names))
}

var duckTypes = map[schema.Type]string{
	schema.Timestamp: "TIMESTAMP WITH TIME ZONE",
	schema.String:    "VARCHAR",
	schema.Long:      "BIGINT",
	schema.Double:    "DOUBLE",
	schema.Boolean:   "BOOLEAN",
	schema.Date:      "DATE",
	schema.Map:       "MAP(VARCHAR, VARCHAR)",
}

// viewOf returns the statement that makes a table's view over files. Columns are
// found by their field ids, so that a file written before a column was added
// has it as null. Where spans are given, all that is needed of a file's rows is
// within its span, both ends included.
func viewOf(name string, cols []schema.Column, paths []string, spans []span) (string, error) {
	var b strings.Builder
	for i, c := range cols {
		if i > 0 {
			b.WriteString(", ")
		}
		typ, ok := duckTypes[c.Type]
		switch {
		case !ok:
			return "", fmt.Errorf("column %s of table %s has the unknown type %v", c.Name, name, c.Type)
		case len(paths) == 0:
			fmt.Fprintf(&b, "CAST(NULL AS %s) AS %s", typ, ident(c.Name))
		default:
			b.WriteString(ident(c.Name))
		}
	}
	view := "CREATE OR REPLACE TEMP VIEW " + ident(name) + " AS SELECT " + b.String()
	if len(paths) == 0 {
		return view + " WHERE false", nil
	}
	if len(spans) == 0 {
		scan, err := scanOf(name, cols, paths)
		return view + " FROM " + scan, err
	}
	for i, s := range spans {
		scan, err := scanOf(name, cols, paths[i:i+1])
		if err != nil {
			return "", err
		}
		if i > 0 {
			view += " UNION ALL SELECT " + b.String()
		}
		view += " FROM " + scan
		if s.from != nil {
			view += fmt.Sprintf(" WHERE %s BETWEEN make_timestamptz(%d) AND make_timestamptz(%d)", ident(schema.TS), s.from.UnixMicro(), s.to.UnixMicro())
		}
	}
	return view, nil
}

// scanOf returns the call that reads columns of files.
func scanOf(name string, cols []schema.Column, paths []string) (string, error) {
	var b strings.Builder
	b.WriteString("read_parquet([")
	for i, p := range paths {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(quote(escapeGlob(p)))
	}
	b.WriteString("], hive_partitioning = false, schema = MAP {")
	for i, c := range cols {
		typ, ok := duckTypes[c.Type]
		if !ok {
			return "", fmt.Errorf("column %s of table %s has the unknown type %v", c.Name, name, c.Type)
		}
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d: {name: %s, type: %s, default_value: NULL}", c.ID, quote(c.Name), quote(typ))
	}
	b.WriteString("})")
	return b.String(), nil
}

// escapeGlob keeps DuckDB from taking a path for a pattern.
func escapeGlob(p string) string {
	if !strings.ContainsAny(p, "*?[") {
		return p
	}
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]").Replace(p)
}
