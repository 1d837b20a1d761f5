package query

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/query/internal/duck"
)

// explained returns what EXPLAIN says beside DuckDB's plan: of each table which
// files and row groups the statement reads, and why not the others.
func (q *session) explained(ctx context.Context) ([][]duck.Cell, error) {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(q.listed)) {
		l, r := q.listed[name], q.read[name]
		line := fmt.Sprintf("%s: %s of %s", name, amount(r.files), amount(l.all))
		if out := without(l.all, l.within); len(out) > 0 {
			line += fmt.Sprintf("; %s outside of the bounds on ts", amount(out))
		}
		left := without(l.within, r.files)
		var texts []table.File
		if len(r.s.texts) > 0 {
			kept, _ := filesOf(r.s.pieces)
			if texts = without(left, kept); len(texts) > 0 {
				line += fmt.Sprintf("; %s without a text that is looked for", amount(texts))
			}
		}
		if rest := without(left, texts); len(rest) > 0 {
			line += fmt.Sprintf("; %s without a row that ORDER BY ts LIMIT takes", amount(rest))
		}
		lines = append(lines, line)
		groups, err := q.explainGroups(ctx, r)
		if err != nil {
			return nil, err
		}
		if groups != "" {
			lines = append(lines, groups)
		}
	}
	if q.tally != "" {
		lines = append(lines, q.tally)
	}
	if len(lines) == 0 {
		return nil, nil
	}
	return [][]duck.Cell{{{Text: "files"}, {Text: strings.Join(lines, "\n")}}}, nil
}

// explainGroups says which row groups of a table's files are read, as far as is known
// before DuckDB reads them; of another store's files, where they were looked into.
func (q *session) explainGroups(ctx context.Context, r reading) (string, error) {
	if q.e.local != "" && len(r.files) <= maxLooked {
		if _, err := q.look(ctx, r.s, wholeFiles(r.files)); err != nil {
			return "", err
		}
	}
	var all, read, outside, bounded, bloomed, behind int
	for _, list := range r.s.groups {
		all += len(list)
		for _, g := range list {
			lo, hi := time.UnixMicro(g.MinTS), time.UnixMicro(g.MaxTS)
			switch {
			case !r.s.bound.meets(lo, hi):
				outside++
			case g.Bounded:
				bounded++
			case g.Bloomed:
				bloomed++
			case r.at != nil && (r.s.top.Newest && hi.Before(*r.at) || !r.s.top.Newest && lo.After(*r.at)):
				behind++
			default:
				read++
			}
		}
	}
	if all == 0 {
		return "", nil
	}
	line := fmt.Sprintf("%s: %d of %d row groups", r.s.name, read, all)
	for _, why := range []struct {
		n    int
		what string
	}{
		{outside, "outside of the bounds on ts"}, {bounded, "without a text that is looked for, by the bounds of a column"},
		{bloomed, "without one by a bloom filter"}, {behind, "without a row that ORDER BY ts LIMIT takes"},
	} {
		if why.n > 0 {
			line += fmt.Sprintf("; %d %s", why.n, why.what)
		}
	}
	return line, nil
}

// without returns the files of list that are not in others.
func without(list, others []table.File) (out []table.File) {
	in := map[string]bool{}
	for _, f := range others {
		in[f.Path] = true
	}
	for _, f := range list {
		if !in[f.Path] {
			out = append(out, f)
		}
	}
	return out
}

func amount(files []table.File) string {
	unit, bytes := "files", int64(0)
	if len(files) == 1 {
		unit = "file"
	}
	for _, f := range files {
		bytes += f.Size
	}
	return fmt.Sprintf("%d %s (%.1f MB)", len(files), unit, float64(bytes)/1e6)
}
