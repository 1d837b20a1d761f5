package output

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/akupara/akupara/query/internal/duck"
)

// table writes columns of equal width for people. The widths are those of the
// first rows, as a result may be longer than memory.
type table struct {
	w      buffer
	cols   []Column
	widths []int
	held   [][]string // rows before the widths are set
	set    bool
}

const (
	heldRows = 1000 // rows that the widths are taken from
	maxWidth = 120  // characters of a cell; the rest is cut
	onlyOne  = 2000 // the same, for a result of one column
)

func (t *table) Begin(cols []Column) error {
	t.cols = cols
	t.widths = make([]int, len(cols))
	for i, c := range cols {
		t.widths[i] = width(c.Name)
	}
	return nil
}

func (t *table) Row(cells []duck.Cell) error {
	for i, c := range t.cols {
		if c.Kind == Block { // what stands beside it only names it
			t.set = true
			_, err := t.w.WriteString(strings.TrimRight(printable(cells[i].Text, true), "\n") + "\n")
			return err
		}
	}
	row := make([]string, len(cells))
	for i, cell := range cells {
		row[i] = t.text(i, cell)
	}
	if t.set {
		return t.line(row)
	}
	for i, s := range row {
		t.widths[i] = max(t.widths[i], width(s))
	}
	t.held = append(t.held, row)
	if len(t.held) == heldRows {
		return t.flush()
	}
	return nil
}

func (t *table) text(i int, cell duck.Cell) string {
	if cell.Null {
		return "NULL"
	}
	limit := maxWidth
	if len(t.cols) == 1 {
		limit = onlyOne
	}
	return cut(printable(shown(cell, t.cols[i].Kind), false), limit)
}

// printable makes control characters visible, so that a log line can't drive
// the terminal.
func printable(s string, newlines bool) string {
	clean := func(r rune) bool { return unicode.IsPrint(r) || newlines && r == '\n' }
	if strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return strings.Clone(s)
	}
	return strings.Map(func(r rune) rune {
		switch {
		case clean(r):
			return r
		case r == '\n':
			return '⏎'
		case r == '\t':
			return ' '
		}
		return '·'
	}, s)
}

func cut(s string, limit int) string {
	if len(s) <= limit || utf8.RuneCountInString(s) <= limit {
		return s
	}
	n := 0
	for i := range s {
		if n++; n == limit {
			return s[:i] + "…"
		}
	}
	return s
}

func width(s string) int { return utf8.RuneCountInString(s) }

func (t *table) flush() error {
	t.set = true
	names := make([]string, len(t.cols))
	rule := make([]string, len(t.cols))
	for i, c := range t.cols {
		names[i] = printable(c.Name, false)
		rule[i] = strings.Repeat("─", min(t.widths[i], onlyOne))
	}
	for _, row := range append([][]string{names, rule}, t.held...) {
		if err := t.line(row); err != nil {
			return err
		}
	}
	t.held = nil
	return nil
}

// line writes one row; numbers stand to the right.
func (t *table) line(row []string) error {
	for i, s := range row {
		if i > 0 {
			t.w.put("  ")
		}
		pad := max(0, t.widths[i]-width(s))
		if t.cols[i].Kind == Number {
			t.w.put(strings.Repeat(" ", pad))
			pad = 0
		}
		t.w.put(s)
		if i < len(row)-1 {
			t.w.put(strings.Repeat(" ", pad))
		}
	}
	return t.w.WriteByte('\n')
}

func (t *table) End() error {
	if !t.set {
		if err := t.flush(); err != nil {
			return err
		}
	}
	return t.w.Flush()
}
