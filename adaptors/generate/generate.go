// Package generate is the adaptor whose source is itself: streams of lines
// that follow from a seed and their offset alone, so that whoever has bytes of
// one can check them (Verify) and every byte can be made again.
//
// A stream is known by what its bytes follow from (Content), which its
// checkpoint holds. One whose content is not the config's any more is ended
// where it is; a new one begins.
package generate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/config"
)

// Config is the kind's own part of an adaptor's config.
type Config struct {
	Seed      int64       `config:"seed" min:"0" max:"9007199254740991"` // of the first stream; each further one's is one more
	Rate      Rate        `config:"rate"`                                // of all streams together; 0: as fast as they are taken
	LineBytes config.Size `config:"line_bytes" min:"192" max:"64KiB"`    // of each line, with its newline
	Streams   int         `config:"streams" min:"1" max:"256"`
	Total     config.Size `config:"total" max:"1024TiB"` // bytes of each stream, up to a whole line; 0: for ever
	StartTime Time        `config:"start_time"`          // ts of each stream's first line; not given: lines have no ts
}

// DefaultConfig is what holds where a key is not given.
func DefaultConfig() Config {
	return Config{Seed: 1, Rate: Rate{Lines: 10}, LineBytes: 256, Streams: 1}
}

// Needs implements adaptors.Needer: nothing outside of the agent that could be
// refused.
func (c *Config) Needs() []adaptors.Need { return nil }

// Validate implements config.Validator.
func (c *Config) Validate(n config.Node) config.Problems {
	step := c.step()
	if step <= maxStep {
		return nil
	}
	at := n
	if r := n.Get("rate"); r.Given() {
		at = r
	}
	return config.Problems{at.Problemf("%v is a line of %d bytes every %v in each of %d streams; at least one every %v is needed",
		c.Rate, int64(c.LineBytes), step.Round(time.Second), c.Streams, maxStep)}
}

// step is the time from line to line of one stream, 0 where nothing bounds it.
func (c *Config) step() time.Duration {
	perSecond := c.Rate.Lines
	if c.Rate.Bytes > 0 {
		perSecond = c.Rate.Bytes / float64(c.LineBytes)
	}
	if perSecond <= 0 {
		return 0
	}
	step := float64(time.Second) * float64(c.Streams) / perSecond
	return time.Duration(min(max(step, 1), math.MaxInt64/2))
}

// Content returns what the bytes of stream i are, counted from 0.
func (c *Config) Content(i int) Content {
	out := Content{Seed: (c.Seed + int64(i)) & maxSeed, LineBytes: int64(c.LineBytes)}
	if start := time.Time(c.StartTime); !start.IsZero() {
		out.Start, out.Step = start, c.step()
		if out.Step == 0 {
			out.Step = time.Millisecond
		}
	}
	return out
}

// length is how many bytes a stream has, -1 where it never ends.
func (c *Config) length() int64 {
	if c.Total == 0 {
		return -1
	}
	return (int64(c.Total) + int64(c.LineBytes) - 1) / int64(c.LineBytes) * int64(c.LineBytes)
}

// Rate is how much comes in a second: bytes or lines. Neither: no bound.
type Rate struct{ Bytes, Lines float64 }

// Want implements config.Wanter.
func (Rate) Want() string {
	return "a rate, such as 100 lines/s, 10MiB/s, or 0 for as fast as it is taken"
}

func (r Rate) String() string {
	switch {
	case r.Bytes > 0:
		return config.Size(r.Bytes).String() + "/s"
	case r.Lines > 0:
		return strconv.FormatFloat(r.Lines, 'f', -1, 64) + " lines/s"
	}
	return "0"
}

// MarshalText implements encoding.TextMarshaler.
func (r Rate) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Rate) UnmarshalText(text []byte) error {
	s := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(text)), "/s"))
	for _, unit := range [...]string{"lines", "line"} {
		head, found := strings.CutSuffix(s, unit)
		if !found {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(head), 64)
		if err != nil || !(n >= 0 && n <= 1e9) {
			return fmt.Errorf("%q is no number of lines from 0 to 1000000000", strings.TrimSpace(head))
		}
		*r = Rate{Lines: n}
		return nil
	}
	var size config.Size
	if err := size.UnmarshalText([]byte(s)); err != nil {
		return err
	}
	*r = Rate{Bytes: float64(size)}
	return nil
}

// Time is a time of day and date, RFC 3339. The zero Time is none.
type Time time.Time

// Want implements config.Wanter.
func (Time) Want() string { return "a time, such as 2026-01-31T12:00:00Z" }

// MarshalText implements encoding.TextMarshaler.
func (t Time) MarshalText() ([]byte, error) {
	if time.Time(t).IsZero() {
		return nil, nil
	}
	return time.Time(t).AppendFormat(nil, time.RFC3339Nano), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Time) UnmarshalText(text []byte) error {
	v, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return fmt.Errorf("it is not as RFC 3339 has it")
	}
	*t = Time(v.UTC())
	return nil
}

// Kind describes the kind to the agent.
func Kind() adaptors.Kind {
	return adaptors.Make("generate", "makes lines at a constant rate, which follow from a seed and their offset alone",
		DefaultConfig, New, adaptors.Rewindable)
}
