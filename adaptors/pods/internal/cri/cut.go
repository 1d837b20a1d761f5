package cri

import (
	"bytes"
	"regexp"
	"slices"
)

// Flush says how much of an unfinished end is taken.
type Flush int

const (
	Whole  Flush = iota // whole records only
	Lines               // an unfinished record ends at its last line's end
	Always              // everything, also an unterminated line
)

// Values of the tag "part", which marks what is not a whole record.
const (
	First  = "first"  // the beginning of a record that was cut
	Middle = "middle" // neither its beginning nor its end
	Last   = "last"   // the rest of a record whose beginning was cut off before
)

// State is what is unfinished at a cut. The zero State is a record's border.
type State struct {
	Mid  bool             `json:"mid,omitempty"`  // inside a record
	Rest bool             `json:"rest,omitempty"` // inside a line, too
	Open [numOutputs]bool `json:"open,omitzero"`  // outputs whose last line was a part
}

// Cutter finds where the records of a container's log end: where no output has
// a line of which only parts came. It is one for one stream at a time.
type Cutter struct {
	Start *regexp.Regexp // matches the first message of a multi-line record; nil: each message is a record
	Max   int            // bytes of one record; longer ones are cut
}

// Cut is the bytes [0, N) of the data.
type Cut struct {
	N       int     // 0: nothing is complete, more data is needed
	Part    string  // what of a record it is; empty: whole ones
	Borders []int64 // nil where each record is one line
	After   State   // what is unfinished behind it
}

// Next finds how much of data, which starts in the state at, can be sent.
// ends are the offsets in data where a file ends: the line there ends too,
// whether it has a newline or not. With flush Always the last line is cut where
// data ends, if that is no file's end. borders lends memory for the result.
func (c *Cutter) Next(data []byte, ends []int, at State, flush Flush, borders []int64) Cut {
	borders = borders[:0]
	open, rest := at.Open, at.Rest
	single := true         // records so far are single lines
	border, pos := 0, 0    // of the last whole record, the last line
	before := at           // the state at pos
	fits, fitting := 0, at // the last line's end within Max
	lines := 0             // of the record that is not finished
	long := false
	newBorder := func(p int) {
		borders = append(borders, int64(p))
		border, lines = p, 0
	}
	for pos < len(data) {
		end, terminated, ok := lineEnd(data, ends, pos)
		if !ok && flush != Always {
			break
		}
		if end-border > c.Max { // the record that is not finished is longer
			long = true
			break
		}
		if rest { // what became of its output is in open already
			rest = false
		} else {
			l := Read(data[pos:end])
			if c.Start != nil && open == [numOutputs]bool{} && c.Start.Match(data[pos+l.First:pos+l.Last]) {
				if pos == 0 {
					at = State{} // what was cut before was whole
				} else {
					single = single && lines == 1
					newBorder(pos)
				}
			}
			open[l.Output] = l.Partial
		}
		lines++
		if pos = end; !terminated && pos < len(data) {
			single = false
		}
		before = State{Mid: !ok || open != [numOutputs]bool{}, Rest: !ok, Open: open}
		if c.Start == nil && !before.Mid {
			single = single && lines == 1
			newBorder(pos)
			if at.Mid || at.Rest { // the rest of a record goes by itself: it is marked
				break
			}
		} else if at.Mid && c.Start != nil && border > 0 {
			break
		}
		fits, fitting = pos, before
	}
	part, whole := First, ""
	if at.Mid || at.Rest {
		part, whole = Middle, Last
	}
	switch {
	case border > 0 && (long || before.Mid || flush == Whole || c.Start == nil || pos == border):
		return Cut{N: border, Part: whole, Borders: told(borders, single)}
	case flush != Whole && !long && pos > 0 && !before.Mid: // with the last of multi-line records
		return Cut{N: pos, Part: whole, Borders: told(append(borders, int64(pos)), single && lines == 1)}
	case flush != Whole && !long && pos > 0:
		return Cut{N: pos, Part: part, Borders: append(borders, int64(pos)), After: before}
	case !long && len(data) < c.Max:
		return Cut{}
	case fits > 0:
		fitting.Mid = true
		return Cut{N: fits, Part: part, Borders: append(borders, int64(fits)), After: fitting}
	}
	// One line, longer than Max: what its frame says holds for its rest.
	after := State{Mid: true, Rest: true, Open: at.Open}
	if !at.Rest {
		l := Read(data[:c.Max])
		after.Open[l.Output] = l.Partial
	}
	return Cut{N: c.Max, Part: part, Borders: append(borders, int64(c.Max)), After: after}
}

// told returns the borders where a reader can't find them by itself.
func told(borders []int64, single bool) []int64 {
	if single {
		return nil
	}
	return borders
}

// lineEnd returns the end of the line at pos; ok is false where it is not there.
func lineEnd(data []byte, ends []int, pos int) (end int, terminated, ok bool) {
	limit, forced := len(data), false
	if i, _ := slices.BinarySearch(ends, pos+1); i < len(ends) {
		limit, forced = ends[i], true
	}
	if i := bytes.IndexByte(data[pos:limit], '\n'); i >= 0 {
		return pos + i + 1, true, true
	}
	return limit, false, forced
}
