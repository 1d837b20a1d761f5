package demux

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// past finds the chunks that became rows before, in the sink files that hold
// them: what comes again with other borders is compared with them. It looks
// into the newest archived files and those of the backlog, and for a family of
// which they don't hold enough, into many more of the archive.
type past struct {
	fs       store.FS
	log      *slog.Logger
	dataType string
	archive  *archiveIndex
	families *families
	files    []*sinkFile            // of the backlog
	entries  map[string][]pastChunk // by the root of their stream's family, by First; nil: not loaded
	longest  map[string]int64       // of them, in bytes, by the same
	near     int                    // how many archived files are looked into at once
	older    []string               // paths of the others, newest first
	deep     map[string]bool        // roots for which those were looked through
	found    []string               // regrouped files that took the place of others since those were listed
	last     *sinkFile              // the regrouped file that was read last: its index is large
	bodies   bodies
	gone     func(path string) bool // whether a file could not be read for so long that it counts as gone
}

// Bounds on what is looked through: files at once, files for a family that needs
// them, and chunks in memory.
const (
	maxPast       = 512
	maxDeep       = 20_000
	maxPastChunks = 1 << 18
)

// pastChunk is where a sink file holds a chunk.
type pastChunk struct {
	path         string
	file         *sinkFile // nil: in the archive
	segment      string    // in whose file it was first
	of           int       // which block of that it is in
	stream, host string
	block, chunk int
	crc          uint32
	thinned      bool // a filter dropped some of it
	chunk.Range
}

// place is a chunk's place in the backlog.
type place struct {
	file         *sinkFile
	block, chunk int
}

// before returns the chunks of the family that were taken before the one at p and
// share offsets with r: those of the same host first, of these the newest.
func (x *past) before(ctx context.Context, p place, stream, host string, r chunk.Range) ([]pastChunk, error) {
	if x.entries == nil {
		if err := x.load(ctx); err != nil {
			return nil, err
		}
	}
	root := coverage.Root(stream)
	list := x.entries[root]
	from, _ := slices.BinarySearchFunc(list, r.First-x.longest[root], func(e pastChunk, n int64) int {
		return int(min(max(e.First-n, -1), 1))
	})
	var own, others []pastChunk
	for _, e := range list[from:] {
		switch {
		case e.First >= r.Last:
			return append(own, others...), nil
		case e.Intersect(r).Empty() || !x.taken(&e, p):
		case e.host == host:
			own = append(own, e)
		default:
			others = append(others, e)
		}
	}
	return append(own, others...), nil
}

// taken reports whether the chunk was taken before the one at p is looked at:
// what lies in the backlog only may never get into the table.
func (x *past) taken(e *pastChunk, p place) bool {
	switch {
	case e.file == nil:
		return true
	case e.file.faulty(e.block):
		return false
	case e.file == p.file && e.block == p.block:
		return e.chunk < p.chunk
	}
	return e.file.isDone(e.block) || x.families.vouches(e.stream, e.Range, e.crc)
}

// maxBodies bounds the bytes of blocks that are kept to be compared with.
const maxBodies = 64 << 20

// bodies keeps the blocks that were read last: what comes again mostly comes in
// the order in which it came first, and several streams of a family may have to
// be compared.
type bodies struct {
	blocks []pastBlock // the one used last is the last
	size   int
}

type pastBlock struct {
	path   string
	number int
	block  *block // nil: it can't be read any more
}

// chunk returns a chunk, which is good until the next call; nil where it can't be
// read any more.
func (x *past) chunk(ctx context.Context, e pastChunk) (*chunk.Chunk, error) {
	b := &x.bodies
	at := slices.IndexFunc(b.blocks, func(k pastBlock) bool { return k.path == e.path && k.number == e.block })
	if at < 0 {
		blk, err := x.read(ctx, e)
		if err != nil {
			return nil, err
		}
		at = len(b.blocks)
		b.blocks = append(b.blocks, pastBlock{e.path, e.block, blk})
		if blk != nil {
			b.size += len(blk.raw)
		}
	}
	k := b.blocks[at]
	b.blocks = append(slices.Delete(b.blocks, at, at+1), k)
	for len(b.blocks) > 1 && (b.size > maxBodies || len(b.blocks) > maxPast) {
		if old := b.blocks[0].block; old != nil {
			b.size -= len(old.raw)
		}
		b.blocks = slices.Delete(b.blocks, 0, 1)
	}
	if damaged := k.block == nil || k.block.err != nil; damaged {
		return nil, nil
	}
	if c := &k.block.chunks[e.chunk]; c.Range() == e.Range {
		return c, nil
	}
	return nil, nil // another file of the name
}

