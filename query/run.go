package query

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/query/internal/stmt"
)

// sink takes the result of a statement.
type sink interface {
	// write runs sql, which is checked. prefix is EXPLAIN or empty.
	write(ctx context.Context, q *session, prefix, sql string) (rows int64, err error)
	// touched reports whether anything was handed out, so that the statement
	// can't be run again.
	touched() bool
}

// tries is how often a statement is planned anew because files of its plan are gone.
const tries = 4

// run runs a statement; again when files of its plan were removed by the table's
// maintenance before they were read, and nothing was given out yet.
func (e *Engine) run(ctx context.Context, sql string, among func(path string) bool, out sink) (Summary, error) {
	start := time.Now()
	if e.opts.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, e.opts.Timeout, fmt.Errorf("the query took longer than %v: %w", e.opts.Timeout, context.DeadlineExceeded))
		defer cancel()
	}
	whole := false
	sum, partial, err := e.once(ctx, sql, among, out, whole)
	for i := 1; i < tries && err != nil && !out.touched() && ctx.Err() == nil; i++ {
		// DuckDB's word on what a copy has is not taken where it may have needed more.
		var d *duck.Error
		if partial && !whole && errors.As(err, &d) && !slices.Contains(unread, d.Kind) {
			whole = true
		} else if !filesGone(err) {
			break
		}
		sum, partial, err = e.once(ctx, sql, among, out, whole)
	}
	sum.Elapsed = time.Since(start)
	if err != nil && ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = context.Cause(ctx)
	}
	return sum, polish(err)
}

// unread are the kinds of errors that DuckDB finds before it reads a file.
var unread = []string{"Parser", "Syntax", "Binder", "Catalog", "Permission", "Parameter Not Resolved"}

// filesGone reports whether an error says that a data file is not there.
func filesGone(err error) bool {
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	var d *duck.Error
	return errors.As(err, &d) && d.Kind == "IO" &&
		(strings.Contains(d.Msg, "No files found") || strings.Contains(d.Msg, "No such file") || strings.Contains(d.Msg, "Cannot open file"))
}

// polish makes faults of the statement an *Error.
func polish(err error) error {
	var refused *stmt.Refused
	var d *duck.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return &Error{refused.Reason}
	case errors.Is(err, duck.ErrStatements):
		return &Error{duck.ErrStatements.Error()}
	case errors.Is(err, stmt.ErrSyntax):
		return &Error{err.Error()}
	case errors.As(err, &d) && slices.Contains(theirs, d.Kind):
		return &Error{d.Error()}
	}
	return err
}

// theirs are the kinds of DuckDB's errors that the statement is to blame for.
var theirs = []string{
	"Parser", "Binder", "Catalog", "Conversion", "Invalid Input", "Out of Range", "Permission",
	"Not implemented", "Invalid", "Constraint", "Syntax", "Parameter Not Resolved", "Mismatch Type", "Invalid type",
}

// session is one run of one statement.
type session struct {
	e    *Engine
	conn *duck.Conn
	use  *cache.Use     // nil until something needs it
	ends []func() error // of what it holds
	// streamed is how many files a stream fetched.
	streamed atomic.Int64
	// among says of which data files rows are seen; nil: of all.
	among func(path string) bool
	sum   Summary
	// read is what each table's view is over. Where explain is set, listed are the
	// files that it might have been over.
	read    map[string]reading
	explain bool
	listed  map[string]*listing
	tally   string // how rows were counted
	// whole has all row groups of a file fetched, partial says that some were not.
	whole, partial bool
	// overview makes the view of templates, when all others are made; empty: the
	// statement does not name it.
	overview string
}

// once runs a statement once; whole says that of files in another store all row groups
// are fetched, partial that it was not so.
func (e *Engine) once(ctx context.Context, sql string, among func(path string) bool, out sink, whole bool) (sum Summary, partial bool, err error) {
	conn, err := e.db.Connect()
	if err != nil {
		return Summary{}, false, err
	}
	q := &session{e: e, conn: conn, among: among, whole: whole}
	err = q.run(ctx, sql, out)
	conn.Close()
	if q.use != nil {
		q.ends = append(q.ends, q.use.Close)
	}
	for _, end := range q.ends {
		// DuckDB has the error of a stream as text alone.
		var d *duck.Error
		if cerr := end(); cerr != nil && (err == nil || errors.As(err, &d)) {
			err = cerr
		}
	}
	q.sum.Fetched += int(q.streamed.Load())
	return q.sum, q.partial, err
}

