package checkpoints

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// What people do to a directory while it is in use.
var (
	errRemoved  = errors.New("it was removed")
	errReplaced = errors.New("another one is in its place")
)

// Whole reports what is wrong with the directory: nil, or that it is not the one
// that the store writes to any more. A process that has its files open notices
// nothing of that by itself, and what it writes is gone when it ends.
func (s *Store) Whole() error {
	s.mu.Lock()
	closed, lost := s.closed, s.lost
	lock, journal, name := s.lock, s.journalInfo, fileName(journalFile, s.gen)
	s.mu.Unlock()
	switch {
	case closed:
		return nil
	case lost != nil:
		return lost
	}
	return s.inPlace(lock, journal, name)
}

func (s *Store) inPlace(lock *os.File, journal os.FileInfo, name string) error {
	held, err := lock.Stat()
	if err != nil {
		return fmt.Errorf("stat the lock of checkpoints: %w", err)
	}
	for _, f := range []struct {
		name string
		ours os.FileInfo
	}{{lockFile, held}, {name, journal}} {
		there, err := os.Stat(filepath.Join(s.dir, f.name))
		switch {
		case errors.Is(err, os.ErrNotExist):
			return fmt.Errorf("%s: %w while the agent uses it", s.dir, errRemoved)
		case err != nil:
			return fmt.Errorf("%s: %w", s.dir, err)
		case !os.SameFile(there, f.ours):
			return fmt.Errorf("%s: %w while the agent uses it", s.dir, errReplaced)
		}
	}
	return nil
}

// Mend puts a directory that is not Whole in order: it makes it anew, takes its
// lock and writes a new generation from memory, all of it durable; what another
// directory in its place held goes to quarantine. mended reports whether there
// was anything to do. While it fails, no stream is opened and nothing Put: that
// could not be durable.
func (s *Store) Mend() (mended bool, err error) {
	if s.Whole() == nil {
		return false, nil
	}
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false, nil
	}
	why := s.inPlace(s.lock, s.journalInfo, fileName(journalFile, s.gen))
	if why == nil { // it came back, or was replaced by a new generation just now
		mended, s.lost = s.lost != nil, nil
		return mended, nil
	}
	if s.lost == nil {
		s.log.Error("the agent's data directory is not the one any more that it writes to; it is made anew from memory",
			"dir", s.dir, "error", why)
	}
	kept, err := s.mend()
	if err != nil {
		err = fmt.Errorf("%w; it can't be made anew: %w", why, err)
		if s.lost == nil || s.lost.Error() != err.Error() {
			s.log.Error("the agent's data directory can't be made anew; no source is opened that was not open, the next try is soon",
				"dir", s.dir, "error", err)
		}
		s.lost = err
		return false, err
	}
	s.lost = nil
	s.log.Warn("the agent's data directory was made anew, and holds all that is known",
		"dir", s.dir, "streams", len(s.st.streams), "quarantined", kept)
	return true, nil
}

// mend does it, and returns how many files of another directory went to
// quarantine; s.syncMu and s.mu are held.
func (s *Store) mend() (quarantined int, err error) {
	if err := makeDir(s.disk, s.dir); err != nil {
		return 0, err
	}
	if err := s.relock(); err != nil {
		return 0, err
	}
	// A generation above all that is there is the one that the next start takes,
	// whatever of the rest is still in the way then.
	foreign, err := s.files()
	if err != nil {
		return 0, err
	}
	for _, name := range foreign {
		_, gen, _ := parseName(name)
		s.gen = max(s.gen, gen)
	}
	if err := s.begin(); err != nil {
		return 0, err
	}
	for _, name := range foreign {
		if err := s.disk.Rename(filepath.Join(s.dir, name), s.freeName(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return quarantined, fmt.Errorf("move %s to quarantine: %w", name, err)
		}
		quarantined++
	}
	return quarantined, nil
}

// relock takes the lock of the directory that is there now.
func (s *Store) relock() error {
	held, err := s.lock.Stat()
	if err != nil {
		return fmt.Errorf("stat lock: %w", err)
	}
	if there, err := os.Stat(filepath.Join(s.dir, lockFile)); err == nil && os.SameFile(there, held) {
		return nil
	}
	fresh, err := takeLock(s.dir)
	if err != nil {
		return err
	}
	_ = s.lock.Close() // of a file that nobody finds any more
	s.lock = fresh
	return nil
}

// files lists the snapshots and journals that are in the directory.
func (s *Store) files() ([]string, error) {
	names, err := s.list()
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", s.dir, err)
	}
	var out []string
	for _, name := range names {
		if _, _, ok := parseName(name); ok {
			out = append(out, name)
		}
	}
	return out, nil
}

const lockFile = "lock"

// takeLock takes a directory's flock, which ends with the process whatever
// happens to it.
func takeLock(dir string) (*os.File, error) {
	path := filepath.Join(dir, lockFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, fmt.Errorf("lock %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}
