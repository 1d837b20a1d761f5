package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
)

const quarantineDir = "_quarantine" // no adaptor's name starts so

func segmentName(stream string, base int64) string { return fmt.Sprintf("%s-%020d.seg", stream, base) }

var (
	segmentRE = regexp.MustCompile(`^([0-9a-f]{38})-([0-9]{20})\.seg$`)
	droppedRE = regexp.MustCompile(`^([0-9a-f]{38})\.dropped$`)
)

// recover finds the streams of earlier starts. Only each stream's last segment
// is read, for where it ends; damage shows when it is sent.
func (s *Spool) recover() error {
	adaptors, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	for _, a := range adaptors {
		if !a.IsDir() || a.Name() == quarantineDir {
			continue
		}
		types, err := s.readDir(filepath.Join(s.cfg.Dir, a.Name()))
		if err != nil {
			return err
		}
		for _, t := range types {
			dataType, persona, has := strings.Cut(t.Name(), "@")
			if !t.IsDir() || chunk.CheckType(dataType) != nil || has && chunk.CheckType(persona) != nil {
				continue
			}
			if err := s.recoverQueue(Key{a.Name(), dataType, persona}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Spool) recoverQueue(k Key) error {
	dir := filepath.Join(s.cfg.Dir, k.Adaptor, k.folder())
	entries, err := s.readDir(dir) // by name: by stream's age, then by offset
	if err != nil {
		return err
	}
	var q *queue
	get := func(id string) *stream {
		if q == nil {
			q = s.queueOf(k)
		}
		st := s.streams[id]
		if st == nil {
			st = &stream{id: id, q: q}
			s.streams[id] = st
			q.streams = append(q.streams, st)
		}
		return st
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := usable(path); err != nil {
			s.log.Error("a file in the agent's spool can't be read; it is left alone, and the next start tries again", "path", path, "error", err)
			continue
		}
		if m := segmentRE.FindStringSubmatch(e.Name()); m != nil {
			info, err := e.Info()
			if err != nil {
				return err
			}
			base, err := strconv.ParseInt(m[2], 10, 64)
			if err != nil {
				s.log.Warn("a file in the spool has an impossible name; it is left alone", "path", path)
				continue
			}
			st := get(m[1])
			st.segs = append(st.segs, &segment{path: path, base: base, end: base, size: info.Size()})
		} else if m := droppedRE.FindStringSubmatch(e.Name()); m != nil {
			if err := s.recoverDropped(get(m[1]), path); err != nil {
				return err
			}
		} else if strings.HasSuffix(e.Name(), ".seg"+disk.TempExt) {
			_ = s.cfg.Disk.Remove(path) // a restore that was not finished
		} else {
			s.log.Warn("a file in the spool is none of its own; it is left alone", "path", path)
		}
	}
	if q == nil {
		return nil
	}
	q.streams = slices.DeleteFunc(q.streams, func(st *stream) bool {
		if err = errors.Join(err, s.recoverStream(st)); err != nil {
			return false
		}
		if len(st.segs) == 0 && len(st.dropped) == 0 {
			_ = s.cfg.Disk.Remove(droppedPath(st)) // nothing of it was ever sent
			delete(s.streams, st.id)
			return true
		}
		return false
	})
	return err
}

// readDir lists a folder, by name. One that can't be read for want of rights is
// left alone, and holds up no other.
func (s *Spool) readDir(dir string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrPermission) {
		s.log.Error("a folder in the agent's spool can't be read; it is left alone, and the next start tries again", "path", dir, "error", err)
		return nil, nil
	}
	return entries, err
}

// usable returns why a file can't be read: it is none, or there are no rights.
// Any other failure is met where it is read.
func usable(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	f, err := os.Open(path)
	if err == nil {
		return f.Close()
	}
	if errors.Is(err, os.ErrPermission) {
		return err
	}
	return nil
}

func (s *Spool) recoverStream(st *stream) error {
	for i, seg := range st.segs {
		if i+1 < len(st.segs) {
			seg.end = st.segs[i+1].base
			// drop_oldest of a single record leaves a hole before the next.
			for _, r := range st.dropped {
				if r.Last == seg.end && r.First >= seg.base {
					seg.end = r.First
				}
			}
		} else if err := s.recoverLast(seg); err != nil {
			return err
		}
		if seg.end > seg.base {
			st.end = seg.end
			s.use(st.q, seg.size)
		}
	}
	st.segs = slices.DeleteFunc(st.segs, func(seg *segment) bool {
		if seg.end == seg.base {
			_ = s.cfg.Disk.Remove(seg.path)
			return true
		}
		return false
	})
	for _, r := range st.dropped {
		st.end = max(st.end, r.Last)
	}
	st.sent = st.first()
	if len(st.segs) > 0 {
		st.sent = st.segs[0].base
	}
	return nil
}

// recoverLast finds where a stream's last segment ends. A torn tail, which
// nobody was told to be stored, is moved to quarantine. Damage that has whole
// frames behind it, or that is a whole frame itself, stays: it is told as lost
// when it is sent, after each start until that is settled.
func (s *Spool) recoverLast(seg *segment) error {
	cur := cursor{seg: seg}
	var err error
	if cur.file, err = os.Open(seg.path); err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	defer cur.close()
	for cur.pos < seg.size {
		c, n, err := cur.frame(cur.pos)
		if err == nil && (c.First != seg.end || c.Last <= c.First) {
			err = errDamaged
		}
		switch {
		case err == nil:
			seg.end = c.Last
			cur.pos += n
			continue
		case !errors.Is(err, errDamaged):
			return err
		}
		cur.next = seg.end
		at := cur.pos
		found, err := cur.resync()
		if err != nil {
			return err
		}
		if found {
			seg.end = cur.next
			continue
		}
		last, err := cur.damagedTail(at, seg)
		if err != nil {
			return err
		}
		if last > seg.end {
			seg.end = last
			return nil
		}
		s.quarantine(seg, at, seg.size)
		seg.size = at
		return s.cut(seg.path, at)
	}
	return nil
}

func (s *Spool) cut(path string, size int64) error {
	if err := disk.Truncate(s.cfg.Disk, path, size); err != nil {
		return fmt.Errorf("cut segment: %w", err)
	}
	return nil
}

func (s *Spool) recoverDropped(st *stream, path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	cur := cursor{}
	if cur.file, err = os.Open(path); err != nil {
		return err
	}
	defer cur.close()
	for pos := int64(0); pos < info.Size(); {
		c, n, err := cur.frame(pos)
		if errors.Is(err, errDamaged) {
			s.quarantine(&segment{path: path}, pos, info.Size())
			return s.cut(path, pos)
		}
		if err != nil {
			return err
		}
		st.host, st.source = c.Host, c.Source
		st.dropped = st.dropped.Add(c.Range())
		pos += n
	}
	st.tell = slices.Clone(st.dropped)
	return nil
}

// quarantine copies a segment's bytes from pos to end to the quarantine.
func (s *Spool) quarantine(seg *segment, pos, end int64) {
	dir := filepath.Join(s.cfg.Dir, quarantineDir)
	to := filepath.Join(dir, fmt.Sprintf("%s.%d", filepath.Base(seg.path), pos))
	if err := s.copyOut(seg.path, pos, end, to); err != nil {
		s.log.Error("can't copy damaged bytes to quarantine", "path", seg.path, "offset", pos, "error", err)
		return
	}
	s.log.Warn("damaged bytes in the agent's spool are in quarantine", "path", seg.path, "offset", pos, "bytes", end-pos, "copy", to)
	s.mu.Lock()
	s.stats.Quarantined += end - pos
	s.mu.Unlock()
}

func (s *Spool) copyOut(path string, pos, end int64, to string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	dir := filepath.Dir(to)
	if err := disk.MkdirAll(s.cfg.Disk, dir, dirMode); err != nil {
		return err
	}
	if err := disk.Write(s.cfg.Disk, to, io.NewSectionReader(from, pos, end-pos), fileMode); err != nil {
		return err
	}
	return s.cfg.Disk.SyncDir(dir)
}
