package checkpoints

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/disk"
)

// append journals a record and applies it. With sync it returns when the
// record is durable. After an error the record is not applied, but for one
// that could be written and not synced: that one is taken back where it can
// matter (a stream opened in vain is forgotten).
func (s *Store) append(sync bool, r record) error {
	if err := checkSizes(&r); err != nil {
		return err
	}
	s.mu.Lock()
	n, err := s.write(&r)
	due := err == nil && s.size >= s.rollAt && time.Now().After(s.rollAgain)
	s.mu.Unlock()
	if err != nil {
		return err
	}
	if due {
		s.rollIfDue()
	}
	if !sync {
		return nil
	}
	if err := s.syncTo(n); err != nil {
		if r.op == opStream {
			_ = s.append(false, record{op: opForget, stream: r.stream})
		}
		return err
	}
	return nil
}

func checkSizes(r *record) error {
	for name, n := range map[string]int{
		"the name": max(len(r.name), len(r.owner.Adaptor)), "the source": len(r.stream.Source), "the identity": len(r.stream.Identity),
		"the id": len(r.stream.ID), "the type": len(r.stream.Type),
	} {
		if n > MaxText {
			return fmt.Errorf("%s has %d bytes, at most %d are allowed", name, n, MaxText)
		}
	}
	if len(r.value) > MaxValue {
		return fmt.Errorf("value of %q has %d bytes, at most %d are allowed", r.name, len(r.value), MaxValue)
	}
	return nil
}

// write appends one frame to the journal and applies it; s.mu is held.
func (s *Store) write(r *record) (int64, error) {
	if s.closed {
		return 0, ErrClosed
	}
	known := s.st.streams[r.stream.ID] != nil
	switch r.op {
	case opPut, opDelete:
	case opStream:
		if known {
			return 0, fmt.Errorf("stream %q: %w", r.stream.ID, errTaken)
		}
	default:
		if !known {
			return 0, fmt.Errorf("stream %q: %w", r.stream.ID, ErrUnknown)
		}
	}
	if s.torn {
		if err := s.journal.Truncate(s.size); err != nil {
			return 0, fmt.Errorf("cut the journal of checkpoints in %s back to its last whole record: %w", s.dir, err)
		}
		s.torn = false
	}
	s.frame = appendFrame(s.frame[:0], r)
	if _, err := s.journal.Write(s.frame); err != nil {
		s.torn = true
		return 0, fmt.Errorf("write the journal of checkpoints in %s: %w", s.dir, err)
	}
	s.size += int64(len(s.frame))
	s.appended++
	return s.appended, s.st.apply(r)
}

// syncTo returns when record n is durable: after its own fsync, or after one
// that a concurrent call made for it.
func (s *Store) syncTo(n int64) error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.loose {
		if err := s.disk.SyncDir(s.dir); err != nil {
			return fmt.Errorf("sync the directory of checkpoints %s: %w", s.dir, err)
		}
		s.loose = false
	}
	if s.synced >= n {
		return nil
	}
	s.mu.Lock()
	upTo, closed, lost := s.appended, s.closed, s.lost
	s.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case lost != nil:
		return lost
	}
	// The journal is replaced only under syncMu. After a failed fsync the
	// kernel may have dropped the pages and say nothing of it the next time:
	// only a new generation, written from memory, is sure to hold them.
	if err := s.journal.Sync(); err != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if rollErr := s.roll(); rollErr != nil {
			return fmt.Errorf("sync the journal of checkpoints in %s: %w", s.dir, errors.Join(err, rollErr))
		}
		s.log.Warn("the journal of checkpoints could not be synced; a new snapshot was written instead",
			"dir", s.dir, "error", err)
		return nil
	}
	s.synced = upTo
	return nil
}

// rollIfDue begins a new generation when the journal has outgrown its bound.
// A failure is not the caller's: its record is journalled.
func (s *Store) rollIfDue() {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.size < s.rollAt {
		return
	}
	if err := s.roll(); err != nil {
		s.rollAgain = time.Now().Add(10 * time.Second)
		s.log.Warn("can't write a new snapshot of the checkpoints; the journal goes on growing, next try in 10 s",
			"dir", s.dir, "error", err)
	}
}

// roll begins the next generation, and removes those that are not needed any
// more; s.syncMu and s.mu are held.
func (s *Store) roll() error {
	if err := s.begin(); err != nil {
		return err
	}
	s.removeBefore(s.gen - 1)
	return nil
}

// begin begins the next generation: journal first, snapshot second. Until the
// snapshot has its final name, the old generation is the current one; s.syncMu
// and s.mu are held.
func (s *Store) begin() error {
	gen := s.gen + 1
	h := head{version: version, gen: gen, agent: s.ids.agent, machine: s.ids.machine}
	journal, info, size, err := s.createJournal(gen, h)
	if err != nil {
		return err
	}
	snapshot := s.st.appendSnapshot(nil, h)
	if err := s.publish(fileName(snapshotFile, gen), snapshot); err != nil {
		return errors.Join(err, journal.Close())
	}
	old := s.journal
	s.gen, s.journal, s.journalInfo, s.size, s.torn = gen, journal, info, size, false
	s.synced = s.appended
	s.rollAt = max(s.minRoll, 2*int64(len(snapshot)))
	if old != nil {
		_ = old.Close() // nothing in it is needed any more
	}
	return nil
}

func (s *Store) createJournal(gen uint64, h head) (disk.File, os.FileInfo, int64, error) {
	path := filepath.Join(s.dir, fileName(journalFile, gen))
	f, err := s.create(path)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("create journal of checkpoints: %w", err)
	}
	frame := appendFrame(nil, &record{op: opHead, head: h})
	if _, err = f.Write(frame); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = s.disk.SyncDir(s.dir)
	}
	var info os.FileInfo
	if err == nil {
		info, err = os.Stat(path)
	}
	if err != nil {
		_ = s.disk.Remove(path) // else each try on a full disk leaves one
		return nil, nil, 0, fmt.Errorf("write journal of checkpoints %s: %w", path, errors.Join(err, f.Close()))
	}
	return f, info, int64(len(frame)), nil
}

// publish writes a file under a temporary name and renames it to its final one.
func (s *Store) publish(name string, data []byte) error {
	path := filepath.Join(s.dir, name)
	tmp := path + disk.TempExt
	if err := disk.Write(s.disk, tmp, bytes.NewReader(data), fileMode); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := s.disk.Rename(tmp, path); err != nil {
		// Should it have happened all the same, nobody may find it: the old
		// generation's journal goes on.
		_ = s.disk.Remove(path)
		return fmt.Errorf("publish %s: %w", path, err)
	}
	// From here on a reader finds the new generation, so it has to be used: a
	// directory that can't be synced is no reason to go back, but nothing is
	// durable until it can.
	err := s.disk.SyncDir(s.dir)
	if s.loose = err != nil; s.loose {
		s.log.Warn("can't sync the directory of checkpoints", "dir", s.dir, "error", err)
	}
	return nil
}

// removeBefore removes generations older than keep. What stays behind is
// removed the next time.
func (s *Store) removeBefore(keep uint64) {
	names, err := s.list()
	if err != nil {
		return
	}
	for _, name := range names {
		if _, gen, ok := parseName(name); ok && gen < keep {
			_ = s.disk.Remove(filepath.Join(s.dir, name))
		}
	}
}
