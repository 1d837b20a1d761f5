package spooldir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/disk"
)

// tend does for a stream what needs no reading: it tells ends and losses, sends
// again, and deals with files that are done. It returns when to look again.
func (r *run) tend(ctx context.Context, s *stream) (wake time.Time, err error) {
	if s.path == "" && !s.gone && !s.missing.IsZero() {
		at := s.missing.Add(r.times.missing)
		switch {
		case time.Now().Before(at):
			wake = at
		case r.mayJudge(s):
			if s, err = r.own(s); err != nil {
				return wake, heldByNow(err)
			}
			if r.lose(s, "the file was not found any more"); !s.gone {
				return wake, nil // it was done, and is dropped
			}
		}
	}
	if s.released {
		return wake, nil
	}
	if s.gone {
		if err := r.finishGone(ctx, s); err != nil {
			return wake, err
		}
	} else if s.out.Asked() && s.path != "" {
		if err := r.again(ctx, s); err != nil {
			return wake, err
		}
	}
	if s.out.Ended() && !s.ident.Done {
		if err := r.end(ctx, s); err != nil {
			return wake, err
		}
	}
	if s.path == "" && !s.gone && !s.missing.IsZero() { // nothing is left to do of what was read
		r.release(s)
		return wake, nil
	}
	if !s.ident.Done && !s.out.Done() {
		return wake, nil
	}
	at, err := r.finished(s)
	if wake.IsZero() || !at.IsZero() {
		wake = at
	}
	return wake, err
}

// heldByNow is nil where another adaptor has the stream by now.
func heldByNow(err error) error {
	if errors.Is(err, adaptors.ErrHeld) {
		return nil
	}
	return err
}

// lose notes that a stream's file can't be read any more.
func (r *run) lose(s *stream, reason string) {
	if s.ident.Done {
		r.drop(s)
		return
	}
	s.gone, s.reason, s.path = true, reason, ""
}

// finishGone tells what is lost of a stream that can't be read any more.
func (r *run) finishGone(ctx context.Context, s *stream) error {
	lost := func(ctx context.Context, rg chunk.Range) error { return s.out.Lost(ctx, rg, s.reason) }
	if !s.out.Ended() {
		size := s.out.Sent()
		if !s.ident.Packed {
			size = max(size, s.ident.Size)
		}
		if err := lost(ctx, chunk.Range{First: s.out.Off(), Last: size}); err != nil {
			return err
		}
	}
	if err := r.end(ctx, s); err != nil {
		return err
	}
	return s.out.Resend(ctx, lost)
}

// again sends what nobody is known to hold any more.
func (r *run) again(ctx context.Context, s *stream) error {
	f, err := ident.Open(s.path, unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := ident.Fstat(f)
	if err != nil {
		return fmt.Errorf("look at %s: %w", s.path, err)
	}
	how, err := s.ident.compare(s.path, f, &info)
	if err != nil {
		return err
	}
	if how != same && how != grown || s.ident.Trouble != "" && !s.ident.Packed {
		if e := r.entries[s.path]; e != nil && e.st == s {
			e.st = nil
			r.todo[e] = true
		}
		s.ident.Done = false
		r.lose(s, "the file was changed before it was secured")
		return r.finishGone(ctx, s)
	}
	if err := s.out.Resend(ctx, func(ctx context.Context, rg chunk.Range) error {
		_, err := r.produce(ctx, s, f, rg.First, rg.Last)
		return err
	}); err != nil {
		return err
	}
	if s.ident.Done = s.ident.Done && (s.out.Done() || !s.out.EndSent()); s.ident.Done {
		r.board.Hide(s.out)
	}
	return nil
}

// finished deals with the file of a stream that is settled whole.
func (r *run) finished(s *stream) (wake time.Time, err error) {
	if s.gone {
		r.drop(s)
		return time.Time{}, nil
	}
	if r.cfg.After == "keep" || s.ident.Trouble != "" {
		if !s.ident.Done {
			s.ident.Done = true
			r.update(s)
			r.board.Hide(s.out)
		}
		return time.Time{}, nil
	}
	e := r.entries[s.path]
	if s.path == "" || e == nil {
		return time.Time{}, nil // it is looked for a while longer
	}
	busy, err := r.putAway(s)
	if errors.Is(err, errNotNow) || errors.Is(err, os.ErrNotExist) {
		s.ident.Done = true // so that what was appended is read
		r.update(s)
		r.look(happening{path: e.path})
		return time.Time{}, nil
	}
	if err != nil || busy {
		return time.Now().Add(r.times.retry), err
	}
	r.left(e, false)
	if s.path == "" {
		r.drop(s)
	}
	return time.Time{}, nil
}

// putAway moves or deletes the stream's file, if it is as it was read. busy says
// that somebody has it open for writing.
func (r *run) putAway(s *stream) (busy bool, err error) {
	f, err := ident.Open(s.path, unix.O_NOFOLLOW)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := ident.Fstat(f)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", s.path, err)
	}
	if !s.ident.sameAtASight(&info) {
		return false, errNotNow
	}
	if beingWritten(f) {
		return true, nil
	}
	if r.cfg.After == "delete" {
		return false, r.remove(s.path, info.Key())
	}
	return false, r.move(s.path, info.Key())
}

