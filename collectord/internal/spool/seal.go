package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
)

// finishAll seals what was detached from its route. Only Run calls it.
func (s *Spool) finishAll() {
	for {
		s.mu.Lock()
		if len(s.finishing) == 0 {
			s.mu.Unlock()
			return
		}
		seg := s.finishing[0]
		s.finishing = s.finishing[1:]
		s.mu.Unlock()
		s.finish(seg)
	}
}

// finish makes an open segment a sealed one. After a failure only the part
// that is known to be durable counts: nobody was told of the rest.
func (s *Spool) finish(o *open) {
	o.mu.Lock()
	end := o.size
	o.mu.Unlock()
	if err := o.sync(context.Background(), end, s.Metrics); err != nil {
		s.fail(err)
	}
	g, err := o.close()
	if err != nil {
		s.Log.Warn("closing a segment failed; what was answered for is durable", "segment", g.ID, "error", err)
	}
	if g.tail {
		// Not damage: bytes that nobody was answered for.
		if err := disk.Truncate(s.Disk, g.path, g.extent.bytes); err != nil {
			s.Log.Warn("the end of a failed segment could not be cut off", "segment", g.ID, "error", err)
		} else {
			g.tail = false
		}
	}
	s.mu.Lock()
	delete(s.open, o.key())
	s.sealed[g.key()] = g
	s.bytes -= end - g.extent.bytes
	s.mu.Unlock()
	if g.extent.blocks == 0 {
		if err := s.forget(g); err != nil {
			s.Log.Warn("an empty segment could not be removed; the next start will", "segment", g.ID, "error", err)
		}
		return
	}
	s.seal(g)
	s.OnSealed(g)
}

// seal gives a segment that is complete the name of one. Where that fails the
// file keeps its name, is uploaded all the same, and is sealed by the next
// start.
func (s *Spool) seal(g *Sealed) {
	to := strings.TrimSuffix(g.path, openExt) + sealedExt
	err := s.Disk.Rename(g.path, to)
	if err == nil {
		err = s.Disk.SyncDir(filepath.Dir(to))
		g.mu.Lock()
		g.path = to
		g.mu.Unlock()
	}
	if err != nil {
		s.fail(fmt.Errorf("seal segment %s: %w", g.ID, err))
	}
}

// Remove deletes a segment whose batches the store holds. It may be
// called again after an error.
func (s *Spool) Remove(g *Sealed) error {
	g.mu.Lock()
	tail := g.tail
	g.mu.Unlock()
	if tail {
		if err := s.setAside(g); err != nil {
			return fmt.Errorf("remove segment %s: %w", g.ID, err)
		}
	}
	return s.forget(g)
}

func (s *Spool) forget(g *Sealed) error {
	if err := s.Disk.Remove(g.where()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove segment %s: %w", g.ID, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.sealed[g.key()]; known {
		delete(s.sealed, g.key())
		s.bytes -= g.Size()
	}
	return nil
}

// Split moves a segment's batches from block from on into a segment of
// its own, and removes the rest. It is for when the store holds, under the
// segment's name, a file with the first from blocks and no more, or other ones
// (a disk was cloned, or a failed one came back). Agents that ask for the old
// id are told what that file holds. The new id follows from the old one: after
// a crash in between the same is made again, or found, and nil given for it.
func (s *Spool) Split(g *Sealed, from int) (*Sealed, error) {
	id := store.Segment(fmt.Sprintf("%s.%d", g.ID, from))
	if _, known := s.Lookup(g.Type, id); known {
		return nil, s.Remove(g)
	}
	n, err := s.split(g, from, id)
	if err != nil {
		return nil, fmt.Errorf("split segment %s: %w", g.ID, err)
	}
	s.mu.Lock()
	s.sealed[n.key()] = n
	s.bytes += n.extent.bytes
	s.mu.Unlock()
	return n, s.Remove(g)
}

func (s *Spool) split(g *Sealed, from int, id store.Segment) (*Sealed, error) {
	frames, err := g.OpenFrames()
	if err != nil {
		return nil, err
	}
	defer frames.Close()
	if from >= len(frames.At) {
		return nil, fmt.Errorf("it has %d blocks, none behind %d", len(frames.At), from)
	}
	begin, size := frames.Starts[from], g.Size()
	n := &Sealed{
		Name:   Name{Type: g.Type, ID: id, Opened: g.Opened},
		extent: extent{bytes: size - begin, blocks: len(frames.At) - from},
	}
	if err := n.ID.Check(); err != nil {
		return nil, err
	}
	n.path = filepath.Join(filepath.Dir(g.where()), string(n.ID)+sealedExt)
	return n, disk.Publish(s.Disk, n.path, io.NewSectionReader(frames, begin, size-begin), fileMode)
}

// Repair reads a segment to its first damage, and moves the rest to
// quarantine. Agents that ask for what was lost so are told that it is unknown,
// and send it again. gone reports that nothing of the segment was left.
func (s *Spool) Repair(g *Sealed) (gone bool, err error) {
	f, err := os.Open(g.where())
	if err != nil {
		return false, fmt.Errorf("repair segment %s: %w", g.ID, err)
	}
	e, err := verify(io.LimitReader(f, g.Size()), g.Type)
	f.Close()
	if err != nil {
		return false, fmt.Errorf("repair segment %s: %w", g.ID, err)
	}
	if e.damage == nil {
		return false, nil
	}
	s.Log.Error("a segment is damaged; the rest of it goes to quarantine", "segment", g.ID, "type", g.Type, "damage", e.damage)
	s.discharge(g.Size() - e.bytes)
	g.mu.Lock()
	g.extent, g.tail = e, true
	g.mu.Unlock()
	if err := s.setAside(g); err != nil {
		return false, err
	}
	if e.blocks > 0 {
		return false, nil
	}
	return true, s.forget(g)
}

// setAside copies what follows a segment's readable part to quarantine and
// cuts it off.
func (s *Spool) setAside(g *Sealed) error {
	size := g.Size()
	dir := filepath.Join(s.quarantineRoot(), g.Type)
	if err := disk.MkdirAll(s.Disk, dir, dirMode); err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	f, err := os.Open(g.where())
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("quarantine: %w", err)
	}
	n := info.Size() - size
	to := filepath.Join(dir, fmt.Sprintf("%s.%d.damaged", g.ID, size))
	err = disk.Write(s.Disk, to, io.NewSectionReader(f, size, n), fileMode)
	if err == nil {
		err = s.Disk.SyncDir(dir)
	}
	if err == nil {
		err = disk.Truncate(s.Disk, g.where(), size)
	}
	if err != nil {
		return fmt.Errorf("quarantine %d bytes of segment %s: %w", n, g.ID, err)
	}
	g.mu.Lock()
	g.tail = false
	g.mu.Unlock()
	s.Metrics.Quarantined.Add(float64(n))
	s.Log.Warn("moved bytes to quarantine", "segment", g.ID, "type", g.Type, "file", to, "bytes", n)
	return nil
}
