// Package duck is DuckDB as the query engine needs it: one statement at a
// time, results streamed, every cell as text. The driver for database/sql
// runs all statements of a text but the last while it prepares, and holds
// whole results in memory, so this goes one layer below it.
package duck

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// ErrStatements means that a text holds no statement, or more than one.
var ErrStatements = errors.New("exactly one statement is allowed")

// DB is a database in memory. It is safe for concurrent use.
type DB struct {
	db      mapping.Database
	streams *streams // nil until EnableStreams
}

// Open makes a database with the given settings.
func Open(settings map[string]string) (*DB, error) {
	var config mapping.Config
	if mapping.CreateConfig(&config) == mapping.StateError {
		return nil, errors.New("create DuckDB settings")
	}
	defer mapping.DestroyConfig(&config)
	for name, value := range settings {
		if mapping.SetConfig(config, name, value) == mapping.StateError {
			return nil, fmt.Errorf("set DuckDB's %s to %q", name, value)
		}
	}
	var db mapping.Database
	var msg string
	if mapping.OpenExt("", &db, config, &msg) == mapping.StateError {
		mapping.Close(&db)
		return nil, fmt.Errorf("open DuckDB: %w", clean(msg))
	}
	return &DB{db: db}, nil
}

// Close frees the database; all its connections must be closed before.
func (d *DB) Close() { mapping.Close(&d.db) }

// Connect makes a connection, which has temporary views of its own.
func (d *DB) Connect() (*Conn, error) {
	var c mapping.Connection
	if mapping.Connect(d.db, &c) == mapping.StateError {
		return nil, errors.New("connect to DuckDB")
	}
	return &Conn{c}, nil
}

// Conn is one connection, for one goroutine at a time.
type Conn struct{ conn mapping.Connection }

// Close ends the connection; its statements must be closed before.
func (c *Conn) Close() { mapping.Disconnect(&c.conn) }

// Exec runs one statement of our own for its effect.
func (c *Conn) Exec(ctx context.Context, sql string) error {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return err
	}
	for rows.err == nil {
		rows.drop()
		rows.chunk = mapping.FetchChunk(rows.res)
		if rows.chunk.Ptr == nil || mapping.DataChunkGetSize(rows.chunk) == 0 {
			if msg := mapping.ResultError(&rows.res); msg != "" {
				rows.err = rows.failure(msg)
			}
			break
		}
	}
	return rows.Close()
}

// Query prepares and runs one statement. All its columns must be VARCHAR where
// its rows are looked at.
func (c *Conn) Query(ctx context.Context, sql string) (*Rows, error) {
	stmt, err := c.Prepare(sql)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.Query(ctx)
	if err != nil {
		stmt.Close()
		return nil, err
	}
	rows.owned = stmt
	return rows, nil
}

// Text returns the first cell of a statement's result.
func (c *Conn) Text(ctx context.Context, sql string) (Cell, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return Cell{}, err
	}
	var cell Cell
	if rows.Next() {
		cell = rows.Row()[0]
		cell.Text = strings.Clone(cell.Text)
	}
	return cell, rows.Close()
}

// Int returns the first cell of a statement's result, which is a number as text
// or null.
func (c *Conn) Int(ctx context.Context, sql string) (n int64, null bool, err error) {
	cell, err := c.Text(ctx, sql)
	if err != nil || cell.Null {
		return 0, cell.Null, err
	}
	n, err = strconv.ParseInt(cell.Text, 10, 64)
	return n, false, err
}

// Prepare parses and binds one statement and runs nothing.
func (c *Conn) Prepare(sql string) (*Stmt, error) {
	if strings.IndexByte(sql, 0) >= 0 {
		return nil, errors.New("the statement holds a zero byte")
	}
	var list mapping.ExtractedStatements
	n := mapping.ExtractStatements(c.conn, sql, &list)
	defer mapping.DestroyExtracted(&list)
	if n == 0 {
		if msg := mapping.ExtractStatementsError(list); msg != "" {
			return nil, clean(msg)
		}
	}
	if n != 1 {
		return nil, ErrStatements
	}
	var p mapping.PreparedStatement
	if mapping.PrepareExtractedStatement(c.conn, list, 0, &p) == mapping.StateError {
		defer mapping.DestroyPrepare(&p)
		return nil, clean(mapping.PrepareError(p))
	}
	return &Stmt{c, p}, nil
}

