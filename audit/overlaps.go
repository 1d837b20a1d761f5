package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/akupara/akupara/query"
)

// overlaps finds the rows of a table that are there twice. (stream, seq) is
// unique in a table that is right. The engine bounds the memory this takes,
// and spills to its cache directory.
func (a *auditor) overlaps(ctx context.Context, dataType string) error {
	twice := fmt.Sprintf(`SELECT stream, seq, min(host) AS host, min(source) AS source FROM "%s" GROUP BY stream, seq HAVING count(*) > 1`, dataType)
	var found []Range
	room := MaxOverlaps - len(a.Overlaps)
	_, err := a.engine.Each(ctx, twice+fmt.Sprintf(" LIMIT %d", room+1), func(_ []query.Column, row []query.Cell) error {
		seq, err := strconv.ParseInt(row[1].Text, 10, 64)
		if err != nil {
			return fmt.Errorf("read seq: %w", err)
		}
		found = append(found, Range{
			Type: dataType, Stream: strings.Clone(row[0].Text), First: seq, Last: seq + 1,
			Host: strings.Clone(row[2].Text), Source: strings.Clone(row[3].Text),
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for rows written twice in table %s: %w", dataType, err)
	}
	if len(found) == 0 {
		return nil
	}
	total := int64(len(found))
	if len(found) > room {
		found = found[:room]
		if total, err = a.number(ctx, "SELECT count(*) FROM ("+twice+") t"); err != nil {
			return fmt.Errorf("count the rows written twice in table %s: %w", dataType, err)
		}
	}
	a.OverlapsTotal += total
	if err := a.ends(ctx, dataType, found); err != nil {
		return fmt.Errorf("look at the rows written twice in table %s: %w", dataType, err)
	}
	a.Overlaps = append(a.Overlaps, found...)
	return nil
}

// ends sets where each of the rows ends: where the next one begins.
func (a *auditor) ends(ctx context.Context, dataType string, rows []Range) error {
	if len(rows) == 0 {
		return nil
	}
	var values strings.Builder
	for i, r := range rows {
		if i > 0 {
			values.WriteByte(',')
		}
		fmt.Fprintf(&values, "(%d, '%s', %d)", i, strings.ReplaceAll(r.Stream, "'", "''"), r.First)
	}
	sql := fmt.Sprintf(`SELECT v.i, min(t.seq) FROM "%s" t JOIN (VALUES %s) v(i, stream, seq) ON t.stream = v.stream AND t.seq > v.seq GROUP BY v.i`, dataType, &values)
	_, err := a.engine.Each(ctx, sql, func(_ []query.Column, row []query.Cell) error {
		i, err := strconv.Atoi(row[0].Text)
		if err != nil {
			return err
		}
		rows[i].Last, err = strconv.ParseInt(row[1].Text, 10, 64)
		return err
	})
	return err
}

func (a *auditor) number(ctx context.Context, sql string) (n int64, err error) {
	_, err = a.engine.Each(ctx, sql, func(_ []query.Column, row []query.Cell) error {
		n, err = strconv.ParseInt(row[0].Text, 10, 64)
		return err
	})
	return n, err
}
