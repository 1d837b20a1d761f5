package datafile

import (
	"context"
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/akupara/akupara/demux/schema"
	"github.com/akupara/akupara/store"
)

// Offsets calls fn with the stream and the offset of each row, in the file's
// order. Memory is bounded. Errors are as those of Verify.
func Offsets(ctx context.Context, files store.FS, p string, fn func(stream string, seq int64)) (err error) {
	f, err := open(ctx, files, p, nil)
	if err != nil {
		return err
	}
	defer f.close()
	defer func() {
		if r := recover(); r != nil { // the decoders trust their input
			err = f.damaged("it can't be decoded: %v", r)
		}
	}()
	pf, err := f.parquet()
	if err != nil {
		return err
	}
	streamLeaf, hasStream := pf.Schema().Lookup(schema.Stream)
	seqLeaf, hasSeq := pf.Schema().Lookup(schema.Seq)
	if !hasStream || !hasSeq {
		return f.damaged("it has no columns %s and %s", schema.Stream, schema.Seq)
	}
	for _, g := range pf.RowGroups() {
		chunks := g.ColumnChunks()
		if err := f.offsets(ctx, chunks[streamLeaf.ColumnIndex], chunks[seqLeaf.ColumnIndex], fn); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) offsets(ctx context.Context, streams, seqs parquet.ColumnChunk, fn func(stream string, seq int64)) error {
	a, b := newCursor(streams), newCursor(seqs)
	defer a.close()
	defer b.close()
	stream := ""
	for n := 0; ; n++ {
		if n%valuesAtOnce == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		id, err := a.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return f.undecoded(err)
		}
		seq, err := b.next()
		if err != nil {
			return f.undecoded(err)
		}
		if got := id.ByteArray(); string(got) != stream {
			stream = string(got)
		}
		fn(stream, seq.Int64())
	}
}

const valuesAtOnce = 1024

// cursor goes over the values of one column of a row group.
type cursor struct {
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buf    []parquet.Value
	left   []parquet.Value // of buf
}

func newCursor(c parquet.ColumnChunk) *cursor {
	return &cursor{pages: c.Pages(), buf: make([]parquet.Value, valuesAtOnce)}
}

func (c *cursor) close() {
	parquet.Release(c.page)
	_ = c.pages.Close() // it was only read
}

// next returns the next value, which is valid until the call after it.
func (c *cursor) next() (parquet.Value, error) {
	for len(c.left) == 0 {
		if c.values == nil {
			page, err := c.pages.ReadPage()
			if err != nil {
				return parquet.Value{}, err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf)
		c.left = c.buf[:n]
		if errors.Is(err, io.EOF) {
			if n == 0 {
				parquet.Release(c.page)
				c.page, c.values = nil, nil
			}
		} else if err != nil {
			return parquet.Value{}, err
		}
	}
	v := c.left[0]
	c.left = c.left[1:]
	return v, nil
}
