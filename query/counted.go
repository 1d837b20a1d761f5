package query

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/counts"
	"github.com/akupara/akupara/query/internal/stmt"
)

// rowsColumn is the column of a counted table's view that says how many rows each of
// its rows stands for.
const rowsColumn = "__akupara_rows"

// dayWidth is the widest span that ts is cut into, in microseconds: days of UTC.
const dayWidth = 86_400_000_000

// counted makes the view of a table of which a statement only counts rows, without
// reading the rows, and returns the statement over it. Where it can't be done, ok is
// false.
func (q *session) counted(ctx context.Context, st *stmt.Statement) (sql string, ok bool, err error) {
	width, ok := q.countWidth(ctx, st.Counts)
	if !ok {
		return "", false, q.begin(ctx, "ROLLBACK", "BEGIN TRANSACTION")
	}
	scans, err := q.plan(ctx, st)
	if err != nil || len(scans) != 1 || scans[0].unknown || scans[0].bound.empty() {
		return "", false, err
	}
	s := scans[0]
	files, cut := filesOf(s.pieces)
	want := counts.Query{TS: s.ts(), Width: width, From: math.MinInt64, To: math.MaxInt64, Threads: q.e.opts.Threads}
	if s.bound.from != nil {
		want.From = s.bound.from.UnixMicro()
	}
	if s.bound.to != nil {
		want.To = s.bound.to.UnixMicro()
	}
	cols, ok := countedColumns(s.all, st)
	if !ok || len(files) == 0 {
		return "", false, nil
	}
	for _, c := range cols {
		want.Columns = append(want.Columns, c.ID)
	}
	s.cols, s.part = needed(s.all, func(c *schema.Column) bool { return slices.Contains(want.Columns, c.ID) })
	paths, ok, err := q.localCopies(ctx, s, files, cut)
	if !ok || err != nil {
		return "", false, err
	}
	list := make([]counts.File, len(files))
	for i, f := range files {
		list[i] = counts.File{Path: paths[i], First: math.MinInt64, Last: math.MaxInt64}
		if within, ok := cut[f.Path]; ok {
			list[i].First, list[i].Last = within.from.UnixMicro(), within.to.UnixMicro()
		}
	}
	tally, err := counts.Read(ctx, list, want)
	switch {
	case errors.Is(err, fs.ErrNotExist), ctx.Err() != nil:
		return "", false, err
	case err != nil:
		return "", false, nil //nolint:nilerr // DuckDB says what is wrong with a file, if anything is
	}
	if sql, err = q.rewritten(ctx, st, countedView(s.name, cols, tally)); err != nil {
		if ctx.Err() != nil {
			return "", false, err
		}
		return "", false, q.begin(ctx, "ROLLBACK", "BEGIN TRANSACTION") // what is wrong with it is said of what was asked
	}
	q.sum.Files = len(files)
	q.tally = fmt.Sprintf("%s: the rows are not read by this plan, but counted: in %d of %d row groups without ts", s.name, tally.Whole, tally.Groups)
	return sql, true, nil
}

// rewritten makes the view over counts, and returns the statement over it.
func (q *session) rewritten(ctx context.Context, st *stmt.Statement, view string) (sql string, err error) {
	if err := q.conn.Exec(ctx, view); err != nil {
		return "", err
	}
	tree, err := st.Counts.Statement(rowsColumn)
	if err != nil {
		return "", err
	}
	text, err := q.conn.Text(ctx, "SELECT json_deserialize_sql("+quote(tree)+")")
	if err != nil {
		return "", err
	}
	sql = strings.TrimSuffix(strings.TrimSpace(text.Text), ";")
	p, err := q.conn.Prepare(sql)
	if err != nil {
		return "", err
	}
	p.Close()
	return sql, nil
}

