package parse

import (
	"bytes"
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/chunk/charset"
	"github.com/akupara/akupara/demux/parse/internal/levels"
	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/rows"
)

// reader cuts chunks into records and gives them to a format.
type reader struct {
	format
	opts       Options
	wantsEmpty bool

	b        *rows.Builder
	seq      int64 // of the current row, or of the one that comes next
	first    int64 // where the record begins in the stream
	last     int64 // seq of the record's last row so far, or less than first
	now      int64 // the chunk's time, microseconds
	min, max int64 // believed times, microseconds, half-open
	zone     times.Zone
	encoding string           // an IANA name; empty: UTF-8
	dec      *charset.Decoder // nil for UTF-8
	part     string           // which part of a record the chunk holds; empty: whole ones
	rest     bool             // it is one that the format does not read
	alien    bool             // no line of the chunk starts a record that the format knows, or closes its quotes
	framed   bool             // the text comes from a record's frames
	frame    times.Instant    // the time in the record's frame, which takes precedence over its message's own
	// multiline tells that the lines of one output in a record are one message.
	multiline bool
	faulty    bool // the current record has bytes that are no characters

	coloured, plain []byte // the record with its colours and without, where a format gets it so
}

func newReader(f format, o Options) *reader {
	if o.Timezone == nil {
		o.Timezone = time.UTC
	}
	_, empty := f.(emptier)
	return &reader{format: f, opts: o, wantsEmpty: empty, zone: times.Zone{Loc: o.Timezone}}
}

// Parse implements Parser.
func (r *reader) Parse(ctx context.Context, c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) error {
	if c.Kind != chunk.Data || c.Range().Empty() {
		return nil
	}
	r.b = b
	r.zone.ReadAt(c.Time)
	r.bounds(c.Time)
	r.open(c)
	r.multiline = c.Tags["multiline"] == "true"
	_, reads := r.format.(parter)
	r.rest = !reads && (r.part == "middle" || r.part == "last")
	b.Origin(c.Host, c.Source, c.Stream, c.Tags)
	r.begin(r)
	for k := (cutter{r: r, c: c, offset: c.First}); k.next(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		r.whole(c, keep, k.body, k.at)
	}
	return nil
}

// Records implements Parser.
func (r *reader) Records(c *chunk.Chunk) []chunk.Range {
	if c.Kind != chunk.Data {
		return nil
	}
	r.open(c)
	var out []chunk.Range
	for k := (cutter{r: r, c: c, offset: c.First}); k.next(); {
		out = append(out, k.at)
	}
	return out
}

// open prepares for cutting the chunk into records.
func (r *reader) open(c *chunk.Chunk) {
	r.decoder(c.Encoding)
	r.part = c.Tags["part"]
	r.alien = false
}

// cutter cuts a chunk's body into records. None goes over what was dropped.
type cutter struct {
	r      *reader
	c      *chunk.Chunk
	n      int   // records so far
	first  int   // in the body, of what is left
	run    int   // in the body, of what was kept in one piece with it
	offset int64 // in the stream, of the body's begin if nothing were dropped before first
	drops  int   // of the chunk's, those before first

	body []byte // of the record
	at   chunk.Range
}

// next finds the next record.
func (k *cutter) next() bool {
	c := k.c
	for k.drops < len(c.Drops) && c.Drops[k.drops].Body <= int64(k.first) {
		d := &c.Drops[k.drops]
		k.offset, k.run = d.Last-d.Body, k.first
		k.r.alien = false // what is known of the lines before says nothing of these
		k.drops++
	}
	if k.first >= len(c.Body) {
		return false
	}
	end := len(c.Body)
	if k.drops < len(c.Drops) {
		end = int(c.Drops[k.drops].Body)
	}
	var last int
	switch {
	case c.Borders == nil:
		last = k.first + k.r.end(c.Body[k.first:end], k.first-k.run)
	case k.n < len(c.Borders):
		last = int(c.Borders[k.n])
	}
	if last <= k.first || last > end { // borders that break their rules
		last = end
	}
	k.body = c.Body[k.first:last]
	k.at = chunk.Range{First: k.offset + int64(k.first), Last: k.offset + int64(last)}
	k.first = last
	k.n++
	return true
}

func (r *reader) bounds(now time.Time) {
	from, to := r.opts.MinTime, r.opts.MaxTime
	if from.IsZero() {
		from = times.Earliest
	}
	if to.IsZero() {
		to = now.Add(24 * time.Hour)
	}
	r.min, r.max = from.UnixMicro(), to.UnixMicro()
	r.now = now.UnixMicro()
}

// decoder prepares for the body's encoding. One that is not known is read as
// UTF-8: what is none is escaped and marked.
func (r *reader) decoder(name string) {
	if name != r.encoding {
		r.encoding, r.dec = name, charset.NewDecoder(name)
	}
}

// starts reports whether a record of g starts with the line that body starts with.
func (r *reader) starts(g grouper, body []byte) bool {
	return g.starts(trimLine(r.dec.Text(body[:r.line(body)])))
}

// end returns the length of the record that body starts with, at bytes into what
// was kept in one piece. Where no line of that starts a record as the format knows
// them, each line is one.
func (r *reader) end(body []byte, at int) int {
	n := r.line(body)
	if q, ok := r.format.(quoter); ok && r.part == "" && !r.alien {
		return r.quotedEnd(q, body, n)
	}
	g, ok := r.format.(grouper)
	if !ok || r.part != "" || r.alien {
		return n
	}
	first := n
	for n < len(body) && !r.starts(g, body[n:]) {
		n += r.line(body[n:])
	}
	if n == len(body) && at == 0 && n > first && !r.starts(g, body) {
		r.alien = true
		return first
	}
	return n
}

