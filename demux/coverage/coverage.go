// Package coverage says what a table holds, per stream: which ranges of bytes
// are rows, which are explained by facts, and where the stream begins and
// ends. It is a set of ranges, never a position: ranges arrive in any order.
//
// A table's coverage lies in files beside it, which are a log-structured tree:
// each commit adds a small one, small ones are merged into larger ones, and none
// changes. Which ones are the table's is told by its metadata, so that rows and
// coverage change in one commit. What is known of one family is found without
// reading much else, and all is read as a stream: neither takes memory that grows
// with the number of streams.
package coverage

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
)

// Unknown is a Begin or End that no fact has told.
const Unknown = -1

// MaxSums is how many checksums a stream keeps at most, the newest ones.
const MaxSums = 256

// Stream is what is known of one stream.
type Stream struct {
	Host, Source string
	// Ranges are covered: their rows are in the table. What comes again for
	// them is dropped.
	Ranges chunk.Ranges
	// Begin and End are the offsets where the stream starts, as told, and
	// where it is finished, or Unknown.
	Begin, End int64
	// Lost and Dropped were told by facts: destroyed by the source; dropped by
	// a filter or a full spool. They explain a hole and do not fill it: a
	// collector that comes back may still bring the bytes, and then Ranges
	// holds them too.
	Lost, Dropped chunk.Ranges
	// Doubtful may be in the table under another stream, too, as was told. It
	// neither explains a hole nor fills it.
	Doubtful chunk.Ranges
	// Filtered is how many bytes of Ranges have no row, as filters dropped them
	// within chunks, and Filters names these. Where they are, the chunks say.
	Filtered int64
	Filters  string
	// Certain are parts of Ranges of which a chunk said that they were dropped, and
	// that have rows all the same, or may have: what such a chunk says of them does
	// not count.
	Certain chunk.Ranges
	// Cause says why a fork is one: the stream's bytes differ from those that
	// another stream has at the same offsets. Empty for all other streams.
	Cause string
	// Sums are of chunks that were taken, in the order they were committed: what
	// comes again is known by them without a look at the old bytes.
	Sums []Sum
	// Since and Seen are when something was first and last committed for it;
	// seconds. Since is zero where it was before this was noted.
	Since, Seen time.Time
}

// Sum is the CRC-32C of the bytes [First, Last) of a stream.
type Sum struct {
	First, Last int64
	CRC         uint32
}

// NewStream returns a stream of which nothing is known but whose it is.
func NewStream(host, source string) *Stream {
	return &Stream{Host: host, Source: source, Begin: Unknown, End: Unknown}
}

// Cover marks r as covered by rows whose bytes have the given CRC.
func (s *Stream) Cover(r chunk.Range, crc uint32) {
	s.Ranges = s.Ranges.Add(r)
	s.addSums(Sum{r.First, r.Last, crc})
}

// Append is Cover of bytes of which s has neither ranges nor checksums.
func (s *Stream) Append(r chunk.Range, crc uint32) {
	s.Ranges = s.Ranges.Add(r)
	s.Sums = append(s.Sums, Sum{r.First, r.Last, crc})
	s.trimSums()
}

// Vouch remembers the checksum of bytes that the table holds, of whatever
// stream: as a chunk they may come again.
func (s *Stream) Vouch(r chunk.Range, crc uint32) { s.addSums(Sum{r.First, r.Last, crc}) }

// Vouches reports whether the table holds exactly these bytes.
func (s *Stream) Vouches(r chunk.Range, crc uint32) bool {
	return slices.Contains(s.Sums, Sum{r.First, r.Last, crc})
}

// Tell takes in a fact: what its kind says of its range. Data is no fact, and
// ignored.
func (s *Stream) Tell(kind chunk.Kind, r chunk.Range) {
	switch kind {
	case chunk.Begin:
		s.begin(r.First)
	case chunk.End:
		s.end(r.First)
	case chunk.Lost:
		s.Lost = s.Lost.Add(r)
	case chunk.Dropped:
		s.Dropped = s.Dropped.Add(r)
	case chunk.Doubtful:
		s.Doubtful = s.Doubtful.Add(r)
	}
}

// maxFilters bounds the names of filters, in bytes.
const maxFilters = 256

// Filter says that filters dropped n bytes of what is covered.
func (s *Stream) Filter(n int64, names string) {
	if s.Filtered += n; n == 0 || names == s.Filters {
		return
	}
	for name := range strings.SplitSeq(names, ", ") {
		known := slices.Contains(strings.Split(s.Filters, ", "), name)
		if known || name == "" || len(s.Filters)+len(", ")+len(name) > maxFilters {
			continue
		}
		if s.Filters != "" {
			s.Filters += ", "
		}
		s.Filters += name
	}
}

