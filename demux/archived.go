package demux

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"path"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/archive"
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

// heirs returns the regrouped files that may have taken the place of archived files
// which are gone since they were listed, but those that are known. Each day is listed
// anew, as only a file that is there after another went may hold what that had.
func (x *past) heirs(ctx context.Context, gone, known []string) (paths []string, err error) {
	listed := map[string]bool{}
	for _, at := range gone {
		id := store.SegmentOf(at)
		day := archive.Day(x.dataType, id)
		if listed[day] || !archive.Old(id, time.Now()) {
			continue
		}
		listed[day] = true
		files, err := archive.Regrouped(ctx, x.fs, day)
		if err != nil {
			if err := x.lost(at, err); err != nil {
				return nil, err
			}
		}
		for _, p := range files {
			if !slices.Contains(known, p) && !slices.Contains(x.found, p) {
				paths, x.found = append(paths, p), append(x.found, p)
			}
		}
	}
	return paths, nil
}

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
	var found [][]pastChunk
	for paths := x.older; len(paths) > 0; {
		list, gone, err := x.lookInto(ctx, root, paths)
		if err != nil {
			return false, err
		}
		found = append(found, list...)
		if paths, err = x.heirs(ctx, gone, x.older); err != nil {
			return false, err
		}
		x.older = append(x.older, paths...)
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

// lookInto returns a family's chunks in archived files, by file, and the files that
// are gone.
func (x *past) lookInto(ctx context.Context, root string, paths []string) (found [][]pastChunk, gone []string, err error) {
	hash := rootHash(root)
	found = make([][]pastChunk, len(paths))
	var mu sync.Mutex // guards the roots, and gone
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(opensAtOnce)
	for i, at := range paths {
		mu.Lock()
		roots, known := x.archive.roots[at]
		mu.Unlock()
		if _, has := slices.BinarySearch(roots, hash); known && !has {
			continue
		}
		g.Go(func() error {
			return guard(func() error {
				f, err := openSink(gctx, x.fs, at)
				if errors.Is(err, fs.ErrNotExist) {
					mu.Lock()
					defer mu.Unlock()
					gone = append(gone, at)
					return nil
				}
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
	return found, gone, g.Wait()
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
