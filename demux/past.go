package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// past finds the bytes that became rows before, in the sink files that hold
// them: what comes again with other borders is held against them. It looks into
// the newest maxPast archived files and those of the backlog; what is older has
// nothing to be held against.
type past struct {
	fs       store.FS
	dataType string
	files    []*sinkFile // of the backlog
	entries  map[string][]pastChunk
	chunks   int // in entries
}

// Bounds on what is looked through: files, and chunks in memory.
const (
	maxPast       = 512
	maxPastChunks = 1 << 20
)

// pastChunk is where a sink file holds a chunk.
type pastChunk struct {
	path         string
	file         *sinkFile // nil: in the archive
	block, chunk int
	chunk.Range
}

// compare holds c, which is chunk j of block i of f, against what was sent for
// covered before. It gives what of it stands there with other bytes, and
// nowhere with these.
func (p *past) compare(ctx context.Context, f *sinkFile, i, j int, c *chunk.Chunk, covered chunk.Ranges) (other chunk.Ranges, err error) {
	if p.entries == nil {
		if err := p.load(ctx); err != nil {
			return nil, err
		}
	}
	var same, differs chunk.Ranges
	for _, e := range p.entries[c.Stream] {
		if e.file == f && e.block == i && e.chunk == j || e.file != nil && len(e.file.faults) > 0 {
			continue
		}
		for _, r := range covered {
			part := r.Intersect(e.Range)
			if part.Empty() || same.Contains(part) {
				continue
			}
			old, err := p.body(ctx, e)
			if err != nil {
				return nil, err
			}
			if old == nil {
				continue
			}
			if bytes.Equal(old[part.First-e.First:part.Last-e.First], c.Body[part.First-c.First:part.Last-c.First]) {
				same = same.Add(part)
			} else {
				differs = differs.Add(part)
			}
		}
	}
	for _, r := range differs {
		other = append(other, same.Missing(r)...)
	}
	return other, nil
}

// body reads a chunk's bytes; nil where they can't be read any more.
func (p *past) body(ctx context.Context, e pastChunk) ([]byte, error) {
	f := e.file
	if f == nil || f.reader == nil { // finished, and by now in the archive
		var err error
		if f, err = openSink(ctx, p.fs, e.path); err != nil {
			return nil, gone(err)
		}
		defer f.close()
	}
	blk := block{}
	if err := blk.read(task{file: f, block: e.block}); err != nil {
		return nil, err
	}
	if blk.err != nil {
		return nil, nil
	}
	return blk.chunks[e.chunk].Body, nil
}

func (p *past) load(ctx context.Context) error {
	days, err := p.fs.List(ctx, path.Join(store.Archive, p.dataType))
	if err != nil {
		return fmt.Errorf("list archive of %s: %w", p.dataType, err)
	}
	var paths []string
	for _, d := range slices.Backward(days) {
		files, err := p.fs.List(ctx, d.Path)
		if err != nil {
			return fmt.Errorf("list archive of %s: %w", p.dataType, err)
		}
		for _, f := range slices.Backward(files) {
			if store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
		if len(paths) >= maxPast {
			break
		}
	}
	p.entries = map[string][]pastChunk{}
	for _, at := range paths[:min(len(paths), maxPast)] {
		if p.chunks >= maxPastChunks {
			break
		}
		f, err := openSink(ctx, p.fs, at)
		if err != nil {
			if gone(err) == nil {
				continue
			}
			return err
		}
		p.add(f, nil)
		f.close()
	}
	for _, f := range p.files {
		p.add(f, f)
	}
	return nil
}

func (p *past) add(f, open *sinkFile) {
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			if e := &f.sink.Index.Blocks[i].Entries[j]; e.Kind == chunk.Data {
				p.entries[e.Stream] = append(p.entries[e.Stream], pastChunk{f.path, open, i, j, e.Range()})
				p.chunks++
			}
		}
	}
}

// gone turns the errors of a file that expired or is damaged into none.
func gone(err error) error {
	if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
