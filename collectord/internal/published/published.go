// Package published answers whether a segment's sink file is in the store, and
// how many blocks it has. Published files never change, so that what was found
// once is remembered.
package published

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/store"
)

const (
	remembered = 32768           // segments in each half of the memory
	lookups    = 8               // at one time
	missingFor = 5 * time.Second // how long "not there" is not asked again
)

type key struct {
	dataType string
	id       store.Segment
}

type fact struct {
	blocks  int
	missing time.Time // when it was not there; zero when it is there
}

// Files looks for sink files. It is safe for concurrent use.
type Files struct {
	fs        store.FS
	limit     *semaphore.Weighted
	flights   singleflight.Group
	regrouped regrouped

	mu sync.Mutex
	// When recent is full it becomes old, and old is forgotten.
	recent, old map[key]fact
}

// New looks in fs.
func New(fs store.FS) *Files {
	return &Files{fs: fs, limit: semaphore.NewWeighted(lookups), regrouped: regrouped{fs: fs}, recent: map[key]fact{}}
}

// Put remembers a file that was just published.
func (f *Files) Put(dataType string, id store.Segment, blocks int) {
	f.put(key{dataType, id}, fact{blocks: blocks})
}

func (f *Files) put(k key, v fact) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.recent) >= remembered {
		f.old, f.recent = f.recent, map[key]fact{}
	}
	f.recent[k] = v
}

func (f *Files) get(k key) (fact, bool) {
	f.mu.Lock()
	v, ok := f.recent[k]
	wasOld := false
	if !ok {
		v, wasOld = f.old[k]
		ok = wasOld
	}
	f.mu.Unlock()
	if ok && !v.missing.IsZero() && time.Since(v.missing) > missingFor {
		return fact{}, false
	}
	if wasOld {
		f.put(k, v)
	}
	return v, ok
}

// Blocks is the number of blocks of the segment's published sink file, 0 when
// there is none or it is damaged. An error says nothing about it. The id has
// passed its Check, and the data type chunk.CheckType.
func (f *Files) Blocks(ctx context.Context, dataType string, id store.Segment) (int, error) {
	k := key{dataType, id}
	if v, ok := f.get(k); ok {
		return v.blocks, nil
	}
	// Who asks for the same waits for the same look; it outlives its asker.
	ch := f.flights.DoChan(dataType+"/"+string(id), func() (any, error) {
		ctx := context.WithoutCancel(ctx)
		if err := f.limit.Acquire(ctx, 1); err != nil {
			return 0, err
		}
		defer f.limit.Release(1)
		blocks, err := f.look(ctx, k)
		if err != nil {
			return 0, err
		}
		v := fact{blocks: blocks}
		if blocks == 0 {
			v.missing = time.Now()
		}
		f.put(k, v)
		return blocks, nil
	})
	select {
	case r := <-ch:
		if r.Err != nil {
			return 0, r.Err
		}
		return r.Val.(int), nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// look asks the store: raw/ first, since files move from there to archive/, and there
// into regrouped ones.
func (f *Files) look(ctx context.Context, k key) (int, error) {
	for _, area := range []string{store.Raw, store.Archive} {
		path := store.SinkPath(area, k.dataType, k.id)
		blocks, err := f.blocksOf(ctx, path, k)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look for sink file %s: %w", path, err)
		}
		return blocks, nil
	}
	return f.regrouped.blocks(ctx, k)
}

func (f *Files) blocksOf(ctx context.Context, path string, k key) (int, error) {
	r, err := f.fs.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	switch {
	case errors.Is(err, chunk.ErrInvalid):
		return 0, nil // nothing of it can be read: it must be sent again
	case err != nil:
		return 0, err
	case sink.Damage != nil, sink.Index.Type != k.dataType, sink.Index.Segment != string(k.id):
		return 0, nil
	}
	return len(sink.Index.Blocks), nil
}
