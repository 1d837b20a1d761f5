package demux

import (
	"context"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// archiveIndex remembers, from run to run, what the newest archived files of a data
// type hold, and of which families older ones have something: they never change,
// and opening them all takes long on HDFS. It is used by one run at a time.
type archiveIndex struct {
	files map[string][]pastChunk // by path
	roots map[string][]uint32    // hashes of the roots, sorted, by path
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
		a.byType[dataType] = &archiveIndex{roots: map[string][]uint32{}}
	}
	return a.byType[dataType]
}

// archived lists the newest archived files, the newest first.
func (x *past) archived(ctx context.Context) (paths []string, err error) {
	days, err := x.fs.List(ctx, path.Join(store.Archive, x.dataType))
	if err != nil {
		return nil, fmt.Errorf("list archive of %s: %w", x.dataType, err)
	}
	for _, d := range slices.Backward(days) {
		files, err := x.fs.List(ctx, d.Path)
		if err != nil { // one day's files may be away, as one file may
			if err := x.lost(d.Path, fmt.Errorf("list archive of %s: %w", x.dataType, err)); err != nil {
				return nil, err
			}
			continue
		}
		for _, f := range slices.Backward(files) {
			if store.IsSink(f.Path) {
				paths = append(paths, f.Path)
			}
		}
		if len(paths) >= maxDeep {
			break
		}
	}
	return paths[:min(len(paths), maxDeep)], nil
}

// opensAtOnce is how many archived files are opened at a time.
const opensAtOnce = 8

// deepen looks for chunks of a family in older archived files. It reports whether
// there are any that it did not know.
func (x *past) deepen(ctx context.Context, root string) (more bool, err error) {
	if x.deep[root] || len(x.older) == 0 {
		return false, nil
	}
	x.deep[root] = true
	if n := len(x.older) - len(x.archive.roots); n > 0 {
		x.log.Info("what came again is not in the newest archived files; looking into older ones", "type", x.dataType, "stream", root, "files", n)
	}
	hash := rootHash(root)
	found := make([][]pastChunk, len(x.older))
	var mu sync.Mutex // guards the roots
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(opensAtOnce)
	for i, at := range x.older {
		mu.Lock()
		roots, known := x.archive.roots[at]
		mu.Unlock()
		if _, has := slices.BinarySearch(roots, hash); known && !has {
			continue
		}
		g.Go(func() error {
			return guard(func() error {
				f, err := openSink(gctx, x.fs, at)
				if err != nil {
					return x.lost(at, err)
				}
				var roots []uint32
				last := ""
				for _, e := range pastChunks(f, nil) {
					of := coverage.Root(e.stream)
					if of == root {
						found[i] = append(found[i], e)
					}
					if of != last {
						roots, last = append(roots, rootHash(of)), of
					}
				}
				slices.Sort(roots)
				mu.Lock()
				defer mu.Unlock()
				x.archive.roots[at] = slices.Clip(slices.Compact(roots))
				return nil
			})
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	list := x.entries[root]
	for _, chunks := range found {
		if len(list) < maxPastChunks {
			list, more = append(list, chunks...), more || len(chunks) > 0
		}
	}
	for _, e := range list {
		x.longest[root] = max(x.longest[root], e.Len())
	}
	sortPast(list)
	x.entries[root] = list
	x.forget()
	return more, nil
}

// forget bounds what is remembered of files that may have expired.
func (x *past) forget() {
	if len(x.archive.roots) <= 2*maxDeep {
		return
	}
	kept := map[string][]uint32{}
	for _, at := range x.older {
		if roots, known := x.archive.roots[at]; known {
			kept[at] = roots
		}
	}
	x.archive.roots = kept
}

func rootHash(root string) uint32 {
	h := fnv.New32a()
	_, _ = h.Write([]byte(root)) // never fails
	return h.Sum32()
}
