package query

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/stmt"
)

// scan is what a statement reads of a table.
type scan struct {
	name  string
	all   []schema.Column // of the table
	cols  []schema.Column // of these, what it needs
	part  string          // names them, where they are not all
	files []table.File    // ordered by MinTS
	bound span            // what the statement says of ts
	top   *stmt.Top       // nil: all rows that the bounds leave
	// end lets go of the copies that its view is over.
	end func() error
}

// makeViews plans every table that the statement names, and makes its view. sql is
// the statement.
func (q *session) makeViews(ctx context.Context, st *stmt.Statement, sql string) error {
	q.read, q.listed = map[string][]table.File{}, map[string][2][]table.File{}
	defer func() {
		q.sum.Files = 0
		for _, files := range q.read {
			q.sum.Files += len(files)
		}
	}()
	scans, err := q.plan(ctx, st)
	if err != nil {
		return err
	}
	var searched *scan
	for _, s := range scans {
		switch {
		case s.top == nil:
		case !s.top.Filtered:
			s.files, _ = ends(s.files, s.bound, s.top.Newest, s.top.Limit+s.top.Skip)
		case !s.top.Root:
			s.files, _ = ends(s.files, s.bound, s.top.Newest, maxRows)
		case len(s.files) <= q.e.searchFiles && q.e.local != "":
			s.files, _ = ends(s.files, s.bound, s.top.Newest, maxRows)
		case !slices.ContainsFunc(volatile, func(f string) bool { return st.Functions[f] }):
			searched = s
			continue
		}
		if err := q.makeView(ctx, s, s.files, nil); err != nil {
			return err
		}
	}
	if searched == nil {
		return nil
	}
	return q.search(ctx, searched, sql)
}

// volatile are functions that may give something else when they are called again.
var volatile = []string{"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval"}

// plan finds the files that the statement needs of each table by its bounds on ts.
func (q *session) plan(ctx context.Context, st *stmt.Statement) ([]*scan, error) {
	snaps, err := q.snapshots(ctx, st)
	if err != nil {
		return nil, err
	}
	columns := map[string]bool{} // of all tables, in lower case
	for _, snap := range snaps {
		for _, c := range snap.Columns() {
			columns[strings.ToLower(c.Name)] = true
		}
	}
	spans, unknown, err := q.spans(ctx, st, columns)
	if err != nil {
		return nil, err
	}
	var out []*scan
	for _, name := range slices.Sorted(maps.Keys(snaps)) {
		s := &scan{name: name, all: snaps[name].Columns(), bound: spans[name]}
		s.cols = s.all
		if q.e.local == "" && st.Named {
			s.cols, s.part = needed(s.all, func(c *schema.Column) bool { return st.Words[strings.ToLower(c.Name)] })
		}
		if top := st.Tables[name].Top(); top != nil {
			top := *top
			top.Filtered = top.Filtered || unknown[name]
			s.top = &top
		}
		if !s.bound.empty() {
			if s.files, err = snaps[name].Files(ctx, s.bound.from, s.bound.to); err != nil {
				return nil, fmt.Errorf("plan table %s: %w", name, err)
			}
		}
		if q.explain {
			all, err := snaps[name].Files(ctx, nil, nil)
			if err != nil {
				return nil, fmt.Errorf("plan table %s: %w", name, err)
			}
			q.listed[name] = [2][]table.File{all, s.files}
		}
		if q.among != nil {
			s.files = slices.DeleteFunc(s.files, func(f table.File) bool { return !q.among(f.Path) })
		}
		out = append(out, s)
	}
	return out, nil
}

