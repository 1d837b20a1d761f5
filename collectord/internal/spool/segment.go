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
	"github.com/akupara/akupara/store"
)

const (
	openExt   = ".open"
	sealedExt = ".sealed"
	tempExt   = ".tmp" // being made by Split
)

// Segment is one file of the spool. It is safe for concurrent use.
type Segment struct {
	Type   string
	ID     store.Segment
	Opened time.Time

	file File // nil once sealed

	mu      sync.Mutex
	path    string
	sealed  bool
	size    int64 // bytes written
	blocks  int   // frames written
	durable extent
	// They bound the memory that the index takes when the segment becomes a
	// sink file.
	headers   int // bytes of the frames' headers
	chunks    int
	lastWrite time.Time
	tail      bool          // the file may be longer than durable, with damage
	failed    error         // nothing more is written or synced
	syncing   chan struct{} // closed when the running sync is done
}

// Sealed tells whether the segment is complete.
func (g *Segment) Sealed() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sealed
}

// Size is the number of bytes that are durable, Blocks the number of batches.
func (g *Segment) Size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.durable.bytes
}

// Blocks is the number of batches that are durable.
func (g *Segment) Blocks() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.durable.blocks
}

func (g *Segment) where() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.path
}

// write appends a frame. The caller is the route's only writer.
func (g *Segment) write(b *chunk.Batch) (Ticket, error) {
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
		g.tail = true
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
func (g *Segment) sync(ctx context.Context, end int64, m *Metrics) error {
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
			g.tail = true
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

// rest waits until no sync runs, so that the file can be closed.
func (g *Segment) rest() {
	for {
		g.mu.Lock()
		running := g.syncing
		g.mu.Unlock()
		if running == nil {
			return
		}
		<-running
	}
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

// OpenFrames opens a sealed segment and reads its frames' headers. The caller
// closes it. The blocks are not verified: who reads them holds them against
// the index.
func (g *Segment) OpenFrames() (*Frames, error) {
	f, err := os.Open(g.where())
	if err != nil {
		return nil, fmt.Errorf("open segment %s: %w", g.ID, err)
	}
	frames := &Frames{File: f, Index: chunk.Index{Type: g.Type, Segment: string(g.ID)}}
	e, err := walk(f, g.Size(), g.Type, func(off int64, h *chunk.FrameHeader) {
		frames.Index.AddFrame(h)
		frames.Starts = append(frames.Starts, off)
		frames.At = append(frames.At, off+int64(h.BlockAt))
		frames.Largest = max(frames.Largest, h.BlockLen)
	})
	if err == nil && e.damage != nil {
		err = fmt.Errorf("%w: %w", ErrDamaged, e.damage)
	}
	if err == nil && e.blocks != g.Blocks() {
		err = fmt.Errorf("%w: %d batches, it had %d", ErrDamaged, e.blocks, g.Blocks())
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("read segment %s: %w", g.ID, err)
	}
	return frames, nil
}

// parseName tells which segment a file of the spool is, and in which state.
func parseName(name string) (id store.Segment, sealed bool, err error) {
	base, ext := strings.TrimSuffix(name, filepath.Ext(name)), filepath.Ext(name)
	if ext != openExt && ext != sealedExt {
		return "", false, fmt.Errorf("%q is no segment's name", name)
	}
	id = store.Segment(base)
	return id, ext == sealedExt, id.Check()
}
