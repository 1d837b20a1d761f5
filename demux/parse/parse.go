// Package parse turns the records of chunks into rows: one parser per format.
package parse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
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
	// Message names the parser of the messages that another format frames, as
	// syslog and containers' logs do. "auto" takes objects for JSON, the rest as
	// it is; empty is auto in containers' logs, and elsewhere the message as it is.
	Message string
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

// parsers returns a format's constructor by its parser's name.
func parsers() map[string]func() format {
	m := map[string]func() format{
		"raw":        func() format { return rawFormat{} },
		"json":       func() format { return newJSON() },
		"logfmt":     func() format { return newLogfmt() },
		"syslog":     func() format { return &syslogFormat{} },
		"log4j":      func() format { return newLog4j() },
		"combined":   func() format { return &combinedFormat{} },
		"df":         func() format { return &dfFormat{} },
		"cri":        func() format { return newCRI() },
		"journald":   func() format { return newJournald() },
		"prometheus": func() format { return newPrometheus() },
	}
	for name, cols := range metrics() {
		m[name] = func() format { return newJSON(cols...) }
	}
	return m
}

// New makes the parser of that name.
func New(name string, o Options) (Parser, error) {
	f, ok := parsers()[name]
	if !ok {
		return nil, fmt.Errorf("parser %q is not known; known are %s", name, strings.Join(Names(), ", "))
	}
	outer := f()
	if o.Message != "" {
		frames, ok := outer.(framer)
		if !ok {
			return nil, fmt.Errorf("the parser %s has no messages for another one; those that have are %s", name, strings.Join(FramingNames(), ", "))
		}
		inner, err := newMessage(o.Message)
		if err != nil {
			return nil, err
		}
		frames.frame(inner)
	}
	return newReader(outer, o), nil
}

// newMessage makes the format of messages of that name.
func newMessage(name string) (format, error) {
	switch {
	case !slices.Contains(MessageNames(), name):
		return nil, fmt.Errorf("parser %q of messages is not known; known are %s", name, strings.Join(MessageNames(), ", "))
	case name == "auto":
		return newAuto(), nil
	}
	return parsers()[name](), nil
}

// Names returns the names of all parsers, sorted.
func Names() []string { return slices.Sorted(maps.Keys(parsers())) }

// FramingNames returns the names of the parsers that take Options.Message, sorted.
func FramingNames() []string {
	return slices.DeleteFunc(Names(), func(n string) bool { return !Frames(n) })
}

// Frames reports whether the records of the parser of that name frame messages
// for another one.
func Frames(name string) bool {
	f, ok := parsers()[name]
	if !ok {
		return false
	}
	_, ok = f().(framer)
	return ok
}

// MessageNames returns what Options.Message may be, sorted: a frame within a
// frame is syslog in a container's log, and nothing deeper.
func MessageNames() []string {
	names := append(slices.DeleteFunc(Names(), func(n string) bool { return n == "cri" }), "auto")
	slices.Sort(names)
	return names
}

// DefaultFor names the parser of a data type for which the config names none:
// the one of the same name, cri for pods, and raw for everything else.
func DefaultFor(dataType string) string {
	if dataType == "pods" {
		return "cri"
	}
	if _, ok := parsers()[dataType]; ok {
		return dataType
	}
	return "raw"
}

// rawFormat takes each record as its message.
type rawFormat struct{}

func (rawFormat) begin(*reader) {}
func (rawFormat) parts()        {}
func (rawFormat) wantsEmpty()   {}

func (rawFormat) record(r *reader, rec []byte) {
	r.row()
	r.b.Message(rec)
}
