package chunk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"sync"
)

// headerReader reads an object container file's header and counts its bytes.
// failed is what the reader failed with, which says nothing about the file. Its
// memory is used again: plans open very many files.
type headerReader struct {
	r      io.Reader
	buf    *bufio.Reader // the header is read in small pieces, and r may be far away
	n      int64
	failed error

	value        bytes.Buffer
	index, parts []byte // as the header has them
	raw          []byte
}

const (
	headerPiece = 64 << 10
	keptHeader  = 1 << 20 // bytes of a buffer that is used again
)

var headers = sync.Pool{New: func() any { return &headerReader{buf: bufio.NewReaderSize(nil, headerPiece)} }}

func (h *headerReader) begin(r io.Reader) {
	h.r, h.n, h.failed = r, 0, nil
	h.index, h.parts = h.index[:0], h.parts[:0]
	h.buf.Reset(source{h})
}

func (h *headerReader) release() {
	h.r = nil
	if cap(h.index)+cap(h.parts)+cap(h.raw)+h.value.Cap() <= keptHeader {
		headers.Put(h)
	}
}

// source notes what the reader fails with.
type source struct{ h *headerReader }

func (s source) Read(p []byte) (int, error) {
	n, err := s.h.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.h.failed = err
	}
	return n, err
}

func (h *headerReader) ReadByte() (byte, error) {
	b, err := h.buf.ReadByte()
	if err == nil {
		h.n++
	}
	return b, err
}

// bytes reads a length and that many bytes, which are good until the next call.
func (h *headerReader) bytes(maxLen int64) ([]byte, error) {
	n, err := binary.ReadVarint(h)
	if err != nil {
		return nil, err
	}
	if n < 0 || n > maxLen {
		return nil, errors.New("impossible length")
	}
	// Copy grows with what is really there: a lying length allocates nothing.
	h.value.Reset()
	got, err := io.CopyN(&h.value, h.buf, n)
	h.n += got
	return h.value.Bytes(), err
}

func (h *headerReader) fixed(p []byte) error {
	n, err := io.ReadFull(h.buf, p)
	h.n += int64(n)
	return err
}

// read reads all that the header says of s but its index and its parts, which it
// leaves as they are.
func (h *headerReader) read(s *Sink) error {
	var magic [len(avroMagic)]byte
	if err := h.fixed(magic[:]); err != nil || string(magic[:]) != avroMagic {
		return invalidf("not an Avro object container file")
	}
	codec := ""
	for {
		n, err := binary.ReadVarint(h)
		if err == nil && (n < 0 || n > 64) {
			err = errors.New("impossible number of entries")
		}
		if err != nil {
			return invalidf("read header: %v", err)
		}
		if n == 0 {
			break
		}
		for range n {
			if err := h.entry(s, &codec); err != nil {
				return invalidf("read header: %v", err)
			}
		}
	}
	if err := h.fixed(s.sync[:]); err != nil {
		return invalidf("read header: %v", err)
	}
	if codec != codecZstd {
		return invalidf("not a sink file: codec %q, want %s", codec, codecZstd)
	}
	return nil
}

// entry reads a key and its value.
func (h *headerReader) entry(s *Sink, codec *string) error {
	b, err := h.bytes(MaxString)
	if err != nil {
		return err
	}
	key := metaKey(b)
	if b, err = h.bytes(MaxIndex); err != nil {
		return err
	}
	switch key {
	case metaCodec:
		*codec = text(b, codecZstd)
	case metaSchema:
		s.schema = text(b, Schema)
	case metaType:
		s.Index.Type = string(b)
	case metaSegment:
		s.Index.Segment = string(b)
	case metaIndex:
		h.index = append(h.index[:0], b...)
	case metaParts:
		h.parts = append(h.parts[:0], b...)
	}
	return nil
}

// metaKey returns a key that is known, "" for others.
func metaKey(b []byte) string {
	known := [...]string{metaCodec, metaSchema, metaType, metaSegment, metaIndex, metaParts}
	if i := slices.Index(known[:], string(b)); i >= 0 {
		return known[i]
	}
	return ""
}

// text returns b as a text, the usual one where it is that.
func text(b []byte, usual string) string {
	if string(b) == usual {
		return usual
	}
	return string(b)
}
