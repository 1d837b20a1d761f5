package trial

import (
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/akupara/akupara/cmd/akupara/internal/show"
)

// mostFailures bounds those that are shown.
const mostFailures = 20

// Failures are the records that could not be parsed, the first of them.
type Failures struct {
	// Kept says that texts are shown as rows keep them alone: steps may have taken out
	// what nobody is to see.
	Kept bool

	list []failure
	n    int64
}

type failure struct {
	line      int64
	why, text string
}

// Add takes a row, if it is one that could not be parsed.
func (f *Failures) Add(r Row) {
	why := r.ParseError()
	if !why.Given() {
		return
	}
	if f.n++; f.n > mostFailures {
		return
	}
	text := r.Message().Bytes
	if !f.Kept && (stopped(string(why.Bytes)) < 0 || len(text) == 0) { // no place in it: the line as it is says more than a part of it
		text = r.Text
	}
	f.list = append(f.list, failure{r.Line, string(why.Bytes), string(text)})
}

// Write lists them: the line of each in its file, why, and its text with a mark where
// the parser stopped. Lines have at most so many cells; 0 means 120.
func (f *Failures) Write(w io.Writer, cells int) {
	if cells == 0 {
		cells = 120
	}
	for _, x := range f.list {
		fmt.Fprintf(w, "line %d: %s\n", x.line, show.Clean(x.why))
		if strings.TrimSpace(x.text) == "" {
			continue
		}
		for _, l := range marked(x.text, stopped(x.why), cells-4) {
			fmt.Fprintf(w, "    %s\n", l)
		}
	}
	if more := f.n - int64(len(f.list)); more > 0 {
		fmt.Fprintf(w, "and %d more\n", more)
	}
}

var atByte = regexp.MustCompile(`\bat byte (\d+)`)

// stopped returns the byte at which a parser stopped; -1 where it does not say so.
func stopped(why string) int {
	m := atByte.FindStringSubmatch(why)
	if m == nil {
		return -1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		return -1
	}
	return n
}

// marked returns the line of a text that has the byte at, and a line with a mark
// below that byte; without a byte, the first line.
func marked(text string, at, cells int) []string {
	if at > len(text) {
		at = -1
	}
	from := strings.LastIndexByte(text[:max(at, 0)], '\n') + 1
	line := text[from:]
	if i := strings.IndexByte(line, '\n'); i >= 0 {
		line = line[:i]
	}
	if at < 0 {
		return []string{show.Cut(show.Clean(line), cells)}
	}
	before, after := show.Clean(line[:min(at-from, len(line))]), show.Clean(line[min(at-from, len(line)):])
	if most := cells * 2 / 3; show.Cells(before) > most {
		runes := []rune(before)
		for show.Cells(string(runes)) >= most {
			runes = runes[1:]
		}
		before = "…" + string(runes)
	}
	return []string{show.Cut(before+after, cells), strings.Repeat(" ", show.Cells(before)) + "^"}
}
