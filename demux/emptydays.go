package demux

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/akupara/akupara/store"
)

const (
	// A day's folder in raw/ or archive/ goes when it is empty, and its day ended so
	// long ago.
	emptyAfter = 24 * time.Hour
	// emptied begins the name that it has until it is removed, so much later. What
	// follows is when it was renamed, in Unix seconds, and its own name.
	emptied      = "_empty-"
	emptiedAfter = time.Hour
)

// removeEmptyDays removes the folders of past days in raw/TYPE that are empty, and
// returns how many. It needs the type's lease.
//
// A collector may publish into a day's folder at any time, and removing a folder
// removes what is in it. So it is renamed first, to a name that nobody publishes to: a
// collector then finds no folder, and makes it anew. It is removed an hour later, if
// it is empty still; what came into it in between, goes back. All the while, runs look
// into it as into any other.
func (d *Demux) removeEmptyDays(ctx context.Context, dataType string, now time.Time) (removed int, err error) {
	return d.removeEmpty(ctx, path.Join(store.Raw, dataType), now, func(string) bool { return true })
}

// tidyUnknown does the same for a type of which nothing ever came, so that it has no
// folder for a lease, and no job works on it. It looks now and then.
func (d *Demux) tidyUnknown(ctx context.Context, dataType string) error {
	last := d.tidied.of(dataType)
	if time.Since(*last) < lookAtAll {
		return nil
	}
	*last = time.Now()
	if known, err := d.known(ctx, dataType); known || err != nil {
		return err
	}
	_, err := d.removeEmptyDays(ctx, dataType, time.Now())
	return err
}

// removeEmptyArchive does the same in archive/TYPE, where there are too many folders to
// look into all of them: empty are those that were found so. Runs, too, make the
// folders anew that they archive into.
func (d *Demux) removeEmptyArchive(ctx context.Context, dataType string, empty []string, now time.Time) (removed int, err error) {
	return d.removeEmpty(ctx, path.Join(store.Archive, dataType), now, func(dir string) bool { return slices.Contains(empty, dir) })
}

// removeEmpty is removeEmptyDays for the folders in a place that may be empty.
func (d *Demux) removeEmpty(ctx context.Context, in string, now time.Time, maybe func(dir string) bool) (removed int, err error) {
	dirs, err := d.fs.List(ctx, in)
	if err != nil {
		return 0, fmt.Errorf("list days in %s: %w", in, err)
	}
	for _, dir := range dirs {
		at, day, renamed := emptiedDay(dir.Path)
		switch {
		case !dir.IsDir:
			continue
		case renamed && now.Sub(at) < emptiedAfter:
			continue
		case !renamed && !(longPast(path.Base(dir.Path), now) && maybe(dir.Path)):
			continue
		}
		files, err := d.fs.List(ctx, dir.Path)
		if err != nil {
			return removed, fmt.Errorf("look for what is in %s: %w", dir.Path, err)
		}
		switch {
		case renamed && len(files) == 0:
			if err := d.fs.Remove(ctx, dir.Path); err != nil {
				return removed, fmt.Errorf("remove %s: %w", dir.Path, err)
			}
			removed++
		case renamed:
			for _, f := range files {
				if err := moveSink(ctx, d.fs, f.Path, path.Join(path.Dir(dir.Path), day, path.Base(f.Path))); err != nil {
					return removed, err
				}
			}
		case len(files) == 0:
			to := path.Join(path.Dir(dir.Path), emptied+strconv.FormatInt(now.Unix(), 10)+"-"+path.Base(dir.Path))
			if err := moveSink(ctx, d.fs, dir.Path, to); err != nil {
				return removed, err
			}
		}
	}
	return removed, nil
}

// longPast reports whether a folder is one of a day that ended long ago.
func longPast(name string, now time.Time) bool {
	day, err := time.Parse(time.DateOnly, name)
	return err == nil && now.Sub(day.AddDate(0, 0, 1)) > emptyAfter
}

// emptiedDay returns when a day's folder was renamed, and its own name.
func emptiedDay(p string) (at time.Time, day string, ok bool) {
	rest, ok := strings.CutPrefix(path.Base(p), emptied)
	if !ok {
		return time.Time{}, "", false
	}
	stamp, day, ok := strings.Cut(rest, "-")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	return time.Unix(seconds, 0), day, ok && err == nil && day != ""
}
