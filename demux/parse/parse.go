// Package parse turns the records of chunks into rows: one parser per format.
package parse

import (
	"time"

	"github.com/akupara/akupara/chunk"
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
	// What can't be parsed becomes a row with parse_error: nothing fails.
	Parse(c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder)
}

// New makes the parser of that name.
func New(name string, o Options) (Parser, error) { panic("not written yet") }

// Names gives the names of all parsers, sorted.
func Names() []string { return nil }

// DefaultFor names the parser of a data type for which the config names none.
func DefaultFor(dataType string) string { return "raw" }
