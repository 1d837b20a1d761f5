package tail

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
)

// check looks at one path that matches, or did: what is there now?
func (r *run) check(path string) {
	old := r.files.live.byPath[path]
	info, ok := ident.Info{}, false
	if r.find.Match(path) {
		info, ok = r.eligible(path)
	}
	if !ok {
		r.unhold(path)
		delete(r.files.blank, path)
		delete(r.files.ignored, path)
		delete(r.shared.refused, path)
		if old != nil {
			if !old.Busy() && old.info.Links > 1 { // perhaps it matches by another name
				r.scanNow, r.scanAll = true, true
			}
			r.setPath(old, "")
		}
		return
	}
	s := r.files.live.byKey[info.Key()]
	if _, was := r.shared.refused[path]; was && s != nil {
		delete(r.shared.refused, path)
		r.board.Skip(path, "")
	}
	switch {
	case s != nil && s == old:
		if s.Busy() || info.Size != s.info.Size || info.Modified != s.info.Modified {
			r.turns.enqueue(s)
		}
		return
	case s != nil:
		if old != nil {
			r.setPath(old, "")
		}
		if other, err := ident.Stat(s.path); s.path != "" && err == nil && other.Key() == info.Key() {
			if s.Busy() || info.Size != s.info.Size || info.Modified != s.info.Modified {
				r.turns.enqueue(s)
			}
			return // another name of the same file
		}
		r.setPath(s, path)
		return
	case old != nil:
		r.setPath(old, "")
	}
	if r.files.stillIgnored(path, &info) || r.stillRefused(path, &info) {
		return
	}
	c, ok := r.peek(path, info)
	if !ok {
		return
	}
	defer c.close()
	c.was = old
	r.decide(&c)
}

// eligible reports whether a path leads to a file that may be read.
func (r *run) eligible(path string) (ident.Info, bool) {
	if err := r.cfg.roots.HoldsPath(path); err != nil {
		if r.cfg.roots.HoldsPath(filepath.Dir(path)) == nil { // else not even names are told
			r.skip(path, adaptors.ErrOutside.Error())
		}
		return ident.Info{}, false
	}
	info, err := ident.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		r.board.Skip(path, "")
		return info, false
	case err != nil:
		r.skip(path, "can't be looked at: "+err.Error())
		return info, false
	case info.Mode.IsDir():
		return info, false
	case !info.Mode.IsRegular():
		r.skip(path, "not a regular file: "+kindOf(info.Mode))
		return info, false
	}
	if reason := skippedName(path); reason != "" {
		r.skip(path, reason)
		return info, false
	}
	return info, true
}

func isLink(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode()&fs.ModeSymlink != 0
}

func (r *run) skip(path, reason string) {
	if r.board.Skip(path, reason) {
		r.env.Log.Info("a file that matches is not read", "file", path, "reason", reason)
	}
}

// peek opens a file that is new to the run and looks at its head. It says
// itself why a file is not read.
func (r *run) peek(path string, info ident.Info) (candidate, bool) {
	if info.Size == 0 { // nothing to know it by, and nothing to read
		r.board.Skip(path, "")
		r.unhold(path)
		r.emptied(&info)
		return candidate{}, false
	}
	if !r.claim(path, info.Key()) {
		return candidate{}, false
	}
	c, err := peek(path, r.cfg.roots)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			r.skip(path, "can't be read: "+err.Error())
		}
		return c, false
	}
	if len(c.head) == 0 || !c.info.Mode.IsRegular() {
		c.close()
		return c, false
	}
	if err := r.files.trim(&c); err != nil {
		c.close()
		r.skip(path, "can't be read: "+err.Error())
		return c, false
	}
	if c.end == 0 {
		now, err := ident.Fstat(c.f)
		c.close()
		r.board.Skip(path, "")
		if err == nil && now.Size != c.info.Size { // it was cut back while it was looked at
			r.look(path)
			return c, false
		}
		r.emptied(&c.info)
		return c, false
	}
	if isLink(path) {
		r.find.WatchFile(path)
		r.links[path] = true
	}
	return c, true
}

func peek(path string, roots adaptors.Roots) (candidate, error) {
	f, err := openIn(path, roots)
	if err != nil {
		return candidate{}, err
	}
	info, err := ident.Fstat(f)
	info.AskGeneration(f)
	var head []byte
	if err == nil && info.Mode.IsRegular() {
		head, err = ident.ReadHead(f)
	}
	if err != nil {
		return candidate{}, errors.Join(err, f.Close())
	}
	return candidate{path: path, info: info, head: head, f: f}, nil
}

// reopen opens a candidate that was closed, if its path still leads to it.
func (k *catalog) reopen(c *candidate) bool {
	again, err := peek(c.path, k.cfg.roots)
	if err == nil {
		err = k.trim(&again)
	}
	if err != nil || again.info.Key() != c.info.Key() || again.end == 0 {
		again.close()
		return false
	}
	again.atEnd = c.atEnd
	*c = again
	return true
}

// lookAgain looks at what turned up while something else was decided.
func (r *run) lookAgain() {
	for len(r.truncated)+len(r.looks) > 0 {
		truncated, looks := r.truncated, r.looks
		r.truncated, r.looks = nil, nil
		for _, s := range truncated {
			r.findCopy(s)
		}
		for _, path := range looks {
			r.check(path)
		}
	}
}
