package chunk

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"sort"
)

// Part is what a regrouped sink file holds of one of the files whose place it takes.
type Part struct {
	Segment string // id of the segment that the file was made from
	First   int    // its first block
	Blocks  int
}

const (
	metaParts    = "akupara.parts"
	partsVersion = 1 // the list's first number; it is packed as the index is
)

// Schema is the text of the file's Avro schema. Files of one schema can be joined.
func (s *Sink) Schema() string { return s.schema }

// Join puts the blocks of a sink file behind those added before, as the parts that it
// has, but for parts that are there already. It returns which blocks these are, and
// fails where they can't be in one file.
func (x *Index) Join(s *Sink) (blocks []int, err error) {
	switch {
	case s.Damage != nil:
		return nil, s.Damage
	case s.Index.Type != x.Type:
		return nil, fmt.Errorf("segment %s is of type %s, want %s", s.Index.Segment, s.Index.Type, x.Type)
	case len(x.Parts) > 0 && s.schema != x.schema:
		return nil, fmt.Errorf("segment %s has another schema", s.Index.Segment)
	}
	x.schema = s.schema
	if x.joined == nil {
		x.joined = map[string]Part{}
	}
	for _, p := range s.Index.AllParts() {
		of := s.Index.Blocks[p.First : p.First+p.Blocks]
		if has, ok := x.joined[p.Segment]; ok && x.Holds(has, of) == p.Blocks {
			continue
		}
		x.joined[p.Segment] = Part{p.Segment, len(x.Blocks), p.Blocks}
		x.Parts = append(x.Parts, x.joined[p.Segment])
		for i, blk := range of {
			blk.Offset = x.size
			x.Blocks = append(x.Blocks, blk)
			x.size += blk.framedLen()
			blocks = append(blocks, p.First+i)
		}
	}
	return blocks, nil
}

// AllParts returns the parts of a file; of one that was not regrouped, all of it is
// one.
func (x *Index) AllParts() []Part {
	if len(x.Parts) == 0 {
		return []Part{{Segment: x.Segment, Blocks: len(x.Blocks)}}
	}
	return x.Parts
}

// Part returns what is there of a segment.
func (x *Index) Part(segment string) (p Part, ok bool) {
	for _, p := range x.AllParts() {
		if p.Segment == segment {
			return p, true
		}
	}
	return Part{}, false
}

// Origin returns the id of the segment that a block was in first, and which of its
// blocks it was.
func (x *Index) Origin(block int) (segment string, n int) {
	i := sort.Search(len(x.Parts), func(i int) bool { return x.Parts[i].First > block })
	if i == 0 {
		return x.Segment, block
	}
	return x.Parts[i-1].Segment, block - x.Parts[i-1].First
}

// Holds returns how many of the blocks are the first ones of a part, one by one.
func (x *Index) Holds(p Part, blocks []Block) int {
	have := x.Blocks[p.First : p.First+p.Blocks]
	n := 0
	for n < min(len(have), len(blocks)) && have[n].Len == blocks[n].Len && have[n].CRC == blocks[n].CRC {
		n++
	}
	return n
}

func appendParts(b []byte, parts []Part) []byte {
	b = binary.AppendVarint(b, partsVersion)
	b = binary.AppendVarint(b, int64(len(parts)))
	for _, p := range parts {
		b = appendString(b, p.Segment)
		b = binary.AppendVarint(b, int64(p.Blocks))
	}
	return b
}

// parseParts reads a list of parts that hold all of so many blocks.
func parseParts(raw []byte, blocks int) (parts []Part, err error) {
	d := decoder{b: raw}
	if v := d.long(); d.err == nil && v != partsVersion {
		return nil, invalidf("the list of parts has version %d, want %d", v, partsVersion)
	}
	n := d.long()
	if n < 0 || n*2 > int64(len(d.b)) {
		d.fail("an impossible number of parts")
	}
	at := int64(0)
	for range max(n, 0) {
		p := Part{Segment: d.string(7, "segment"), First: int(at)}
		count := d.long()
		if d.err == nil && (count < 0 || count > int64(blocks)-at) {
			d.fail("a part with an impossible number of blocks")
		}
		if d.err != nil {
			break
		}
		p.Blocks = int(count)
		at += count
		parts = append(parts, p)
	}
	if d.err == nil && (len(d.b) != 0 || at != int64(blocks)) {
		d.fail("parts that are not all of the file")
	}
	if d.err != nil {
		return nil, fmt.Errorf("parts: %w", d.err)
	}
	return parts, nil
}

// pack makes a header's text of what an index or a list of parts is serialised to:
// compressed, with a CRC-32C before it, in base64, as some readers take every value
// of the metadata for UTF-8.
func pack(raw []byte) (string, error) {
	enc, err := indexEncoder()
	if err != nil {
		return "", fmt.Errorf("create zstd encoder: %w", err)
	}
	packed := enc.EncodeAll(raw, make([]byte, 4))
	binary.LittleEndian.PutUint32(packed, CRC(packed[4:]))
	return base64.StdEncoding.EncodeToString(packed), nil
}

// unpack is the reverse of pack, into memory of buf where it suffices. It uses
// text's, too. key is whose value it is.
func unpack(key string, text, buf []byte) ([]byte, error) {
	n, err := base64.StdEncoding.Strict().Decode(text, text) // what is read lies before what is written
	packed := text[:max(n, 0)]
	if err != nil || len(packed) < 4 {
		return nil, invalidf("not a sink file: its header has no %s", key)
	}
	if got, want := CRC(packed[4:]), binary.LittleEndian.Uint32(packed); got != want {
		return nil, invalidf("the CRC of %s is %08x, it says %08x", key, got, want)
	}
	dec, err := indexDecoder()
	if err != nil {
		return nil, fmt.Errorf("create zstd decoder: %w", err)
	}
	raw, err := dec.DecodeAll(packed[4:], buf)
	if err != nil {
		return nil, invalidf("decompress %s: %v", key, err)
	}
	return raw, nil
}
