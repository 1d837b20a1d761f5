package pods

import (
	"os"
	"path/filepath"
	"slices"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// links are the instances whose logs are symlinks, by the folders that these
// lead into: docker rotates them there, and the pods' folders tell of nothing.
type links map[string][]*instance

// of returns the instances that a path in docker's folder is a log of, rotated
// or not.
func (l links) of(path string) (out []*instance) {
	for _, in := range l[filepath.Dir(path)] {
		p := linkedPlace(in.target)
		if _, ok := p.dockerName(filepath.Base(path)); ok {
			out = append(out, in)
		}
	}
	return out
}

// follow watches the folder that a log's symlink leads into, if it is one.
func (r *run) follow(in *instance, path string) {
	target, ok := follow(path)
	if ok && target == in.target {
		return
	}
	r.unfollow(in)
	if ok {
		in.target = target
		dir := filepath.Dir(target)
		r.links[dir] = append(r.links[dir], in)
		r.find.WatchFolder(dir)
	}
}

// unfollow ends that.
func (r *run) unfollow(in *instance) {
	if in.target == "" {
		return
	}
	dir := filepath.Dir(in.target)
	in.target = ""
	r.links[dir] = slices.DeleteFunc(r.links[dir], func(other *instance) bool { return other == in })
	if len(r.links[dir]) == 0 {
		delete(r.links, dir)
		r.find.Unwatch(dir)
	}
}

// scanLinked queues the instances whose docker folder has changed since it was
// listed.
func (r *run) scanLinked() {
	for in := range r.live {
		was := in.lastSeen()
		if in.target == "" || was.linked == "" {
			continue
		}
		r.find.WatchFolder(was.linked)
		if info, err := ident.Stat(was.linked); err == nil && was.sure && info.Modified == was.modified {
			continue
		}
		in.dirty.Store(true)
		in.written.Store(true)
		r.enqueue(in)
	}
}

// linkedEvent reacts to what happens in docker's folders, and reports whether
// the path is in one. A log that is new is opened at once: the next rotations may
// remove it.
func (r *run) linkedEvent(path string, op fsnotify.Op) bool {
	ins := r.links.of(path)
	for _, in := range ins {
		in.written.Store(true)
		if op != fsnotify.Write {
			in.dirty.Store(true)
			if op.Has(fsnotify.Create) && path == in.target && r.mayOpen() {
				if f, info, err := openLog(path); err == nil { // else the look at the folder says what is wrong
					r.arrived(in, filepath.Base(path), f, &info)
				}
			}
		}
		r.enqueue(in)
	}
	return len(ins) > 0
}

// arrived takes a log that was opened when it appeared.
func (r *run) arrived(in *instance, name string, o *os.File, info *ident.Info) {
	f := &file{name: name, id: ident.Identity{Path: name}}
	f.attach(o, info)
	in.arrive(f)
	if !in.busy {
		r.count(in)
	}
}
