package parse

import (
	"bytes"
	"fmt"
	"strconv"

	"github.com/akupara/akupara/demux/parse/internal/times"
	"github.com/akupara/akupara/demux/parse/internal/words"
	"github.com/akupara/akupara/demux/rows"
	"github.com/akupara/akupara/demux/schema"
)

// as is how the text of a field becomes a value.
type as uint8

const (
	asText    as = iota
	asLong       // a whole number
	asDouble     // a number
	asStamp      // a point in time in a column of its own
	asBare       // of the type that it looks like
	asTime       // the row's time
	asDate       // the day of the row's time, which asClock completes
	asClock      // the time of day
	asLevel      // the row's level
	asMessage    // the row's message
	asRequest    // METHOD target PROTOCOL
	asURL        // the same with a whole URL, of which path is what follows the host
	asAddress    // HOST:PORT, for the columns NAME and NAME_port
	asNothing    // it has no column
)

// coding is how the text of a field is written.
type coding uint8

const (
	plainly coding = iota
	plused         // a space is a plus sign
	percent        // as in a URL, perhaps twice
)

// place is what stands at one position of a record.
type place struct {
	name   string
	as     as
	coding coding
	// loose is set where the record's own writer chose the name: there are as many
	// such columns as there is room for.
	loose bool
}

// value is a field of a record, without its quotes.
type value struct {
	text   []byte
	at     int // in the record
	quoted bool
}

// placed makes rows of records whose fields are told by their position. Its users
// split a record into vals, and call fill. "-" and nothing are null.
type placed struct {
	places []place
	least  int // of the fields that a record has; the others were added later
	vals   []value
	buf    []byte // texts of the record that are not as it has them
	spaces bool   // fields hold spaces as they are
	day    []byte // of times of day without a date
	// greedy is the place whose quotes end with the record's last one, as its writer
	// escapes none of them; 0: there is none.
	greedy int

	gen                         *rows.Generation
	cells                       []cell
	method, path, protocol, url *rows.Column
	timeAt, dateAt, clockAt     int
}

// cell is a place with its columns; those are nil where values go to attributes.
type cell struct {
	place
	col, port *rows.Column
}

func newPlaced(least int, places ...place) placed { return placed{places: places, least: least} }

// columns finds the columns of the places.
func (p *placed) columns(r *reader) {
	if p.gen == r.b.Generation() {
		return
	}
	p.gen = r.b.Generation()
	p.cells = p.cells[:0]
	p.timeAt, p.dateAt, p.clockAt = -1, -1, -1
	for i, f := range p.places {
		c := cell{place: f}
		switch f.as {
		case asTime:
			p.timeAt = i
		case asDate:
			p.dateAt = i
		case asClock:
			p.clockAt = i
		case asRequest, asURL:
			p.method, p.path, p.protocol = typed(r, "method", schema.String), typed(r, "path", schema.String), typed(r, "protocol", schema.String)
			if f.as == asURL {
				p.url = typed(r, "url", schema.String)
			}
		case asText:
			if f.loose {
				c.col = r.b.Column(f.name)
			} else {
				c.col = typed(r, f.name, schema.String)
			}
		case asLong:
			c.col = typed(r, f.name, schema.Long)
		case asDouble:
			c.col = typed(r, f.name, schema.Double)
		case asStamp:
			c.col = typed(r, f.name, schema.Timestamp)
		case asAddress:
			c.col, c.port = typed(r, f.name, schema.String), typed(r, f.name+"_port", schema.Long)
		case asBare:
			c.col = r.b.Column(f.name)
		}
		p.cells = append(p.cells, c)
	}
}

// typed returns a column of a format's own; nil where the name is a common one's.
func typed(r *reader, name string, t schema.Type) *rows.Column {
	if schema.IsCommon(name) {
		return nil
	}
	return r.b.Typed(name, t)
}

