package published

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

// regrouped looks into regrouped files. Who asks for a segment of an old day mostly
// asks for more of them: the days that were asked for last are listed once in a while,
// and what the files that were read last hold is remembered.
type regrouped struct {
	fs      store.FS
	flights singleflight.Group

	mu    sync.Mutex
	days  []listing // the newest last
	files []parts   // the one used last is the last
}

type listing struct {
	dir   string
	at    time.Time
	paths []string // of regrouped files
}

// parts are the numbers of blocks of the segments in a regrouped file. Such a file
// never changes.
type parts struct {
	path   string
	blocks map[store.Segment]int
}

const (
	maxDays  = 16
	maxFiles = 16
)

// blocks returns the number of blocks of a segment, 0 where no regrouped file has it.
func (g *regrouped) blocks(ctx context.Context, k key) (n int, err error) {
	if !archive.Old(k.id, time.Now()) {
		return 0, nil
	}
	day, lists := archive.Day(k.dataType, k.id), 0
	list := func() ([]string, error) {
		if lists++; lists > 1 {
			g.forget(day)
		}
		return g.list(ctx, day)
	}
	err = archive.Among(k.id, list, func(p string) (bool, error) {
		blocks, err := g.read(ctx, p)
		n = blocks[k.id]
		return n > 0, err
	})
	return n, err
}

// forget has a day listed anew.
func (g *regrouped) forget(day string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.days = slices.DeleteFunc(g.days, func(l listing) bool { return l.dir == day })
	g.flights.Forget(day) // a listing that is under way may be from before
}

func (g *regrouped) list(ctx context.Context, dir string) ([]string, error) {
	g.mu.Lock()
	i := slices.IndexFunc(g.days, func(l listing) bool { return l.dir == dir && time.Since(l.at) < missingFor })
	if i >= 0 {
		defer g.mu.Unlock()
		return g.days[i].paths, nil
	}
	g.mu.Unlock()
	paths, err, _ := g.flights.Do(dir, func() (any, error) {
		at := time.Now()
		paths, err := archive.Regrouped(ctx, g.fs, dir)
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.days = slices.DeleteFunc(g.days, func(l listing) bool { return l.dir == dir })
		g.days = slices.Delete(g.days, 0, max(0, len(g.days)-maxDays+1))
		g.days = append(g.days, listing{dir, at, paths})
		return paths, nil
	})
	if err != nil {
		return nil, err
	}
	return paths.([]string), nil
}

func (g *regrouped) read(ctx context.Context, p string) (map[store.Segment]int, error) {
	g.mu.Lock()
	if i := slices.IndexFunc(g.files, func(x parts) bool { return x.path == p }); i >= 0 {
		defer g.mu.Unlock()
		x := g.files[i]
		g.files = append(slices.Delete(g.files, i, i+1), x)
		return x.blocks, nil
	}
	g.mu.Unlock()
	blocks, err, _ := g.flights.Do(p, func() (any, error) {
		index, err := archive.Read(ctx, g.fs, p)
		if errors.Is(err, chunk.ErrInvalid) {
			return map[store.Segment]int{}, nil // as with other files: it must be sent again
		}
		if err != nil {
			return nil, fmt.Errorf("look into regrouped files: %w", err)
		}
		x := parts{p, make(map[store.Segment]int, len(index.Parts))}
		for _, part := range index.Parts {
			x.blocks[store.Segment(part.Segment)] = part.Blocks
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.files = slices.Delete(g.files, 0, max(0, len(g.files)-maxFiles+1))
		g.files = append(g.files, x)
		return x.blocks, nil
	})
	if err != nil {
		return nil, err
	}
	return blocks.(map[store.Segment]int), nil
}
