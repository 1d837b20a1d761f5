package table

import (
	"context"
	"errors"
	"io"
	"maps"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/coverage"
)

// lookup is one CoverageOf.
type lookup struct {
	t     *Table
	tree  coverageTree
	known *coverage.Known
}

const (
	// lookupsAtOnce is how many files of a group are read at a time.
	lookupsAtOnce = 8
	// rootsAtOnce is of how many families one reads in a file; others read more of them
	// beside it.
	rootsAtOnce = 4096
)

func (l *lookup) run(ctx context.Context, want coverage.Want) error {
	again, err := l.look(ctx, want.Roots(), want)
	if err == nil && len(again) > 0 {
		_, err = l.look(ctx, again, nil)
	}
	return err
}

// look takes in what the tree tells of families near what is wanted of them; nil:
// everywhere. It returns those of which all must be known: they have forks, and of
// the root not all was read.
func (l *lookup) look(ctx context.Context, roots []string, want coverage.Want) (again []string, err error) {
	found := make(map[string][]coverage.Found, len(roots)) // newest first
	left := roots
	for i := len(l.tree) - 1; i >= 0 && len(left) > 0; i-- {
		g := &l.tree[i]
		n, _ := slices.BinarySearch(left, g.from)
		one, err := l.group(ctx, g, left[n:], want)
		if err != nil {
			return nil, err
		}
		for root, f := range one {
			if len(f.Set) > 0 {
				found[root] = append(found[root], f)
			}
		}
		left = slices.DeleteFunc(slices.Clone(left), func(root string) bool { return one[root].Whole })
	}
	var mu sync.Mutex // of known, and again
	var all errgroup.Group
	all.SetLimit(runtime.GOMAXPROCS(0))
	for some := range slices.Chunk(roots, rootsAtOnce) {
		all.Go(func() error {
			known, more := families(some, found)
			mu.Lock()
			defer mu.Unlock()
			maps.Copy(l.known.Set, known.Set)
			maps.Copy(l.known.Roots, known.Roots)
			again = append(again, more...)
			return nil
		})
	}
	_ = all.Wait() // none fails
	slices.Sort(again)
	return again, nil
}

// families joins what was found of families, newest first, and returns those of which
// more must be known.
func families(roots []string, found map[string][]coverage.Found) (known coverage.Known, again []string) {
	known = coverage.Known{Set: coverage.Set{}, Roots: map[string]bool{}}
	for _, root := range roots {
		family, partial := coverage.Set{}, false
		for _, f := range slices.Backward(found[root]) {
			family.Merge(f.Set)
			partial = partial || f.Partial
		}
		_, rooted := family[root]
		forked := len(family) > 1 || len(family) == 1 && !rooted
		if partial && forked {
			again = append(again, root)
			continue
		}
		maps.Copy(known.Set, family)
		if !partial && !forked {
			known.Roots[root] = true
		}
	}
	return known, again
}

// group asks the files of a group.
func (l *lookup) group(ctx context.Context, group *coverageGroup, roots []string, want coverage.Want) (map[string]coverage.Found, error) {
	byFile := make([][]string, len(group.files))
	for _, root := range roots {
		n := group.of(root)
		byFile[n] = append(byFile[n], root)
	}
	out := make(map[string]coverage.Found, len(roots))
	var mu sync.Mutex // of out
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(lookupsAtOnce)
	for i, f := range group.files {
		for some := range slices.Chunk(byFile[i], rootsAtOnce) {
			g.Go(func() error {
				found, err := l.file(gctx, f, some, want)
				mu.Lock()
				defer mu.Unlock()
				maps.Copy(out, found)
				return err
			})
		}
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func (l *lookup) file(ctx context.Context, f coverageFile, roots []string, want coverage.Want) (map[string]coverage.Found, error) {
	o, err := l.t.openCoverage(ctx, f)
	if err != nil {
		return nil, err
	}
	defer o.close()
	if o.set != nil {
		return inSet(ctx, o, roots)
	}
	may, err := o.tree.MayHold(roots)
	if err != nil {
		return nil, o.wrong(err)
	}
	out := map[string]coverage.Found{}
	for i, root := range roots {
		if !may[i] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		var near *chunk.Range
		if r, ok := want[root]; ok {
			near = &r
		}
		if out[root], err = o.tree.Family(root, near); err != nil {
			return nil, o.wrong(err)
		}
	}
	return out, nil
}

// inSet goes through all of a file of an older version.
func inSet(ctx context.Context, o *openCoverage, roots []string) (map[string]coverage.Found, error) {
	out := map[string]coverage.Found{}
	for _, root := range roots {
		out[root] = coverage.Found{Set: coverage.Set{}}
	}
	src, err := o.set.Source("")
	for err == nil && ctx.Err() == nil {
		var p *coverage.Piece
		if p, err = src.Next(); err != nil {
			break
		}
		if f, wanted := out[coverage.Root(p.ID)]; wanted {
			f.Set[p.ID] = p.Stream
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, o.wrong(err)
	}
	return out, ctx.Err()
}
