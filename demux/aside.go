package demux

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/trouble"
	"github.com/akupara/akupara/store"
)

const (
	// A file that can't be used is tried again after the first of these, then
	// after twice as long each time, up to the last.
	firstPause = time.Second
	lastPause  = 10 * time.Minute

	// goneAfter and goneTries say from when on an archived file that can't be read
	// is taken for gone.
	goneAfter = time.Minute
	goneTries = 3
	// forgetAfter is how long an archived file that nobody asks for is remembered.
	forgetAfter = time.Hour
)

// aside are the files of a data type that can't be used for now, by path.
type aside map[string]*asideFile

type asideFile struct {
	since, next time.Time
	tries       int
	err         error
	streams     []trouble.Stream
}

// set notes that a file could not be used, and for how long it is left alone.
func (a aside) set(at string, err error, streams []trouble.Stream, now time.Time) *asideFile {
	f := a[at]
	if f == nil {
		f = &asideFile{since: now}
		a[at] = f
	}
	pause := lastPause
	if f.tries < 20 {
		pause = min(firstPause<<f.tries, lastPause)
	}
	f.tries++
	f.next, f.err = now.Add(pause), err
	if streams != nil {
		f.streams = streams
	}
	return f
}

// waits reports whether the file is to be left alone now.
func (a aside) waits(path string, now time.Time) bool {
	f := a[path]
	return f != nil && now.Before(f.next)
}

// gone reports whether the file has been unreadable for so long that it counts
// as gone.
func (f *asideFile) gone(now time.Time) bool {
	return f.tries >= goneTries && now.Sub(f.since) >= goneAfter
}

// gone reports whether an archived file counts as gone.
func (a aside) gone(path string, now time.Time) bool {
	f := a[path]
	return f != nil && f.gone(now)
}

// keep forgets the files below raw/ that are not there any more, and others that
// nobody has asked for in a long time. Of days that could not be listed, nothing
// is known.
func (a aside) keep(sinks []store.Info, bad []fileError, now time.Time) {
	if len(a) == 0 {
		return
	}
	there := map[string]bool{}
	for _, f := range sinks {
		there[f.Path] = true
	}
	for _, day := range bad {
		there[day.path] = true
	}
	for p, f := range a {
		if strings.HasPrefix(p, store.Raw+"/") {
			if !there[p] && !there[path.Dir(p)] {
				delete(a, p)
			}
		} else if now.Sub(f.next) > forgetAfter {
			delete(a, p)
		}
	}
}

// tell lists the files that failed that often at least, sorted by path.
func (a aside) tell(tries int) (out []trouble.Aside) {
	for _, p := range slices.Sorted(maps.Keys(a)) {
		if f := a[p]; f.tries >= tries {
			out = append(out, trouble.Aside{Path: p, Since: f.since, Tries: f.tries, Error: f.err.Error(), Streams: f.streams})
		}
	}
	return out
}

// maxToldStreams bounds what is told of one file.
const maxToldStreams = 1000

// missing returns what a file holds and the table does not.
func (b *backlog) missing(f *sinkFile) (out []trouble.Stream) {
	at := map[string]int{}
	for i := range f.sink.Index.Blocks {
		for j := range f.sink.Index.Blocks[i].Entries {
			e := &f.sink.Index.Blocks[i].Entries[j]
			if e.Kind != chunk.Data || e.Range().Empty() || b.repeats(b.known(e.Stream), e) {
				continue
			}
			n, known := at[e.Stream]
			if !known {
				if len(out) >= maxToldStreams {
					continue
				}
				n = len(out)
				at[e.Stream] = n
				out = append(out, trouble.Stream{Stream: e.Stream, Host: e.Host, Source: e.Source})
			}
			out[n].Ranges = out[n].Ranges.Add(e.Range())
		}
	}
	slices.SortFunc(out, func(a, b trouble.Stream) int { return cmp.Compare(a.Stream, b.Stream) })
	return out
}
