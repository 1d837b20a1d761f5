package audit

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query"
)

// maxAsked bounds the streams that one question about rows names.
const maxAsked = 1000

// overlaps finds what a table has twice, and where its data files say other than
// its coverage. Data files say what their rows cover, so that nothing of a file is
// read but its footer, and that once; rows are only looked at where files don't
// say, or say that they have the same.
func (a *auditor) overlaps(ctx context.Context, dataType string, t *table.Table, files []table.File) error {
	h := newHeld(a.memoryDir())
	if !a.opts.Deep {
		h = a.recall(dataType, files)
	}
	defer h.close()
	damaged := len(a.Damaged)
	whole := true
	var fresh []table.File
	for _, f := range files {
		switch {
		case a.isDamaged(f.Path):
			whole = false
		case !h.knows(f):
			fresh = append(fresh, f)
		}
	}
	var plain bool
	var err error
	if a.opts.Deep {
		plain, err = a.deepTable(ctx, dataType, fresh, h)
	} else {
		plain, err = a.footers(ctx, dataType, fresh, h, a.readFooter)
	}
	if err != nil {
		return err
	}
	whole = whole && damaged == len(a.Damaged)
	before := a.OverlapsTotal
	if err := h.join(); err != nil {
		return err
	}
	if plain {
		if err := a.plain(ctx, dataType, h); err != nil {
			return err
		}
	}
	if err := a.across(ctx, dataType, h); err != nil {
		return err
	}
	if err := a.twice(ctx, dataType, h); err != nil {
		return err
	}
	if whole {
		if err := a.compare(ctx, dataType, h, t); err != nil {
			return err
		}
	}
	if whole && a.OverlapsTotal == before {
		a.remember(dataType, h)
	}
	return nil
}

// plain looks for rows that are twice in the files that don't say what theirs
// cover, and finds from where to where their streams go.
func (a *auditor) plain(ctx context.Context, dataType string, h *held) error {
	among := func(p string) bool { _, is := h.plain[p]; return is }
	if _, err := a.group(ctx, dataType, "", among); err != nil {
		return err
	}
	h.hulls = coverage.Set{}
	sql := fmt.Sprintf(`SELECT stream, min(seq), max(seq), min(host), min(source) FROM "%s" GROUP BY stream`, dataType)
	_, err := a.engine.EachIn(ctx, among, sql, func(_ []query.Column, row []query.Cell) error {
		first, err := number(row[1])
		if err != nil {
			return err
		}
		last, err := number(row[2])
		if err != nil {
			return err
		}
		st := h.hulls.Stream(strings.Clone(row[0].Text), strings.Clone(row[3].Text), strings.Clone(row[4].Text))
		st.Ranges = st.Ranges.Add(chunk.Range{First: first, Last: last + 1})
		return nil
	})
	if err != nil {
		return fmt.Errorf("look at the streams in old data files of table %s: %w", dataType, err)
	}
	return nil
}

