package spooldir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors/internal/ident"
)

// scan looks at all folders, and at all files that were known to be in them.
func (r *run) scan() {
	r.blind = r.watcher == nil
	clear(r.listed)
	seen := map[string]bool{}
	for _, dir := range r.cfg.Folders {
		if r.watcher != nil {
			if err := r.watcher.watch(dir); err != nil { // first: nothing appears unseen after the listing
				r.blind = true
			}
		}
		list, err := os.ReadDir(dir)
		if err != nil {
			if r.board.Skip(dir, "can't be listed: "+err.Error()) {
				r.env.Log.Warn("can't list a folder, trying again", "folder", dir, "error", err)
			}
			continue
		}
		r.board.Skip(dir, "")
		r.listed[dir] = true
		for _, e := range list {
			path := filepath.Join(dir, e.Name())
			r.halfDeleted(path)
			seen[path] = true
			r.look(happening{path: path})
		}
	}
	for path := range r.entries {
		if seen[path] || !r.listed[filepath.Dir(path)] {
			continue
		}
		if s := r.entries[path].st; r.watcher != nil && s != nil && s.path == path {
			r.missedAt[path] = s
		}
		r.look(happening{path: path})
	}
	r.board.Unskip(func(path string) bool { return !seen[path] && r.listed[filepath.Dir(path)] })
	r.scanned = true
	now := time.Now()
	for _, s := range r.streams { // those of an earlier start, say
		if s.path == "" && s.missing.IsZero() && r.mayJudge(s) {
			s.missing = now
		}
	}
}

// mayJudge reports whether a stream's file would have been found. A folder that
// can't be listed, such as one that is not mounted, says nothing.
func (r *run) mayJudge(s *stream) bool {
	dir := filepath.Dir(s.ident.Path)
	return r.listed[dir] || !slices.Contains(r.cfg.Folders, dir)
}

func (r *run) wanted(path string) bool {
	name := filepath.Base(path)
	if strings.HasPrefix(name, deleting) {
		return false
	}
	for _, g := range r.cfg.Ignore {
		if g.Match(name) {
			return false
		}
	}
	for _, g := range r.cfg.Include {
		if g.Match(name) {
			return true
		}
	}
	return false
}

// look takes in what is at a path now.
func (r *run) look(h happening) {
	if !r.wanted(h.path) {
		return
	}
	e := r.entries[h.path]
	if h.deleted && e != nil {
		r.left(e, true)
		e = nil
	}
	info, ok := r.regular(h.path)
	if !ok {
		if e != nil {
			r.left(e, false)
		}
		return
	}
	if e != nil && e.info.Key() != info.Key() { // another file has its name
		r.left(e, false)
		e = nil
	}
	switch {
	case e == nil:
		e = &entry{path: h.path, info: info, since: time.Now(), early: !r.scanned}
		r.entries[h.path] = e
	case e.info.Size != info.Size || e.info.Modified != info.Modified:
		e.info, e.since, e.arrived = info, time.Now(), false
	}
	e.arrived = e.arrived || h.arrived
	if r.refused[e] && e.refused == r.version || !r.claim(e) {
		return
	}
	if e.st == nil {
		r.attach(e)
	}
	if e.st == nil {
		r.showWaiting(e)
	}
	if e.st == nil || !e.st.ident.Done || !e.st.ident.sameAtASight(&info) {
		r.todo[e] = true
	}
}

// missed takes the event of a file that a scan has missed already: it may say that
// the file was deleted, and not renamed.
func (r *run) missed(h happening) {
	s := r.missedAt[h.path]
	delete(r.missedAt, h.path)
	if s == nil || r.streams[s.out.ID()] != s || !h.deleted || s.path != "" || s.gone || s.missing.IsZero() {
		return
	}
	if s, err := r.own(s); err == nil {
		r.lose(s, "the file was deleted before it was secured")
	}
}

// regular tells about a file that may be read. An empty one is not: nothing is
// in it, and somebody may be about to write.
func (r *run) regular(path string) (ident.Info, bool) {
	mode, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.board.Skip(path, "")
		return ident.Info{}, false
	case err != nil:
		r.note(path, "can't be looked at: "+err.Error())
		return ident.Info{}, false
	case mode.IsDir():
		return ident.Info{}, false
	case !mode.Mode().IsRegular():
		r.note(path, "not a regular file ("+mode.Mode().Type().String()+")")
		return ident.Info{}, false
	}
	info, err := ident.Stat(path)
	return info, err == nil && info.Mode.IsRegular() && info.Size > 0
}

func (r *run) note(path, reason string) {
	if r.board.Skip(path, reason) {
		r.env.Log.Info("about a file", "file", path, "reason", reason)
	}
}
