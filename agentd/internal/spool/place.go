package spool

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/disk"
)

// Whole reports what is wrong with the spool's directory: nil, or that it is
// not the one that was opened.
func (s *Spool) Whole() error {
	s.mu.Lock()
	ours := s.place
	s.mu.Unlock()
	there, err := os.Stat(s.cfg.Dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s: it was removed while the agent uses it", s.cfg.Dir)
	case err != nil:
		return fmt.Errorf("%s: %w", s.cfg.Dir, err)
	case !os.SameFile(there, ours):
		return fmt.Errorf("%s: another one is in its place while the agent uses it", s.cfg.Dir)
	}
	return nil
}

// Mend makes a directory that is not Whole anew, and stores again what was in
// the segments that are written to. What was in others and not sent is lost, and
// told so when its turn comes.
func (s *Spool) Mend() error {
	if s.Whole() == nil {
		return nil
	}
	if err := s.makeDir(); err != nil {
		return err
	}
	s.mu.Lock()
	queues := slices.Collect(maps.Values(s.queues))
	s.mu.Unlock()
	var errs []error
	for _, q := range queues {
		if !q.appends.TryLock() {
			continue // whoever writes there sees it
		}
		if seg := s.growing(q); seg != nil && seg.displaced() {
			errs = append(errs, s.restore(q, seg))
		}
		q.appends.Unlock()
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return s.settleIn()
}

// makeDir makes the spool's directory, and makes sure that it is durable.
func (s *Spool) makeDir() error {
	err := disk.MkdirAll(s.cfg.Disk, s.cfg.Dir, dirMode)
	if err == nil { // it may have been made, and not synced, before a crash
		err = s.cfg.Disk.SyncDir(filepath.Dir(s.cfg.Dir))
	}
	if err != nil {
		return fmt.Errorf("create spool: %w", err)
	}
	return nil
}

// settleIn notes which directory the spool's is.
func (s *Spool) settleIn() error {
	info, err := os.Stat(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("create spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.place = info
	return nil
}

// growing is the segment that a queue's records are appended to, nil where there
// is none now.
func (s *Spool) growing(q *queue) *segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(q.streams); n > 0 && len(q.streams[n-1].segs) > 0 {
		segs := q.streams[n-1].segs
		if seg := segs[len(segs)-1]; seg.file != nil {
			return seg
		}
	}
	return nil
}

// displaced reports whether the segment's path leads to another file than the
// open one, or to none.
func (seg *segment) displaced() bool {
	ours, err := seg.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(seg.path)
	return errors.Is(err, os.ErrNotExist) || err == nil && !os.SameFile(there, ours)
}

// unlinked reports whether no path leads to the open segment any more. It costs
// one system call.
func (seg *segment) unlinked() bool {
	var st unix.Stat_t
	return unix.Fstat(int(seg.file.Fd()), &st) == nil && st.Nlink == 0
}

// restore stores a segment again whose file was removed while it is open; its
// bytes are there until it is closed. q.appends is held.
func (s *Spool) restore(q *queue, seg *segment) error {
	from, err := seg.reopen()
	if err != nil {
		return fmt.Errorf("restore %s: %w", seg.path, err)
	}
	defer from.Close()
	d := s.cfg.Disk
	var f disk.File
	if err = disk.MkdirAll(d, q.dir, dirMode); err == nil {
		err = disk.Publish(d, seg.path, io.NewSectionReader(from, 0, seg.size), fileMode)
	}
	if err == nil {
		err = s.syncDirs(q)
	}
	if err == nil {
		f, err = d.OpenFile(seg.path, os.O_WRONLY|os.O_APPEND, 0)
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", seg.path, err)
	}
	s.log.Warn("a segment of the agent's spool was removed while it was written to; it is stored again", "path", seg.path, "bytes", seg.size)
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = seg.file.Close()
	seg.file = f
	seg.restored.Add(1)
	return nil
}

// open opens a segment for reading, also one whose file was removed while it is
// written to.
func (s *Spool) open(seg *segment) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if seg.file != nil && seg.displaced() {
		return seg.reopen()
	}
	return os.Open(seg.path)
}

func (seg *segment) reopen() (*os.File, error) {
	return os.Open(fmt.Sprintf("/proc/self/fd/%d", seg.file.Fd()))
}
