package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
	"github.com/akupara/akupara/store"
)

// recover takes in the segments that are there, sealing those found open.
func (s *Spool) recover() error {
	types, err := os.ReadDir(s.root())
	if err != nil {
		return err
	}
	for _, t := range types {
		if t.Name() == probeName {
			_ = s.Disk.Remove(filepath.Join(s.root(), probeName))
			continue
		}
		if !t.IsDir() || chunk.CheckType(t.Name()) != nil {
			s.Log.Warn("left alone: not a directory of the spool", "path", filepath.Join(s.root(), t.Name()))
			continue
		}
		if err := s.recoverType(t.Name()); err != nil {
			return err
		}
	}
	return nil
}

func (s *Spool) recoverType(dataType string) error {
	dir := filepath.Join(s.root(), dataType)
	files, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrPermission) { // the other types go on
		s.Log.Error("left alone: a folder of the spool can't be read; the next start tries again", "path", dir, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	// Sealed ones first: should one of the same id be open, it is a stranger.
	slices.SortFunc(files, func(a, b fs.DirEntry) int { return strings.Compare(filepath.Ext(b.Name()), filepath.Ext(a.Name())) })
	for _, f := range files {
		path := filepath.Join(dir, f.Name())
		if filepath.Ext(path) == disk.TempExt {
			_ = s.Disk.Remove(path) // half of a copy
			continue
		}
		id, sealed, err := parseName(f.Name())
		if err == nil && s.sealed[key{dataType, id}] != nil {
			err = fmt.Errorf("segment %s has another file", id)
		}
		if err == nil {
			err = s.recoverSegment(dataType, id, path, sealed)
		}
		if err != nil {
			s.Log.Error("left alone: a file in the spool can't be used", "path", path, "error", err)
		}
	}
	return nil
}

func (s *Spool) recoverSegment(dataType string, id store.Segment, path string, sealed bool) error {
	opened, err := id.Opened()
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	// A sealed segment was synced whole: its headers tell how many batches it
	// has, and its blocks are verified when it is uploaded.
	var e extent
	if sealed {
		e, err = walk(f, info.Size(), dataType, func(int64, *chunk.FrameHeader) {})
	}
	if err == nil && (!sealed || e.damage != nil) {
		e, err = verify(f, dataType)
	}
	if err != nil {
		return err
	}
	g := &Sealed{
		Name: Name{Type: dataType, ID: id, Opened: opened},
		path: path, extent: e, tail: e.bytes < info.Size(),
	}
	s.sealed[g.key()] = g
	s.bytes += e.bytes
	if e.damage != nil {
		s.Log.Warn("a segment ends in damage", "segment", id, "type", dataType, "sealed", sealed, "damage", e.damage)
		if err := s.setAside(g); err != nil {
			// Remove tries again: a full disk gets room by uploading.
			s.Log.Error("the damaged rest of a segment could not be moved to quarantine yet", "segment", id, "error", err)
		}
	}
	if !sealed && !g.tail {
		// What was read may still lie in the page cache alone.
		if err := disk.Truncate(s.Disk, path, e.bytes); err != nil {
			s.fail(fmt.Errorf("sync segment %s: %w", id, err))
		}
	}
	switch {
	case e.blocks == 0 && g.tail:
		delete(s.sealed, g.key())
		return fmt.Errorf("nothing of it is readable: %w", e.damage)
	case e.blocks == 0:
		return s.forget(g)
	case !sealed:
		s.seal(g)
	}
	return nil
}
