package tail

import (
	"context"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// marker is the Source of the stored stream that says that the adaptor was
// started before. Nothing is ever sent of it.
const marker = "(first start)"

// restore takes what the checkpoint holds.
func (r *run) restore() {
	now := time.Now()
	r.firstStart = true
	for _, k := range r.env.Streams.Known() {
		if k.Source == marker {
			r.firstStart = false
			continue
		}
		id, err := ident.Decode(k.Identity)
		if err != nil {
			// It would match nothing: its file is read as a new one.
			r.env.Log.Error("a stored stream can't be matched with its file, which is read again from its beginning",
				"file", k.Source, "stream", k.ID, "error", err)
			continue
		}
		s := restore(&r.env, k, id, now)
		r.files.byID[k.ID] = s
		r.files.lost.add(s) // also one that ended: its file may have been moved by a copy
	}
}

// begin matches all files there are with all stored streams: the sure matches
// first, so that a doubtful one takes nothing from them.
func (r *run) begin(ctx context.Context) {
	var rest []candidate
	r.beginning, r.began = true, time.Now()
	seen := map[string]bool{}
	atEnd := r.firstStart && r.cfg.Start == "end"
	r.find.Scan(func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		info, ok := r.eligible(path)
		if !ok {
			return
		}
		c, ok := r.peek(path, info)
		if !ok {
			return
		}
		c.atEnd = atEnd
		same := r.decideOwn(&c)
		c.close() // there may be more of them than descriptors
		if !same {
			rest = append(rest, c)
		}
	})
	r.strays()
	for _, c := range rest {
		if r.files.live.byKey[c.info.Key()] == nil && r.files.reopen(&c) { // else a hard link, or the next look decides
			r.decide(&c)
			c.close()
		}
	}
	r.lookAgain()
	r.finishAllReplaced()
	r.beginning = false
	for _, c := range rest {
		if r.files.known[c.info.Key()] != nil { // no copy of what it was before was found
			r.check(c.path)
		}
	}
	for s := range r.files.lost.all {
		if s.out.Ended() {
			s.reason, s.lostTo = "the file was gone at a start", s.out.Sent()
			r.finishReplaced(s)
		}
	}
	r.release()
	r.openedFirst(ctx, nil)
}

// decideOwn is decide as far as it is certain: it reports whether the file is a
// stored stream's own, or is not to be read.
func (r *run) decideOwn(c *candidate) bool {
	return r.decideBy(func() (verdict, bool) {
		if reason := r.files.notText(c); reason != "" {
			return verdict{is: skipped, reason: reason}, true
		}
		return r.files.ownFile(c)
	}, c)
}

// openedFirst stores that the adaptor was started, once the streams of all
// files that were present are stored.
func (r *run) openedFirst(ctx context.Context, s *stream) {
	if !r.firstStart {
		return
	}
	if s != nil && s.mustOpen && s.out.ID() != "" {
		s.mustOpen = false
		r.opening--
	}
	if r.opening > 0 {
		return
	}
	if _, err := r.env.Streams.Open(ctx, adaptors.Stream{Source: marker}); err != nil {
		if ctx.Err() == nil {
			r.env.Log.Warn("can't store that the adaptor was started", "error", err)
		}
		return
	}
	r.firstStart = false
}
