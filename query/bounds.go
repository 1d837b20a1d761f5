package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/query/internal/stmt"
)

// span is the part of time that a statement needs of a table: from <= ts < to;
// nil is no bound.
type span struct{ from, to *time.Time }

// wider is what either of two spans needs.
func (a span) wider(b span) span {
	if a.from == nil || b.from == nil {
		a.from = nil
	} else if b.from.Before(*a.from) {
		a.from = b.from
	}
	if a.to == nil || b.to == nil {
		a.to = nil
	} else if b.to.After(*a.to) {
		a.to = b.to
	}
	return a
}

// meets reports whether rows with ts from lo to hi, both inclusive, may be in the span.
func (a span) meets(lo, hi time.Time) bool {
	return (a.from == nil || !hi.Before(*a.from)) && (a.to == nil || lo.Before(*a.to))
}

func (a span) empty() bool { return a.from != nil && a.to != nil && !a.from.Before(*a.to) }

// spans evaluates what the statement says of each table's ts. columns are
// those of all its tables, in lower case. unknown are the tables of which a bound
// is not in the span. Where anything can't be evaluated there are no bounds at all,
// and a new transaction: an error has ended the first one, and now() must be the
// same for the bounds and the statement.
func (q *session) spans(ctx context.Context, st *stmt.Statement, columns map[string]bool) (out map[string]span, unknown map[string]bool, err error) {
	out, unknown = map[string]span{}, map[string]bool{}
	for name, t := range st.Tables {
		for i, use := range t.Bounds() {
			s, whole, err := q.useSpan(ctx, use, columns)
			if err != nil {
				if ctx.Err() != nil {
					return nil, nil, err
				}
				for name := range st.Tables {
					unknown[name] = true
				}
				return nil, unknown, q.begin(ctx, "ROLLBACK", "BEGIN TRANSACTION")
			}
			if !whole {
				unknown[name] = true
			}
			if i > 0 {
				s = s.wider(out[name])
			}
			out[name] = s
		}
	}
	return out, unknown, nil
}

func (q *session) begin(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if err := q.conn.Exec(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// useSpan is what the comparisons of one use leave, and whether it is what all
// of them leave.
func (q *session) useSpan(ctx context.Context, use []stmt.Bound, columns map[string]bool) (s span, whole bool, err error) {
	whole = true
	for _, b := range use {
		if slices.ContainsFunc(b.Names, func(n string) bool { return columns[n] }) {
			whole = false
			continue
		}
		at, ok, err := q.evaluate(ctx, b.Value)
		if err != nil {
			return span{}, false, err
		}
		if !ok {
			whole = false
			continue
		}
		lo, hi := at, at
		switch b.Op {
		case ">":
			lo = at.Add(time.Microsecond)
		case "<=", "=":
			hi = at.Add(time.Microsecond)
		}
		if b.Op[0] != '<' && (s.from == nil || lo.After(*s.from)) {
			s.from = &lo
		}
		if b.Op[0] != '>' && (s.to == nil || hi.Before(*s.to)) {
			s.to = &hi
		}
	}
	return s, whole, nil
}

// evaluate asks DuckDB for the time that an expression stands for; not ok
// means that it stands for none, or for one of the infinities.
func (q *session) evaluate(ctx context.Context, e stmt.Expr) (at time.Time, ok bool, err error) {
	if text, ok := e.Text(); ok {
		// What most people write means the same to everybody; sessions are in UTC.
		for _, layout := range []string{time.DateTime, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil && len(text) == len(layout) && at.Year() > 0 {
				return at, true, nil
			}
		}
	}
	tree, err := e.Select()
	if err != nil {
		return time.Time{}, false, err
	}
	sql, err := q.conn.Text(ctx, "SELECT json_deserialize_sql("+quote(tree)+")")
	if err != nil {
		return time.Time{}, false, err
	}
	expr, found := strings.CutPrefix(strings.TrimSuffix(strings.TrimSpace(sql.Text), ";"), "SELECT ")
	if !found {
		return time.Time{}, false, fmt.Errorf("DuckDB gives %q for an expression", sql.Text)
	}
	us, null, err := q.conn.Int(ctx, "SELECT CAST(CASE WHEN isfinite(t) THEN epoch_us(t) END AS VARCHAR) FROM (SELECT TRY(CAST(("+expr+") AS TIMESTAMPTZ)) AS t) q")
	if err != nil || null {
		return time.Time{}, false, err
	}
	return time.UnixMicro(us).UTC(), true, nil
}
