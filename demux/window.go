package demux

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/demux/quarantine"
	"github.com/akupara/akupara/store"
)

// queue is what one call has to look at: the sink files that were listed when it
// began, oldest first. It works them off window by window.
type queue struct {
	sinks []store.Info
	done  map[string]bool // paths that left raw/ since
}

func newQueue(sinks []store.Info) *queue { return &queue{sinks: sinks, done: map[string]bool{}} }

// left returns what is still in raw/.
func (q *queue) left() []store.Info {
	return slices.DeleteFunc(slices.Clone(q.sinks), func(f store.Info) bool { return q.done[f.Path] })
}

// order drops what is done, and puts the files last that hold something
// suspected of making runs fail: others first show whether it does.
func (q *queue) order(s *isolation) {
	q.sinks = slices.DeleteFunc(q.sinks, func(f store.Info) bool { return q.done[f.Path] })
	clear(q.done)
	if len(s.suspects) == 0 {
		return
	}
	suspected := map[string]bool{}
	for at := range s.suspects {
		suspected[at.path] = true
	}
	slices.SortStableFunc(q.sinks, func(a, b store.Info) int {
		switch {
		case suspected[a.Path] == suspected[b.Path]:
			return 0
		case suspected[b.Path]:
			return -1
		}
		return 1
	})
}

const (
	// maxIndexBytes bounds the indexes of the sink files in memory, of all calls
	// that look at some. They share it; none has less than minIndexBytes, or one
	// file.
	maxIndexBytes = 64 << 20
	minIndexBytes = 4 << 20

	// Files of up to openBytes are opened side by side, opensInRow at a time: what
	// their indexes take is small, and mostly waited for. So are larger ones, fewer at
	// a time, where the indexes of those before them together take no more.
	openBytes  = 1 << 20
	opensInRow = 64
)

// window opens the next sink files of the queue, as many as their indexes may
// take in memory, and returns how many of the queue that was.
func (d *Demux) window(ctx context.Context, dataType string, q *queue, rep *Report) (files []*sinkFile, n int, err error) {
	now := time.Now()
	aside := d.states.of(dataType).aside
	alike, largest := 1, int64(0) // how many large files at once, as their indexes are small
	for bytes := int64(0); n < len(q.sinks) && bytes < d.looking.share(); {
		next := q.sinks[n:min(n+opensInRow, len(q.sinks))]
		if i := slices.IndexFunc(next, func(f store.Info) bool { return f.Size > openBytes }); i >= 0 {
			next = next[:max(i, min(alike, len(next)))]
		}
		n += len(next)
		var paths []string
		for _, f := range next {
			if !aside.waits(f.Path, now) {
				paths = append(paths, f.Path)
			}
		}
		opened, err := d.openAll(ctx, dataType, paths, rep, q)
		if err != nil {
			return nil, n, err
		}
		for _, f := range opened {
			bytes += f.indexBytes()
			largest = max(largest, f.indexBytes())
		}
		if largest > 0 {
			alike = max(1, min(opensInRow/2, int(openBytes/largest)))
		}
		files = append(files, opened...)
	}
	return files, n, nil
}

// openAll opens sink files side by side. One that is damaged goes to quarantine,
// one that can't be read is set aside.
func (d *Demux) openAll(ctx context.Context, dataType string, paths []string, rep *Report, q *queue) (files []*sinkFile, err error) {
	opened, failed := make([]*sinkFile, len(paths)), make([]error, len(paths))
	var g errgroup.Group
	g.SetLimit(opensAtOnce)
	for i, p := range paths {
		g.Go(func() error {
			failed[i] = guard(func() (err error) {
				if opened[i], err = openSink(ctx, d.fs, p); err == nil {
					err = misplaced(opened[i], dataType)
				}
				return err
			})
			return nil
		})
	}
	_ = g.Wait() // each has an error of its own
	for i, err := range failed {
		switch {
		case err == nil:
			files = append(files, opened[i])
		case errors.Is(err, chunk.ErrInvalid):
			bad := &sinkFile{path: paths[i], faults: []quarantine.Fault{{Block: -1, Chunk: -1, Reason: err.Error()}}}
			if err := d.quarantine(ctx, rep, bad); err != nil {
				return nil, err
			}
			q.done[paths[i]] = true
		case ctx.Err() != nil:
			return nil, err
		default: // the table could be read: it is not the whole store that is away
			d.setAside(dataType, paths[i], err, nil)
		}
	}
	return files, nil
}

// misplaced returns what is wrong with the place of a sink file.
func misplaced(f *sinkFile, dataType string) error {
	x := &f.sink.Index
	switch {
	case x.Type != dataType:
		return fmt.Errorf("%w: it holds data of type %s", chunk.ErrInvalid, x.Type)
	case x.Segment != "" && x.Segment != string(store.SegmentOf(f.path)):
		return fmt.Errorf("%w: it is the sink file of segment %s", chunk.ErrInvalid, x.Segment)
	}
	return nil
}

// retire moves the files away that are finished: to archive/, or to quarantine
// where not all of them could be used. What has moved is dropped from the backlog
// and the queue, also when another could not be moved.
func (d *Demux) retire(ctx context.Context, rep *Report, b *backlog, q *queue, finished []*sinkFile) error {
	if len(finished) == 0 {
		return nil
	}
	failed := make([]error, len(finished))
	var g errgroup.Group
	g.SetLimit(opensAtOnce)
	for i, f := range finished {
		if len(f.faults) == 0 {
			g.Go(func() error {
				failed[i] = guard(func() error { return toArchive(ctx, d.fs, rep.Type, f.path) })
				return failed[i]
			})
		}
	}
	_ = g.Wait() // each has an error of its own
	s := d.states.of(rep.Type)
	gone := map[*sinkFile]bool{}
	for i, f := range finished {
		if len(f.faults) > 0 {
			failed[i] = d.quarantine(ctx, rep, f)
		}
		if failed[i] != nil {
			continue
		}
		s.isolation.forget(f.path)
		delete(s.aside, f.path)
		gone[f], q.done[f.path] = true, true
		if len(f.faults) == 0 {
			rep.Archived++
			rep.Repeated += max(f.bytes()-f.used, 0) // of a chunk that tasks took in part, used has what was dropped
		}
	}
	b.files = slices.DeleteFunc(b.files, func(f *sinkFile) bool { return gone[f] })
	return errors.Join(failed...)
}