// beingWritten reports whether somebody has the file open for writing, where the
// kernel says it: a read lease is refused then. A lease needs the file's owner
// or CAP_LEASE; it is released at once.
func beingWritten(f *os.File) bool {
	_, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_UNLCK)
	}
	return errors.Is(err, unix.EAGAIN)
}

// maxSuffix bounds the names that are tried.
const maxSuffix = 100_000

// bound returns a folder by a name that stays its own, once it is known to lie
// where files may be changed: whoever puts a link in its place meanwhile
// changes nothing. Without bounds it is the folder's path. done gives the name
// up.
func (r *run) bound(dir string) (name string, done func(), err error) {
	if r.cfg.changes == nil {
		return dir, func() {}, nil
	}
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: dir, Err: err}
	}
	d := os.NewFile(uintptr(fd), dir)
	if err := r.cfg.changes.HoldsFile(d); err != nil {
		return "", nil, errors.Join(err, d.Close())
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd), func() { _ = d.Close() }, nil // a descriptor without data
}

// move renames a file into the folder for files that are done. What is there is
// never overwritten: the name gets a suffix.
func (r *run) move(path string, key ident.Key) error {
	dir, name := filepath.Split(path)
	from, done, err := r.bound(dir)
	if err != nil {
		return fmt.Errorf("move %s: %w", path, err)
	}
	defer done()
	folder, done, err := r.bound(r.cfg.MoveTo)
	if err != nil {
		return fmt.Errorf("move %s: %w", path, err)
	}
	defer done()
	to, err := renameFree(filepath.Join(from, name), filepath.Join(folder, name))
	if errors.Is(err, unix.EXDEV) {
		return fmt.Errorf("move %s: %s is on another file system; want a folder of the same one", path, r.cfg.MoveTo)
	}
	if err != nil {
		return fmt.Errorf("move %s: %w", path, err)
	}
	if info, err := ident.Stat(to); err == nil && info.Key() != key { // it was replaced a moment ago
		if _, err := renameFree(to, filepath.Join(from, name)); err != nil {
			return fmt.Errorf("move %s back from %s: %w", path, r.cfg.MoveTo, err)
		}
		return errNotNow
	}
	return errors.Join(disk.Local{}.SyncDir(r.cfg.MoveTo), disk.Local{}.SyncDir(filepath.Dir(path)))
}

// deleting is what the names start with that files have for a moment while they
// are deleted.
const deleting = ".akupara-deleting-"

// remove deletes a file, if it is the one: it is renamed first, so that one that
// took its name a moment ago stays.
func (r *run) remove(path string, key ident.Key) error {
	dir, name := filepath.Split(path)
	from, done, err := r.bound(dir)
	if err != nil {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	defer done()
	was := filepath.Join(from, name)
	hidden, err := renameFree(was, filepath.Join(from, deleting+name))
	if err != nil {
		return fmt.Errorf("delete %s: %w", path, err)
	}
	info, err := ident.Stat(hidden)
	if err == nil && info.Key() == key {
		if err := os.Remove(hidden); err != nil {
			_, back := renameFree(hidden, was)
			return errors.Join(fmt.Errorf("delete %s: %w", path, err), back)
		}
		return disk.Local{}.SyncDir(dir)
	}
	if _, err := renameFree(hidden, was); err != nil {
		return fmt.Errorf("give %s its name back: %w", path, err)
	}
	return errNotNow
}

// halfDeleted gives a file its name back whose deletion a crash broke off. It
// is known by its bytes and deleted anew.
func (r *run) halfDeleted(path string) {
	name, ok := strings.CutPrefix(filepath.Base(path), deleting)
	if !ok {
		return
	}
	dir, done, err := r.bound(filepath.Dir(path))
	if err == nil {
		_, err = renameFree(filepath.Join(dir, filepath.Base(path)), filepath.Join(dir, name))
		done()
	}
	if err != nil {
		r.note(path, "can't be given its name back: "+err.Error())
	}
}

// renameFree renames to a name that is free: want, or want with a suffix. It
// returns the name.
func renameFree(from, want string) (string, error) {
	for i := range maxSuffix {
		to := want
		if i > 0 {
			to = fmt.Sprintf("%s.%d", want, i)
		}
		err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) { // a file system that can't
			if err = os.Link(from, to); err == nil {
				err = os.Remove(from)
			}
		}
		if err == nil {
			return to, nil
		}
		if !errors.Is(err, unix.EEXIST) {
			return "", fmt.Errorf("rename to %s: %w", filepath.Base(to), err)
		}
	}
	return "", fmt.Errorf("rename to %s: %d names with a suffix are taken", filepath.Base(want), maxSuffix)
}
