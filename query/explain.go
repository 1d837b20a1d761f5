package query

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/akupara/akupara/query/internal/duck"
)

// explained returns what EXPLAIN says beside DuckDB's plan: of each table which
// files the statement reads, and why not the others.
func (q *session) explained() [][]duck.Cell {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(q.listed)) {
		all, within, read := q.listed[name][0], q.listed[name][1], q.read[name]
		line := fmt.Sprintf("%s: %s of %s", name, amount(len(read), bytesOf(read)), amount(len(all), bytesOf(all)))
		if n := len(all) - len(within); n > 0 {
			line += fmt.Sprintf("; %s outside of the bounds on ts", amount(n, bytesOf(all)-bytesOf(within)))
		}
		if n := len(within) - len(read); n > 0 {
			line += fmt.Sprintf("; %s without a row that ORDER BY ts LIMIT takes", amount(n, bytesOf(within)-bytesOf(read)))
		}
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		return nil
	}
	return [][]duck.Cell{{{Text: "files"}, {Text: strings.Join(lines, "\n")}}}
}

func amount(files int, bytes int64) string {
	unit := "files"
	if files == 1 {
		unit = "file"
	}
	return fmt.Sprintf("%d %s (%.1f MB)", files, unit, float64(bytes)/1e6)
}
