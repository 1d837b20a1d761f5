// Package show writes what an agent says for people: tables that fit their
// terminal, sizes and times with units.
package show

import (
	"io"
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Column is a column of a Table.
type Column struct {
	Name  string
	Right bool // its values end in line
	// Flex tells which columns give way when a table is too wide: those with
	// the highest number first, those with 0 never. Their values are cut, down
	// to the width of minFlex.
	Flex int
	// Drop tells which columns are left out of a table that is still too wide:
	// those with the highest number first, those with 0 never.
	Drop int
}

// Table is rows of texts; what is missing of a row is empty.
type Table struct {
	Columns []Column
	Rows    [][]string
}

const (
	gap     = 2  // blanks between columns
	minFlex = 14 // cells that a column that gives way keeps
	most    = 4096
)

// Write writes the table, each row on a line of at most so many cells; 0 means
// that there is no limit.
func (t Table) Write(w io.Writer, cells int) error {
	keep := make([]int, len(t.Columns)) // indexes of the columns that are shown
	for i := range keep {
		keep[i] = i
	}
	widths := t.widths()
	for cells > 0 {
		over := t.fit(keep, widths, cells)
		drop := -1
		for at, i := range keep {
			if t.Columns[i].Drop > 0 && (drop < 0 || t.Columns[i].Drop > t.Columns[keep[drop]].Drop) {
				drop = at
			}
		}
		if over <= 0 || drop < 0 {
			break
		}
		keep = append(keep[:drop:drop], keep[drop+1:]...)
		widths = t.widths()
	}
	var b strings.Builder
	line := func(text func(i int) string) {
		var row strings.Builder
		for at, i := range keep {
			if at > 0 {
				row.WriteString(strings.Repeat(" ", gap))
			}
			v := Cut(text(i), widths[i])
			pad := strings.Repeat(" ", widths[i]-Cells(v))
			if t.Columns[i].Right {
				v = pad + v
			} else {
				v += pad
			}
			row.WriteString(v)
		}
		full := strings.TrimRight(row.String(), " ")
		if cells > 0 {
			full = Cut(full, cells)
		}
		b.WriteString(full + "\n")
	}
	line(func(i int) string { return t.Columns[i].Name })
	line(func(i int) string { return strings.Repeat("─", widths[i]) })
	for _, r := range t.Rows {
		line(func(i int) string { return cell(r, i) })
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func cell(row []string, i int) string {
	if i >= len(row) {
		return ""
	}
	return Clean(row[i])
}

// widths are those that each column would like to have.
func (t Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, c := range t.Columns {
		widths[i] = Cells(c.Name)
		for _, r := range t.Rows {
			widths[i] = max(widths[i], Cells(cell(r, i)))
		}
	}
	return widths
}

// fit narrows the columns that give way, of those that do so together the
// widest first, and gives how many cells are still too many.
func (t Table) fit(keep, widths []int, cells int) int {
	over := gap*(len(keep)-1) - cells
	for _, i := range keep {
		over += widths[i]
	}
	for over > 0 {
		next := -1
		for _, i := range keep {
			if flex := t.Columns[i].Flex; flex > 0 && widths[i] > max(minFlex, Cells(t.Columns[i].Name)) &&
				(next < 0 || flex > t.Columns[next].Flex || flex == t.Columns[next].Flex && widths[i] > widths[next]) {
				next = i
			}
		}
		if next < 0 {
			break
		}
		widths[next]--
		over--
	}
	return over
}

// Clean makes one line of a text from outside, without what would steer a
// terminal. It is at most some thousand bytes long.
func Clean(s string) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// Cells is how much room a text takes on a terminal.
func Cells(s string) int {
	n := 0
	for _, r := range s {
		n += runeCells(r)
	}
	return n
}

func runeCells(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.Is(unicode.Mn, r):
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut shortens a text to so many cells; what was cut ends in an ellipsis.
func Cut(s string, cells int) string {
	if Cells(s) <= cells {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeCells(r); n > cells-1 {
			if cells < 1 {
				return ""
			}
			return s[:i] + "…"
		}
	}
	return s
}
