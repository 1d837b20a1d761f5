// Package cut finds the borders of records in a piece of a file. A border
// depends on the bytes before it and a bounded look ahead, never on how they
// came to be read together; time enters only as a caller's decision to flush.
//
// A record is a line, or several: from one that Start matches to before the
// next such; up to one that End matches; or one and the indented ones behind
// it. A record of more than Max bytes is cut into parts of at most Max: where
// they can, they end at a line's end, else at a character's. In records that End
// ends, a line that had to be cut ends its record.
package cut

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
)

// Flush says how much of an unfinished end is taken.
type Flush int

const (
	None   Flush = iota // whole records only
	Lines               // an unfinished multi-line record ends at its last line's end
	Always              // also an unterminated line
)

// Part says which part of a record a cut is. The parts of a record that is
// longer than Max are cuts of their own, so that they can be marked.
type Part string

const (
	Whole  Part = ""       // whole records
	First  Part = "first"  // the beginning of a record that is too long
	Middle Part = "middle" // neither its beginning nor its end
	Last   Part = "last"   // the rest of a record whose beginning was cut off before
)

// Tags are the tags of a chunk that holds such a part; nil for whole records.
// They are shared: not to be written to.
func (p Part) Tags() map[string]string { return partTags[p] }

var partTags = map[Part]map[string]string{
	First:  {"part": string(First)},
	Middle: {"part": string(Middle)},
	Last:   {"part": string(Last)},
}

// From says what a piece of data starts with.
type From int

const (
	AtRecord From = iota // a record
	AtLine               // a line; it belongs to the record before, unless it starts one
	InLine               // the rest of a line
	InUnit               // the second byte of a character unit of two
)

// Rules say where records end. At most one of Start, End and Indented is set;
// with none, every line is a record.
type Rules struct {
	Start    *regexp.Regexp // matches a record's first line
	End      *regexp.Regexp // matches a record's last line
	Indented bool           // a line that starts with a space or tab belongs to the record before
	Encoding string         // of the text, an IANA name; empty: UTF-8
	Max      int            // bytes of one record; longer ones are cut into parts
}

// lookAhead is how much of a line Start is matched with, in bytes: that much
// must be there to decide about a line that is not whole.
const lookAhead = 64 << 10

// Cutter cuts records. It is not safe for concurrent use; For makes one for
// each goroutine.
type Cutter struct {
	rules     Rules
	match     *matcher // of Start or End; shared
	dec       *charset.Decoder
	width     int // bytes of the encoding's unit
	bigEndian bool
	max       int // Max, in whole units
}

// New makes a cutter.
func New(r Rules) (*Cutter, error) {
	n := 0
	c := &Cutter{}
	if r.Start != nil {
		c.match = newMatcher(r.Start)
		n++
	}
	if r.End != nil {
		c.match = newMatcher(r.End)
		n++
	}
	if r.Indented {
		n++
	}
	if n > 1 {
		return nil, errors.New("cut records: a start, an end and indentation exclude each other")
	}
	if r.Max < 16 {
		return nil, fmt.Errorf("cut records: a longest record of %d bytes is too short", r.Max)
	}
	c.rules = r
	return c.For(r.Encoding), nil
}

// For makes a cutter with the same rules for text in another encoding, an IANA
// name; what is not known is cut as UTF-8 is.
func (c *Cutter) For(encoding string) *Cutter {
	out := *c
	out.rules.Encoding = encoding
	out.dec = charset.NewDecoder(encoding)
	out.width, out.bigEndian = chunk.Unit(encoding)
	out.max = c.rules.Max - c.rules.Max%out.width
	return &out
}

// Encoding is the IANA name of the text's encoding; empty: UTF-8.
func (c *Cutter) Encoding() string { return c.rules.Encoding }

// MultiLine tells that records may be several lines: their borders are told.
func (c *Cutter) MultiLine() bool { return c.match != nil || c.rules.Indented }

// Max is the most bytes that a record or a part of one has.
func (c *Cutter) Max() int { return c.rules.Max }

// Enough is how many bytes of data make sure that Next cuts something off,
// whatever the encoding.
func (c *Cutter) Enough() int { return c.rules.Max + max(c.ahead(), 2) + 2 }

func (c *Cutter) ahead() int {
	if c.rules.Start != nil {
		return lookAhead
	}
	return c.width
}

// From tells what the data starts with at an offset of a stream, counted from
// where the stream begins, by the bytes before it: the last of the stream's,
// as many as there are at hand. more says that these do not suffice: all of them
// or Max and two more do always.
func (c *Cutter) From(off int64, before []byte) (from From, more bool) {
	if off == 0 {
		return AtRecord, false
	}
	if off%int64(c.width) != 0 {
		return InUnit, false
	}
	before = before[len(before)%c.width:]
	if len(before) == 0 {
		return AtRecord, true
	}
	if c.lastLineEnd(before) != len(before) {
		return InLine, false
	}
	if c.rules.End == nil {
		if c.MultiLine() {
			return AtLine, false
		}
		return AtRecord, false
	}
	line := before[c.lastLineEnd(before[:len(before)-c.width]):]
	switch {
	case len(line) > c.max:
		return AtRecord, false // the line was cut, which ended its record
	case len(line) == len(before) && int64(len(line)) < off:
		return AtRecord, true
	case c.matches(line):
		return AtRecord, false
	}
	return AtLine, false
}

