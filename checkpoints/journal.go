package checkpoints

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/akupara/akupara/disk"
	"golang.org/x/sys/unix"
)

// readJournal applies what a journal holds. What is damaged in it goes to
// quarantine, and the whole records behind that are applied: one flipped bit
// costs one record. It returns how many records there are behind the header.
// base is the generation of the snapshot that the state begins with.
func (s *Store) readJournal(gen, base uint64) (h head, records int, err error) {
	name := fileName(journalFile, gen)
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	switch {
	case errors.Is(err, unix.EISDIR):
		s.lossy("a folder is in the place of a journal of the checkpoints", "file", filepath.Join(s.dir, name))
		return h, 0, s.quarantine(name, err)
	case err != nil:
		return h, 0, fmt.Errorf("read journal: %w", err)
	case len(data) == 0 && gen > base:
		return h, 0, nil // a crash between creating the file and writing its header
	case len(data) == 0:
		s.damaged++
		s.lossy("a journal of the checkpoints is empty", "file", filepath.Join(s.dir, name))
		return h, 0, nil
	}
	var rest []byte
	h, rest, err = readHead(data)
	switch {
	case errors.Is(err, errNewer):
		return h, 0, fmt.Errorf("%s: %w; use that version, or another directory", name, err)
	case err == nil && h.gen != gen:
		s.lossy("a journal of the checkpoints is another one's copy", "file", filepath.Join(s.dir, name), "generation", h.gen)
		return head{}, 0, s.quarantine(name, fmt.Errorf("%w: it says that it is generation %d", errTorn, h.gen))
	case err != nil:
		h, rest = head{}, data
	}
	unknown := 0
	for len(rest) > 0 {
		r, after, err := nextRecord(rest)
		if err != nil {
			at := len(data) - len(rest)
			skip := resync(rest)
			if err := s.quarantinePart(name, rest[:skip], at); err != nil {
				return h, records, err
			}
			if skip < len(rest) || at == 0 || isWhole(rest) {
				s.lossy("a journal of the checkpoints is damaged", "file", filepath.Join(s.dir, name), "at", at, "bytes", skip)
			}
			rest = rest[skip:]
			continue
		}
		if s.st.apply(&r) != nil {
			unknown++
		}
		records++
		rest = after
	}
	if unknown > 0 {
		s.lossy("a journal of checkpoints speaks of streams that nothing opened; they were skipped",
			"file", filepath.Join(s.dir, name), "records", unknown)
	}
	return h, records, nil
}

// lossy notes that something is gone that the state held for sure: of files
// that were there before, and are not known any more, it can't be said that
// nothing was sent.
func (s *Store) lossy(what string, args ...any) {
	s.fresh = true
	s.log.Error(what+"; the agent may know less than it has sent, and says so of each source that it opens anew", args...)
}

func nextRecord(b []byte) (record, []byte, error) {
	body, rest, err := nextFrame(b)
	if err != nil {
		return record{}, b, err
	}
	r, err := decode(body)
	return r, rest, err
}

// resync returns how many bytes of b, which begins with none, come before the
// next whole record: all of them if there is no other.
func resync(b []byte) int {
	for at := 1; at < len(b); at++ {
		if _, _, err := nextRecord(b[at:]); err == nil {
			return at
		}
	}
	return len(b)
}

// isWhole reports whether b, which is damaged, begins with a frame of the
// length that it says: a crash leaves a shorter one.
func isWhole(b []byte) bool {
	if len(b) < frameHead {
		return false
	}
	n := int64(binary.LittleEndian.Uint32(b))
	return n > 0 && n <= int64(len(b)-frameHead)
}

// quarantinePart copies what is damaged in a journal. The journal itself is left
// as it is until its generation is removed.
func (s *Store) quarantinePart(name string, part []byte, at int) error {
	s.damaged++
	to := s.freeName(fmt.Sprintf("%s.tail-%d", name, at))
	if err := disk.Write(s.disk, to, bytes.NewReader(part), fileMode); err != nil {
		_ = s.disk.Remove(to) // the bytes are where they were, and copied at the next start
		return fmt.Errorf("quarantine a part of %s: %w", name, err)
	}
	s.log.Warn("a record in a journal of checkpoints is torn, as after a crash, or damaged; it was skipped",
		"file", filepath.Join(s.dir, name), "at", at, "bytes", len(part), "kept_in", to)
	return nil
}