// fill adds the row of a record that was split, or says what does not fit. z is
// the zone of its times.
func (p *placed) fill(r *reader, rec []byte, z *times.Zone) (why string) {
	p.columns(r)
	if len(p.vals) < p.least {
		return fmt.Sprintf("it ends after %d of %d fields, at byte %d", len(p.vals), len(p.places), len(rec))
	}
	t, raw, why := p.time(rec, z)
	if why != "" {
		return why
	}
	r.row()
	if raw != nil {
		r.setTime(t, "time", raw)
	}
	for i := range p.vals {
		if i == len(p.cells) {
			r.b.Attr("extra", rec[p.vals[i].at:])
			break
		}
		v, c := &p.vals[i], p.cells[i]
		if c.coding == plused && (v.quoted || p.spaces) {
			c.coding = plainly
		}
		if !isNull(v.text) {
			p.put(r, &c, v.text)
		}
	}
	return ""
}

func isNull(v []byte) bool { return len(v) == 0 || len(v) == 1 && v[0] == '-' }

// time reads the record's time. raw is nil where it has none.
func (p *placed) time(rec []byte, z *times.Zone) (t times.Instant, raw []byte, why string) {
	text := func(i int) []byte {
		if i < 0 || i >= len(p.vals) || isNull(p.vals[i].text) {
			return nil
		}
		return p.vals[i].text
	}
	at := p.timeAt
	if raw = text(at); raw == nil {
		day, clock := text(p.dateAt), text(p.clockAt)
		if day == nil && len(p.day) > 0 {
			day = p.day
		}
		switch {
		case day != nil && clock != nil:
			from := len(p.buf)
			p.buf = append(append(append(p.buf, day...), 'T'), clock...)
			raw, at = p.buf[from:len(p.buf):len(p.buf)], max(p.dateAt, 0)
		case clock != nil:
			if t, n := times.Clock(clock, z); n == len(clock) {
				return t, clock, ""
			}
			raw, at = clock, p.clockAt
		default:
			return t, nil, ""
		}
	}
	if t = anyTime(raw, z); !t.OK {
		return t, nil, fmt.Sprintf("want a time at byte %d", p.vals[at].at)
	}
	return t, raw, ""
}

// anyTime reads all of s as one of the times that access logs have.
func anyTime(s []byte, z *times.Zone) times.Instant {
	if len(s) > 2 && s[2] == '/' {
		return accessTime(s, z)
	}
	if t, n := times.ISO(s, z); n > 0 && n == len(s) {
		return t
	}
	if len(s) >= 10 && words.IsNumber(s) {
		return times.Epoch(s)
	}
	return times.Instant{}
}

// put gives a value to its column.
func (p *placed) put(r *reader, c *cell, v []byte) {
	switch c.as {
	case asTime, asDate, asClock, asNothing:
		return
	case asLevel:
		r.setLevel(v, c.name)
		return
	case asMessage:
		r.b.Message(p.decoded(v, c.coding))
		return
	case asRequest, asURL:
		p.request(r, v, c.as == asURL)
		return
	}
	if c.col == nil {
		r.b.Attr(c.name, p.decoded(v, c.coding))
		return
	}
	switch c.as {
	case asLong:
		putLong(c.col, v)
	case asDouble:
		putDouble(c.col, v)
	case asBare:
		putBare(c.col, v)
	case asAddress:
		host, port := splitAddress(v)
		c.col.String(host)
		if len(port) > 0 {
			putLong(c.port, port)
		}
	default:
		c.col.String(p.decoded(v, c.coding))
	}
}

// decoded returns a text as it was before it was written in some coding.
func (p *placed) decoded(v []byte, c coding) []byte {
	from := len(p.buf)
	switch {
	case c == plused && bytes.IndexByte(v, '+') >= 0:
		p.buf = append(p.buf, v...)
		for i := from; i < len(p.buf); i++ {
			if p.buf[i] == '+' {
				p.buf[i] = ' '
			}
		}
	case c == percent && bytes.IndexByte(v, '%') >= 0:
		p.buf = unpercent(p.buf, v)
		if bytes.Contains(p.buf[from:], []byte("%20")) { // it was written so twice
			p.buf = append(p.buf[:from], unpercent(nil, p.buf[from:])...)
		}
	default:
		return v
	}
	return p.buf[from:len(p.buf):len(p.buf)]
}

// unpercent appends a text whose %XX are bytes.
func unpercent(dst, s []byte) []byte {
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8); err == nil {
				dst = append(dst, byte(v))
				i += 2
				continue
			}
		}
		dst = append(dst, s[i])
	}
	return dst
}
