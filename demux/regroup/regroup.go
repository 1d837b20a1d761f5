// Package regroup puts the small archived sink files of old days into few large ones.
//
// A regrouped file is a sink file as any other. It has the blocks of those that it
// takes the place of, byte for byte, and lists their segments. It is published before
// they are removed, so that between the two both are there: whoever reads the archive
// knows what is in it twice by the segments, and the next time removes it.
package regroup

import (
	"context"
	"fmt"
	"maps"
	"path"
	"time"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/store"
)

// Options say what is regrouped.
type Options struct {
	FS   store.FS
	Type string
	// Age is how long ago a day must have ended; archive.MinAge at least.
	Age time.Duration
	Now time.Time
	// Progress is told how many bytes were looked at, of how many that are known of.
	Progress func(done, total int64)
	// MaxBytes is how much one call copies, about; 0 is no bound.
	MaxBytes int64
	// Skip is what calls before have left alone.
	Skip *Skip
	// Limits are DefaultLimits where they are zero.
	Limits Limits
}

// Limits bound regrouped files.
type Limits struct {
	Small int64 // bytes of a file that is large enough to stay
	Bytes int64 // of a regrouped file, about
	Index int64 // of its index in memory
	Late  int   // how many files make another one, in a day that has regrouped files
	Held  int64 // bytes of small files that are kept in memory from when their index is read
}

// DefaultLimits are those that hold.
var DefaultLimits = Limits{Small: 128 << 20, Bytes: 1 << 30, Index: 16 << 20, Late: 8, Held: 32 << 20}

// Report is what a call did.
type Report struct {
	Files int   `json:"files"` // that were regrouped
	Into  int   `json:"into"`  // regrouped files that were made
	Bytes int64 `json:"bytes"` // of those
	// Doubles are files that were removed as a regrouped file had them already.
	Doubles int `json:"doubles,omitempty"`
	// Left are files that can't be regrouped, and stay as they are; at most maxLeft.
	Left      []Left `json:"left,omitempty"`
	LeftTotal int    `json:"left_total,omitempty"`
	// Empty are the folders of days that have no file.
	Empty []string `json:"-"`
}

// Left is a file that stays as it is.
type Left struct {
	File  string `json:"file"`
	Error string `json:"error"`
}

const (
	maxLeft = 100
	// maxUnread is after how many files that can't be read, and are not damaged, the
	// store is at fault.
	maxUnread = 16
)

// Skip is what was left alone, from call to call. It is used by one at a time.
type Skip struct {
	days  map[string]time.Time  // in which nothing is to be done, with their time
	files map[string]store.Info // that stay as they are
}

// settled is how old a folder's time must be to tell that nothing has changed since.
const settled = time.Minute

// Run regroups what is due, the oldest day first.
func Run(ctx context.Context, o Options) (rep Report, err error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits
	}
	if o.Skip == nil {
		o.Skip = &Skip{}
	}
	dirs, err := o.FS.List(ctx, path.Join(store.Archive, o.Type))
	if err != nil {
		return rep, fmt.Errorf("list archive of %s: %w", o.Type, err)
	}
	o.Skip.prune(dirs)
	r := &run{Options: o, rep: &rep}
	for _, dir := range dirs {
		ago, ok := archive.Ended(path.Base(dir.Path), o.Now)
		quiet, known := o.Skip.days[dir.Path]
		if !dir.IsDir || !ok || ago < max(o.Age, archive.MinAge) || known && quiet.Equal(dir.Mod) {
			continue
		}
		if r.enough() {
			break
		}
		d := &day{run: r, dir: dir.Path}
		if err := d.do(ctx); err != nil {
			return rep, fmt.Errorf("regroup %s: %w", dir.Path, err)
		}
		if !d.changed && d.unread == 0 && o.Now.Sub(dir.Mod) > settled {
			o.Skip.days[dir.Path] = dir.Mod
		}
	}
	return rep, nil
}

// prune drops what is known of days that are gone.
func (s *Skip) prune(dirs []store.Info) {
	if s.days == nil {
		s.days, s.files = map[string]time.Time{}, map[string]store.Info{}
	}
	there := make(map[string]bool, len(dirs))
	for _, d := range dirs {
		there[d.Path] = true
	}
	maps.DeleteFunc(s.days, func(p string, _ time.Time) bool { return !there[p] })
	maps.DeleteFunc(s.files, func(p string, _ store.Info) bool { return !there[path.Dir(p)] })
}

func (s *Skip) has(f store.Info) bool {
	known, ok := s.files[f.Path]
	return ok && same(known, f)
}

// same reports whether a file is the one that it was.
func same(a, b store.Info) bool { return a.Size == b.Size && a.Mod.Equal(b.Mod) }

// run is one Run.
type run struct {
	Options
	rep         *Report
	done, total int64 // bytes of small files that were looked at, and that are known of
}

func (r *run) enough() bool { return r.MaxBytes > 0 && r.rep.Bytes >= r.MaxBytes }

func (r *run) tell(done, total int64) {
	r.done += done
	r.total += total
	if r.Progress != nil {
		r.Progress(r.done, r.total)
	}
}

func (r *run) leave(p string, err error) {
	r.rep.LeftTotal++
	if len(r.rep.Left) < maxLeft {
		r.rep.Left = append(r.rep.Left, Left{p, err.Error()})
	}
}