// countWidth returns the width of spans within which the statement does not tell times
// apart; 0 where it tells none.
func (q *session) countWidth(ctx context.Context, c *stmt.Counts) (width int64, ok bool) {
	if c.Days || len(c.Widths) > 0 {
		width = dayWidth
	}
	for _, e := range c.Widths {
		tree, err := e.Select()
		if err != nil {
			return 0, false
		}
		text, err := q.conn.Text(ctx, "SELECT json_deserialize_sql("+quote(tree)+")")
		if err != nil {
			return 0, false
		}
		expr := strings.TrimPrefix(strings.TrimSuffix(strings.TrimSpace(text.Text), ";"), "SELECT ")
		// A month has no length, but whole days.
		n, null, err := q.conn.Int(ctx, "SELECT CAST(CASE WHEN date_part('year', w) = 0 AND date_part('month', w) = 0 THEN epoch_us(w) END AS VARCHAR) FROM (SELECT CAST(("+expr+") AS INTERVAL) AS w) q")
		if err != nil || null || n <= 0 {
			return 0, false
		}
		// Buckets begin at a multiple of their width from midnights.
		for width%n != 0 {
			width, n = n, width%n
		}
		width = n
	}
	const shortest = 1_000_000
	return width, width == 0 || width >= shortest
}

// countedColumns returns the columns of texts that a statement looks at.
func countedColumns(all []schema.Column, st *stmt.Statement) (out []schema.Column, ok bool) {
	for _, name := range st.Counts.Columns {
		i := slices.IndexFunc(all, func(c schema.Column) bool { return strings.EqualFold(c.Name, name) })
		switch {
		case i < 0: // an alias, or nothing that is known
		case all[i].Type != schema.String:
			return nil, false
		case !slices.ContainsFunc(out, func(c schema.Column) bool { return c.ID == all[i].ID }):
			out = append(out, all[i])
		}
	}
	return out, schema.Find(all, rowsColumn) < 0
}

// localCopies returns paths of the files on the local disk: of a local store's own, or
// of copies in the cache. Where these don't fit, ok is false.
func (q *session) localCopies(ctx context.Context, s *scan, files []table.File, cut map[string]span) (paths []string, ok bool, err error) {
	if q.e.local != "" {
		for _, f := range files {
			paths = append(paths, filepath.Join(q.e.local, filepath.FromSlash(f.Path)))
		}
		return paths, true, nil
	}
	paths, err = q.fetch(ctx, s, files, cut)
	if errors.Is(err, cache.ErrFull) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("fetch files of table %s: %w", s.name, err)
	}
	return paths, true, nil
}

// countedView returns the statement that makes the view over counts.
func countedView(name string, cols []schema.Column, t counts.Tally) string {
	var b strings.Builder
	list := func(as, typ string, of func(c *counts.Count) (n int64, null bool)) {
		b.WriteString(", unnest(CAST('[")
		for i := range t.Counts {
			if i > 0 {
				b.WriteByte(',')
			}
			if n, null := of(&t.Counts[i]); null {
				b.WriteString("null")
			} else {
				b.WriteString(strconv.FormatInt(n, 10))
			}
		}
		fmt.Fprintf(&b, "]' AS %s[])) AS %s", typ, as)
	}
	fmt.Fprintf(&b, "CREATE OR REPLACE TEMP VIEW %s AS SELECT make_timestamptz(t) AS ts, n AS %s", ident(name), ident(rowsColumn))
	for i, c := range cols {
		texts := make([]string, len(t.Texts[i]))
		for j, v := range t.Texts[i] {
			texts[j] = quote(v)
		}
		fmt.Fprintf(&b, ", CAST([%s] AS VARCHAR[])[c%d] AS %s", strings.Join(texts, ", "), i, ident(c.Name))
	}
	b.WriteString(" FROM (SELECT 1")
	list("t", "BIGINT", func(c *counts.Count) (int64, bool) { return c.TS, false })
	list("n", "BIGINT", func(c *counts.Count) (int64, bool) { return c.Rows, false })
	for i := range cols {
		list(fmt.Sprintf("c%d", i), "INTEGER", func(c *counts.Count) (int64, bool) { return int64(c.Texts[i]) + 1, c.Texts[i] == counts.None })
	}
	b.WriteString(") q")
	return b.String()
}
