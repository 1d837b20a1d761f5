package table

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// Sink is a sink file of which the table holds blocks although it is not in
// archive/ yet: after a crash between a commit and the file's move, its blocks
// are known by their numbers, whatever is remembered of their bytes.
type Sink struct {
	Segment store.Segment
	CRC     uint32       // of the CRCs of all its blocks: no other file of the name is meant
	Blocks  chunk.Ranges // numbers of the blocks that the table holds
}

// maxSinks bounds the sink files that a table names.
const maxSinks = 1024

// formatSinks returns the property "SEGMENT:CRC:FIRST-LAST+…,…", last ones included.
func formatSinks(sinks []Sink) string {
	var out []string
	for _, s := range sinks[:min(len(sinks), maxSinks)] {
		var blocks []string
		for _, r := range s.Blocks {
			blocks = append(blocks, fmt.Sprintf("%d-%d", r.First, r.Last-1))
		}
		if len(blocks) > 0 {
			out = append(out, fmt.Sprintf("%s:%08x:%s", s.Segment, s.CRC, strings.Join(blocks, "+")))
		}
	}
	return strings.Join(out, ",")
}

var sinkRE = regexp.MustCompile(`^([A-Za-z0-9_.-]+):([0-9a-f]{8}):([0-9]+-[0-9]+(?:\+[0-9]+-[0-9]+)*)$`)

func parseSinks(prop string) ([]Sink, error) {
	if prop == "" {
		return nil, nil
	}
	var out []Sink
	for entry := range strings.SplitSeq(prop, ",") {
		bad := fmt.Errorf("property %s: %q is not SEGMENT:CRC:FIRST-LAST", propSinks, entry)
		m := sinkRE.FindStringSubmatch(entry)
		if m == nil {
			return nil, bad
		}
		crc, err := strconv.ParseUint(m[2], 16, 32)
		if err != nil {
			return nil, bad
		}
		s := Sink{Segment: store.Segment(m[1]), CRC: uint32(crc)}
		for part := range strings.SplitSeq(m[3], "+") {
			a, b, _ := strings.Cut(part, "-")
			first, err := strconv.ParseInt(a, 10, 32)
			last, err2 := strconv.ParseInt(b, 10, 32)
			if err != nil || err2 != nil || last < first {
				return nil, bad
			}
			s.Blocks = s.Blocks.Add(chunk.Range{First: first, Last: last + 1})
		}
		out = append(out, s)
	}
	return out, nil
}

// Sinks returns the sink files that were in raw/ when the table was committed, as
// far as it holds them.
func (t *Table) Sinks() ([]Sink, error) {
	if t.meta == nil {
		return nil, nil
	}
	sinks, err := parseSinks(t.meta.Properties()[propSinks])
	if err != nil {
		return nil, fmt.Errorf("table %s: %w", t.dataType, err)
	}
	return slices.Clip(sinks), nil
}
