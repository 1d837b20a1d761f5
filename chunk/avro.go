package chunk

import (
	"encoding/binary"
	"strings"
	"time"
)

// Schema is the Avro schema of a sink file's records, and thereby the
// serialised form of a chunk (Avro 1.11 specification, "Binary encoding").
// The data type is not in it: it is constant for a file and stands in the
// file's metadata.
const Schema = `{"type":"record","name":"Chunk","namespace":"akupara","doc":"a piece of one stream; its bytes are body, at the offsets [first, last)","fields":[` +
	`{"name":"kind","type":{"type":"enum","name":"Kind","symbols":["data","begin","end","lost","dropped","doubtful"]}},` +
	`{"name":"host","type":"string"},` +
	`{"name":"source","type":"string"},` +
	`{"name":"stream","type":"string"},` +
	`{"name":"first","type":"long"},` +
	`{"name":"last","type":"long"},` +
	`{"name":"time","type":{"type":"long","logicalType":"timestamp-micros"}},` +
	`{"name":"tags","type":{"type":"map","values":"string"}},` +
	`{"name":"encoding","type":"string"},` +
	`{"name":"borders","type":["null",{"type":"array","items":"long"}` + schemaDrops + `]},` +
	`{"name":"reason","type":"string"},` +
	`{"name":"body","type":"bytes"}]}`

// schemaDrops is the third form that borders have: with what was dropped within the
// chunk. As one more branch of a union, records without it are as they were.
const schemaDrops = `,{"type":"record","name":"Thinned","doc":"drops are lengths of [first, last), by turns kept, which are in body, and dropped, which are not","fields":[` +
	`{"name":"borders","type":["null",{"type":"array","items":"long"}]},` +
	`{"name":"drops","type":{"type":"array","items":"long"}}]}`

// Schemas of files from before there were drops, and doubtful ranges.
var (
	secondSchema = strings.Replace(Schema, schemaDrops, "", 1)
	firstSchema  = strings.Replace(secondSchema, `,"doubtful"`, "", 1)
)

// appendChunk serialises a chunk that has passed Check.
func appendChunk(b []byte, c *Chunk) []byte {
	b = binary.AppendVarint(b, int64(c.Kind))
	b = appendString(b, c.Host)
	b = appendString(b, c.Source)
	b = appendString(b, c.Stream)
	b = binary.AppendVarint(b, c.First)
	b = binary.AppendVarint(b, c.Last)
	b = binary.AppendVarint(b, c.Time.UnixMicro())
	if len(c.Tags) > 0 {
		b = binary.AppendVarint(b, int64(len(c.Tags)))
		for k, v := range c.Tags {
			b = appendString(b, k)
			b = appendString(b, v)
		}
	}
	b = binary.AppendVarint(b, 0) // ends the map
	b = appendString(b, c.Encoding)
	if c.Drops != nil {
		b = binary.AppendVarint(b, 2) // the union's record
	}
	b = appendBorders(b, c.Borders)
	if c.Drops != nil {
		b = appendDrops(b, c)
	}
	b = appendString(b, c.Reason)
	b = binary.AppendVarint(b, int64(len(c.Body)))
	return append(b, c.Body...)
}

func appendBorders(b []byte, borders []int64) []byte {
	if borders == nil {
		return binary.AppendVarint(b, 0) // the union's null
	}
	b = binary.AppendVarint(b, 1)
	if len(borders) > 0 {
		b = binary.AppendVarint(b, int64(len(borders)))
		for _, n := range borders {
			b = binary.AppendVarint(b, n)
		}
	}
	return binary.AppendVarint(b, 0) // ends the array
}

func appendDrops(b []byte, c *Chunk) []byte {
	at := c.First
	if len(c.Drops) > 0 {
		b = binary.AppendVarint(b, 2*int64(len(c.Drops)))
	}
	for _, d := range c.Drops {
		b = binary.AppendVarint(b, d.First-at)
		b = binary.AppendVarint(b, d.Len())
		at = d.Last
	}
	return binary.AppendVarint(b, 0) // ends the array
}

