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
	"github.com/akupara/akupara/query/internal/groups"
	"github.com/akupara/akupara/query/internal/stmt"
)

// scan is what a statement reads of a table.
type scan struct {
	name    string
	all     []schema.Column // of the table
	cols    []schema.Column // of these, what it needs
	part    string          // names them, where they are not all
	files   []table.File    // ordered by MinTS
	bound   span            // what the statement says of ts
	unknown bool            // it says more of ts than that
	texts   []groups.Texts  // what it says of texts
	top     *stmt.Top       // nil: all rows that the bounds leave
	// pieces are what may hold rows that it needs; groups are the row groups of
	// files that were looked into.
	pieces []piece
	groups map[string][]groups.Group
	// end lets go of the copies that its view is over.
	end func() error
}

// makeViews plans every table that the statement names, and makes its view. sql is
// the statement.
func (q *session) makeViews(ctx context.Context, st *stmt.Statement, sql string) error {
	q.read = map[string]reading{}
	defer func() {
		q.sum.Files = 0
		for _, r := range q.read {
			q.sum.Files += len(r.files)
		}
	}()
	scans, err := q.plan(ctx, st)
	if err != nil {
		return err
	}
	var searched *scan
	for _, s := range scans {
		pieces, at := s.pieces, (*time.Time)(nil)
		switch {
		case s.top == nil:
		case !s.top.Filtered:
			if pieces, at, err = q.topPieces(ctx, s); err != nil {
				return err
			}
		case s.top.Root && !slices.ContainsFunc(volatile, func(f string) bool { return st.Functions[f] }):
			searched = s
			continue
		default:
			pieces, _ = ends(pieces, s.bound, s.top.Newest, maxRows)
		}
		if err := q.makeView(ctx, s, pieces, at); err != nil {
			return err
		}
	}
	if q.overview != "" {
		if err := q.conn.Exec(ctx, q.overview); err != nil {
			return fmt.Errorf("make the view %s: %w", overviewName, err)
		}
	}
	if searched == nil {
		return nil
	}
	return q.search(ctx, searched, sql)
}

// list finds the files of a table that may hold rows that the statement needs.
func (q *session) list(ctx context.Context, s *scan, snap snapshot) (err error) {
	if !s.bound.empty() {
		want := table.Wanted{From: s.bound.from, To: s.bound.to, Texts: map[int][]string{}}
		for _, t := range s.texts {
			want.Texts[t.Column] = t.Any
		}
		if s.top != nil && !s.top.Filtered && q.among == nil {
			want.Top, want.Oldest = s.top.Limit+s.top.Skip, !s.top.Newest
		}
		if s.files, err = snap.Select(ctx, want); err != nil {
			return err
		}
	}
	if !q.explain {
		return nil
	}
	l := &listing{}
	if l.all, err = snap.Select(ctx, table.Wanted{}); err != nil {
		return err
	}
	for _, f := range l.all {
		if s.bound.meets(f.MinTS, f.MaxTS) && !s.bound.empty() {
			l.within = append(l.within, f)
		}
	}
	q.listed[s.name] = l
	return nil
}

// topPieces returns the pieces that hold the newest or oldest rows of a table, as many
// as the statement takes, and the time of ends.
func (q *session) topPieces(ctx context.Context, s *scan) (pieces []piece, at *time.Time, err error) {
	rows := s.top.Limit + s.top.Skip
	pieces, at = ends(s.pieces, s.bound, s.top.Newest, rows)
	if len(pieces) > q.e.searchFiles || q.e.local == "" && !slices.ContainsFunc(pieces, func(p piece) bool { return p.file.Size >= q.e.largeFile }) {
		return pieces, at, nil
	}
	if pieces, err = q.look(ctx, s, pieces); err != nil {
		return nil, nil, err
	}
	pieces, at = ends(pieces, s.bound, s.top.Newest, rows)
	return pieces, at, nil
}

// volatile are functions that may give something else when they are called again.
var volatile = []string{"random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "setseed", "nextval"}

// plan finds the files that the statement needs of each table by its bounds on ts.
func (q *session) plan(ctx context.Context, st *stmt.Statement) ([]*scan, error) {
	q.listed = map[string]*listing{}
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
		s := &scan{name: name, all: snaps[name].Columns(), bound: spans[name], unknown: unknown[name], groups: map[string][]groups.Group{}}
		s.cols = s.all
		if q.e.local == "" && st.Named {
			s.cols, s.part = needed(s.all, func(c *schema.Column) bool { return st.Words[strings.ToLower(c.Name)] })
		}
		if top := st.Tables[name].Top(); top != nil {
			top := *top
			top.Filtered = top.Filtered || unknown[name]
			s.top = &top
		}
		for _, t := range st.Tables[name].Texts() {
			i := slices.IndexFunc(s.all, func(c schema.Column) bool { return strings.EqualFold(c.Name, t.Column) })
			if i >= 0 && s.all[i].Type == schema.String {
				s.texts = append(s.texts, groups.Texts{Column: s.all[i].ID, Any: t.Any})
			}
		}
		if err := q.list(ctx, s, snaps[name]); err != nil {
			return nil, fmt.Errorf("plan table %s: %w", name, err)
		}
		if q.among != nil {
			s.files = slices.DeleteFunc(s.files, func(f table.File) bool { return !q.among(f.Path) })
		}
		s.pieces = wholeFiles(s.files)
		if len(s.pieces) <= maxLooked && (len(s.texts) > 0 || q.e.local == "" && s.cutsLarge(q.e.largeFile)) {
			if s.pieces, err = q.look(ctx, s, s.pieces); err != nil {
				return nil, err
			}
		}
		out = append(out, s)
	}
	return out, nil
}

