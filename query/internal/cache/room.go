package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// exclusive is held for as long as it takes to look and to remove files.
func (c *Cache) exclusive() (unlock func(), err error) {
	c.evicting.Lock()
	f, err := os.OpenFile(filepath.Join(c.dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
			f.Close()
		}
	}
	if err != nil {
		c.evicting.Unlock()
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	return func() { f.Close(); c.evicting.Unlock() }, nil
}

// freeShare is the part of the disk that stays free.
const freeShare = 0.05

// makeRoom removes what dead processes left, and then the copies that were not
// used for longest, until need more bytes fit.
func (c *Cache) makeRoom(need int64) error {
	total, err := c.sweepUses()
	if err != nil {
		return err
	}
	list, err := os.ReadDir(filepath.Join(c.dir, "files"))
	if err != nil {
		return fmt.Errorf("list cache: %w", err)
	}
	var idle []os.FileInfo
	for _, e := range list {
		info, err := e.Info()
		if err != nil {
			continue // evicted by hand
		}
		total += taken(info)
		if links(info) == 1 {
			idle = append(idle, info)
		}
	}
	slices.SortFunc(idle, func(a, b os.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	limit := c.maxBytes
	if free, ok := c.free(); ok {
		limit = min(limit, total+free) // what is there plus what may be added
	}
	for _, info := range idle {
		if total+need <= limit {
			break
		}
		err := os.Remove(filepath.Join(c.dir, "files", info.Name()))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("evict cached file: %w", err)
		}
		total -= taken(info)
	}
	if total+need > limit {
		return fmt.Errorf("%w: %d bytes of data files are needed, and of its %d bytes %d are in use; bound ts in the query, or give it more room",
			ErrFull, need, limit, total)
	}
	return nil
}

// free is how many bytes may be added to the disk.
func (c *Cache) free() (int64, bool) {
	var st unix.Statfs_t
	if unix.Statfs(c.dir, &st) != nil {
		return 0, false
	}
	keep := float64(st.Blocks) * freeShare
	return int64(max(0, float64(st.Bavail)-keep)) * st.Bsize, true
}

// sweepUses removes the uses of dead processes and gives the bytes of the
// temporary files of living ones.
func (c *Cache) sweepUses() (int64, error) {
	root := filepath.Join(c.dir, "use")
	uses, err := os.ReadDir(root)
	if err != nil {
		return 0, fmt.Errorf("list cache uses: %w", err)
	}
	var total int64
	for _, e := range uses {
		dir := filepath.Join(root, e.Name())
		if dead(dir) {
			if err := os.RemoveAll(dir); err != nil {
				return 0, fmt.Errorf("remove a dead process's cache use: %w", err)
			}
			continue
		}
		files, _ := os.ReadDir(dir) // it may have just been closed
		for _, f := range files {
			info, err := f.Info()
			// A use's own links to copies are counted where the copies are.
			if n, ok := reserved(f.Name()); ok {
				total += n
			} else if err == nil && links(info) == 1 {
				total += taken(info)
			}
		}
	}
	return total, nil
}

// dead reports whether nobody holds a use's lock.
func dead(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	defer f.Close()
	return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil
}

// reserved is what a copy that is being fetched will take.
func reserved(name string) (n int64, ok bool) {
	if !strings.HasPrefix(name, "tmp-") {
		return 0, false
	}
	n, err := strconv.ParseInt(name[strings.LastIndexByte(name, '-')+1:], 10, 64)
	return n, err == nil
}

// taken is what a file takes of the disk: not its holes.
func taken(info os.FileInfo) int64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size()
	}
	return min(info.Size(), st.Blocks*512)
}

func links(info os.FileInfo) uint64 {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 2 // unknown: leave it
	}
	return st.Nlink
}
