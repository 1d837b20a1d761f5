package rows

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"math/bits"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/rows/internal/parquetfile"
)

// cover is what the rows from firstRow on cover: ranges of the stream of a run.
type cover struct {
	firstRow, run int
	ranges        chunk.Ranges
}

// Covers says which bytes of the stream that Origin named last the rows from
// firstRow on cover. The first row of each range covers it from its start, each
// row to where the next one begins, the last to the range's end. Rows come by
// ascending seq.
func (b *Builder) Covers(firstRow int, ranges chunk.Ranges) {
	b.cover(firstRow, len(b.runs)-1, ranges)
}

func (b *Builder) cover(firstRow, run int, ranges chunk.Ranges) {
	if n := len(b.covers); n > 0 && len(ranges) == 1 {
		p := &b.covers[n-1]
		if last := &p.ranges[len(p.ranges)-1]; p.run == run && last.Last == ranges[0].First {
			last.Last = ranges[0].Last
			return
		}
	}
	if len(ranges) > 0 {
		b.covers = append(b.covers, cover{firstRow, run, slices.Clone(ranges)})
	}
}

// span is one range with its rows: [firstRow, endRow).
type span struct {
	chunk.Range
	run, firstRow, endRow int
}

// spans know of each row which bytes it covers. They keep their memory from one
// WriteFiles to the next.
type spans struct {
	b       *Builder
	all     []span // ascending by rows
	rowless []span // that no file has told of yet
	file    []uint64
	enc     coverage.Encoder
}

func (s *spans) set(b *Builder) {
	s.b, s.all, s.rowless = b, s.all[:0], s.rowless[:0]
	for i := range b.covers {
		c := &b.covers[i]
		row, end := c.firstRow, b.Len()
		if i+1 < len(b.covers) {
			end = b.covers[i+1].firstRow
		}
		for _, r := range c.ranges {
			sp := span{Range: r, run: c.run, firstRow: row}
			for row < end && b.seq.at(row) < r.Last {
				row++
			}
			sp.endRow = row
			if row == sp.firstRow {
				s.rowless = append(s.rowless, sp)
			} else {
				s.all = append(s.all, sp)
			}
		}
	}
}

// coverage returns what these rows cover. What no row covers is told by the
// first file.
func (s *spans) coverage(rows []uint32) coverage.Set {
	lists := map[uint32]*list{} // by stream
	var now *list
	add := func(r chunk.Range, run int) {
		if r.Empty() {
			return
		}
		if now == nil || now.run != run {
			stream := s.b.runs[run].stream
			if now = lists[stream]; now == nil {
				now = &list{}
				lists[stream] = now
			}
			now.run = run
		}
		now.add(r)
	}
	s.covered(rows, add)
	for _, sp := range s.rowless {
		add(sp.Range, sp.run)
	}
	s.rowless = s.rowless[:0]
	set := coverage.Set{}
	for _, l := range lists {
		r := &s.b.runs[l.run]
		st := set.Stream(s.origin(r.stream), s.origin(r.host), s.origin(r.source))
		st.Ranges = l.join()
	}
	return set
}

// covered adds what each of these rows covers. A file has its rows in the order
// of their times; taken in the order they came in, most follow on each other.
func (s *spans) covered(rows []uint32, add func(r chunk.Range, run int)) {
	low, top := int(slices.Min(rows)), int(slices.Max(rows))
	words := (top-low)/64 + 1
	s.file = slices.Grow(s.file[:0], words)[:words]
	clear(s.file)
	for _, row := range rows {
		at := int(row) - low
		s.file[at/64] |= 1 << (at % 64)
	}
	has := func(row int) bool { return row <= top && s.file[(row-low)/64]>>((row-low)%64)&1 == 1 }
	next := func(row int) int { // that the file has, from row on
		for row <= top {
			if w := s.file[(row-low)/64] >> ((row - low) % 64); w != 0 {
				return row + bits.TrailingZeros64(w)
			}
			row += 64 - (row-low)%64
		}
		return row
	}
	all := s.all
	for row := low; row <= top; row = next(row) {
		if len(all) > 0 && all[0].endRow <= row {
			n, _ := slices.BinarySearchFunc(all, row, func(sp span, row int) int { return cmp.Compare(sp.endRow, row+1) })
			all = all[n:]
		}
		if len(all) == 0 {
			return
		}
		sp := &all[0]
		if row < sp.firstRow {
			row = sp.firstRow // nothing is said of the rows before
			continue
		}
		r := sp.Range
		if row > sp.firstRow {
			r.First = s.b.seq.at(row)
		}
		for row++; row < sp.endRow && has(row); row++ {
		}
		if row < sp.endRow {
			r.Last = s.b.seq.at(row)
		}
		add(r, sp.run)
	}
}

func (s *spans) origin(id uint32) string { return string(s.b.origins.get(int(id))) }

// list collects ranges of one stream, which mostly follow on each other.
type list struct {
	run    int // that it was last added to by
	ranges chunk.Ranges
}

func (l *list) add(r chunk.Range) {
	if n := len(l.ranges); n > 0 && l.ranges[n-1].Last == r.First {
		l.ranges[n-1].Last = r.Last
		return
	}
	l.ranges = append(l.ranges, r)
}

func (l *list) join() chunk.Ranges {
	slices.SortFunc(l.ranges, func(x, y chunk.Range) int { return cmp.Compare(x.First, y.First) })
	out := l.ranges[:0]
	for _, r := range l.ranges {
		if n := len(out); n > 0 && r.First <= out[n-1].Last {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// maxRangesBytes bounds what a footer says of its file's ranges: readers load it
// whole.
const maxRangesBytes = 4 << 20

// pairs returns what a file's footer tells of it.
func (g *gather) pairs(path string, rows []uint32) ([]parquetfile.Pair, error) {
	out := []parquetfile.Pair{{Key: datafile.KeyFile, Value: datafile.Name(path)}, {Key: datafile.KeyRows, Value: g.sum(rows).String()}}
	if len(g.b.covers) == 0 {
		return out, nil
	}
	b, err := g.spans.enc.Encode(g.spans.coverage(rows))
	if err != nil {
		return nil, fmt.Errorf("describe its ranges: %w", err)
	}
	if len(b) <= maxRangesBytes {
		out = append(out, parquetfile.Pair{Key: datafile.KeyRanges, Value: base64.StdEncoding.EncodeToString(b)})
	}
	return out, nil
}

// sum returns the checksum of rows by their streams and offsets.
func (g *gather) sum(rows []uint32) (sum datafile.RowSum) {
	if g.hashes == nil {
		g.hashStreams()
	}
	for _, row := range rows {
		sum.Add(g.hashes[g.runOf[row]], uint64(g.b.seq.at(int(row))))
	}
	return sum
}

// hashStreams hashes the streams of all origins, once for all files.
func (g *gather) hashStreams() {
	g.hashes = make([]uint64, len(g.b.runs))
	for i := range g.b.runs {
		if stream := g.b.runs[i].stream; i > 0 && stream == g.b.runs[i-1].stream {
			g.hashes[i] = g.hashes[i-1]
		} else {
			g.hashes[i] = datafile.HashStream(g.b.origins.get(int(stream)))
		}
	}
}