// Stmt is a prepared statement.
type Stmt struct {
	c *Conn
	p mapping.PreparedStatement
}

// Close frees the statement; its rows must be closed before.
func (s *Stmt) Close() { mapping.DestroyPrepare(&s.p) }

// Type is DuckDB's own word on what the statement is.
func (s *Stmt) Type() mapping.StatementType { return mapping.PreparedStatementType(s.p) }

// Params is the number of values that the statement leaves open.
func (s *Stmt) Params() int { return int(mapping.NParams(s.p)) }

// Columns are what the statement will give.
func (s *Stmt) Columns() []Column {
	cols := make([]Column, mapping.PreparedStatementColumnCount(s.p))
	for i := range cols {
		cols[i].Name = mapping.PreparedStatementColumnName(s.p, mapping.IdxT(i))
		t := mapping.PreparedStatementColumnLogicalType(s.p, mapping.IdxT(i))
		cols[i].Type = mapping.GetTypeId(t)
		cols[i].JSON = mapping.LogicalTypeGetAlias(t) == "JSON"
		mapping.DestroyLogicalType(&t)
	}
	return cols
}

// Column is a column of a result.
type Column struct {
	Name string
	Type mapping.Type
	JSON bool // a VARCHAR that holds JSON
}

// Query starts the statement. Until the rows are closed the connection can do
// nothing else; when ctx is done, they end with its error.
func (s *Stmt) Query(ctx context.Context) (*Rows, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		interrupt(ctx, s.c.conn, stop)
	}()
	r := &Rows{ctx: ctx, halt: func() { close(stop); <-stopped }}

	var pending mapping.PendingResult
	// Only this call streams; nothing has taken its place yet.
	state := bindings.PendingPreparedStreaming(s.p, &pending) //nolint:staticcheck
	if state == mapping.StateError || !await(pending) {
		err := r.failure(mapping.PendingError(pending))
		mapping.DestroyPending(&pending)
		r.halt()
		return nil, err
	}
	state = mapping.ExecutePending(pending, &r.res)
	mapping.DestroyPending(&pending)
	if state == mapping.StateError {
		err := r.failure(mapping.ResultError(&r.res))
		mapping.DestroyResult(&r.res)
		r.halt()
		return nil, err
	}
	r.row = make([]Cell, mapping.ColumnCount(&r.res))
	return r, nil
}

// await helps with a statement's tasks until it has a result, or false: it failed.
// ExecutePending does so, too, but looks for tasks without a pause while other
// threads have the last ones, which costs as much as what they do.
func await(pending mapping.PendingResult) bool {
	const shortest, longest = 20 * time.Microsecond, time.Millisecond
	pause := shortest
	for {
		switch mapping.PendingExecuteTask(pending) {
		case mapping.PendingStateResultNotReady:
			pause = shortest
		case mapping.PendingStateNoTasksAvailable:
			time.Sleep(pause)
			pause = min(2*pause, longest)
		case mapping.PendingStateResultReady:
			return true
		default:
			return false
		}
	}
}

