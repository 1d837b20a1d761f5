package pods

import (
	"fmt"
	"path/filepath"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// scan looks through all folders; where all are watched, through those of which
// the list of names has changed. It finds little: what an overflow hid.
func (r *run) scan() {
	all := r.scanAll || r.find.Blind()
	if _, err := ident.Stat(r.root); err != nil {
		// Nothing may be told as deleted because a mount is missing.
		if r.board.Fail(nil, fmt.Errorf("look at the folder of all pods: %w", err)) {
			r.env.Log.Warn("the folder of all pods can't be looked at; trying again", "root", r.root, "error", err)
		}
		r.find.Scan(func(string) {}) // watches what there is of its path
		r.scanAll = true
		return
	}
	r.board.Well(nil)
	seen := map[*turn]*listing{}
	found := func(path string) { r.found(path, seen) }
	changed := map[string]bool(nil)
	if all {
		r.find.Scan(found)
	} else {
		changed = r.find.Rescan(found)
	}
	r.scanAll = false
	r.scanLinked()
	for t := range r.live.all {
		if !all && !changed[t.in.dir] {
			continue
		}
		l := seen[t]
		if l == nil {
			l = &listing{}
		}
		l.tidy()
		if t.in.mail.lastSeen().names != l.names() {
			t.in.mail.dirty.Store(true)
			r.enqueue(t)
		}
	}
}

// found takes a log that a scan found.
func (r *run) found(path string, seen map[*turn]*listing) {
	c, n, ok := r.parse(path)
	if !ok {
		return
	}
	t := r.get(&c)
	if t == nil {
		return
	}
	l := seen[t]
	if l == nil {
		l = &listing{place: place{dir: t.in.dir, log: t.in.logName()}}
		seen[t] = l
	}
	l.add(filepath.Base(path), n.gz)
	if n.rotated == "" {
		r.glance(t, path)
	}
}

// glance queues an instance whose log has grown or is another file, as a scan
// sees it.
func (r *run) glance(t *turn, path string) {
	info, err := ident.Stat(path)
	if err != nil {
		r.follow(t, path) // docker is rotating it
		return
	}
	seen := glimpse{info.Ino, info.Birth, info.Size}
	if seen == t.glimpse {
		return
	}
	if t.glimpse.ino != seen.ino || t.glimpse.birth != seen.birth {
		t.in.mail.dirty.Store(true)
		r.follow(t, path)
	}
	t.glimpse = seen
	t.in.mail.written.Store(true)
	r.enqueue(t)
}
