package pods

import (
	"cmp"
	"context"
	"strings"

	"github.com/akupara/akupara/adaptors"
)

// begin takes what the checkpoint holds and looks for all logs there are.
func (r *run) begin(ctx context.Context) {
	r.firstStart, r.scanAll = true, true
	for _, k := range r.env.Streams.Known() {
		if k.Source == marker {
			r.firstStart = false
			continue
		}
		in, err := restore(&r.env, r.root, k, r.times)
		if err != nil {
			r.env.Log.Error("a stored stream can't be matched with its log, which is read again from its beginning",
				"log", k.Source, "stream", k.ID, "error", err)
			continue
		}
		r.add(in)
		if !in.out.Ended() && !r.collects(&in.container) {
			in.choice.made, in.choice.excluded = true, true
		}
	}
	heir := r.addForsaken()
	atEnd := r.firstStart && !heir && r.cfg.Start == "end"
	r.scan()
	for t := range r.live.all {
		t.in.at.atStart = true
		if atEnd && !t.in.isOpen() {
			t.in.at.atEnd = true
			r.opening[t] = true
		}
		r.enqueue(t)
	}
	r.markStarted(ctx)
}

// markStarted stores that the adaptor was started, once the streams of all
// logs that were there are stored: they are not taken for new ones ever after.
func (r *run) markStarted(ctx context.Context) {
	if !r.firstStart || len(r.opening) > 0 {
		return
	}
	if _, err := r.env.Streams.Open(ctx, adaptors.Stream{Source: marker}); err != nil {
		if ctx.Err() == nil {
			r.env.Log.Warn("can't store that the adaptor was started; trying again", "error", err)
		}
		return
	}
	r.firstStart = false
}

// addForsaken adds the instances of which nothing may be left but a stream that
// another adaptor had, which is gone: somebody must tell its end. It reports
// whether there are such streams of the adaptor's type: that one was renamed,
// say, and what was collected before is no first start.
func (r *run) addForsaken() (heir bool) {
	for _, k := range r.env.Streams.Others() {
		c, ok := containerOf(k.Source)
		if ok && strings.HasPrefix(k.Source, r.root+"/") && r.get(&c) != nil {
			heir = heir || k.Type == cmp.Or(r.cfg.typeOf(&c, nil), r.env.Type)
		}
	}
	return heir
}