// interrupt stops what the connection runs as soon as ctx is done. An
// interrupt that arrives between two steps is forgotten: hence the repetition.
func interrupt(ctx context.Context, conn mapping.Connection, stop <-chan struct{}) {
	select {
	case <-stop:
		return
	case <-ctx.Done():
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		mapping.Interrupt(conn)
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// Cell is one value. Its text is valid until the next call of Next.
type Cell struct {
	Text string
	Null bool
}

// Rows streams a result, for one goroutine.
type Rows struct {
	ctx   context.Context // of the statement that is running
	halt  func()
	owned *Stmt
	res   mapping.Result
	chunk mapping.DataChunk
	cols  []vector
	next  int // in chunk
	size  int // of chunk
	row   []Cell
	err   error
}

type vector struct {
	data  []stringT
	valid unsafe.Pointer // nil: all are
}

// stringT is DuckDB's duckdb_string_t: up to 12 bytes are in place, more are
// behind a pointer.
type stringT struct {
	length uint32
	inline [4]byte
	ptr    *byte
}

func (s *stringT) text() string {
	if s.length <= 12 {
		return unsafe.String(&s.inline[0], s.length)
	}
	return unsafe.String(s.ptr, s.length)
}

// Next moves to the next row. False means that there is none, or a failure
// that Close tells.
func (r *Rows) Next() bool {
	for r.next == r.size {
		if r.err != nil || !r.fetch() {
			return false
		}
	}
	for i := range r.cols {
		v := &r.cols[i]
		if v.valid != nil && !mapping.ValidityMaskValueIsValid(v.valid, mapping.IdxT(r.next)) {
			r.row[i] = Cell{Null: true}
			continue
		}
		r.row[i] = Cell{Text: v.data[r.next].text()}
	}
	r.next++
	return true
}

// Row is the current row; it is valid until the next call of Next.
func (r *Rows) Row() []Cell { return r.row }

func (r *Rows) fetch() bool {
	r.drop()
	r.chunk = mapping.FetchChunk(r.res)
	if r.chunk.Ptr == nil {
		if msg := mapping.ResultError(&r.res); msg != "" {
			r.err = r.failure(msg)
		}
		return false
	}
	r.next, r.size = 0, int(mapping.DataChunkGetSize(r.chunk))
	if r.size == 0 {
		return false
	}
	r.cols = r.cols[:0]
	for i := range r.row {
		v := mapping.DataChunkGetVector(r.chunk, mapping.IdxT(i))
		t := mapping.VectorGetColumnType(v)
		id := mapping.GetTypeId(t)
		mapping.DestroyLogicalType(&t)
		if id != mapping.TypeVarchar {
			r.next, r.size = 0, 0
			r.err = fmt.Errorf("column %d is no text (type %d)", i, id)
			return false
		}
		data := (*stringT)(mapping.VectorGetData(v))
		r.cols = append(r.cols, vector{unsafe.Slice(data, r.size), mapping.VectorGetValidity(v)})
	}
	return true
}

func (r *Rows) drop() {
	if r.chunk.Ptr != nil {
		mapping.DestroyDataChunk(&r.chunk)
	}
	r.next, r.size, r.cols = 0, 0, r.cols[:0]
}

// Err is the failure because of which Next returned false; nil at the end.
func (r *Rows) Err() error { return r.err }

// Close frees the result and tells why Next returned false, nil at the end.
func (r *Rows) Close() error {
	r.halt()
	r.drop()
	mapping.DestroyResult(&r.res)
	if r.owned != nil {
		r.owned.Close()
	}
	return r.err
}

func (r *Rows) failure(msg string) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	return clean(msg)
}

// Error is what DuckDB has against a statement.
type Error struct {
	Kind string // "Parser", "Binder", "Catalog", "IO", …; may be empty
	Msg  string
}

func (e *Error) Error() string {
	if e.Kind == "" {
		return e.Msg
	}
	return strings.ToLower(e.Kind[:1]) + e.Kind[1:] + " error: " + e.Msg
}

// clean takes the kind off a message, which DuckDB puts before it once or
// twice.
func clean(msg string) error {
	e := &Error{Msg: strings.TrimSpace(msg)}
	for {
		kind, rest, ok := strings.Cut(e.Msg, " Error: ")
		if !ok || len(kind) > 40 || strings.ContainsAny(kind, "\n\"'") {
			break
		}
		if e.Kind == "" {
			e.Kind = kind
		}
		e.Msg = rest
	}
	if e.Msg == "" {
		e.Msg = "DuckDB failed without a reason"
	}
	return e
}
