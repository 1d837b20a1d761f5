package audit

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
	"github.com/akupara/akupara/store"
)

// sinksAtOnce is how many sink files are read at a time.
const sinksAtOnce = 8

// published returns what the indexes of the sink files in raw/ tell, by data type.
// One that can't be read is told, and hides no other.
func (a *auditor) published(ctx context.Context) (map[string]coverage.Set, error) {
	files, err := sinks(ctx, a.fs, store.Raw)
	if err != nil {
		return nil, err
	}
	out := map[string]coverage.Set{}
	var mu sync.Mutex
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(sinksAtOnce)
	for _, f := range files {
		p := f.Path
		g.Go(func() error {
			index, err := readIndex(gctx, a.fs, p)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, fs.ErrNotExist):
				return nil // moved by the demux meanwhile
			case errors.Is(err, chunk.ErrInvalid):
				a.Unreadable = append(a.Unreadable, p)
				return nil
			case gctx.Err() != nil:
				return gctx.Err()
			case err != nil:
				a.damage(typeOf(p), p, kindSink, err)
				return nil
			}
			if out[index.Type] == nil {
				out[index.Type] = coverage.Set{}
			}
			take(out[index.Type], index)
			return nil
		})
	}
	return out, g.Wait()
}

// typeOf returns the data type whose folder a sink file is in.
func typeOf(p string) string { return path.Base(path.Dir(path.Dir(p))) }

// take adds what an index tells to a set.
func take(set coverage.Set, index *chunk.Index) {
	for i := range index.Blocks {
		for _, e := range index.Blocks[i].Entries {
			st := set.Stream(e.Stream, e.Host, e.Source)
			if e.Kind == chunk.Data {
				st.Ranges = st.Ranges.Add(e.Range())
			} else {
				st.Tell(e.Kind, e.Range())
			}
		}
	}
}

func readIndex(ctx context.Context, st store.FS, p string) (*chunk.Index, error) {
	r, err := st.Open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if err != nil {
		return nil, err
	}
	return &sink.Index, nil
}

// sinks lists the sink files below dir.
func sinks(ctx context.Context, st store.FS, dir string) ([]store.Info, error) {
	var out []store.Info
	dirs := []string{dir}
	for len(dirs) > 0 {
		dir := dirs[0]
		dirs = dirs[1:]
		list, err := st.List(ctx, dir)
		if err != nil {
			return nil, fmt.Errorf("list sink files in %s: %w", dir, err)
		}
		for _, info := range list {
			switch {
			case store.IsSink(info.Path): // also what is a folder of that name
				out = append(out, info)
			case info.IsDir && path.Base(info.Path)[0] != '_':
				dirs = append(dirs, info.Path)
			}
		}
	}
	return out, nil
}
