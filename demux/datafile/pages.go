package datafile

import (
	"context"
	"fmt"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	headerBytes = 4 << 10 // a page's header takes some 30
	maxPage     = 1 << 30 // bytes of a page, decompressed
)

// decompress decompresses all pages of a file that has no checksums. They must
// follow on each other up to the footer, and be as long and have as many values
// as is said of them. Parquet's own decoders are not asked: they allocate what
// damaged bytes tell them to.
func (f *file) decompress(ctx context.Context) (err error) {
	defer func() {
		if r := recover(); r != nil { // Thrift's decoder trusts its input
			err = f.damaged("its pages can't be read: %v", r)
		}
	}()
	p, err := f.parquet()
	if err != nil {
		return err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecodeAllCapLimit(true))
	if err != nil {
		return fmt.Errorf("create zstd decoder: %w", err)
	}
	defer dec.Close()
	pages := pages{file: f, zstd: dec, at: int64(len(magic))}
	for _, g := range p.Metadata().RowGroups {
		for i := range g.Columns {
			if err := pages.column(ctx, &g.Columns[i].MetaData); err != nil {
				return err
			}
		}
	}
	if pages.at != f.start {
		return f.damaged("its pages end at byte %d, its footer starts at %d", pages.at, f.start)
	}
	return nil
}

// pages reads a file's pages one after the other.
type pages struct {
	*file
	zstd     *zstd.Decoder
	at       int64
	raw, out []byte
}

func (p *pages) column(ctx context.Context, m *format.ColumnMetaData) error {
	first := m.DataPageOffset
	if m.DictionaryPageOffset != 0 {
		first = m.DictionaryPageOffset
	}
	if first != p.at || m.Codec != format.Zstd || m.TotalCompressedSize < 0 || m.TotalCompressedSize > p.start-p.at {
		return p.damaged("what its footer says of column %v can't be", m.PathInSchema)
	}
	values := int64(0)
	for end := p.at + m.TotalCompressedSize; p.at < end; {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := p.page(end)
		if err != nil {
			return err
		}
		values += n
	}
	if values != m.NumValues {
		return p.damaged("column %v has %d values, should have %d", m.PathInSchema, values, m.NumValues)
	}
	return nil
}

// page reads the page that starts at at, and returns how many values it has.
func (p *pages) page(end int64) (values int64, err error) {
	head := make([]byte, min(headerBytes, end-p.at))
	if err := p.file.at(head, p.at); err != nil {
		return 0, err
	}
	r := new(thrift.CompactProtocol).NewReaderFromBytes(head)
	var h format.PageHeader
	if err := thrift.NewDecoder(r).Decode(&h); err != nil {
		return 0, p.damaged("the page at byte %d: %v", p.at, err)
	}
	start, size := p.at+int64(r.BytesRead()), int64(h.CompressedPageSize)
	if size < 0 || size > end-start || h.UncompressedPageSize < 0 || h.UncompressedPageSize > maxPage {
		return 0, p.damaged("the page at byte %d has impossible sizes", p.at)
	}
	switch {
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		values = int64(h.DataPageHeader.V.NumValues)
	case h.Type != format.DictionaryPage || !h.DictionaryPageHeader.Valid:
		return 0, p.damaged("the page at byte %d is of no known type", p.at)
	}
	if int64(cap(p.raw)) < size {
		p.raw = make([]byte, size)
	}
	if err := p.file.at(p.raw[:size], start); err != nil {
		return 0, err
	}
	if err := p.frame(p.raw[:size], int(h.UncompressedPageSize)); err != nil {
		return 0, p.damaged("the page at byte %d: %v", p.at, err)
	}
	p.at = start + size
	return values, nil
}

// frame decompresses a page, into no more bytes than its header says.
func (p *pages) frame(b []byte, size int) error {
	var h zstd.Header
	if err := h.Decode(b); err != nil {
		return err
	}
	if h.HasFCS && h.FrameContentSize != uint64(size) {
		return fmt.Errorf("its frame has %d bytes, its header says %d", h.FrameContentSize, size)
	}
	if cap(p.out) < size {
		p.out = make([]byte, size)
	}
	out, err := p.zstd.DecodeAll(b, p.out[:0:size])
	if err != nil {
		return err
	}
	if len(out) != size {
		return fmt.Errorf("it has %d bytes, should have %d", len(out), size)
	}
	return nil
}
