package query

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/akupara/akupara/query/internal/duck"
	"github.com/akupara/akupara/query/internal/output"
)

// rowSink writes rows as they come.
type rowSink struct {
	out   output.Writer
	begun bool
}

func (s *rowSink) touched() bool { return s.begun }

func (s *rowSink) write(ctx context.Context, q *session, prefix, sql string) (int64, error) {
	cols, err := q.check(sql)
	if err != nil {
		return 0, err
	}
	if prefix != "" {
		more, err := q.explained(ctx)
		if err != nil {
			return 0, err
		}
		explained := fmt.Sprintf("%s %s", prefix, sql)
		return s.copy(ctx, q, explained, []Column{{Name: "explain_key"}, {Name: "explain_value", Kind: output.Block}}, more)
	}
	wrapped, shown := output.Select(sql, cols)
	n, err := s.copy(ctx, q, wrapped, shown, nil)
	return n, unwrapped(err)
}

// copy writes the rows of a statement, and more rows behind them.
func (s *rowSink) copy(ctx context.Context, q *session, sql string, cols []Column, more [][]duck.Cell) (n int64, err error) {
	rows, err := q.conn.Query(ctx, sql)
	if err != nil {
		return 0, err
	}
	defer func() {
		if cerr := rows.Close(); err == nil {
			err = cerr
		}
	}()
	for rows.Next() {
		if n == 0 {
			if err := s.begin(cols); err != nil {
				return n, err
			}
		}
		if n++; q.e.opts.MaxRows > 0 && n > q.e.opts.MaxRows {
			return n, refuse("the result has more than %d rows: bound it by LIMIT", q.e.opts.MaxRows)
		}
		if err := s.out.Row(rows.Row()); err != nil {
			return n, fmt.Errorf("write result: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return n, err
	}
	if n == 0 {
		if err := s.begin(cols); err != nil {
			return n, err
		}
	}
	for _, row := range more {
		if err := s.out.Row(row); err != nil {
			return n, fmt.Errorf("write result: %w", err)
		}
		n++
	}
	if err := s.out.End(); err != nil {
		return n, fmt.Errorf("write result: %w", err)
	}
	return n, nil
}

func (s *rowSink) begin(cols []Column) error {
	s.begun = true
	if err := s.out.Begin(cols); err != nil {
		return fmt.Errorf("write result: %w", err)
	}
	return nil
}

// parquetSink lets DuckDB write a file of its own in the cache, and copies it.
type parquetSink struct {
	w     io.Writer
	begun bool
}

func (s *parquetSink) touched() bool { return s.begun }

func (s *parquetSink) write(ctx context.Context, q *session, prefix, sql string) (int64, error) {
	if prefix != "" {
		return 0, refuse("EXPLAIN can't be written as parquet")
	}
	if _, err := q.check(sql); err != nil {
		return 0, err
	}
	if err := q.needUse(); err != nil {
		return 0, err
	}
	path := filepath.Join(q.use.Dir, "result.parquet")
	limit := ""
	if n := q.e.opts.MaxRows; n > 0 {
		limit = fmt.Sprintf(" LIMIT %d", n+1)
	}
	err := q.conn.Exec(ctx, fmt.Sprintf("COPY (SELECT * FROM (\n%s\n) q%s) TO %s (FORMAT parquet, COMPRESSION zstd)", sql, limit, quote(path)))
	if err != nil {
		return 0, unwrapped(err)
	}
	n, _, err := q.conn.Int(ctx, "SELECT CAST(sum(num_rows) AS VARCHAR) FROM parquet_file_metadata("+quote(escapeGlob(path))+")")
	if err != nil {
		return 0, err
	}
	if q.e.opts.MaxRows > 0 && n > q.e.opts.MaxRows {
		return n, refuse("the result has more than %d rows: bound it by LIMIT", q.e.opts.MaxRows)
	}
	f, err := os.Open(path)
	if err != nil {
		return n, fmt.Errorf("read result: %w", err)
	}
	defer f.Close()
	s.begun = true
	if _, err := io.Copy(s.w, f); err != nil {
		return n, fmt.Errorf("write result: %w", err)
	}
	return n, nil
}
