package cut

import (
	"fmt"
	"strings"
	"time"

	"github.com/akupara/akupara/config"
)

// Config is how people say where records end: the keys are the same for all
// kinds whose records are lines of text. A kind embeds it, sets its defaults
// and calls its Validate.
type Config struct {
	RecordStart    config.Regexp   `config:"record_start"`              // a record's first line
	RecordEnd      config.Regexp   `config:"record_end"`                // a record's last line
	RecordIndented bool            `config:"record_indented"`           // indented lines belong to the record before
	RecordTimeout  config.Duration `config:"record_timeout" min:"10ms"` // without news a multi-line record ends with its last whole line
}

// DefaultTimeout ends a multi-line record where nothing else is said.
const DefaultTimeout = 2 * time.Second

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	var given []string
	if c.RecordStart.Regexp != nil {
		given = append(given, "record_start")
	}
	if c.RecordEnd.Regexp != nil {
		given = append(given, "record_end")
	}
	if c.RecordIndented {
		given = append(given, "record_indented")
	}
	if len(given) < 2 {
		return nil
	}
	last := given[len(given)-1]
	return config.Problems{n.Get(last).Problemf("%s are given; want one of record_start, record_end and record_indented",
		strings.Join(given[:len(given)-1], ", ")+" and "+last)}
}

// MultiLine tells that records may be several lines.
func (c *Config) MultiLine() bool {
	return c.RecordStart.Regexp != nil || c.RecordEnd.Regexp != nil || c.RecordIndented
}

// Cutter makes a cutter for text in an encoding, an IANA name, with records of
// at most maxBytes.
func (c *Config) Cutter(encoding string, maxBytes int) (*Cutter, error) {
	out, err := New(Rules{
		Start: c.RecordStart.Regexp, End: c.RecordEnd.Regexp, Indented: c.RecordIndented, Encoding: encoding, Max: maxBytes,
	})
	if err != nil {
		return nil, fmt.Errorf("record_start, record_end, record_indented: %w", err)
	}
	return out, nil
}