// Avro's long is the zig-zag varint that encoding/binary calls Varint; its
// string and bytes are a long and that many bytes.
func appendString(b []byte, s string) []byte {
	b = binary.AppendVarint(b, int64(len(s)))
	return append(b, s...)
}

// decoder reads Avro primitives from memory. After the first error it returns
// zero values only; err tells what was wrong.
type decoder struct {
	b   []byte
	err error
	// text is the input as a string, where the strings read shall be parts of it:
	// many small ones cost more than they have bytes. "": they are copies.
	text string
	// last holds the strings read before, by position in the record: streams
	// repeat them, and comparing is cheaper than allocating.
	last    [8]string
	dropped int // ranges, of all chunks so far
	// entries are allocated for several blocks at once: for how many, as far as is
	// known, and what is left.
	more  int
	spare []Entry
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = invalidf("%s, %d bytes before the end", what, len(d.b))
	}
	d.b = nil
}

func (d *decoder) long() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail("a number is cut off or too long")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// bytes reads a length and that many bytes, which stay part of the input.
func (d *decoder) bytes(maxLen int, what string) []byte {
	n := d.long()
	if n < 0 || n > int64(maxLen) || n > int64(len(d.b)) {
		d.fail(what + " has an impossible length")
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

func (d *decoder) string(slot int, what string) string {
	b := d.bytes(MaxString, what)
	switch {
	case string(b) == d.last[slot]: // does not allocate
	case d.text != "":
		end := len(d.text) - len(d.b)
		d.last[slot] = d.text[end-len(b) : end]
	default:
		d.last[slot] = string(b)
	}
	return d.last[slot]
}

// blocks reads the block structure that Avro's arrays and maps share, calling
// item for each of at most maxItems items.
func (d *decoder) blocks(maxItems int64, what string, item func()) {
	total := int64(0)
	for {
		n := d.long()
		if n == 0 || d.err != nil {
			return
		}
		if n < 0 { // a negative count is followed by the block's byte size
			n = -n
			d.long()
		}
		total += n
		if n < 0 || total > maxItems {
			d.fail("too many " + what)
			return
		}
		for ; n > 0 && d.err == nil; n-- {
			item()
		}
	}
}

// chunk reads one serialised chunk into c. Body is part of the input.
func (d *decoder) chunk(c *Chunk) {
	*c = Chunk{Type: c.Type}
	c.Kind = Kind(min(uint64(d.long()), uint64(numKinds)))
	c.Host = d.string(0, "host")
	c.Source = d.string(1, "source")
	c.Stream = d.string(2, "stream")
	c.First = d.long()
	c.Last = d.long()
	c.Time = time.UnixMicro(d.long()).UTC()
	d.blocks(MaxTags, "tags", func() {
		if c.Tags == nil {
			c.Tags = map[string]string{}
		}
		k := d.string(3, "tag")
		c.Tags[k] = d.string(4, "tag")
	})
	c.Encoding = d.string(5, "encoding")
	switch form := d.long(); form {
	case 0:
	case 1:
		c.Borders = d.borders()
	case 2:
		if d.long() == 1 {
			c.Borders = d.borders()
		}
		d.drops(c)
	default:
		d.fail("borders are neither null nor an array, nor with drops")
	}
	c.Reason = d.string(6, "reason")
	c.Body = d.bytes(MaxBody, "body")
	if len(c.Body) == 0 {
		c.Body = nil
	}
}

func (d *decoder) borders() []int64 {
	out := []int64{}
	d.blocks(MaxBody, "borders", func() { out = append(out, d.long()) })
	return out
}

// drops reads lengths, by turns of what was kept and what was dropped.
func (d *decoder) drops(c *Chunk) {
	at, body, kept := c.First, int64(0), true
	d.blocks(min(2*MaxDrops, 2*int64(MaxBatchDrops-d.dropped)), "dropped ranges", func() {
		n := d.long()
		if n < 0 || n > c.Last-at {
			d.fail("a dropped range does not fit its chunk")
			return
		}
		if kept {
			body += n
		} else {
			c.Drops = append(c.Drops, Drop{Range{at, at + n}, body})
		}
		at, kept = at+n, !kept
	})
	if d.dropped += len(c.Drops); !kept {
		d.fail("the last length of the dropped ranges is of what was kept")
	}
}