// Told facts can come in any order and twice: of several the outermost holds.
func (s *Stream) begin(n int64) {
	if s.Begin == Unknown || n != Unknown && n < s.Begin {
		s.Begin = n
	}
}

func (s *Stream) end(n int64) { s.End = max(s.End, n) }

func (s *Stream) addSums(sums ...Sum) {
	top := int64(0) // what begins behind it is not among them
	for _, sum := range s.Sums {
		top = max(top, sum.Last)
	}
	for _, sum := range sums {
		if behind := sum.First >= top && sum.Last > top; behind || !slices.Contains(s.Sums, sum) {
			s.Sums = append(s.Sums, sum)
			top = max(top, sum.Last)
		}
	}
	s.trimSums()
}

func (s *Stream) trimSums() {
	if n := len(s.Sums) - MaxSums; n > 0 {
		s.Sums = slices.Delete(s.Sums, 0, n)
	}
}

// Clone shares no memory with s.
func (s *Stream) Clone() *Stream {
	c := *s
	c.Ranges, c.Lost, c.Dropped = slices.Clone(s.Ranges), slices.Clone(s.Lost), slices.Clone(s.Dropped)
	c.Doubtful, c.Certain = slices.Clone(s.Doubtful), slices.Clone(s.Certain)
	c.Sums = slices.Clone(s.Sums)
	return &c
}

// With returns what s and d, which is newer, tell together. It shares no memory with
// them.
func (s *Stream) With(d *Stream) *Stream {
	c := s.Clone()
	c.merge(d)
	return c
}

// merge takes in all that d, which is newer, tells. It shares no memory with d
// afterwards.
func (s *Stream) merge(d *Stream) {
	s.Host, s.Source = cmp.Or(d.Host, s.Host), cmp.Or(d.Source, s.Source)
	s.Ranges = s.Ranges.AddAll(d.Ranges)
	s.Lost = s.Lost.AddAll(d.Lost)
	s.Dropped = s.Dropped.AddAll(d.Dropped)
	s.Doubtful = s.Doubtful.AddAll(d.Doubtful)
	s.Certain = s.Certain.AddAll(d.Certain)
	s.Filter(d.Filtered, d.Filters)
	s.Cause = cmp.Or(s.Cause, d.Cause)
	s.begin(d.Begin)
	s.end(d.End)
	s.addSums(d.Sums...)
	if d.Seen.After(s.Seen) {
		s.Seen = d.Seen
	}
}

// Gaps are the parts that are missing and unexplained below the highest offset
// known: between the told begin (0 where none was told) and the end or the
// last range.
func (s *Stream) Gaps() chunk.Ranges {
	known := slices.Clone(s.Ranges).AddAll(s.Lost).AddAll(s.Dropped)
	top := s.End
	if n := len(known); n > 0 {
		top = max(top, known[n-1].Last)
	}
	return known.Missing(chunk.Range{First: max(s.Begin, 0), Last: top})
}

// Complete reports whether the stream has ended and has no gaps.
func (s *Stream) Complete() bool { return s.End != Unknown && len(s.Gaps()) == 0 }

// Set is the coverage of a table: its streams by id.
type Set map[string]*Stream

// Stream returns the stream of that id, made if it is not there.
func (s Set) Stream(id, host, source string) *Stream {
	st := s[id]
	if st == nil {
		st = NewStream(host, source)
		s[id] = st
	}
	return st
}

// Merge takes in all that delta tells. It shares no memory with delta.
func (s Set) Merge(delta Set) {
	for id, d := range delta {
		if st := s[id]; st != nil {
			st.merge(d)
		} else {
			s[id] = d.Clone()
		}
	}
}

// Clone shares no memory with s.
func (s Set) Clone() Set {
	c := make(Set, len(s))
	for id, st := range s {
		c[id] = st.Clone()
	}
	return c
}

// IDs returns the streams' ids, sorted.
func (s Set) IDs() []string { return slices.Sorted(maps.Keys(s)) }

// maxTotalSums bounds the checksums of a whole set, for tables of very many
// streams: each then keeps fewer.
const (
	maxTotalSums = 1 << 20
	minSums      = 4
)

// Trim bounds the checksums over all streams. A base is trimmed before it is
// written.
func (s Set) Trim() {
	keep := max(minSums, maxTotalSums/max(1, len(s)))
	for _, st := range s {
		if n := len(st.Sums) - keep; n > 0 {
			st.Sums = slices.Clone(st.Sums[n:])
		}
	}
}