// read returns the block of a chunk, nil where it can't be read any more.
func (x *past) read(ctx context.Context, e pastChunk) (*block, error) {
	f := e.file
	if f == nil {
		var err error
		if f, err = x.open(ctx, &e); err != nil {
			return nil, x.lost(e.path, err)
		}
		if e.block >= len(f.sink.Index.Blocks) || e.chunk >= len(f.sink.Index.Blocks[e.block].Entries) {
			return nil, nil // another file of the name
		}
	}
	body, err := f.body(ctx, x.fs)
	if err != nil {
		return nil, x.lost(e.path, err)
	}
	defer body.Close()
	blk := &block{}
	if err := blk.read(task{file: f, block: e.block}, body); err != nil {
		return nil, x.lost(e.path, err)
	}
	blk.data = nil
	return blk, nil
}

// open opens the archived file of a chunk. Where that was regrouped since, or once
// more, the chunk's place becomes another one.
func (x *past) open(ctx context.Context, e *pastChunk) (*sinkFile, error) {
	if x.last != nil && x.last.path == e.path {
		return x.last, nil
	}
	f, err := openSink(ctx, x.fs, e.path)
	if errors.Is(err, fs.ErrNotExist) {
		found, findErr := archive.Find(ctx, x.fs, x.dataType, store.Segment(e.segment))
		if findErr != nil || found == nil || e.of >= found.Part.Blocks {
			return nil, errors.Join(findErr, err)
		}
		e.path, e.block = found.Path, found.Part.First+e.of
		f, err = openSink(ctx, x.fs, e.path)
	}
	if err == nil && store.SegmentOf(e.path).Regrouped() {
		x.last = f
	}
	return f, err
}

func (x *past) load(ctx context.Context) error {
	paths, err := x.archived(ctx)
	if err != nil {
		return err
	}
	n := min(len(paths), x.near)
	near := paths[:n:n]
	x.older, x.deep, x.found = paths[n:], map[string]bool{}, nil
	entries, longest, chunks := map[string][]pastChunk{}, map[string]int64{}, 0
	take := func(list []pastChunk) {
		for _, e := range list {
			root := coverage.Root(e.stream)
			entries[root] = append(entries[root], e)
			longest[root] = max(longest[root], e.Len())
		}
		chunks += len(list)
	}
	for _, f := range slices.Backward(x.files) { // newest first, as below
		take(pastChunks(f, f))
	}
	kept := map[string][]pastChunk{}
	for i := 0; i < len(near); i++ {
		at := near[i]
		if chunks >= maxPastChunks {
			x.older = slices.Concat(near[i:], x.older)
			break
		}
		list, known := x.archive.files[at]
		if !known {
			f, err := openSink(ctx, x.fs, at)
			if errors.Is(err, fs.ErrNotExist) {
				heirs, err := x.heirs(ctx, []string{at}, paths)
				if err != nil {
					return err
				}
				near = append(near, heirs...)
				continue
			}
			if err != nil {
				if err := x.lost(at, err); err != nil {
					return err
				}
				continue
			}
			list = pastChunks(f, nil)
		}
		kept[at] = list
		take(list)
	}
	for _, list := range entries {
		sortPast(list)
	}
	x.archive.files, x.entries, x.longest = kept, entries, longest
	return nil
}

// sortPast sorts by where the chunks begin; of the same place, the newest is first.
func sortPast(list []pastChunk) {
	slices.SortStableFunc(list, func(a, b pastChunk) int { return int(min(max(a.First-b.First, -1), 1)) })
}

// pastChunks are the data chunks of a file; known is the file itself, where it is
// part of the backlog.
func pastChunks(f, known *sinkFile) (list []pastChunk) {
	for i := range f.sink.Index.Blocks {
		segment, of := f.sink.Index.Origin(i)
		for j := range f.sink.Index.Blocks[i].Entries {
			if e := &f.sink.Index.Blocks[i].Entries[j]; e.Kind == chunk.Data && !e.Range().Empty() {
				list = append(list, pastChunk{f.path, known, segment, of, e.Stream, e.Host, i, j, e.CRC, e.Dropped > 0, e.Range()})
			}
		}
	}
	return list
}

// lost makes nothing of the error of a file that expired, is damaged, or could not
// be read for long; another one names the file.
func (x *past) lost(path string, err error) error {
	if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) || x.gone != nil && x.gone(path) {
		return nil
	}
	return &fileError{path, err}
}
