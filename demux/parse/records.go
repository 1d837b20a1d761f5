package parse

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/rows"
)

// format is what tells one parser from another.
type format interface {
	// begin is called before a chunk's first record.
	begin(r *reader)
	// record fills the row that r has begun for it: the bytes of the record
	// without its line end. It is never empty, unless the format wants empty
	// records.
	record(r *reader, rec []byte)
}

// grouper is a format whose records may be several lines.
type grouper interface {
	// starts tells whether a line starts a record.
	starts(line []byte) bool
}

// reader cuts chunks into records and gives them to a format.
type reader struct {
	format
	opts       Options
	wantsEmpty bool

	b        *rows.Builder
	seq      int64
	now      int64 // the chunk's time, microseconds
	min, max int64 // believed times, microseconds, half-open
	year     time.Time
	zone     zone
	dec      *encoding.Decoder
	wide     int // bytes of the encoding's unit, 2 for UTF-16; 0 is one
	big      bool
}

func newReader(f format, o Options) *reader {
	if o.Timezone == nil {
		o.Timezone = time.UTC
	}
	return &reader{format: f, opts: o, zone: zone{loc: o.Timezone}}
}

var sane = time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)

// Parse implements Parser.
func (r *reader) Parse(c *chunk.Chunk, keep chunk.Ranges, b *rows.Builder) {
	if c.Kind != chunk.Data || len(c.Body) == 0 {
		return
	}
	r.b, r.year = b, c.Time
	r.bounds(c)
	r.decoder(c.Encoding)
	b.Origin(c.Host, c.Source, c.Stream, c.Tags)
	r.begin(r)
	body := c.Body
	for first, i := 0, 0; first < len(body); i++ {
		var last int
		switch {
		case c.Borders != nil && i < len(c.Borders):
			last = int(c.Borders[i])
		case c.Borders == nil:
			last = first + r.end(body[first:])
		}
		if last <= first || last > len(body) { // borders that break their rules
			last = len(body)
		}
		r.whole(c, keep, first, last)
		first = last
	}
}

func (r *reader) bounds(c *chunk.Chunk) {
	from, to := r.opts.MinTime, r.opts.MaxTime
	if from.IsZero() {
		from = sane
	}
	if to.IsZero() {
		to = c.Time.Add(24 * time.Hour)
	}
	r.min, r.max = from.UnixMicro(), to.UnixMicro()
	r.now = c.Time.UnixMicro()
}

// decoder prepares for the body's encoding. One that is not known is read as
// UTF-8: what is none is escaped and marked.
func (r *reader) decoder(name string) {
	r.dec, r.wide, r.big = nil, 0, false
	if name == "" {
		return
	}
	e, err := ianaindex.IANA.Encoding(name)
	if err != nil || e == nil {
		return
	}
	if canonical, _ := ianaindex.IANA.Name(e); canonical == "UTF-8" || canonical == "US-ASCII" {
		return
	}
	r.dec = e.NewDecoder()
	// Where a newline's byte is in its unit follows from an encoded newline.
	if nl, err := e.NewEncoder().Bytes([]byte("\n")); err == nil && len(nl) >= 2 {
		r.wide, r.big = 2, nl[len(nl)-1] == '\n'
	}
}

// end gives the length of the record that body starts with.
func (r *reader) end(body []byte) int {
	n := r.line(body)
	if g, ok := r.format.(grouper); ok && r.wide == 0 {
		for n < len(body) && !g.starts(trimLine(body[n:n+r.line(body[n:])])) {
			n += r.line(body[n:])
		}
	}
	return n
}

// line gives the length of the line that body starts with, its end included.
func (r *reader) line(body []byte) int {
	if r.wide == 0 {
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			return i + 1
		}
		return len(body)
	}
	for i := 0; i+1 < len(body); i += 2 {
		if lo, hi := body[i], body[i+1]; !r.big && lo == '\n' && hi == 0 || r.big && lo == 0 && hi == '\n' {
			return i + 2
		}
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

// whole gives the row or the rows of the record at body[first:last].
func (r *reader) whole(c *chunk.Chunk, keep chunk.Ranges, first, last int) {
	at := chunk.Range{First: c.First + int64(first), Last: c.First + int64(last)}
	if keep != nil {
		parts := keep.Covered(at)
		if len(parts) != 1 || parts[0] != at {
			for _, p := range parts {
				r.part(c, at, p)
			}
			return
		}
	}
	rec := c.Body[first:last]
	if r.dec != nil {
		rec = r.decode(rec)
	}
	rec = trimLine(rec)
	if len(bytes.TrimSpace(rec)) == 0 && !r.wantsEmpty {
		return
	}
	r.seq = at.First
	r.record(r, rec)
}

// decode gives the record as UTF-8. Where that would lose bytes, it is given
// as it is, to be escaped and marked.
func (r *reader) decode(rec []byte) []byte {
	out, err := r.dec.Bytes(rec)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) {
		return rec
	}
	return bytes.TrimPrefix(out, []byte("\ufeff"))
}

// part gives the row of the part p of a record whose rest the table holds.
func (r *reader) part(c *chunk.Chunk, rec, p chunk.Range) {
	r.seq = p.First
	r.row()
	r.b.Message(trimLine(c.Body[p.First-c.First : p.Last-c.First]))
	r.b.Fail(fmt.Sprintf("part of a record: bytes %v of %v, the rest is in the table already", p, rec))
}

// row begins a row. Its time is the chunk's, as long as none is set; a chunk's
// time that is not believed becomes the nearest that is.
func (r *reader) row() { r.rowAt(r.seq) }

func (r *reader) rowAt(seq int64) {
	if r.now >= r.min && r.now < r.max {
		r.b.Row(r.now, seq)
		return
	}
	r.b.Row(min(max(r.now, r.min), r.max-1), seq)
	r.b.Attr("read_time", []byte(time.UnixMicro(r.now).UTC().Format(time.RFC3339Nano)))
}

// fail gives a row to a record that can't be parsed.
func (r *reader) fail(rec []byte, why string) {
	r.row()
	r.b.Message(rec)
	r.b.Fail(why)
}

// setTime sets the row's time. One that is not believed, or that microseconds
// can't hold whole, is kept in attributes as it was.
func (r *reader) setTime(t instant, key string, raw []byte) {
	if !t.ok || t.micros < r.min || t.micros >= r.max {
		r.b.Attr(key, raw)
		return
	}
	r.b.SetTS(t.micros)
	if t.finer {
		r.b.Attr(key, raw)
	}
}

// setLevel sets the row's level. A name that is not known is kept in
// attributes.
func (r *reader) setLevel(raw []byte, key string) {
	if len(raw) == 0 {
		return
	}
	if l := levelOf(raw); l != rows.NoLevel {
		r.b.SetLevel(l)
		return
	}
	r.b.Attr(key, raw)
}
