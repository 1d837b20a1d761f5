package parse

import (
	"fmt"
	"regexp"
	"time"

	"github.com/akupara/akupara/demux/parse/internal/automaton"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/rows"
)

// Value parses values that rows have, each as a record. It is not safe for concurrent
// use.
type Value struct {
	r      *reader
	format format
}

// NewValue makes the Value of a spec, of a parser that reads messages.
func NewValue(s Spec, o Options) (*Value, error) {
	f, err := s.format()
	if err != nil {
		return nil, fmt.Errorf("make parser %s: %w", s.Parser(), err)
	}
	v := &Value{r: newReader(valueFormat{}, o), format: f}
	v.r.framed = true
	return v, nil
}

// ReadsValues reports whether a spec's parser reads messages, and values.
func (s Spec) ReadsValues() bool { return !s.definition().outermost }

// valueFormat stands where a Value's format is not that of whole records.
type valueFormat struct{}

func (valueFormat) begin(*reader)          {}
func (valueFormat) record(*reader, []byte) {}

// Parse gives b's current row what a value says. It is called by rows.Builder.Within.
func (v *Value) Parse(text []byte, b *rows.Builder) {
	r := v.r
	r.b = b
	at := time.UnixMicro(b.TS())
	r.zone.ReadAt(at)
	r.bounds(at)
	v.format.begin(r)
	r.begins(0)
	v.format.record(r, text)
}

// LevelOf returns the level that a text names, and whether it names one.
func LevelOf(text []byte) (rows.Level, bool) {
	l := levels.Of(text)
	return l, l != rows.NoLevel
}

// NewMatch returns a function that reports whether a text has a match, in one pass. It is
// not safe for concurrent use.
func NewMatch(re *regexp.Regexp) func(text []byte) bool {
	a := automaton.New(re)
	return func(text []byte) bool { return a.Find(text) != nil }
}
