package table

import (
	"context"
	"fmt"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/store"
)

// A folder of data files that is empty goes, but not at once: whoever is about to
// write into it need not know, and removing a folder removes what is in it. So it is
// renamed first, to a name that nobody writes to, and looked into again: what came into
// it meanwhile goes back. It is removed a while later. A process that dies in between
// leaves the renamed folder to the next sweep.
const (
	// emptied begins a renamed folder's name. What follows is when it was renamed, in
	// Unix seconds, and its own name.
	emptied = "_empty-"
	// emptyAge is for how long nothing came into a folder that is renamed, and
	// emptiedAge how much later it is removed.
	emptyAge   = 10 * time.Minute
	emptiedAge = time.Hour
	// emptiedAtOnce bounds the renamed folders that one step looks at.
	emptiedAtOnce = 400
)

// before returns the time before which something must have been last touched to go:
// the least age, or more; any time in a sweep of whatever age.
func (s *sweep) before(least time.Duration) time.Time {
	if s.o.Age < 0 {
		return s.now.Add(-s.o.Age)
	}
	return s.now.Add(-max(s.o.Age, least))
}

// removeEmptied removes folders that were renamed a while ago, or puts back what is in
// them. They are of those in data/.
func (s *sweep) removeEmptied(ctx context.Context, folders []store.Info) error {
	n := 0
	for _, in := range folders {
		at, name, ok := renamedFolder(path.Base(in.Path))
		if !in.IsDir || !ok {
			continue
		}
		if n++; n > emptiedAtOnce {
			return nil
		}
		left, err := s.putBack(ctx, in.Path, name)
		if err != nil {
			return err
		}
		if left || !at.Before(s.before(emptiedAge)) {
			continue
		}
		if err := s.t.fs.Remove(ctx, in.Path); err != nil {
			return fmt.Errorf("remove %s: %w", in.Path, err)
		}
		s.done.Folders++
	}
	return nil
}

// renamedFolder returns when a folder was renamed, and its own name.
func renamedFolder(base string) (at time.Time, name string, ok bool) {
	rest, ok := strings.CutPrefix(base, emptied)
	stamp, name, cut := strings.Cut(rest, "-")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	_, ours := folderPartition(name)
	return time.Unix(seconds, 0), name, ok && cut && ours && err == nil
}

// renameEmpty renames folders in which nothing is left, unless something was a short
// while ago.
func (s *sweep) renameEmpty(ctx context.Context, folders []string) error {
	for _, p := range folders {
		info, err := s.t.fs.Stat(ctx, p)
		if err != nil {
			return fmt.Errorf("look at %s: %w", p, err)
		}
		files, err := s.t.fs.List(ctx, p)
		if err != nil {
			return fmt.Errorf("list %s: %w", p, err)
		}
		if len(files) > 0 || !info.Mod.Before(s.before(emptyAge)) {
			continue
		}
		to := path.Join(path.Dir(p), emptied+strconv.FormatInt(s.now.Unix(), 10)+"-"+path.Base(p))
		if err := s.t.fs.Rename(ctx, p, to); err != nil {
			return fmt.Errorf("rename %s: %w", p, err)
		}
		if _, err := s.putBack(ctx, to, path.Base(p)); err != nil {
			return err
		}
	}
	return nil
}

// putBack moves what is in a renamed folder to where it was, and reports whether
// anything was.
func (s *sweep) putBack(ctx context.Context, folder, name string) (left bool, err error) {
	files, err := s.t.fs.List(ctx, folder)
	if err != nil {
		return false, fmt.Errorf("list %s: %w", folder, err)
	}
	for _, f := range files {
		to := path.Join(path.Dir(folder), name, path.Base(f.Path))
		if err := s.t.fs.Rename(ctx, f.Path, to); err != nil {
			return true, fmt.Errorf("move %s back: %w", f.Path, err)
		}
	}
	return len(files) > 0, nil
}
