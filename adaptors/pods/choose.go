package pods

import (
	"cmp"
	"context"
	"maps"
	"time"

	"github.com/akupara/akupara/adaptors/pods/internal/kube"
)

// decide reports whether and as what an instance is collected, as soon as its
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
