package demux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// redoPart is what a redo takes of an archived chunk.
type redoPart struct {
	path         string
	block, chunk int
	stream       string
	keep         chunk.Ranges
}

// errManyChunks says that more chunks are wanted than a redo knows at a time.
var errManyChunks = fmt.Errorf("more than %d archived chunks hold the rows of one data file", maxRedoChunks)

// findArchived finds the archived chunks that hold what is wanted, in the order of their
// segments, whether their files were regrouped or not.
func (d *Demux) findArchived(ctx context.Context, dataType string, wanted map[string]chunk.Ranges) ([]redoPart, error) {
	days, err := d.fs.List(ctx, path.Join(store.Archive, dataType))
	if err != nil {
		return nil, fmt.Errorf("list archive of %s: %w", dataType, err)
	}
	var paths []string
	for _, day := range days {
		files, err := d.fs.List(ctx, day.Path)
		if err != nil {
			return nil, fmt.Errorf("list archive of %s: %w", dataType, err)
		}
		for _, f := range files {
			if store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
	}
	slices.SortFunc(paths, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	hits := make([][]pastChunk, len(paths))
	total := 0
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(opensAtOnce)
	for i, p := range paths {
		g.Go(func() error {
			f, err := openSink(gctx, d.fs, p)
			if errors.Is(err, chunk.ErrInvalid) || errors.Is(err, fs.ErrNotExist) {
				return nil // what only it holds is not found
			}
			if err != nil {
				return err
			}
			for _, e := range pastChunks(f, nil) {
				if wanted[e.stream].Overlaps(e.Range) {
					hits[i] = append(hits[i], e)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if total += len(hits[i]); total > maxRedoChunks {
				return errManyChunks
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	left := make(map[string]chunk.Ranges, len(wanted))
	for id, r := range wanted {
		left[id] = slices.Clone(r)
	}
	all := slices.Concat(hits...)
	slices.SortStableFunc(all, func(a, b pastChunk) int { return strings.Compare(a.segment, b.segment) })
	type share struct {
		pastChunk
		keep chunk.Ranges
	}
	shares := make([]share, len(all))
	for i, e := range all {
		shares[i].pastChunk = e
	}
	place := func(x *share) archive.Place {
		return archive.Place{Stream: x.stream, Range: x.Range, Segment: x.segment, Thinned: x.thinned}
	}
	_ = archive.Share(shares, place, left, func(x *share, mine chunk.Ranges) error {
		x.keep = mine
		return nil
	})
	var parts []redoPart
	for _, x := range shares {
		if len(x.keep) > 0 {
			parts = append(parts, redoPart{x.path, x.block, x.chunk, x.stream, x.keep})
		}
	}
	return parts, nil
}

// found leaves the files alone of which not all is in the archive.
func found(step []redoFile, parts []redoPart, rep *Redone) []redoFile {
	pieces := map[string][]chunk.Range{}
	for _, p := range parts {
		pieces[p.stream] = append(pieces[p.stream], p.keep...)
	}
	have := make(map[string]chunk.Ranges, len(pieces))
	for id, list := range pieces {
		have[id] = chunk.Union(list)
	}
	return slices.DeleteFunc(step, func(f redoFile) bool {
		for id, st := range f.ranges {
			if !containsAll(have[id], st.Ranges) {
				rep.leave(f.Path, "the archive has not all of stream %s of %s that it holds", id, st.Source)
				return true
			}
		}
		return false
	})
}

// openSinks are archived files that were read last. A redo goes by segments, and those
// that follow each other may lie in several regrouped files, with large indexes.
type openSinks struct {
	fs   store.FS
	list []openedSink // the one used last is the last
}

type openedSink struct {
	file *sinkFile
	body store.Reader
}

const maxOpenSinks = 4

// open opens a file, if it is not open. The answer is good until the next call.
func (o *openSinks) open(ctx context.Context, p string) (*sinkFile, store.Reader, error) {
	i := slices.IndexFunc(o.list, func(x openedSink) bool { return x.file.path == p })
	if i < 0 {
		file, err := openSink(ctx, o.fs, p)
		if err != nil {
			return nil, nil, err
		}
		body, err := file.body(ctx, o.fs)
		if err != nil {
			return nil, nil, err
		}
		if len(o.list) == maxOpenSinks {
			_ = o.list[0].body.Close() // it was only read
			o.list = slices.Delete(o.list, 0, 1)
		}
		i = len(o.list)
		o.list = append(o.list, openedSink{file, body})
	}
	x := o.list[i]
	o.list = append(slices.Delete(o.list, i, i+1), x)
	return x.file, x.body, nil
}

func (o *openSinks) close() {
	for _, x := range o.list {
		_ = x.body.Close() // it was only read
	}
}
