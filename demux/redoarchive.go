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

// findArchived finds the archived chunks that hold what is wanted: of several that
// hold the same, the oldest, which the table has. They come in the order of their
// files.
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
				return fmt.Errorf("more than %d archived chunks hold it: take a shorter time", maxRedoChunks)
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
	var parts []redoPart
	for _, list := range hits {
		for _, e := range list {
			keep := left[e.stream].Covered(e.Range)
			if len(keep) == 0 {
				continue
			}
			for _, k := range keep {
				left[e.stream] = left[e.stream].Remove(k)
			}
			parts = append(parts, redoPart{e.path, e.block, e.chunk, e.stream, keep})
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
		have[id] = joined(list)
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