// quotedEnd returns the length of the record that body starts with, n being that of
// its first line. Where no line closes its quotes, each line is one, and no later one
// looks for an end.
func (r *reader) quotedEnd(q quoter, body []byte, n int) int {
	open, last := q.unclosed(r.dec.Text(body[:n]), false), n
	for open && last < len(body) {
		k := r.line(body[last:])
		line := r.dec.Text(body[last : last+k])
		if again, ok := q.(reopener); ok && again.reopens(line) {
			return last
		}
		open = q.unclosed(line, true)
		last += k
	}
	if r.alien = open; open {
		return n
	}
	return last
}

// line returns the length of the line that body starts with, its end included.
func (r *reader) line(body []byte) int {
	if n := chunk.LineEnd(body, r.encoding); n >= 0 {
		return n
	}
	return len(body)
}

// trimLine takes the line end off.
func trimLine(l []byte) []byte {
	if n := len(l); n > 0 && l[n-1] == '\n' {
		l = l[:n-1]
		if n > 1 && l[n-2] == '\r' {
			l = l[:n-2]
		}
	}
	return l
}

// whole adds the row or the rows of a record, which is at these offsets.
func (r *reader) whole(c *chunk.Chunk, keep chunk.Ranges, body []byte, at chunk.Range) {
	if keep != nil {
		parts := keep.Covered(at)
		if len(parts) != 1 || parts[0] != at {
			if h, ok := r.format.(headed); ok {
				if rec := trimLine(r.text(body, at.First)); len(rec) > 0 {
					r.begins(at.First)
					h.skipped(r, rec)
				}
			}
			for _, p := range parts {
				r.partly(c, at, p)
			}
			return
		}
	}
	rec := trimLine(r.text(body, at.First))
	if (len(rec) == 0 || rec[0] <= ' ' || rec[0] >= utf8.RuneSelf) && len(bytes.TrimSpace(rec)) == 0 && !r.wantsEmpty {
		return
	}
	r.begins(at.First)
	before := r.b.Len()
	if r.rest {
		r.fail(rec, "the "+r.part+" part of a record, which was too long for one row or still being written after record_timeout")
	} else {
		r.give(r.format, rec)
	}
	if r.b.Len() > before {
		r.markFaulty()
	}
}

// markFaulty marks the current row where its record has bytes that are no
// characters. A format that adds several rows for a record calls it between them.
func (r *reader) markFaulty() {
	if r.faulty {
		r.b.Fail("not all its bytes are " + r.encoding)
	}
}

// text returns bytes of the stream as UTF-8, without the mark at its beginning.
// Bytes that are no characters stay as they are, to be escaped and marked.
func (r *reader) text(rec []byte, at int64) []byte {
	r.faulty = false
	if r.dec != nil {
		var ok bool
		rec, ok = r.dec.Decode(rec)
		r.faulty = !ok
	}
	if at == 0 || r.dec != nil {
		rec = bytes.TrimPrefix(rec, []byte("\ufeff"))
	}
	return rec
}

// partly adds the row of the part p of a record whose rest the table holds.
func (r *reader) partly(c *chunk.Chunk, rec, p chunk.Range) {
	r.seq = p.First
	r.row()
	r.b.Message(trimLine(r.text(c.Bytes(p), p.First)))
	r.b.Fail(fmt.Sprintf("part of a record: bytes %v of %v, the rest is in the table already", p, rec))
}

// begins says that the record begins here in the stream.
func (r *reader) begins(at int64) { r.seq, r.first, r.last = at, at, at-1 }

// further goes on to the text at bytes into the record: that is where the next row is
// in the stream. Where the text is not as the stream has it, or another row is there,
// the row has the place behind the row before it. All are within the record, as each
// row has a byte of it or more.
func (r *reader) further(at int) {
	r.seq = max(r.seq, r.last+1)
	if r.dec == nil && !r.framed {
		r.seq = max(r.seq, r.first+int64(at))
	}
}

// row begins a row. Its time is the chunk's, as long as none is set; a chunk's
// time that is not believed becomes the nearest that is.
func (r *reader) row() {
	r.last = r.seq
	if t := r.frame; r.believes(t) {
		r.b.Row(t.Micros, r.seq)
		return
	}
	if r.now >= r.min && r.now < r.max {
		r.b.Row(r.now, r.seq)
		return
	}
	r.b.Row(min(max(r.now, r.min), r.max-1), r.seq)
	r.b.Attr("read_time", []byte(time.UnixMicro(r.now).UTC().Format(time.RFC3339Nano)))
}

// fail adds a row for a record that can't be parsed.
func (r *reader) fail(rec []byte, why string) {
	r.row()
	r.b.Message(r.original(rec))
	r.b.Fail(why)
}

// noTime marks the current row, which has no time, unless a step gives it one.
func (r *reader) noTime() { r.b.FailUntimed(noTime) }

// believes reports whether t is a time that may be true.
func (r *reader) believes(t times.Instant) bool {
	return t.OK && t.Micros >= r.min && t.Micros < r.max
}

// setTime sets the row's time. One that is not believed, or that microseconds
// can't hold whole, is kept in attributes as it was.
func (r *reader) setTime(t times.Instant, key string, raw []byte) {
	if !r.believes(t) || r.frame.OK {
		r.b.Attr(key, raw)
		return
	}
	r.b.SetTS(t.Micros)
	if t.Finer {
		r.b.Attr(key, raw)
	}
}

// setLevel sets the row's level, and reports whether it is one. A name that is not
// known is kept in attributes.
func (r *reader) setLevel(raw []byte, key string) bool {
	if len(raw) == 0 {
		return false
	}
	l := levels.Named(raw)
	if l == rows.NoLevel {
		r.b.Attr(key, raw)
		return false
	}
	r.b.SetLevel(l)
	return true
}
