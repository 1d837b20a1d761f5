package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/akupara/akupara/archive"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/collectord/internal/spool"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/store"
)

// takenError says that a file of the segment's name is published that does not
// hold all of the segment's batches, but the first common ones.
type takenError struct {
	common int
	reason error
}

func (e *takenError) Error() string {
	return fmt.Sprintf("the name is taken by a file that has the first %d of the segment's batches: %v", e.common, e.reason)
}

const cleanLimit = 10 * time.Second

// attempt publishes a segment unless it is published, and returns the number
// of its blocks.
func (u *Uploader) attempt(ctx context.Context, seg *spool.Sealed) (blocks int, err error) {
	frames, err := seg.OpenFrames()
	if err != nil {
		return 0, err
	}
	defer frames.Close()
	// An attempt before, or the process before, may have got further than it
	// knows.
	if blocks, found, err := u.find(ctx, seg, &frames.Index); found || err != nil {
		return blocks, err
	}
	if err := u.memory.Acquire(ctx, int64(frames.Largest)); err != nil {
		return 0, err
	}
	size, err := u.write(ctx, seg, frames)
	u.memory.Release(int64(frames.Largest))
	if err != nil {
		return 0, err
	}
	u.Metrics.Bytes.Add(float64(size))
	return len(frames.Index.Blocks), nil
}

// find looks for the segment's sink file, first in raw/ and then in archive/,
// where files go from there, at last into regrouped ones. A takenError means that it
// is another's.
func (u *Uploader) find(ctx context.Context, seg *spool.Sealed, index *chunk.Index) (blocks int, found bool, err error) {
	for _, area := range []string{store.Raw, store.Archive} {
		path := store.SinkPath(area, seg.Type, seg.ID)
		blocks, err := u.holds(ctx, path, index)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return 0, false, fmt.Errorf("look for sink file %s: %w", path, err)
		}
		return blocks, true, nil
	}
	in, err := archive.Find(ctx, u.FS, seg.Type, seg.ID)
	if in == nil || err != nil {
		return 0, false, err
	}
	if common := in.Index.Holds(in.Part, index.Blocks); common < len(index.Blocks) {
		return 0, false, &takenError{common, fmt.Errorf("%s has %d blocks of it, the segment %d", in.Path, in.Part.Blocks, len(index.Blocks))}
	}
	return in.Part.Blocks, true, nil
}

// holds returns the number of blocks of a published file that starts with all
// the blocks of index.
func (u *Uploader) holds(ctx context.Context, path string, index *chunk.Index) (int, error) {
	r, err := u.FS.Open(ctx, path)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	sink, err := chunk.ReadSink(r, r.Size())
	if errors.Is(err, chunk.ErrInvalid) {
		return 0, &takenError{reason: err}
	}
	if err != nil {
		return 0, err
	}
	if sink.Damage != nil {
		return 0, &takenError{reason: sink.Damage}
	}
	have, want := sink.Index.Blocks, index.Blocks
	if common := sink.Index.Holds(chunk.Part{Blocks: len(have)}, want); common < len(want) {
		return 0, &takenError{common, fmt.Errorf("it has %d blocks, the segment %d", len(have), len(want))}
	}
	return len(have), nil
}

// errFaster ends an attempt; the next one finds what there is.
var errFaster = errors.New("another collector published the segment meanwhile")

// write publishes the segment's sink file and returns its length. A collector on
// a copy of this spool may have been faster: a file would be replaced by the
// rename, so it looks once more when all is written.
func (u *Uploader) write(ctx context.Context, seg *spool.Sealed, frames *spool.Frames) (size int64, err error) {
	u.mu.Lock()
	u.attempts++
	attempt := fmt.Sprintf("%s.%d", u.Instance, u.attempts)
	u.mu.Unlock()
	final := store.SinkPath(store.Raw, seg.Type, seg.ID)
	written := false
	err = store.Publish(ctx, u.FS, store.Temp(final, attempt), final, func(w io.Writer) (err error) {
		if size, err = copyBlocks(w, frames); err != nil {
			return err
		}
		_, found, err := u.find(ctx, seg, &frames.Index)
		if found {
			err = errFaster
		}
		written = err == nil
		return err
	})
	var left *store.LeftError
	if errors.As(err, &left) {
		u.leave(left.Temp)
	}
	if !written {
		return 0, err
	}
	return size, u.confirm(ctx, seg, size, err)
}

