package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
)

const (
	openExt   = ".open"
	sealedExt = ".sealed"
)

// Name is which segment it is.
type Name struct {
	Type   string
	ID     store.Segment
	Opened time.Time
}

// open is a segment that frames are appended to: it is written, synced, and
// closed, which makes it a Sealed one. It is safe for concurrent use.
type open struct {
	Name
	path string
	file disk.File

	mu      sync.Mutex
	size    int64 // bytes written
	blocks  int   // frames written
	durable extent
	// They bound the memory that the index takes when the segment becomes a
	// sink file.
	headers   int // bytes of the frames' headers
	chunks    int
	lastWrite time.Time
	failed    error         // nothing more is written or synced
	syncing   chan struct{} // closed when the running sync is done
}

// Sealed is a segment that is complete: it is read, split, repaired, and
// removed. It is safe for concurrent use.
type Sealed struct {
	Name

	mu     sync.Mutex
	path   string
	extent extent
	tail   bool // the file is longer than extent, with damage
}

// Size is the number of the segment's bytes.
func (g *Sealed) Size() int64 { return g.holds().bytes }

// Blocks is the number of its batches.
func (g *Sealed) Blocks() int { return g.holds().blocks }

func (g *Sealed) holds() extent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.extent
}

func (g *Sealed) where() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.path
}

func (g *open) secured() extent {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.durable
}

// written is when the last batch was appended.
func (g *open) written() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.lastWrite
}

// due reports whether the segment is to be sealed now.
func (g *open) due(now time.Time, age, idle time.Duration) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now.Sub(g.Opened) >= age || now.Sub(g.lastWrite) >= idle || g.failed != nil
}

// full reports whether its index would take too much memory with more. The
// caller is the route's only writer.
func (g *open) full() bool { return g.headers >= maxHeaders || g.chunks >= maxChunks }

// write appends a frame. The caller is the route's only writer.
func (g *open) write(b *chunk.Batch) (Ticket, error) {
	g.mu.Lock()
	failed := g.failed
	g.mu.Unlock()
	if failed != nil {
		return Ticket{}, failed
	}
	n, err := g.file.Write(b.Frame)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil && n < len(b.Frame) {
		err = fmt.Errorf("write segment %s: %d of %d bytes were written", g.ID, n, len(b.Frame))
	}
	if err != nil {
		g.failed = fmt.Errorf("write segment %s: %w", g.ID, err)
		return Ticket{}, g.failed
	}
	g.size += int64(n)
	g.blocks++
	g.headers += len(b.Frame) - len(b.Block)
	g.chunks += len(b.Entries)
	g.lastWrite = time.Now()
	return Ticket{Segment: g.ID, Block: g.blocks - 1, segment: g, end: g.size}, nil
}

// sync makes the first end bytes durable. Those who wait at the same time
// share one sync: who finds none running does it for all.
func (g *open) sync(ctx context.Context, end int64, m *Metrics) error {
	for {
		g.mu.Lock()
		switch {
		case g.durable.bytes >= end:
			g.mu.Unlock()
			return nil
		case g.failed != nil:
			defer g.mu.Unlock()
			return g.failed
		case g.syncing != nil:
			running := g.syncing
			g.mu.Unlock()
			select {
			case <-running:
			case <-ctx.Done():
				return ctx.Err()
			}
			continue
		}
		done := make(chan struct{})
		g.syncing = done
		written := extent{bytes: g.size, blocks: g.blocks}
		g.mu.Unlock()
		err := g.file.Sync()
		g.mu.Lock()
		if g.syncing = nil; err != nil {
			// What the kernel dropped then can't be told from what it wrote,
			// and a later sync would not say.
			g.failed = fmt.Errorf("sync segment %s: %w", g.ID, err)
		} else {
			m.Syncs.Inc()
			m.Batches.Add(float64(written.blocks - g.durable.blocks))
			m.Bytes.Add(float64(written.bytes - g.durable.bytes))
			g.durable = written
		}
		g.mu.Unlock()
		close(done)
	}
}

// close waits until no sync runs and closes the file. The segment that it
// returns has what is known to be durable; the file may be longer.
func (g *open) close() (*Sealed, error) {
	g.mu.Lock()
	for g.syncing != nil {
		running := g.syncing
		g.mu.Unlock()
		<-running
		g.mu.Lock()
	}
	defer g.mu.Unlock()
	err := g.file.Close()
	return &Sealed{Name: g.Name, path: g.path, extent: g.durable, tail: g.failed != nil}, err
}

// Frames is a sealed segment opened for reading.
type Frames struct {
	*os.File
	Index  chunk.Index
	Starts []int64 // where each frame starts in the file
	At     []int64 // where each block of the index starts in the file
	// Largest is the length of the longest block.
	Largest int
}

// ErrDamaged says that a segment does not hold what it should: see Repair.
var ErrDamaged = errors.New("the segment is damaged")

// OpenFrames opens the segment and reads its frames' headers. The caller
// closes it. The blocks are not verified: who reads them compares them with
// the index.
func (g *Sealed) OpenFrames() (*Frames, error) {
	held := g.holds()
	f, err := os.Open(g.where())
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", g.ID, err)
	}
	frames := &Frames{File: f, Index: chunk.Index{Type: g.Type, Segment: string(g.ID)}}
	e, err := walk(f, held.bytes, g.Type, func(off int64, h *chunk.FrameHeader) {
		frames.Index.AddFrame(h)
		frames.Starts = append(frames.Starts, off)
		frames.At = append(frames.At, off+int64(h.BlockAt))
		frames.Largest = max(frames.Largest, h.BlockLen)
	})
	if err == nil && e.damage != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, e.damage)
	}
	if err == nil && e.blocks != held.blocks {
		err = fmt.Errorf("%w: %d batches, it had %d", ErrDamaged, e.blocks, held.blocks)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read segment %s: %w", g.ID, err)
	}
	return frames, nil
}

// parseName returns which segment a file of the spool is, and in which state.
func parseName(name string) (id store.Segment, sealed bool, err error) {
	base, ext := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
	if ext != openExt && ext != sealedExt {
		return "", false, fmt.Errorf("%q is no segment's name", name)
	}
	id = store.Segment(base)
	return id, ext == sealedExt, id.Check()
}