func (q *session) run(ctx context.Context, sql string, out sink) error {
	if len(sql) > q.e.opts.MaxSQL {
		return refuse("the statement has %d bytes, at most %d are allowed", len(sql), q.e.opts.MaxSQL)
	}
	sql, rest := stmt.Cut(sql)
	switch {
	case sql == "" || stmt.Blank(sql):
		return refuse("the statement is empty")
	case !stmt.Blank(rest):
		return duck.ErrStatements
	case strings.IndexByte(sql, 0) >= 0:
		return refuse("the statement holds a zero byte")
	}
	prefix, inner := stmt.Explain(sql)
	q.explain = prefix != ""
	tree, err := q.conn.Text(ctx, "SELECT CAST(json_serialize_sql("+quote(inner)+") AS VARCHAR)")
	if err != nil {
		return err
	}
	st, err := stmt.Parse(tree.Text)
	if err != nil {
		return err
	}
	// From here on now() is the same everywhere.
	if err := q.begin(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	if st.ShowTables {
		inner, err = q.showTables(ctx)
	} else {
		inner, err = q.setUp(ctx, st, inner)
	}
	if err != nil {
		return err
	}
	q.sum.Rows, err = out.write(ctx, q, prefix, inner)
	return err
}

// setUp makes all that the statement names, and returns what is to be run.
func (q *session) setUp(ctx context.Context, st *stmt.Statement, sql string) (string, error) {
	if st.Counts != nil {
		counted, ok, err := q.counted(ctx, st)
		if ok && q.explain { // what DuckDB would do says more than what is left to it
			ok, err = false, q.begin(ctx, "ROLLBACK", "BEGIN TRANSACTION")
		}
		if ok || err != nil {
			return counted, err
		}
	}
	if err := q.makeViews(ctx, st, sql); err != nil || !callsCalendar(st) {
		return sql, err
	}
	if ok, err := q.makeMacros(ctx, st, sql); ok || err != nil {
		return sql, err
	}
	if err := q.begin(ctx, "ROLLBACK", "BEGIN TRANSACTION"); err != nil {
		return "", err
	}
	return sql, q.makeViews(ctx, st, sql)
}

// showTables returns a statement that lists the tables.
func (q *session) showTables(ctx context.Context) (string, error) {
	names, err := q.e.tables.List(ctx)
	if err != nil {
		return "", fmt.Errorf("list tables: %w", err)
	}
	if len(names) == 0 {
		return "SELECT CAST(NULL AS VARCHAR) AS name, CAST(NULL AS VARCHAR) AS state WHERE false", nil
	}
	states, err := q.e.states(ctx, names)
	if err != nil {
		return "", fmt.Errorf("look at the tables: %w", err)
	}
	for i, n := range names {
		names[i] = "(" + quote(n) + ", " + quote(states[i]) + ")"
	}
	return "SELECT name, state FROM (VALUES " + strings.Join(names, ", ") + ") t(name, state)", nil
}

// snapshots opens every table that the statement names.
func (q *session) snapshots(ctx context.Context, st *stmt.Statement) (map[string]snapshot, error) {
	snaps := map[string]snapshot{}
	var overview *stmt.Table
	for name, t := range st.Tables {
		snap, err := q.e.openTable(ctx, name)
		var unknown *Error
		if t.Local && errors.As(err, &unknown) {
			continue // a WITH clause's own name
		}
		if name == overviewName && errors.As(err, &unknown) {
			overview = t
			continue
		}
		if err != nil {
			return nil, err
		}
		snaps[name] = snap
	}
	q.overview = ""
	if overview != nil {
		if err := q.addTemplated(ctx, st, overview, snaps); err != nil {
			return nil, err
		}
	}
	return snaps, nil
}

// fetch copies what is needed of files into the cache and returns the paths of the
// copies, which stay until the statement ends. Of files that cut names, that are the
// row groups that meet its span.
func (q *session) fetch(ctx context.Context, s *scan, list []table.File, cut map[string]span) ([]string, error) {
	if q.whole {
		cut = nil
	}
	q.partial = q.partial || len(cut) > 0
	use, err := q.e.cache.Use()
	if err != nil {
		return nil, err
	}
	paths, fetched, err := use.Get(ctx, cacheFiles(list, s.cols, s.part, cut))
	q.sum.Fetched += fetched
	if err != nil {
		return nil, errors.Join(err, use.Close())
	}
	s.end = sync.OnceValue(use.Close)
	q.ends = append(q.ends, s.end)
	return paths, nil
}

func (q *session) needUse() (err error) {
	if q.use == nil {
		q.use, err = q.e.cache.Use()
	}
	return err
}

// check prepares the statement and holds DuckDB's own view of it against ours.
func (q *session) check(sql string) ([]duck.Column, error) {
	s, err := q.conn.Prepare(sql)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	switch {
	case s.Type() != mapping.StatementTypeSelect:
		return nil, refuse("only statements that read are allowed")
	case s.Params() > 0:
		return nil, refuse("the statement has parameters, for which there are no values")
	}
	return s.Columns(), nil
}

// unwrapped returns an error of a statement that stands on the second line of
// ours: its lines are counted from its own.
func unwrapped(err error) error {
	var d *duck.Error
	if !errors.As(err, &d) {
		return err
	}
	return &duck.Error{Kind: d.Kind, Msg: lineRE.ReplaceAllStringFunc(d.Msg, func(s string) string {
		n, err := strconv.Atoi(lineRE.FindStringSubmatch(s)[1])
		if err != nil || n < 2 {
			return s
		}
		return fmt.Sprintf("LINE %d:", n-1)
	})}
}

var lineRE = regexp.MustCompile(`(?m)^LINE (\d+):`)
