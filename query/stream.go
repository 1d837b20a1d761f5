package query

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/duckdb/duckdb-go/v2/mapping"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/cache"
	"github.com/akupara/akupara/query/internal/duck"
)

var streamTypes = map[schema.Type]mapping.Type{
	schema.Timestamp: mapping.TypeTimestampTZ,
	schema.String:    mapping.TypeVarchar,
	schema.Long:      mapping.TypeBigInt,
	schema.Double:    mapping.TypeDouble,
	schema.Boolean:   mapping.TypeBoolean,
	schema.Date:      mapping.TypeDate,
	schema.Map:       mapping.TypeMap,
}

// streamView returns the statement that makes the view of a table over files that
// don't fit into the cache together. They go through it one after the other, of each
// the columns that DuckDB asks for; spans, where they are given, say what is read of
// each.
func (q *session) streamView(ctx context.Context, s *scan, files []table.File, spans []span) (string, error) {
	within := map[string]span{}
	for i, sp := range spans {
		within[files[i].Path] = sp
	}
	stream := duck.Stream{Threads: q.e.opts.Threads, Open: func(columns []int) (duck.Parts, error) {
		p := &parts{ctx: ctx, q: q, s: s, files: files, within: within}
		wanted := map[int]bool{}
		for _, i := range columns {
			p.cols = append(p.cols, s.cols[i])
			wanted[s.cols[i].ID] = true
		}
		p.stored, p.part = needed(s.all, func(c *schema.Column) bool { return wanted[c.ID] })
		return p, nil
	}}
	var names []string
	for _, c := range s.cols {
		typ, ok := streamTypes[c.Type]
		if !ok {
			return "", fmt.Errorf("column %s of table %s has the unknown type %v", c.Name, s.name, c.Type)
		}
		stream.Columns = append(stream.Columns, duck.StreamColumn{Name: c.Name, Type: typ})
		names = append(names, ident(c.Name))
	}
	for _, f := range files {
		stream.Rows += f.Records
	}
	id, remove := q.e.db.AddStream(ctx, stream)
	q.ends = append(q.ends, remove)
	return fmt.Sprintf("CREATE OR REPLACE TEMP VIEW %s AS SELECT %s FROM %s(%d)", ident(s.name), strings.Join(names, ", "), duck.StreamFunction, id), nil
}

// parts are the files of a stream.
type parts struct {
	ctx    context.Context // of the statement
	q      *session
	s      *scan
	cols   []schema.Column // that DuckDB asks for, in its order
	stored []schema.Column // that the copies have
	part   string
	within map[string]span // what is read of a file, by its path, both ends included

	mu    sync.Mutex
	files []table.File // that were not given out yet
	held  int          // threads that have a copy, or are about to
}

// Next implements duck.Parts. Where there is no room for one more copy, a thread
// leaves its file to those that have one, and ends: it can't wait for them, as one
// whose rows are not wanted any more keeps its copy until all threads have ended.
func (p *parts) Next() (sql string, done func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.files) == 0 {
		return "", nil, nil
	}
	f := p.files[0]
	p.files = p.files[1:]
	p.held++
	for {
		alone := p.held == 1
		p.mu.Unlock()
		sql, done, err := p.copy(f)
		p.mu.Lock()
		switch {
		case err == nil:
			return sql, done, nil
		case errors.Is(err, cache.ErrFull) && p.held > 1:
			p.held--
			p.files = append(p.files, f)
			return "", nil, nil
		case errors.Is(err, cache.ErrFull) && !alone:
			continue // those that had the room have ended meanwhile
		}
		p.held--
		if errors.Is(err, cache.ErrFull) {
			return "", nil, refuse("read table %s: %v (web.cache says how much)", p.s.name, err)
		}
		return "", nil, fmt.Errorf("fetch a file of table %s: %w", p.s.name, err)
	}
}

// copy takes what is needed of a file into the cache until done is called, and
// returns the statement that reads it.
func (p *parts) copy(f table.File) (sql string, done func(), err error) {
	use, err := p.q.e.cache.Use()
	if err != nil {
		return "", nil, err
	}
	paths, fetched, err := use.Get(p.ctx, cacheFiles([]table.File{f}, p.stored, p.part, nil))
	if err == nil {
		p.q.streamed.Add(int64(fetched))
		sql, err = p.sql(paths[0], p.within[f.Path])
	}
	if err != nil {
		return "", nil, errors.Join(err, use.Close())
	}
	return sql, func() {
		_ = use.Close() // what it leaves is removed when the cache needs room
		p.mu.Lock()
		p.held--
		p.mu.Unlock()
	}, nil
}

// sql is the statement over one copy.
func (p *parts) sql(path string, within span) (string, error) {
	scan, err := scanOf(p.s.name, p.stored, []string{path})
	if err != nil {
		return "", err
	}
	exprs := []string{"1"}
	var conds []string
	for i, c := range p.cols {
		if i == 0 {
			exprs = nil
		}
		exprs = append(exprs, ident(c.Name))
	}
	ts := ident(schema.TS)
	if b := p.s.bound; b.from != nil {
		conds = append(conds, fmt.Sprintf("%s >= make_timestamptz(%d)", ts, b.from.UnixMicro()))
	}
	if b := p.s.bound; b.to != nil {
		conds = append(conds, fmt.Sprintf("%s < make_timestamptz(%d)", ts, b.to.UnixMicro()))
	}
	if within.from != nil {
		conds = append(conds, fmt.Sprintf("%s >= make_timestamptz(%d)", ts, within.from.UnixMicro()))
	}
	if within.to != nil {
		conds = append(conds, fmt.Sprintf("%s <= make_timestamptz(%d)", ts, within.to.UnixMicro()))
	}
	sql := "SELECT " + strings.Join(exprs, ", ") + " FROM " + scan
	if len(conds) > 0 {
		sql += " WHERE " + strings.Join(conds, " AND ")
	}
	return sql, nil
}
