// Package retain drops what is older, or more, than the config keeps: rows of
// tables, by whole data files, and archived sink files.
package retain

import (
	"context"
	"fmt"
	"hash/fnv"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/store"
)

// Limits bound what is kept. 0 is no bound.
type Limits struct {
	Age  time.Duration
	Size int64 // bytes
}

// None reports whether all is kept.
func (l Limits) None() bool { return l.Age <= 0 && l.Size <= 0 }

// Dropped is what was dropped.
type Dropped struct {
	Files int   `json:"files"` // where whole days went unseen, none of theirs
	Days  int   `json:"days"`
	Bytes int64 `json:"bytes"` // as far as they were counted
}

// Sizes remembers, from call to call, how large the days of a data type's archive are
// without what they have twice: to know that takes reading regrouped files. It is used
// by one call at a time.
type Sizes struct {
	days map[string]daySize // by folder
}

type daySize struct {
	files uint64 // a hash of their names and sizes: they never change
	once  int64  // bytes
}

// Archive drops archived sink files of a data type: days that ended longer ago
// than the limit, and the oldest files beyond the size.
func Archive(ctx context.Context, st store.FS, dataType string, l Limits, now time.Time, known *Sizes) (d Dropped, err error) {
	if l.None() {
		return d, nil
	}
	dirs, err := st.List(ctx, path.Join(store.Archive, dataType))
	if err != nil {
		return d, fmt.Errorf("list archive of %s: %w", dataType, err)
	}
	var kept []string // days, oldest first
	for _, dir := range dirs {
		day, err := time.Parse(time.DateOnly, path.Base(dir.Path))
		if err != nil || !dir.IsDir {
			continue
		}
		if l.Age <= 0 || now.Sub(day.AddDate(0, 0, 1)) <= l.Age {
			kept = append(kept, dir.Path)
			continue
		}
		if err := st.Remove(ctx, dir.Path); err != nil {
			return d, fmt.Errorf("expire %s: %w", dir.Path, err)
		}
		d.Days++
	}
	if l.Size > 0 {
		err = d.shrink(ctx, st, kept, l.Size, known)
	}
	return d, err
}

// shrink removes the oldest sink files of these days beyond the size: days as a
// whole, but for the last one.
func (d *Dropped) shrink(ctx context.Context, st store.FS, days []string, size int64, known *Sizes) error {
	total := int64(0)
	bytes := make([]int64, len(days))
	lists := make([][]store.Info, len(days))
	for i, day := range days {
		var err error
		if lists[i], err = st.List(ctx, day); err != nil {
			return fmt.Errorf("list %s: %w", day, err)
		}
		bytes[i] = bytesOf(lists[i])
		total += bytes[i]
	}
	if total <= size {
		return nil // also without what is there twice, which takes reading to know
	}
	was := known.days
	known.days = make(map[string]daySize, len(days))
	for i, day := range days {
		is := was[day]
		if sum := hashOf(lists[i]); is.files != sum {
			files, err := onceEach(ctx, st, day, lists[i])
			if err != nil {
				return err
			}
			is = daySize{sum, bytesOf(files)}
		}
		known.days[day] = is
		total += is.once - bytes[i]
		bytes[i], lists[i] = is.once, nil
	}
	for i, day := range days {
		if total <= size {
			return nil
		}
		if total-bytes[i] < size {
			return d.shrinkDay(ctx, st, day, total-size)
		}
		if err := st.Remove(ctx, day); err != nil {
			return fmt.Errorf("expire %s: %w", day, err)
		}
		total -= bytes[i]
		d.Days++
		d.Bytes += bytes[i]
	}
	return nil
}

// shrinkDay removes the oldest sink files of a day until so many bytes are gone.
func (d *Dropped) shrinkDay(ctx context.Context, st store.FS, day string, excess int64) error {
	files, err := st.List(ctx, day)
	if err != nil {
		return fmt.Errorf("list %s: %w", day, err)
	}
	if files, err = onceEach(ctx, st, day, files); err != nil {
		return err
	}
	slices.SortFunc(files, func(a, b store.Info) int { return strings.Compare(a.Path, b.Path) })
	for _, f := range files {
		if excess <= 0 {
			return nil
		}
		if !store.IsSink(f.Path) {
			continue
		}
		if err := st.Remove(ctx, f.Path); err != nil {
			return fmt.Errorf("expire %s: %w", f.Path, err)
		}
		excess -= f.Size
		d.Files++
		d.Bytes += f.Size
	}
	return nil
}

func bytesOf(files []store.Info) (n int64) {
	for _, f := range files {
		n += f.Size
	}
	return n
}

func hashOf(files []store.Info) uint64 {
	h := fnv.New64a()
	for _, f := range files {
		fmt.Fprintln(h, f.Path, f.Size)
	}
	return h.Sum64()
}

// onceEach returns a day's files but those that regrouped ones have, too: the job that
// regroups was cut short, and removes them the next time.
func onceEach(ctx context.Context, st store.FS, day string, files []store.Info) ([]store.Info, error) {
	doubles, err := archive.Doubles(ctx, st, files, func(string, error) {})
	if err != nil {
		return nil, fmt.Errorf("look for what is in %s twice: %w", day, err)
	}
	return slices.DeleteFunc(files, func(f store.Info) bool { return doubles[f.Path] != nil }), nil
}
