package pods

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/chunk"
)

// rest decides about what follows the last border: whether it is taken as it
// is, and whether the stream is finished. done is what was flushed just now.
func (r *reader) rest(ctx context.Context, in *instance, pending []byte, wake time.Duration, done cri.Flush) (cri.Flush, result, error) {
	last := in.last()
	if in.folder.absent && len(in.next) == 0 {
		return r.deleted(ctx, in, pending, done)
	}
	if len(pending) == 0 {
		if in.folder.later && !in.at.done && len(in.next) == 0 && last.growing() {
			in.at.done, in.changed = true, true
			return cri.Whole, result{wake: wake}, r.store(in)
		}
		return cri.Whole, result{wake: wake}, nil
	}
	if done != cri.Whole || bytes.IndexByte(pending, '\n') < 0 {
		return cri.Whole, result{wake: wake}, nil // an unterminated line: wait for the rest
	}
	after := r.cfg.Timeout.Std() - time.Since(last.file.grewAt)
	if after <= 0 {
		return cri.Lines, result{}, nil
	}
	if wake > 0 {
		after = min(after, wake)
	}
	return cri.Whole, result{wake: after}, nil
}

// deleted decides about an instance of which no file is there any more.
func (r *reader) deleted(ctx context.Context, in *instance, pending []byte, done cri.Flush) (cri.Flush, result, error) {
	last := in.last()
	f := last.file
	if last.growing() && f.f != nil {
		info, err := ident.Fstat(f.f)
		if err != nil {
			return cri.Whole, result{}, fmt.Errorf("look at %s: %w", f.id.Path, err)
		}
		in.at.certain = info.Links == 0
		if wait := in.times.missing - time.Since(in.folder.since); wait > 0 && !in.at.certain {
			return cri.Whole, result{wake: min(wait, r.times.poll)}, nil
		}
		size := f.size
		wait, err := in.quiet(f, in.times.still, false)
		if err != nil {
			return cri.Whole, result{}, err
		}
		if f.size != size {
			return cri.Whole, result{more: true}, nil
		}
		if wait > 0 {
			return cri.Whole, result{wake: min(wait, r.times.poll)}, nil
		}
	}
	if len(pending) > 0 && done != cri.Always {
		return cri.Always, result{}, nil
	}
	if last.growing() {
		last.Len, in.changed = in.out.Off()-last.Base, true
	}
	return cri.Whole, result{}, r.finish(ctx, in, deletedLog)
}

// deletedLog is why a stream ends.
const deletedLog = "the container's log was deleted"

// finish sends the end of a stream of which nothing can be read any more: what
// is not settled is lost, unless a collector holds it.
func (r *reader) finish(ctx context.Context, in *instance, why string) error {
	if in.isOpen() {
		rest := chunk.Range{First: in.out.Off(), Last: in.out.Sent()}
		if rest.First < rest.Last {
			if err := in.out.Lost(ctx, rest, deletedLog+" before it was secured"); err != nil {
				return err
			}
		}
		if err := r.resend(ctx, in); err != nil {
			return err
		}
		if err := r.store(in); err != nil {
			return err
		}
	}
	return in.out.End(ctx, why)
}

// endForked ends the stream that a fork goes on from.
func (r *reader) endForked(ctx context.Context, in *instance) error {
	rest := chunk.Range{First: in.out.Off(), Last: in.out.Sent()}
	if rest.First < rest.Last {
		if err := in.out.Lost(ctx, rest, "the log lost what was sent of it before it was secured"); err != nil {
			return err
		}
	}
	return r.finish(ctx, in, "the log lost its end: a fork of the stream goes on")
}