func copyBlocks(f io.Writer, frames *spool.Frames) (int64, error) {
	w, err := chunk.NewSinkWriter(f, &frames.Index)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, frames.Largest)
	for i := range frames.Index.Blocks {
		data := buf[:frames.Index.Blocks[i].Len]
		if _, err := frames.ReadAt(data, frames.At[i]); err != nil {
			return 0, fmt.Errorf("read batch %d: %w", i, err)
		}
		if err := w.WriteBlock(data); errors.Is(err, chunk.ErrInvalid) {
			return 0, fmt.Errorf("%w: %w", spool.ErrDamaged, err)
		} else if err != nil {
			return 0, err
		}
	}
	if err := w.Finish(); err != nil {
		return 0, err
	}
	return w.Size(), nil
}

// confirm makes sure that a file is published that was renamed, with publishErr
// for an answer: also after an error it may have happened, and the final name
// says so. What a demux has already taken lies in archive/.
func (u *Uploader) confirm(ctx context.Context, seg *spool.Sealed, size int64, publishErr error) error {
	for _, area := range []string{store.Raw, store.Archive} {
		path := store.SinkPath(area, seg.Type, seg.ID)
		info, err := u.FS.Stat(ctx, path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("check %s: %w", path, errors.Join(publishErr, err))
		}
		if info.Size != size {
			return fmt.Errorf("check %s: it has %d bytes, want %d", path, info.Size, size)
		}
		return nil
	}
	if publishErr == nil {
		publishErr = fmt.Errorf("check %s: %w", store.SinkPath(store.Raw, seg.Type, seg.ID), fs.ErrNotExist)
	}
	return publishErr
}

// leave remembers a temporary file that could not be removed.
func (u *Uploader) leave(temp string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.litter) < maxLitter {
		u.litter = append(u.litter, temp)
	}
}

// clean removes what earlier attempts could not.
func (u *Uploader) clean(ctx context.Context) {
	u.mu.Lock()
	litter := u.litter
	u.litter = nil
	u.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanLimit)
	defer cancel()
	for _, temp := range litter {
		if u.FS.Remove(ctx, temp) != nil {
			u.leave(temp)
		}
	}
}

// sweep removes the temporary files that earlier starts of this collector left
// in the store. It waits for a store that is away until ctx is done.
func (u *Uploader) sweep(ctx context.Context) {
	var b daemon.Backoff
	for {
		removed, err := u.sweepOnce(ctx)
		if removed > 0 {
			u.Log.Info("removed temporary files of an earlier start", "files", removed)
		}
		if err == nil {
			return
		}
		u.Log.Debug("the store can't be swept yet", "error", err)
		if b.Wait(ctx) != nil {
			return
		}
	}
}

func (u *Uploader) sweepOnce(ctx context.Context) (removed int, err error) {
	types, err := u.FS.List(ctx, store.Raw)
	if err != nil {
		return 0, err
	}
	for _, t := range types {
		days, err := u.FS.List(ctx, t.Path)
		if err != nil {
			return removed, err
		}
		for _, day := range days {
			files, err := u.FS.List(ctx, day.Path)
			if err != nil {
				return removed, err
			}
			for _, f := range files {
				if !u.left(f.Path) {
					continue
				}
				if err := u.FS.Remove(ctx, f.Path); err != nil {
					return removed, err
				}
				removed++
			}
		}
	}
	return removed, nil
}

// left reports whether an earlier start of this collector left the file.
func (u *Uploader) left(path string) bool {
	name := path[strings.LastIndexByte(path, '/')+1:]
	_, attempt, ok := strings.Cut(name, store.SinkExt+".")
	return ok && strings.HasPrefix(name, "_") && strings.HasSuffix(name, ".tmp") &&
		strings.HasPrefix(attempt, u.Collector+".") && !strings.HasPrefix(attempt, u.Instance+".")
}