// The newest rows that fulfil a condition are searched in the newest files first, or
// in the newest row groups of local ones: in Engine.searchFiles, or as many as hold
// Engine.searchRows rows; then in searchGrowth times as many rows, up to a
// searchShare-th of all bytes.
const (
	searchGrowth = 4
	searchShare  = 4
)

// search makes the view of a table over its newest or oldest rows, of which enough
// fulfil the statement's conditions; over all of them where there are not enough. The
// statement is run for its number of rows to find that out, which costs little where
// DuckDB leaves out all columns but those of the conditions.
func (q *session) search(ctx context.Context, s *scan, sql string) error {
	sorted, _ := ends(s.pieces, s.bound, s.top.Newest, maxRows)
	newest := sorted[:min(len(sorted), q.e.searchFiles)]
	var first int64
	for _, p := range newest {
		first += p.rows
	}
	if q.e.local != "" {
		parted, err := q.look(ctx, s, newest)
		if err != nil {
			return err
		}
		sorted, _ = ends(slices.Concat(parted, sorted[len(newest):]), s.bound, s.top.Newest, maxRows)
	}
	for rows := max(min(q.e.searchRows, first), s.top.Limit+s.top.Skip); ; rows *= searchGrowth {
		pieces, at := ends(sorted, s.bound, s.top.Newest, rows)
		if at == nil || searchShare*bytesOf(pieces) > bytesOf(sorted) {
			break
		}
		if err := q.makeView(ctx, s, pieces, at); err != nil {
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

func bytesOf(pieces []piece) (n int64) {
	for i := range pieces {
		n += pieces[i].bytes
	}
	return n
}

// makeView makes the view of a table over pieces of its files, or only over those of
// their rows that are on the right side of a time.
func (q *session) makeView(ctx context.Context, s *scan, pieces []piece, at *time.Time) error {
	files, cut := filesOf(pieces)
	spans := spansOf(files, cut)
	ended := at != nil
	switch {
	case !ended:
	case q.e.local == "" && spans != nil: // DuckDB must not read what a copy has not
		endAll(spans, files, *at, s.top.Newest)
		ended = false
	default:
		spans = nil // a time for all
	}
	view, err := q.viewOver(ctx, s, files, cut, spans)
	if err != nil {
		return err
	}
	if ended && len(files) > 0 {
		op := "<="
		if s.top.Newest {
			op = ">="
		}
		view += fmt.Sprintf(" WHERE %s %s make_timestamptz(%d)", ident(schema.TS), op, at.UnixMicro())
	}
	if err := q.conn.Exec(ctx, view); err != nil {
		return fmt.Errorf("make the view of table %s: %w", s.name, err)
	}
	q.read[s.name] = reading{s, files, at}
	return nil
}

// listing is what EXPLAIN needs beside a reading: all files of a table, and those
// within the bounds on ts.
type listing struct{ all, within []table.File }

// reading is what the view of a table is over.
type reading struct {
	s     *scan
	files []table.File
	at    *time.Time
}

// viewOver returns the statement that makes the view of a table over files: of the
// store, of copies in the cache, or of a stream through the cache, where they don't fit.
// cut says of some of them within which time all rows are that are needed, and spans,
// where they are given, of each what is read of it.
func (q *session) viewOver(ctx context.Context, s *scan, files []table.File, cut map[string]span, spans []span) (string, error) {
	if spans == nil {
		cut = nil // DuckDB reads all of them
	}
	if q.e.local != "" || len(files) == 0 {
		paths := make([]string, len(files))
		for i, f := range files {
			paths[i] = filepath.Join(q.e.local, filepath.FromSlash(f.Path))
		}
		return viewOf(s.name, s.cols, paths, spans)
	}
	if s.end != nil { // of a view before
		if err := s.end(); err != nil {
			return "", err
		}
	}
	paths, err := q.fetch(ctx, s, files, cut)
	if errors.Is(err, cache.ErrFull) {
		return q.streamView(ctx, s, files, spans)
	}
	if err != nil {
		return "", fmt.Errorf("fetch files of table %s: %w", s.name, err)
	}
	return viewOf(s.name, s.cols, paths, spans)
}

// cutsLarge reports whether the bounds on ts cut a file of which all of the columns
// are too much to be fetched for a part of their rows.
func (s *scan) cutsLarge(large int64) bool {
	return slices.ContainsFunc(s.files, func(f table.File) bool {
		return f.Size >= large && (s.bound.from != nil && f.MinTS.Before(*s.bound.from) || s.bound.to != nil && !f.MaxTS.Before(*s.bound.to))
	})
}

// endAll has spans of files end at the time of ends.
func endAll(spans []span, files []table.File, at time.Time, newest bool) {
	for i := range spans {
		s := &spans[i]
		if s.from == nil {
			*s = span{&files[i].MinTS, &files[i].MaxTS}
		}
		if newest && s.from.Before(at) {
			s.from = &at
		} else if !newest && s.to.After(at) {
			s.to = &at
		}
	}
}

// spansOf returns the spans of files in their order; none where they are not worth it.
func spansOf(files []table.File, cut map[string]span) []span {
	const maxScans = 32
	if len(cut) == 0 || len(files) > maxScans {
		return nil
	}
	out := make([]span, len(files))
	for i, f := range files {
		out[i] = cut[f.Path]
	}
	return out
}
