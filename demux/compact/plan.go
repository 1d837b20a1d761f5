package compact

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/demux/datafile"
	"github.com/akupara/akupara/demux/table"
)

// level is how far a file has been merged. Its name tells: the run's id ends with
// the level's name.
type level int

const (
	fresh   level = iota // by a run of the demux, or a part of what is to be merged
	hourly               // all of an hour
	quarter              // all of a quarter of a day
	daily                // all of a day
)

var levelNames = [...]string{"part", "hour", "quarter", "day"}

func levelOf(path string) level {
	run := datafile.RunOf(path)
	for l := hourly; l <= daily; l++ {
		if strings.HasSuffix(run, "-"+levelNames[l]) {
			return l
		}
	}
	return fresh
}

// A span of time is merged when it has been over for some time: what comes late
// is merged in when it is worth that.
var spans = [...]struct {
	long, grace time.Duration
}{
	hourly:  {time.Hour, 10 * time.Minute},
	quarter: {6 * time.Hour, time.Hour},
	daily:   {24 * time.Hour, 3 * time.Hour},
}

const (
	// tierFiles is how many files of similar size the hour that goes on has
	// before they are merged: of 60 an hour, each row is merged once or twice
	// before the hour is over.
	tierFiles = 10
	// lateFiles is how many small files there are beside what was merged, and
	// lateShare what part of it they are at least, before all is merged again. Those
	// of chainedBytes stay as they are, up to mostLarge: its rows and those that come
	// between them cost three times as much as those that follow each other.
	lateFiles = 4
	lateShare = 8
	mostLarge = maxChains + 1
	// batchFiles bounds the files of one merge: where all overlap in time, a page
	// of each is in memory.
	batchFiles = 128
)

// batch is a set of files that are to become one.
type batch struct {
	level level
	part  table.Partition
	files []table.File // by time
	bytes int64
}

func (b *batch) task() Task { return Task{Level: b.level, Partition: b.part, Files: b.files} }

// window is a span of time of which files are merged with each other.
type window struct {
	level level
	start int64           // unix seconds
	part  table.Partition // where the level is fresh: of one partition only
}

// plan decides what is due: by the list of the files alone.
func (r *runner) plan(files []table.File) []batch {
	now := r.Now()
	windows := map[window][]table.File{}
	for _, f := range files {
		if f.Size < r.FileBytes && !r.Skip.has(f.Path) {
			w := windowOf(f, now)
			windows[w] = append(windows[w], f)
		}
	}
	var out []batch
	for w, list := range windows {
		due := worth(w.level, list)
		parts := [][]table.File{due}
		if !merged(w.level, list) {
			parts = chains(w.level, due)
		}
		for _, files := range parts {
			out = append(out, r.batches(w, files)...)
		}
	}
	// The newest first: they are asked for most.
	slices.SortFunc(out, func(a, b batch) int {
		return cmp.Or(b.files[0].MinTS.Compare(a.files[0].MinTS), cmp.Compare(a.files[0].Path, b.files[0].Path))
	})
	return out
}

// windowOf returns the longest span of time around the file that is over.
func windowOf(f table.File, now time.Time) window {
	for l := daily; l >= hourly; l-- {
		start := f.MinTS.Truncate(spans[l].long)
		end := start.Add(spans[l].long)
		if f.MaxTS.Before(end) && !(l == hourly && f.Partition.Day) && !now.Before(end.Add(spans[l].grace)) {
			return window{level: l, start: start.Unix()}
		}
	}
	return window{start: f.Partition.Start().Unix(), part: f.Partition}
}

// worth returns those files of a window that are to be merged now.
func worth(l level, files []table.File) []table.File {
	if l > fresh && !merged(l, files) {
		return files // all of it, once
	}
	bySize := slices.SortedFunc(slices.Values(files), func(a, b table.File) int {
		return cmp.Or(cmp.Compare(a.Size, b.Size), strings.Compare(a.Path, b.Path))
	})
	switch {
	case l == fresh && bytesIn(files) >= chainedBytes:
		return smallest(bySize, tierFiles, func(size int64) int64 { return freshChain * size })
	case l == fresh:
		return smallest(bySize, tierFiles, func(size int64) int64 { return size })
	}
	large := slices.IndexFunc(bySize, func(f table.File) bool { return f.Size >= chainedBytes })
	if large < 0 {
		large = len(bySize)
	}
	if len(bySize)-large > mostLarge {
		return bySize[:large+2]
	}
	return smallest(bySize[:large], lateFiles, func(size int64) int64 { return size / lateShare })
}

// smallest returns the smallest files, at least as many as said: those before the last
// one have together what is asked for its size. So each file that is taken again grows
// by a share, and a row is merged some few times for each level.
func smallest(bySize []table.File, atLeast int, share func(size int64) int64) []table.File {
	sum, best := int64(0), 0
	for i, f := range bySize {
		if i+1 >= atLeast && sum >= share(f.Size) {
			best = i + 1
		}
		sum += f.Size
	}
	return bySize[:best]
}

// merged reports whether some of the files were made of all of such a window before:
// what else there is came late, and is not to stay beside them.
func merged(l level, files []table.File) bool {
	return l > fresh && slices.ContainsFunc(files, func(f table.File) bool { return levelOf(f.Path) >= l })
}

// batches parts what is to be merged of a window into files of a good size.
func (r *runner) batches(w window, files []table.File) []batch {
	slices.SortFunc(files, func(a, b table.File) int {
		return cmp.Or(a.MinTS.Compare(b.MinTS), strings.Compare(a.Path, b.Path))
	})
	var out []batch
	full := func(b *batch) bool { return b.bytes >= r.FileBytes+r.FileBytes/4 }
	for _, f := range files {
		n := len(out)
		if n == 0 || full(&out[n-1]) || len(out[n-1].files) >= batchFiles {
			out = append(out, batch{level: w.level, part: partitionOf(w, f)})
			n++
		}
		b := &out[n-1]
		b.files = append(b.files, f)
		b.bytes += f.Size
	}
	if n := len(out); n > 1 && !full(&out[n-1]) && full(&out[n-2]) && len(out[n-1].files)+len(out[n-2].files) <= batchFiles {
		out[n-2].files = append(out[n-2].files, out[n-1].files...)
		out[n-2].bytes += out[n-1].bytes
		out = out[:n-1]
	}
	for i := range out {
		if len(out) > 1 && !full(&out[i]) {
			out[i].level = fresh // it is to be merged with its neighbours
		}
	}
	return slices.DeleteFunc(out, func(b batch) bool { return len(b.files) < 2 })
}

func partitionOf(w window, f table.File) table.Partition {
	if w.level >= quarter {
		return table.DayPartition(f.MinTS.UnixMicro())
	}
	return f.Partition
}
