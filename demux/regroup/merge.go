package regroup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// group is what becomes one regrouped file.
type group struct {
	inputs []*input
	bytes  int64
	index  int64 // bytes of its index in memory
}

// indexBytes is about how much memory a file's index takes.
func (in *input) indexBytes() int64 {
	const fileBytes, blockBytes, entryBytes = 128, 160, 96
	n := int64(fileBytes)
	for i := range in.sink.Index.Blocks {
		entries := in.sink.Index.Blocks[i].Entries
		n += blockBytes
		for j := range entries {
			n += entryBytes
			if j == 0 || entries[j].Stream != entries[j-1].Stream {
				n += int64(len(entries[j].Stream) + len(entries[j].Source) + len(entries[j].Host))
			}
		}
	}
	return n
}

// blocks returns the numbers of all blocks.
func (in *input) blocks() []int {
	out := make([]int, len(in.sink.Index.Blocks))
	for i := range out {
		out[i] = i
	}
	return out
}

// add puts a file into a group, and merges those that are full.
func (d *day) add(ctx context.Context, in *input) error {
	size := in.indexBytes()
	if size > d.Limits.Index/2 {
		d.Skip.files[in.Path] = in.Info // its index is as large as that of a regrouped file
		d.drop(in)
		return nil
	}
	schema := in.sink.Schema()
	g := d.groups[schema]
	if g != nil && g.index+size > d.Limits.Index {
		if err := d.merge(ctx, g); err != nil {
			return err
		}
		g = nil
	}
	if g == nil {
		g = &group{}
		d.groups[schema] = g
	}
	g.inputs = append(g.inputs, in)
	g.bytes += in.Size
	g.index += size
	if g.bytes < d.target {
		return nil
	}
	delete(d.groups, schema)
	return d.merge(ctx, g)
}

// merge makes a regrouped file of a group, and removes those that it is made of. What
// turns out to be damaged is left out.
func (d *day) merge(ctx context.Context, g *group) error {
	defer func() {
		for _, in := range g.inputs {
			d.drop(in)
		}
	}()
	for len(g.inputs) > 1 && !d.enough() {
		p, index, err := d.write(ctx, g.inputs)
		if bad := (*inputError)(nil); errors.As(err, &bad) {
			if err := d.verify(ctx, g); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		d.changed = true
		if err := d.readBack(ctx, p, index); err != nil {
			return err
		}
		d.rep.Into++
		files := make([]store.Info, len(g.inputs))
		for i, in := range g.inputs {
			files[i] = in.Info
		}
		n, err := d.remove(ctx, files)
		d.rep.Files += n
		return err
	}
	return nil
}

// inputError is the error of one of the files that are read.
type inputError struct {
	in  *input
	err error
}

func (e *inputError) Error() string { return fmt.Sprintf("read %s: %v", e.in.Path, e.err) }
func (e *inputError) Unwrap() error { return e.err }

// write publishes the regrouped file of some others.
func (d *day) write(ctx context.Context, inputs []*input) (p string, index *chunk.Index, err error) {
	var first, last time.Time
	for i, in := range inputs {
		from, to, err := store.SegmentOf(in.Path).Span()
		if err != nil {
			return "", nil, err // archive.Check has seen their names
		}
		if i == 0 || from.Before(first) {
			first = from
		}
		if i == 0 || to.After(last) {
			last = to
		}
	}
	unique := store.NewID()
	id := store.NewRegrouped(first, last, unique)
	index = &chunk.Index{Type: d.Type, Segment: string(id)}
	blocks := make([][]int, len(inputs))
	for i, in := range inputs {
		if blocks[i], err = index.Join(in.sink); err != nil {
			return "", nil, fmt.Errorf("join %s: %w", in.Path, err)
		}
	}
	p = store.SinkPath(store.Archive, d.Type, id)
	size := int64(0)
	err = store.Publish(ctx, d.FS, store.Temp(p, unique), p, func(w io.Writer) error {
		out, err := chunk.NewSinkWriter(w, index)
		if err != nil {
			return err
		}
		var buf []byte
		for i, in := range inputs {
			if buf, err = d.copy(ctx, in, blocks[i], buf, out.WriteBlock); err != nil {
				return err
			}
		}
		size = out.Size()
		return out.Finish()
	})
	if err == nil {
		d.rep.Bytes += size
	}
	return p, index, err
}

// copy hands on some blocks of a file, each compared with its checksum. An error of
// the file itself is an inputError.
func (d *day) copy(ctx context.Context, in *input, blocks []int, buf []byte, to func(data []byte) error) ([]byte, error) {
	from := io.ReaderAt(bytes.NewReader(in.data))
	if in.data == nil {
		r, err := d.FS.Open(ctx, in.Path)
		if err != nil {
			return buf, &inputError{in, err}
		}
		defer r.Close()
		from = r
	}
	for _, i := range blocks {
		if err := ctx.Err(); err != nil {
			return buf, err
		}
		data, err := in.sink.ReadBlockFrom(from, i, buf)
		if err != nil {
			return buf, &inputError{in, err}
		}
		if err := to(data); err != nil {
			return buf, err
		}
		buf = data[:0]
	}
	return buf, nil
}

// verify reads all of a group's files, and takes those out that can't be used.
func (d *day) verify(ctx context.Context, g *group) error {
	var good []*input
	var buf []byte
	for i, in := range g.inputs {
		var err error
		buf, err = d.copy(ctx, in, in.blocks(), buf, func([]byte) error { return nil })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil {
			good = append(good, in)
			continue
		}
		in.err = err
		if err := d.fault(in); err != nil {
			g.inputs = append(good, g.inputs[i+1:]...)
			return err
		}
	}
	g.inputs = good
	return nil
}

// readBack makes sure that what was written is what was meant. It is removed if not.
func (d *day) readBack(ctx context.Context, p string, want *chunk.Index) error {
	got, err := archive.Read(ctx, d.FS, p)
	if err == nil && !equal(got, want) {
		err = fmt.Errorf("read sink file %s: %w: its index is not the one that was written", p, chunk.ErrInvalid)
	}
	if errors.Is(err, chunk.ErrInvalid) {
		if cause := d.FS.Remove(ctx, p); cause != nil {
			err = errors.Join(err, fmt.Errorf("remove %s: %w", p, cause))
		}
	}
	return err
}

func equal(a, b *chunk.Index) bool {
	return slices.Equal(a.Parts, b.Parts) && slices.EqualFunc(a.Blocks, b.Blocks, func(a, b chunk.Block) bool {
		return a.Len == b.Len && a.RawLen == b.RawLen && a.CRC == b.CRC && a.Agent == b.Agent && slices.Equal(a.Entries, b.Entries)
	})
}
