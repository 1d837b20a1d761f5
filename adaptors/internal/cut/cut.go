// Package cut finds the borders of records in a piece of a file. A border
// depends on the bytes; time enters only as a caller's decision to flush.
package cut

import (
	"bytes"
	"regexp"
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

// Cutter cuts records.
type Cutter struct {
	Start *regexp.Regexp // matches a record's first line; nil: every line is a record
	Max   int            // bytes of one record; longer ones are cut
}

// Cut is the bytes [0, N) of the data.
type Cut struct {
	N       int // 0: nothing is complete, more data is needed
	Part    Part
	Borders []int64 // for multi-line records only
}

// Next finds how much of data, which starts at a border, can be sent. midLine
// says that the byte before data ends no line: data starts with the rest of a
// line whose beginning was sent before. borders lends memory for the result.
func (c *Cutter) Next(data []byte, midLine bool, flush Flush, borders []int64) Cut {
	switch {
	case len(data) == 0:
		return Cut{}
	case midLine:
		return c.single(c.rest(data, flush))
	case c.Start == nil:
		return c.lines(data, flush)
	}
	return c.records(data, flush, borders[:0])
}

// single gives a part of a record its border where borders are told.
func (c *Cutter) single(cut Cut) Cut {
	if c.Start != nil && cut.N > 0 {
		cut.Borders = []int64{int64(cut.N)}
	}
	return cut
}

func (c *Cutter) rest(data []byte, flush Flush) Cut {
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		return Cut{N: i + 1, Part: Last}
	}
	if len(data) >= c.Max {
		return Cut{N: c.Max, Part: Middle}
	}
	if flush == Always {
		return Cut{N: len(data), Part: Last}
	}
	return Cut{}
}

func (c *Cutter) lines(data []byte, flush Flush) Cut {
	if flush == Always && len(data) < c.Max {
		return Cut{N: len(data)}
	}
	if i := bytes.LastIndexByte(data, '\n'); i >= 0 {
		return Cut{N: i + 1}
	}
	if len(data) >= c.Max {
		return Cut{N: c.Max, Part: First}
	}
	return Cut{}
}

func (c *Cutter) records(data []byte, flush Flush, borders []int64) Cut {
	end := 0 // of the last whole line
	for {
		i := bytes.IndexByte(data[end:], '\n')
		if i < 0 {
			break
		}
		if end > 0 && c.Start.Match(data[end:end+i]) {
			borders = append(borders, int64(end))
		}
		end += i + 1
	}
	switch {
	case flush == Always:
		end = len(data)
	case flush == Lines && end > 0:
	case len(borders) > 0:
		return Cut{N: int(borders[len(borders)-1]), Borders: borders}
	case len(data) < c.Max:
		return Cut{}
	case end > 0 && end <= c.Max && c.Start.Match(data[end:]): // the next line is not whole, and long
		return Cut{N: end, Borders: append(borders, int64(end))}
	case end > 0 && end <= c.Max: // one record, longer than Max
		return c.single(Cut{N: end, Part: First})
	default:
		return c.single(Cut{N: c.Max, Part: First})
	}
	if end == 0 {
		return Cut{}
	}
	return Cut{N: end, Borders: append(borders, int64(end))}
}
