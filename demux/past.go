package demux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"sync"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// past finds what became rows before, in the sink files that hold it: what comes
// again with other borders is held against it. It looks into the newest maxPast
// archived files and those of the backlog; what is older has nothing to be held
// against.
type past struct {
	fs       store.FS
	dataType string
	archive  *archiveIndex
	files    []*sinkFile // of the backlog
	entries  map[string][]pastChunk
	bodies   bodies
}

// Bounds on what is looked through: files, and chunks in memory.
const (
	maxPast       = 512
	maxPastChunks = 1 << 18
)

// pastChunk is where a sink file holds a chunk.
type pastChunk struct {
	path         string
	file         *sinkFile // nil: in the archive
	stream       string
	block, chunk int
	crc          uint32
	chunk.Range
}

// archiveIndex remembers, from run to run, what the newest archived files of a data
// type hold: they never change, and opening them all takes long on HDFS. It is
// used by one run at a time.
type archiveIndex struct {
	files map[string][]pastChunk // by path
}

// archiveIndexes are those of all data types.
type archiveIndexes struct {
	mu     sync.Mutex
	byType map[string]*archiveIndex
}

func (a *archiveIndexes) of(dataType string) *archiveIndex {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.byType == nil {
		a.byType = map[string]*archiveIndex{}
	}
	if a.byType[dataType] == nil {
		a.byType[dataType] = &archiveIndex{}
	}
	return a.byType[dataType]
}

// compare holds c, which is chunk j of block i of f, against what was sent for
// covered before. It gives what of it stands there with other bytes, and
// nowhere with these. Where the checksum of an old chunk can be compared, its
// bytes need not be read.
func (p *past) compare(ctx context.Context, f *sinkFile, i, j int, c *chunk.Chunk, covered chunk.Ranges) (other chunk.Ranges, err error) {
	if p.entries == nil {
		if err := p.load(ctx); err != nil {
			return nil, err
		}
	}
	var same, differs chunk.Ranges
	var unsure []pastChunk
	for _, e := range p.entries[c.Stream] {
		switch {
		case e.file == f && e.block == i && e.chunk == j || e.file != nil && len(e.file.faults) > 0:
		case e.First >= c.First && e.Last <= c.Last && chunk.CRC(c.Body[e.First-c.First:e.Last-c.First]) == e.crc:
			same = same.Add(e.Range)
		default:
			unsure = append(unsure, e)
		}
	}
	for _, e := range unsure {
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
			part = part.Intersect(c.Range())
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

// bodies keeps the block that was read last: what comes again mostly comes in
// the order in which it came first.
type bodies struct {
	path   string
	number int
	block  *block // nil: none
}

// body gives a chunk's bytes, which are good until the next call; nil where they
// can't be read any more.
func (p *past) body(ctx context.Context, e pastChunk) ([]byte, error) {
	if p.bodies.block == nil || p.bodies.path != e.path || p.bodies.number != e.block {
		p.bodies = bodies{path: e.path, number: e.block}
		f := e.file
		if f == nil || f.reader == nil { // finished, and by now in the archive
			var err error
			if f, err = openSink(ctx, p.fs, e.path); err != nil {
				return nil, gone(err)
			}
			defer f.close()
		}
		blk := &block{}
		if err := blk.read(task{file: f, block: e.block}); err != nil {
			return nil, err
		}
		p.bodies.block = blk
	}
	if p.bodies.block.err != nil {
		return nil, nil
	}
	return p.bodies.block.chunks[e.chunk].Body, nil
}

func (p *past) load(ctx context.Context) error {
	paths, err := p.newest(ctx)
	if err != nil {
		return err
	}
	entries, chunks := map[string][]pastChunk{}, 0
	take := func(list []pastChunk) {
		for _, e := range list {
			entries[e.stream] = append(entries[e.stream], e)
		}
		chunks += len(list)
	}
	kept := map[string][]pastChunk{}
	for _, at := range paths {
		if chunks >= maxPastChunks {
			break
		}
		list, known := p.archive.files[at]
		if !known {
			f, err := openSink(ctx, p.fs, at)
			if err != nil {
				if gone(err) == nil {
					continue
				}
				return err
			}
			list = pastChunks(f, nil)
			f.close()
		}
		kept[at] = list
		take(list)
	}
	p.archive.files = kept
	for _, f := range p.files {
		take(pastChunks(f, f))
	}
	p.entries = entries
	return nil
}

// newest lists the newest archived files.
func (p *past) newest(ctx context.Context) (paths []string, err error) {
	days, err := p.fs.List(ctx, path.Join(store.Archive, p.dataType))
	if err != nil {
		return nil, fmt.Errorf("list archive of %s: %w", p.dataType, err)
	}
	for _, d := range slices.Backward(days) {
		files, err := p.fs.List(ctx, d.Path)
		if err != nil {
			return nil, fmt.Errorf("list archive of %s: %w", p.dataType, err)
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
	return paths[:min(len(paths), maxPast)], nil
}

// pastChunks are the data chunks of a file; open is the file itself, where it
// stays open.
func pastChunks(f, open *sinkFile) (list []pastChunk) {
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			if e := &f.sink.Index.Blocks[i].Entries[j]; e.Kind == chunk.Data {
				list = append(list, pastChunk{f.path, open, e.Stream, i, j, e.CRC, e.Range()})
			}
		}
	}
	return list
}

// gone turns the errors of a file that expired or is damaged into none.
func gone(err error) error {
	if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
