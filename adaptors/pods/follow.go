package pods

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// follow watches the folder that a log's symlink leads into, if it is one.
func (r *run) follow(t *turn, path string) {
	target, ok := follow(path)
	if ok && target == t.target {
		return
	}
	r.unfollow(t)
	if ok {
		t.target = target
		dir := filepath.Dir(target)
		r.links[dir] = append(r.links[dir], t)
		r.find.WatchFolder(dir)
	}
}

// unfollow ends that.
func (r *run) unfollow(t *turn) {
	if t.target == "" {
		return
	}
	dir := filepath.Dir(t.target)
	t.target = ""
	r.links[dir] = slices.DeleteFunc(r.links[dir], func(other *turn) bool { return other == t })
	if len(r.links[dir]) == 0 {
		delete(r.links, dir)
		r.find.Unwatch(dir)
	}
}

// scanLinked queues the instances whose docker folder has changed since it was
// listed.
func (r *run) scanLinked() {
	for t := range r.live.all {
		was := t.in.mail.lastSeen()
		if t.target == "" || was.linked == "" {
			continue
		}
		r.find.WatchFolder(was.linked)
		if info, err := ident.Stat(was.linked); err == nil && was.sure && info.Modified == was.modified {
			continue
		}
		t.in.mail.dirty.Store(true)
		t.in.mail.written.Store(true)
		r.enqueue(t)
	}
}

// linkedEvent reacts to what happens in docker's folders, and reports whether
// the path is in one. A log that is new is opened at once: the next rotations may
// remove it.
func (r *run) linkedEvent(path string, op fsnotify.Op) bool {
	ins := r.links.of(path)
	for _, t := range ins {
		t.in.mail.written.Store(true)
		if op != fsnotify.Write {
			t.in.mail.dirty.Store(true)
			if op.Has(fsnotify.Create) && path == t.target && r.mayOpen() {
				if f, info, err := openLog(path); err == nil { // else the look at the folder says what is wrong
					r.arrived(t, filepath.Base(path), f, &info)
				}
			}
		}
		r.enqueue(t)
	}
	return len(ins) > 0
}

// arrived takes a log that was opened when it appeared.
func (r *run) arrived(t *turn, name string, o *os.File, info *ident.Info) {
	f := &file{name: name, id: ident.Identity{Path: name}}
	f.attach(o, info)
	t.in.mail.arrive(f)
	if !t.Busy() {
		r.count(t)
	}
}

// noteNowhere shows that a log's symlink leads to nothing: docker's folder may
// not be there where the agent runs.
func (r *run) noteNowhere(t *turn) {
	switch path := r.pathOf(t.in); {
	case t.in.folder.nowhere == t.nowhere:
	case t.in.folder.nowhere:
		t.nowhere = true
		r.board.Skip(path, fmt.Sprintf("it is a symlink to %s, which is not there", t.in.folder.place.path()))
	default:
		t.nowhere = false
		r.board.Skip(path, "")
	}
}