// across looks for rows of the files that don't say what theirs cover in what the
// others cover.
func (a *auditor) across(ctx context.Context, dataType string, h *held) error {
	if len(h.hulls) == 0 {
		return nil
	}
	near := map[string]chunk.Ranges{}
	err := h.each(func(id string, st *coverage.Stream) {
		if hull := h.hulls[id]; hull != nil && len(hull.Ranges) > 0 {
			if both := st.Ranges.Covered(hull.Ranges[0]); len(both) > 0 {
				near[id] = both
			}
		}
	})
	if err != nil || len(near) == 0 {
		return err
	}
	among := func(p string) bool { _, is := h.plain[p]; return is }
	sql := fmt.Sprintf(`SELECT stream, seq FROM "%s" WHERE stream IN (%s)`, dataType, quoted(streamsOf(near, maxAsked)))
	_, err = a.engine.EachIn(ctx, among, sql, func(_ []query.Column, row []query.Cell) error {
		seq, err := number(row[1])
		if r := (chunk.Range{First: seq, Last: seq + 1}); err == nil && near[row[0].Text].Overlaps(r) {
			h.doubled(strings.Clone(row[0].Text), chunk.Ranges{r})
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look at the rows in old data files of table %s: %w", dataType, err)
	}
	return nil
}

// twice looks at the rows of streams of which two files say that they have the
// same. Where no row is there twice, the ranges are told.
func (a *auditor) twice(ctx context.Context, dataType string, h *held) error {
	if len(h.twice) == 0 {
		return nil
	}
	ids := streamsOf(h.twice, maxAsked)
	found, err := a.group(ctx, dataType, "WHERE stream IN ("+quoted(ids)+")", a.readable)
	if err != nil {
		return err
	}
	return h.each(func(id string, st *coverage.Stream) {
		list, is := h.twice[id]
		if !is || found[id] {
			return
		}
		more := ranges(dataType, id, st, list)
		a.OverlapsTotal += int64(len(more))
		a.Overlaps = append(a.Overlaps, more[:min(len(more), max(MaxOverlaps-len(a.Overlaps), 0))]...)
	})
}

// group finds the rows of a table that are twice in these files, and returns their
// streams. (stream, seq) is unique in a table that is right. The engine bounds the
// memory this takes, and spills to its cache directory.
func (a *auditor) group(ctx context.Context, dataType, where string, among func(path string) bool) (streams map[string]bool, err error) {
	twice := fmt.Sprintf(`SELECT stream, seq, min(host) AS host, min(source) AS source FROM "%s" %s GROUP BY stream, seq HAVING count(*) > 1`, dataType, where)
	var found []Range
	streams = map[string]bool{}
	room := max(MaxOverlaps-len(a.Overlaps), 0)
	_, err = a.engine.EachIn(ctx, among, twice+fmt.Sprintf(" LIMIT %d", room+1), func(_ []query.Column, row []query.Cell) error {
		seq, err := number(row[1])
		if err != nil {
			return fmt.Errorf("read seq: %w", err)
		}
		found = append(found, Range{
			Type: dataType, Stream: strings.Clone(row[0].Text), First: seq, Last: seq + 1,
			Host: strings.Clone(row[2].Text), Source: strings.Clone(row[3].Text),
		})
		streams[found[len(found)-1].Stream] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for rows written twice in table %s: %w", dataType, err)
	}
	if len(found) == 0 {
		return streams, nil
	}
	total := int64(len(found))
	if len(found) > room {
		found = found[:room]
		sql := "SELECT stream, count(*) FROM (" + twice + ") t GROUP BY stream"
		total = 0
		_, err := a.engine.EachIn(ctx, among, sql, func(_ []query.Column, row []query.Cell) error {
			n, err := number(row[1])
			total += n
			streams[strings.Clone(row[0].Text)] = true
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("count the rows written twice in table %s: %w", dataType, err)
		}
	}
	a.OverlapsTotal += total
	if err := a.ends(ctx, dataType, found); err != nil {
		return nil, fmt.Errorf("look at the rows written twice in table %s: %w", dataType, err)
	}
	a.Overlaps = append(a.Overlaps, found...)
	return streams, nil
}

// readable reports whether a file is not known to be damaged.
func (a *auditor) readable(p string) bool { return !a.isDamaged(p) }

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
		fmt.Fprintf(&values, "(%d, %s, %d)", i, quoted([]string{r.Stream}), r.First)
	}
	sql := fmt.Sprintf(`SELECT v.i, min(t.seq) FROM "%s" t JOIN (VALUES %s) v(i, stream, seq) ON t.stream = v.stream AND t.seq > v.seq GROUP BY v.i`, dataType, &values)
	_, err := a.engine.EachIn(ctx, a.readable, sql, func(_ []query.Column, row []query.Cell) error {
		i, err := strconv.Atoi(row[0].Text)
		if err != nil {
			return err
		}
		rows[i].Last, err = number(row[1])
		return err
	})
	return err
}

func number(c query.Cell) (int64, error) { return strconv.ParseInt(c.Text, 10, 64) }

// quoted lists strings as SQL has them.
func quoted(list []string) string {
	var b strings.Builder
	for i, s := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("'" + strings.ReplaceAll(s, "'", "''") + "'")
	}
	return b.String()
}