// Cut is the bytes [0, N) of the data.
type Cut struct {
	N       int // 0: nothing is complete, more data is needed
	Part    Part
	Borders []int64 // for multi-line records only
}

// Next finds how much of data, of which From tells what it starts with, can be
// sent: as many whole records as there are, or one part of a record. borders
// lends memory for the result.
func (c *Cutter) Next(data []byte, from From, flush Flush, borders []int64) Cut {
	switch {
	case len(data) == 0:
		return Cut{}
	case from == InUnit: // half a character was sent before: a part of its own
		return c.part(1, Last)
	case !c.MultiLine():
		return c.lines(data, from, flush)
	}
	if from == AtLine && c.rules.End == nil {
		starts, sure := c.starts(data, flush)
		if !sure {
			return Cut{}
		}
		if starts {
			from = AtRecord
		}
	}
	if c.rules.End != nil {
		return c.ended(data, from, flush, borders[:0])
	}
	return c.started(data, from, flush, borders[:0])
}

// part returns a part of a record its border where borders are told.
func (c *Cutter) part(n int, p Part) Cut {
	cut := Cut{N: n, Part: p}
	if c.MultiLine() && n > 0 {
		cut.Borders = []int64{int64(n)}
	}
	return cut
}

// lines cuts records that are single lines.
func (c *Cutter) lines(data []byte, from From, flush Flush) Cut {
	if from == InLine || from == AtLine {
		n := c.lineEnd(data)
		switch {
		case n > c.max || n < 0 && len(data) > c.max:
			return c.part(c.charEnd(data), Middle)
		case n < 0 && flush != Always:
			return Cut{}
		case n < 0:
			n = len(data)
		}
		return c.part(n, Last)
	}
	end := c.lastLineEnd(data)
	if flush == Always || end == 0 && len(data) > c.max {
		end = len(data)
	}
	for at := 0; end-at > c.max; {
		n := c.lastLineEnd(data[at : at+c.max])
		switch {
		case n > 0:
			at += n
		case at > 0:
			return Cut{N: at}
		default:
			return c.part(c.charEnd(data), First)
		}
	}
	return Cut{N: end}
}

// started cuts records whose first line tells that they start.
func (c *Cutter) started(data []byte, from From, flush Flush, borders []int64) Cut {
	start, at := 0, 0 // of the record, and of the line that is looked at
	for {
		n := c.lineEnd(data[at:])
		if at > start { // else it is the record's first line, or its rest's
			line := data[at:]
			if n >= 0 {
				line = line[:n]
			}
			starts, sure := c.startsLine(line, n >= 0 || flush == Always)
			if !sure {
				break
			}
			if starts {
				borders = append(borders, int64(at))
				if from != AtRecord {
					return Cut{N: at, Part: Last, Borders: borders}
				}
				start = at
			}
		}
		if n < 0 && len(data)-start > c.max || n >= 0 && at+n-start > c.max {
			return c.tooLong(data, from, start, at, borders)
		}
		if n < 0 {
			break
		}
		at += n
	}
	return c.unfinished(data, from, flush, start, at, borders)
}

// ended cuts records whose last line tells that they end.
func (c *Cutter) ended(data []byte, from From, flush Flush, borders []int64) Cut {
	start, at := 0, 0 // of the record, and of the line that is looked at
	for {
		n := c.lineEnd(data[at:])
		if n < 0 && len(data)-start > c.max || n >= 0 && at+n-start > c.max {
			return c.tooLong(data, from, start, at, borders)
		}
		if n < 0 {
			return c.unfinished(data, from, flush, start, at, borders)
		}
		line := data[at : at+n]
		at += n
		if at == n && from == InLine || c.matches(line) {
			borders = append(borders, int64(at))
			if from != AtRecord {
				return Cut{N: at, Part: Last, Borders: borders}
			}
			start = at
		}
	}
}

// tooLong cuts before or in a record that has more than max bytes with the line
// at at, or with what is there of it.
func (c *Cutter) tooLong(data []byte, from From, start, at int, borders []int64) Cut {
	switch {
	case start > 0: // the records before it
		return Cut{N: start, Borders: borders}
	case at == 0:
		at = c.charEnd(data)
	}
	if from == AtRecord {
		return c.part(at, First)
	}
	return c.part(at, Middle)
}

// unfinished cuts where the record at start is not known to end; at is the end
// of its last whole line.
func (c *Cutter) unfinished(data []byte, from From, flush Flush, start, at int, borders []int64) Cut {
	end := start
	switch flush {
	case Lines:
		end = at
	case Always:
		end = len(data)
	}
	switch {
	case end == 0:
		return Cut{}
	case from != AtRecord:
		return c.part(end, Last)
	case end > start:
		borders = append(borders, int64(end))
	}
	return Cut{N: end, Borders: borders}
}
