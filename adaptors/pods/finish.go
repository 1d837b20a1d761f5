package pods

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/kube"
	"github.com/akupara/akupara/chunk"
)

// metadata is what the cluster knows of pods.
type metadata interface {
	// Lookup gives what is known of a pod, by the uid in its logs' path.
	Lookup(uid string) (kube.Pod, kube.State)
	// Generation changes with what Lookup gives.
	Generation() int64
}

// decide tells whether and as what an instance is collected, as soon as its
// metadata is there. Until then it gives how long to wait.
func (r *reader) decide(_ context.Context, in *instance) (time.Duration, error) {
	var labels map[string]string
	if r.meta != nil {
		gen := r.meta.Generation()
		if in.choice.made && in.choice.labelled == gen {
			return 0, nil
		}
		pod, state := r.meta.Lookup(in.uid)
		in.choice.labelled = gen
		switch {
		case state == kube.Known:
			labels = pod.Labels
			r.tag(in, &pod)
			if !in.choice.made && !r.cfg.Rules.labels(labels) {
				in.choice.excluded = true
			}
		case in.choice.made:
			return 0, nil
		case r.cfg.Metadata.Missing == "hold":
			if !in.folder.absent || time.Since(in.folder.since) < in.times.missing {
				return r.times.poll, nil
			}
			in.choice.excluded = true
		case state == kube.Asked && time.Since(in.at.found) < r.times.metadata:
			return r.times.metadata - time.Since(in.at.found), nil
		default:
			in.choice.tags = map[string]map[string]string{"": in.container.tags()}
			in.choice.tags[""]["metadata"] = "missing"
			in.out.Tags = in.choice.tags[""]
			r.env.Log.Warn("a pod's metadata is not known; its logs are collected without labels", "namespace", in.namespace, "pod", in.pod)
		}
	} else if !in.choice.made {
		r.tag(in, nil)
	}
	if !in.choice.made {
		in.choice.made = true
		if !in.isOpen() || !in.choice.typed {
			in.choice.dataType = r.cfg.typeOf(&in.container, labels)
			in.out.SetType(cmp.Or(in.choice.dataType, r.env.Type))
		}
	}
	return 0, nil
}

// tag sets the tags of an instance's chunks.
func (r *reader) tag(in *instance, pod *kube.Pod) {
	t := in.container.tags()
	if r.cfg.RecordStart.Regexp != nil {
		t["multiline"] = "true"
	}
	if pod != nil {
		if pod.Node != "" {
			t["node"] = pod.Node
		}
		if pod.Owner != "" {
			t["owner"] = pod.Owner
		}
		room := maxOwnTags
		whole := withPrefix(t, "label.", pod.Labels, r.cfg.Metadata.Labels, &room)
		whole = withPrefix(t, "annotation.", pod.Annotations, r.cfg.Metadata.Annotations, &room) && whole
		if !whole && !in.choice.made {
			r.env.Log.Warn("a pod has more labels and annotations than a chunk has room for; the first are kept",
				"namespace", in.namespace, "pod", in.pod, "kept", maxOwnTags)
		}
	}
	if !maps.Equal(t, in.choice.tags[""]) {
		in.choice.tags, in.out.Tags = map[string]map[string]string{"": t}, t
	}
}

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

// tellLost tells that the bytes at off, up to the next part that can be read,
// are lost.
func (r *reader) tellLost(ctx context.Context, in *instance) error {
	rg := chunk.Range{First: in.out.Off()}
	p := in.parts[in.index(in.out.Off())]
	reason := "a rotated log was removed before it was read"
	switch {
	case in.out.Off() < p.Base:
		rg.Last, reason = p.Base, "a log that is to be read again is there no more"
	case in.folder.absent:
		rg.Last, reason = p.end(), "the container's log was deleted while it was not watched; if more was written to it than was seen, that stands here as one byte"
	default:
		rg.Last = p.end()
		if rg.Len() == 1 {
			reason = "a rotated log was removed while it was not watched: what was written to it, and to others since, is not known and stands here as one byte"
		}
	}
	if err := in.out.Lost(ctx, rg, reason); err != nil {
		return err
	}
	in.at.cut = cutState{at: rg.Last}
	return nil
}

// resend sends again what was asked for, as far as it was sent before.
func (r *reader) resend(ctx context.Context, in *instance) error {
	return in.out.Resend(ctx, func(ctx context.Context, rg chunk.Range) error { return r.again(ctx, in, rg) })
}

func (r *reader) again(ctx context.Context, in *instance, rg chunk.Range) error {
	buf := make([]byte, min(max(rg.Len(), 1), int64(r.cfg.MaxRecord)+readBytes))
	looked := false
	for !rg.Empty() {
		n, ends, why, err := in.fill(buf, rg.First, rg.Last, func(int64) (bool, error) { return false, nil })
		if stale := errors.Is(err, errStale) || errors.Is(err, errUnseen); stale && n == 0 && !looked {
			if err := in.look(); err != nil {
				return err
			}
			looked = true
			continue
		} else if err != nil && !stale && n == 0 {
			return err
		}
		if n == 0 {
			gone := rg
			if i := in.index(rg.First); i < len(in.parts) {
				gone.Last = min(rg.Last, in.parts[i].end())
				if rg.First < in.parts[i].Base {
					gone.Last = min(rg.Last, in.parts[i].Base)
				}
			}
			if gone.Empty() {
				gone.Last = rg.Last
			}
			if err := in.out.Lost(ctx, gone, "the log was deleted before it was secured"); err != nil {
				return err
			}
			rg.First = gone.Last
			continue
		}
		flush := cri.Whole
		if why != full {
			flush = cri.Always
		}
		c := r.cutter.Next(buf[:n], ends, in.between(rg.First), flush, nil)
		if c.N == 0 {
			c = cri.Cut{N: n, Borders: []int64{int64(n)}}
		}
		data := chunk.Chunk{First: rg.First, Last: rg.First + int64(c.N), Tags: in.tagsOf(c.Part), Borders: c.Borders, Body: buf[:c.N]}
		if err := in.out.Data(ctx, data, 0); err != nil {
			return err
		}
		rg.First += int64(c.N)
	}
	return nil
}
