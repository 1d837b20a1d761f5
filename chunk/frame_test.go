package chunk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"reflect"
	"testing"
	"unicode/utf8"
)

func TestIndexFromFrameHeadersEqualsIndexFromBatches(t *testing.T) {
	var fromBatches, fromHeaders Index
	for _, c := range sampleChunks() {
		b := build(t, c)
		fromBatches.Add(&b)
		n, err := FrameHeaderLen(b.Frame[:FramePrefix])
		if err != nil {
			t.Fatal(err)
		}
		h, err := ParseFrameHeader(b.Frame[:n])
		if err != nil {
			t.Fatal(err)
		}
		if h.FrameLen() != len(b.Frame) || !bytes.Equal(b.Frame[h.BlockAt:], b.Block) {
			t.Errorf("the block lies at %d of %d bytes, want at %d of %d", h.BlockAt, h.FrameLen(), len(b.Frame)-len(b.Block), len(b.Frame))
		}
		fromHeaders.AddFrame(&h)
	}
	if !reflect.DeepEqual(fromBatches, fromHeaders) {
		t.Errorf("from headers:\n got %+v\nwant %+v", fromHeaders, fromBatches)
	}
}

func TestDamagedFrameHeaderIsRefused(t *testing.T) {
	frame := build(t, sampleChunks()...).Frame
	n, err := FrameHeaderLen(frame)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if i >= 12 && i < FramePrefix {
			continue // the block's length and CRC are compared with the block
		}
		bad := bytes.Clone(frame[:n])
		bad[i] ^= 0x40
		if _, err := ParseFrameHeader(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("byte %d damaged: error %v, want ErrInvalid", i, err)
		}
	}
	if _, err := ParseFrameHeader(frame[:n-1]); !errors.Is(err, ErrInvalid) {
		t.Errorf("cut header: error %v, want ErrInvalid", err)
	}
}

// A sink file's header may lie on a far machine: it is not read byte by byte.
func TestSinkHeaderIsReadInFewReads(t *testing.T) {
	chunks := sampleChunks()
	file := sinkFile(t, build(t, chunks...))
	r := &countingReaderAt{r: bytes.NewReader(file)}
	if _, err := ReadSink(r, int64(len(file))); err != nil {
		t.Fatal(err)
	}
	if r.n > 2 {
		t.Errorf("ReadSink made %d reads of a header that fits one buffer, want at most 2", r.n)
	}
}

type countingReaderAt struct {
	r io.ReaderAt
	n int
}

func (c *countingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	c.n++
	return c.r.ReadAt(p, off)
}

// Else a network that fails would send good files to quarantine.
func TestReaderThatFailsIsNotDamage(t *testing.T) {
	file := sinkFile(t, build(t, sampleChunks()...))
	away := errors.New("the store is away")
	for at := range 3 {
		r := &failingReaderAt{r: bytes.NewReader(file[:at]), err: away}
		if _, err := ReadSink(r, int64(len(file))); !errors.Is(err, away) || errors.Is(err, ErrInvalid) {
			t.Errorf("failing after %d bytes: error %v, want the reader's", at, err)
		}
	}
}

type failingReaderAt struct {
	r   *bytes.Reader
	err error
}

func (f *failingReaderAt) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.r.ReadAt(p, off)
	if err != nil {
		err = f.err
	}
	return n, err
}

// fastavro, for one, decodes all of the metadata as UTF-8.
func TestSinkHeaderIsText(t *testing.T) {
	file := sinkFile(t, build(t, sampleChunks()...))
	s, err := ReadSink(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	h := headers.Get().(*headerReader)
	h.begin(bytes.NewReader(file[len(avroMagic):]))
	n, err := binary.ReadVarint(h)
	for range 2 * n { // keys and values
		value, bytesErr := h.bytes(MaxIndex)
		if bytesErr != nil || !utf8.Valid(value) {
			t.Errorf("%q: %v; want UTF-8", value, bytesErr)
		}
	}
	if err != nil || n < 5 {
		t.Errorf("the header has %d keys, %v", n, err)
	}
	if len(s.Index.Blocks) != 1 {
		t.Errorf("the index has %d blocks, want 1", len(s.Index.Blocks))
	}
}
