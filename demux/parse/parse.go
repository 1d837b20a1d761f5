// Package parse turns the records of chunks into rows: one parser per format.
//
// registry.go lists the parsers; format.go says what one is; reader.go cuts chunks into
// records and gives these to it; spec.go makes it of what a config says; guess.go finds
// the one that fits a text. Rooms below read texts without knowing of rows: applog the
// heads of application logs, syslog lines of syslog, layout the patterns that configs
// have of layouts, and times, levels, words, colours what all of them need.
package parse

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
)

// Options of a parser.
type Options struct {
	// Timezone of times that do not say theirs; nil means UTC.
	Timezone *time.Location
	// MinTime and MaxTime bound the times that are believed: a record's time
	// before MinTime or at or after MaxTime counts as none, and is kept in
	// attributes. Zero means 1990 and a day after the time of the chunk.
	MinTime, MaxTime time.Time
}

// Parser turns a chunk's records into rows. It is not safe for concurrent use;
// it keeps nothing of the chunk when Parse returns.
type Parser interface {
	// Parse adds a row to b for each record of c. keep is the part of the
	// chunk's range that the table does not hold yet; nil means all of it. A
	// record wholly outside keep gives no row. Of a record partly outside,
	// each part inside becomes a row of its own, raw, marked in parse_error.
	// What can't be parsed becomes a row with parse_error: no record fails.
	//
	// ctx.Err is asked before each record: Parse returns its error, and the rows
	// of all records before that one are in b, whole.
	Parse(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) error
	// Records returns the ranges of c's records, as Parse cuts them.
	Records(c *chunk.Chunk) []chunk.Range
}

// New makes the parser of a spec.
func New(s Spec, o Options) (Parser, error) {
	f, err := s.format()
	if err != nil {
		return nil, fmt.Errorf("make parser %s: %w", s.Parser(), err)
	}
	return newReader(f, o), nil
}

var rawParser = simple("raw", "a line as it is", func() format { return rawFormat{} })

// rawFormat takes each record as its message.
type rawFormat struct{}

func (rawFormat) begin(*reader) {}
func (rawFormat) parts()        {}
func (rawFormat) wantsEmpty()   {}

func (rawFormat) record(r *reader, rec []byte) {
	r.row()
	r.b.Message(rec)
}

// NewTime returns a function that reads a text as an ISO time, in the zone where it
// says none, or as a number since 1970. exact says that the text says no more than
// that, such as digits below microseconds. It is not safe for concurrent use.
func NewTime(loc *time.Location) func(text []byte) (micros int64, exact, ok bool) {
	z := times.Zone{Loc: loc}
	return func(text []byte) (int64, bool, bool) {
		text = bytes.TrimSpace(text)
		t, n := times.ISO(text, &z)
		if n == 0 {
			t = times.Epoch(text)
		}
		return t.Micros, !t.Finer, t.OK && (n == 0 || n == len(text))
	}
}