// ends returns the files that hold the newest or oldest rows, at least that many of
// those within the bound, and the time from which on, or up to which, all such rows
// are in them. All files are returned where the files within the bound have fewer.
func ends(files []table.File, within span, newest bool, rows int64) (out []table.File, at *time.Time) {
	sorted := slices.Clone(files)
	slices.SortStableFunc(sorted, func(a, b table.File) int {
		if newest {
			return b.MinTS.Compare(a.MinTS)
		}
		return a.MaxTS.Compare(b.MaxTS)
	})
	var n int64
	for i := 0; i < len(sorted) && n < rows; i++ {
		f := sorted[i]
		if within.from != nil && f.MinTS.Before(*within.from) || within.to != nil && !f.MaxTS.Before(*within.to) {
			continue // nobody knows how many of its rows are within
		}
		if n += f.Records; newest {
			at = &f.MinTS
		} else {
			at = &f.MaxTS
		}
	}
	if n < rows {
		return sorted, nil
	}
	return slices.DeleteFunc(sorted, func(f table.File) bool {
		return newest && f.MaxTS.Before(*at) || !newest && f.MinTS.After(*at)
	}), at
}

// The newest rows that fulfil a condition are searched in the newest files first: in
// Engine.searchFiles, or as many as hold Engine.searchRows rows; then in searchGrowth
// times as many rows. Of few files on the local disk DuckDB itself, which gets the
// newest ones first, reads little more than the footers.
const searchGrowth = 8

// search makes the view of a table over its newest or oldest rows, of which enough
// fulfil the statement's conditions; over all of them where there are not enough. The
// statement is run for its number of rows to find that out, which costs little where
// DuckDB leaves out all columns but those of the conditions.
func (q *session) search(ctx context.Context, s *scan, sql string) error {
	var first int64
	sorted, _ := ends(s.files, s.bound, s.top.Newest, maxRows)
	for _, f := range sorted[:min(len(sorted), q.e.searchFiles)] {
		first += f.Records
	}
	for rows := max(min(q.e.searchRows, first), s.top.Limit+s.top.Skip); ; rows *= searchGrowth {
		files, at := ends(s.files, s.bound, s.top.Newest, rows)
		if at == nil || 2*bytesOf(files) > bytesOf(s.files) {
			break
		}
		if err := q.makeView(ctx, s, files, at); err != nil {
			return err
		}
		n, _, err := q.conn.Int(ctx, "SELECT CAST(count(*) AS VARCHAR) FROM (\n"+sql+"\n) q")
		if err != nil {
			return unwrapped(err)
		}
		if n >= s.top.Limit {
			return nil
		}
	}
	return q.makeView(ctx, s, sorted, nil)
}

const maxRows = 1 << 62

func bytesOf(files []table.File) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

// makeView makes the view of a table over files, or only over their rows on the
// right side of a time.
func (q *session) makeView(ctx context.Context, s *scan, files []table.File, at *time.Time) error {
	view, err := q.viewOver(ctx, s, files)
	if err != nil {
		return err
	}
	if at != nil && len(files) > 0 {
		op := "<="
		if s.top.Newest {
			op = ">="
		}
		view += fmt.Sprintf(" WHERE %s %s make_timestamptz(%d)", ident(schema.TS), op, at.UnixMicro())
	}
	if err := q.conn.Exec(ctx, view); err != nil {
		return fmt.Errorf("make the view of table %s: %w", s.name, err)
	}
	q.read[s.name] = files
	return nil
}

// viewOver returns the statement that makes the view of a table over files: of the
// store, of copies in the cache, or of a stream through the cache, where they don't fit.
func (q *session) viewOver(ctx context.Context, s *scan, files []table.File) (string, error) {
	if q.e.local != "" || len(files) == 0 {
		paths := make([]string, len(files))
		for i, f := range files {
			paths[i] = filepath.Join(q.e.local, filepath.FromSlash(f.Path))
		}
		return viewOf(s.name, s.cols, paths)
	}
	if s.end != nil { // of a view before
		if err := s.end(); err != nil {
			return "", err
		}
	}
	paths, err := q.fetch(ctx, s, files)
	if errors.Is(err, cache.ErrFull) {
		return q.streamView(ctx, s, files)
	}
	if err != nil {
		return "", fmt.Errorf("fetch files of table %s: %w", s.name, err)
	}
	return viewOf(s.name, s.cols, paths)
}
