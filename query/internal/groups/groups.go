// Package groups tells from the footer of a Parquet file, and from its bloom
// filters, which of its row groups may hold what is looked for.
package groups

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go/bloom"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Group is a row group.
type Group struct {
	Rows, Bytes int64
	// MinTS and MaxTS are the bounds of its ts in microseconds, both inclusive.
	MinTS, MaxTS int64
	// Bounded and Bloomed report that it has none of the texts that were looked for,
	// by the bounds of a column or by its bloom filter.
	Bounded, Bloomed bool
}

// Texts are what a row must have one of, in the column with that field id.
type Texts struct {
	Column int
	Any    []string
}

const (
	maxFooter = 64 << 20
	// tailBytes is what is read of a file's end at once; the footer is in it, mostly.
	tailBytes = 64 << 10
	// maxHeader bounds the header of a bloom filter.
	maxHeader = 64
)

var errDamaged = errors.New("the file is too short for its footer, or damaged")

// Read returns the row groups of a file of that size. ts is the field id of the column
// ts. It fails where a row group has no bounds of ts.
func Read(r io.ReaderAt, size int64, ts int, texts []Texts) (out []Group, err error) {
	// In a footer that is damaged may be anything.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decode footer: %v", r)
		}
	}()
	footer, err := readFooter(r, size)
	if err != nil {
		return nil, fmt.Errorf("read footer: %w", err)
	}
	var meta format.FileMetaData
	if err := thrift.Unmarshal(new(thrift.CompactProtocol), footer, &meta); err != nil {
		return nil, fmt.Errorf("decode footer: %w", err)
	}
	leaves := Leaves(meta.Schema)
	out = make([]Group, 0, len(meta.RowGroups))
	for i := range meta.RowGroups {
		g := &meta.RowGroups[i]
		if len(g.Columns) != len(leaves) {
			return nil, fmt.Errorf("decode footer: a row group has %d columns, the schema %d", len(g.Columns), len(leaves))
		}
		at := slices.Index(leaves, ts)
		if at < 0 || ts == 0 {
			return nil, errors.New("decode footer: there is no column ts")
		}
		group := Group{Rows: g.NumRows, Bytes: g.TotalCompressedSize}
		var ok bool
		if group.MinTS, group.MaxTS, ok = Bounds(&g.Columns[at].MetaData); !ok {
			return nil, errors.New("decode footer: a row group has no bounds of ts")
		}
		for _, t := range texts {
			if at := slices.Index(leaves, t.Column); at >= 0 {
				if err := group.look(r, &g.Columns[at].MetaData, t.Any); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, group)
	}
	return out, nil
}

// Bounds returns the bounds of a column of 64-bit integers, both inclusive.
func Bounds(m *format.ColumnMetaData) (lo, hi int64, ok bool) {
	s := &m.Statistics
	if m.Type != format.Int64 || len(s.MinValue) != 8 || len(s.MaxValue) != 8 {
		return 0, 0, false
	}
	return int64(binary.LittleEndian.Uint64(s.MinValue)), int64(binary.LittleEndian.Uint64(s.MaxValue)), true
}

func readFooter(r io.ReaderAt, size int64) ([]byte, error) {
	tail := make([]byte, min(size, tailBytes))
	if n, err := r.ReadAt(tail, size-int64(len(tail))); n < len(tail) {
		return nil, err
	}
	if len(tail) < 12 || string(tail[len(tail)-4:]) != "PAR1" {
		return nil, errDamaged
	}
	n := int64(binary.LittleEndian.Uint32(tail[len(tail)-8:]))
	switch {
	case n > size-12 || n > maxFooter:
		return nil, errDamaged
	case n <= int64(len(tail))-8:
		return tail[int64(len(tail))-8-n : len(tail)-8], nil
	}
	footer := make([]byte, n)
	if got, err := r.ReadAt(footer, size-8-n); got < len(footer) {
		return nil, err
	}
	return footer, nil
}

// Leaves returns the field ids of a schema's leaves, 0 where one is a part of a column.
func Leaves(elements []format.SchemaElement) (ids []int) {
	at := 1 // the root
	var walk func(depth int)
	walk = func(depth int) {
		if at >= len(elements) {
			return
		}
		e := &elements[at]
		at++
		switch {
		case e.NumChildren.Valid && e.NumChildren.V > 0:
			for range e.NumChildren.V {
				walk(depth + 1)
			}
		case depth == 0:
			ids = append(ids, int(e.FieldID))
		default:
			ids = append(ids, 0)
		}
	}
	for at < len(elements) {
		walk(0)
	}
	return ids
}

// look finds out whether a column of the row group has none of the texts.
func (g *Group) look(r io.ReaderAt, m *format.ColumnMetaData, texts []string) error {
	if g.Bounded || g.Bloomed || m.Type != format.ByteArray {
		return nil
	}
	s := &m.Statistics
	within := func(v string) bool {
		return (s.MinValue == nil || v >= string(s.MinValue)) && (s.MaxValue == nil || v <= string(s.MaxValue))
	}
	bounded, bloomed := true, true
	var f *filter
	for _, v := range texts {
		if !within(v) {
			continue
		}
		bounded = false
		if f == nil {
			var err error
			if f, err = openFilter(r, m); err != nil {
				return err
			}
		}
		may, err := f.has(v)
		if err != nil {
			return err
		}
		if may {
			bloomed = false
			break
		}
	}
	g.Bounded, g.Bloomed = bounded, !bounded && bloomed
	return nil
}

// filter is a split block bloom filter in a file, as the format's BloomFilter.md has it.
type filter struct {
	blocks *io.SectionReader // nil: there is none
}

func openFilter(r io.ReaderAt, m *format.ColumnMetaData) (*filter, error) {
	if m.BloomFilterOffset <= 0 || m.BloomFilterLength <= 0 {
		return &filter{}, nil
	}
	head := make([]byte, min(maxHeader, int(m.BloomFilterLength)))
	if n, err := r.ReadAt(head, m.BloomFilterOffset); n < len(head) {
		return nil, fmt.Errorf("read bloom filter: %w", err)
	}
	var h format.BloomFilterHeader
	if err := thrift.NewDecoder(new(thrift.CompactProtocol).NewReader(bytes.NewReader(head))).Decode(&h); err != nil {
		return nil, fmt.Errorf("decode bloom filter: %w", err)
	}
	_, block := h.Algorithm.Value.(*format.SplitBlockAlgorithm)
	_, hash := h.Hash.Value.(*format.XxHash)
	_, plain := h.Compression.Value.(*format.BloomFilterUncompressed)
	skip := int64(m.BloomFilterLength) - int64(h.NumBytes)
	if !block || !hash || !plain || h.NumBytes <= 0 || h.NumBytes%bloom.BlockSize != 0 || skip <= 0 || skip > maxHeader {
		return &filter{}, nil // nothing that is known here
	}
	return &filter{io.NewSectionReader(r, m.BloomFilterOffset+skip, int64(h.NumBytes))}, nil
}

// has reports whether the filter may have the text.
func (f *filter) has(v string) (bool, error) {
	if f.blocks == nil {
		return true, nil
	}
	ok, err := bloom.CheckSplitBlock(f.blocks, f.blocks.Size(), bloom.XXH64{}.Sum64([]byte(v)))
	if err != nil {
		return false, fmt.Errorf("read bloom filter: %w", err)
	}
	return ok, nil
}
