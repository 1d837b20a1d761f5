package parse

import (
	"bytes"
	"context"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse/internal/colours"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// tryOthers finds out what a candidate makes of what is not of its format.
func (g *Guesser) tryOthers(c *candidate) {
	others := prose
	if c.clue.kin == kinOne {
		others = slices.Concat(prose, shared)
	}
	anyway := map[string]bool{}
	for _, line := range others {
		guess := g.try(c, []byte(line+"\n"))
		for _, name := range guess.Columns {
			anyway[name] = true
		}
		c.json = c.json || guess.Parsed > 0 && line[0] == '{'
	}
	c.anyway = anyway
}

// try parses a text.
func (g *Guesser) try(c *candidate, text []byte) Guess {
	guess := Guess{Parser: c.name, kin: c.clue.kin, headed: len(c.clue.heading)}
	now := time.Now().UTC().Truncate(time.Microsecond)
	body := &chunk.Chunk{Type: "guess", Host: "h", Source: "s", Stream: "s", Last: int64(len(text)), Body: text, Time: now}
	g.b.Reset()
	if err := c.r.Parse(context.Background(), body, nil, g.b); err != nil {
		return guess
	}
	records, columns := c.r.Records(body), map[string]bool{}
	marks := make([]mark, len(records))
	at, values := 0, 0
	for l := g.b.Look(); l.Next(); {
		for at+1 < len(records) && records[at].Last <= l.Seq() {
			at++
		}
		rec := trimLine(text[records[at].First:records[at].Last])
		marks[at] = max(marks[at], markOther)
		shown := rec // as a message has it
		if !utf8.Valid(rec) {
			shown = rows.Escape(nil, rec)
		}
		if !c.fits(l, rec, shown) {
			continue
		}
		n, others := c.gained(l, now, shown, columns)
		if n > 0 {
			marks[at] = markGood
			values += n - others
		}
	}
	guess.count(text, records, marks)
	if guess.Parsed > 0 {
		guess.value = float64(values) / float64(guess.Parsed)
	}
	for name := range columns {
		guess.Columns = append(guess.Columns, name)
	}
	slices.Sort(guess.Columns)
	return guess
}

// mark is what a record says about a format.
type mark uint8

const (
	markNone  mark = iota // nothing: it gives no row, as headings don't
	markOther             // it is none of the format
	markGood
)

// fits reports whether a record's row is one of the format. shown is the record as a
// message has it.
func (c *candidate) fits(l *rows.Look, rec, shown []byte) bool {
	if l.ParseError().Given() && bytes.Equal(l.Message().Bytes, shown) {
		return false
	}
	line, _, _ := bytes.Cut(rec, []byte("\n"))
	if line = bytes.TrimRight(line, "\r"); bytes.IndexByte(line, colours.Escape) >= 0 {
		line = colours.Off(nil, line)
	}
	switch {
	case len(line) == 0:
		return false
	case c.clue.sure == nil:
		return !c.json || line[0] != '{' || c.clue.json != "" && bytes.Contains(line, []byte(c.clue.json))
	}
	return c.clue.sure(line)
}

// gained returns how many columns a row has that the text alone is not, and how many
// values that fit no column. None, if lines of other formats get them all.
func (c *candidate) gained(l *rows.Look, read time.Time, shown []byte, columns map[string]bool) (n, others int) {
	own := c.anyway == nil
	has := func(name string) {
		columns[name] = true
		own = own || !c.anyway[name]
		n++
	}
	if l.TS() != read.UnixMicro() {
		has(schema.TS)
	}
	if l.Level() != rows.NoLevel {
		has(schema.Level)
	}
	l.Own(func(name string, v rows.Value) {
		if v.Given() {
			has(name)
		}
	})
	l.Attributes(func(_, _ []byte) { others++ })
	if m := l.Message(); n == 0 && m.Given() && !bytes.Equal(m.Bytes, shown) {
		has(schema.Message)
	}
	if !own {
		return 0, others
	}
	return n, others
}

// count counts records, without those that say nothing about the format: the first
// ones, which may be the rest of a record, comments, and those that give no row.
func (g *Guess) count(text []byte, records []chunk.Range, marks []mark) {
	spare := max(1, len(records)/10)
	for i, at := range records {
		switch {
		case marks[i] == markGood:
			g.Records++
			g.Parsed++
		case marks[i] == markNone || text[at.First] == '#':
		case g.Parsed == 0 && spare > 0:
			spare--
		default:
			g.Records++
		}
	}
	if plain := plainLines(text); float64(g.Parsed) < leastStarts*float64(plain) {
		g.Parsed = 0
	}
}

// plainLines counts the lines that look like no others' continuation.
func plainLines(text []byte) (n int) {
	for line := range bytes.Lines(text) {
		if c := line[0]; c > ' ' && c != '#' && !bytes.HasPrefix(line, []byte("Caused by: ")) {
			n++
		}
	}
	return n
}
