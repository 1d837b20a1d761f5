package spooldir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// run is one life of the adaptor.
type run struct {
	*Adaptor
	env     adaptors.Env
	watcher *watcher // nil: polling
	blind   bool     // some folder is not watched

	entries map[string]*entry // by path
	todo    map[*entry]bool   // that may need work
	streams map[string]*stream
	byInode map[uint64][]*stream
	listed  map[string]bool // folders that could be listed at the last scan
	buf     []byte          // for reading, nil when idle
}

func newRun(a *Adaptor, env adaptors.Env) *run {
	return &run{
		Adaptor: a, env: env, entries: map[string]*entry{}, todo: map[*entry]bool{},
		streams: map[string]*stream{}, byInode: map[uint64][]*stream{}, listed: map[string]bool{},
	}
}

func (r *run) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer reading.Wait()
	defer cancel()
	events := make(chan []happening)
	lost := make(chan error, 1)
	if r.cfg.Watch != "poll" {
		w, err := newWatcher()
		if err != nil {
			r.env.Log.Warn("can't watch folders, looking for files every second instead", "error", err)
		} else {
			r.watcher = w
			defer w.close()
			reading.Go(func() {
				if err := w.run(ctx, events); err != nil {
					lost <- err
				}
			})
		}
	}
	r.restore()
	if err := r.prepare(); err != nil {
		return err
	}
	r.scan()
	timer := time.NewTimer(0)
	defer timer.Stop()
	scanned := time.Now()
	for ctx.Err() == nil {
		r.mail()
		wake := r.work(ctx)
		r.buf = nil
		wake = earlier(wake, scanned.Add(r.rescanEvery()))
		timer.Reset(max(time.Until(wake), time.Millisecond))
		select {
		case <-ctx.Done():
		case <-r.Wake():
		case list := <-events:
			for _, h := range list {
				if h.path == "" {
					r.scan()
					continue
				}
				r.look(h)
			}
		case err := <-lost:
			return err
		case <-timer.C:
			if time.Since(scanned) >= r.rescanEvery() {
				r.scan()
				scanned = time.Now()
			}
		}
	}
	return nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

func (r *run) rescanEvery() time.Duration {
	if r.watcher == nil || r.blind {
		return min(r.times.poll, r.cfg.Rescan.Std())
	}
	return r.cfg.Rescan.Std()
}

// prepare makes the folder that files are moved to.
func (r *run) prepare() error {
	if r.cfg.After != "move" {
		return nil
	}
	if err := r.cfg.changes.HoldsPath(r.cfg.MoveTo); err != nil {
		return fmt.Errorf("files are moved: %w", err)
	}
	if err := os.MkdirAll(r.cfg.MoveTo, 0o755); err != nil {
		return fmt.Errorf("make the folder that files are moved to: %w", err)
	}
	to, err := os.Stat(r.cfg.MoveTo)
	if err != nil {
		return fmt.Errorf("look at the folder that files are moved to: %w", err)
	}
	for _, dir := range r.cfg.Folders {
		if from, err := os.Stat(dir); err == nil && os.SameFile(from, to) {
			return fmt.Errorf("move_to %s is the folder %s, which is read: want another one", r.cfg.MoveTo, dir)
		}
	}
	return nil
}

// restore takes what the checkpoint holds.
func (r *run) restore() {
	for _, k := range r.env.Streams.Known() {
		id, err := decodeIdentity(k.Identity)
		if err != nil {
			r.env.Log.Error("a stored stream can't be matched with its file, which is read again from its beginning",
				"file", k.Source, "stream", k.ID, "error", err)
			continue
		}
		r.add(restore(&r.env, k, id))
	}
}

func (r *run) add(s *stream) {
	r.streams[s.out.ID()] = s
	r.byInode[s.ident.Ino] = append(r.byInode[s.ident.Ino], s)
	if !s.ident.Done {
		r.board.Show(s.out, s.shownPath())
	}
}

// drop lets go of a stream for good.
func (r *run) drop(s *stream) {
	s.out.Forget()
	delete(r.streams, s.out.ID())
	r.unlist(s)
	r.board.Hide(s.out)
}

func (r *run) unlist(s *stream) {
	rest := slices.DeleteFunc(r.byInode[s.ident.Ino], func(o *stream) bool { return o == s })
	if len(rest) == 0 {
		delete(r.byInode, s.ident.Ino)
		return
	}
	r.byInode[s.ident.Ino] = rest
}

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
		if !seen[path] && r.listed[filepath.Dir(path)] {
			r.look(happening{path: path})
		}
	}
	r.board.Unskip(func(path string) bool { return !seen[path] && r.listed[filepath.Dir(path)] })
	now := time.Now()
	for _, s := range r.streams { // those of an earlier start, say
		if s.path == "" && s.missing.IsZero() && r.mayJudge(s) {
			s.missing = now
		}
	}
}

// mayJudge tells that a stream's file would have been found. A folder that
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
		e = &entry{path: h.path, info: info, since: time.Now()}
		r.entries[h.path] = e
		r.attach(e)
	case e.info.Size != info.Size || e.info.Modified != info.Modified:
		e.info, e.since, e.arrived = info, time.Now(), false
	}
	e.arrived = e.arrived || h.arrived
	if e.st == nil {
		r.showWaiting(e)
	}
	if e.st == nil || !e.st.ident.Done || !e.st.ident.sameAtASight(&info) {
		r.todo[e] = true
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

// attach gives an entry its stream, where the file system says that it is the
// stream's file unchanged.
func (r *run) attach(e *entry) {
	for _, s := range r.byInode[e.info.Ino] {
		if !s.gone && !s.leave && s.ident.sameAtASight(&e.info) && !r.elsewhere(s, e) {
			r.give(e, s)
			return
		}
	}
}

// elsewhere tells that the stream's file has another name, and the entry is a
// hard link to it or another file.
func (r *run) elsewhere(s *stream, e *entry) bool {
	if s.path == "" || s.path == e.path {
		return false
	}
	info, err := ident.Stat(s.path)
	return err == nil && s.ident.SameInode(&info)
}

// give lets the entry be the stream's file.
func (r *run) give(e *entry, s *stream) {
	e.st, s.path, s.missing = s, e.path, time.Time{}
	r.hideWaiting(e)
	if s.ident.Trouble != "" {
		r.note(e.path, s.ident.Trouble)
	}
	if !s.ident.Done {
		r.board.Show(s.out, e.path)
	}
	if s.ident.Path != e.path || s.ident.Ino != e.info.Ino || s.ident.Birth != e.info.Birth {
		r.unlist(s)
		s.ident.Path, s.ident.Ino, s.ident.Birth = e.path, e.info.Ino, e.info.Birth
		r.byInode[s.ident.Ino] = append(r.byInode[s.ident.Ino], s)
		r.update(s)
	}
}

// update stores what is known of a stream. An error costs no data: the file is
// found by its bytes all the same.
func (r *run) update(s *stream) {
	if err := s.out.Update(s.ident.encode()); err != nil {
		r.env.Log.Warn("a file is known by its bytes alone until the next change", "file", s.out.Source(), "stream", s.out.ID(), "error", err)
	}
}

// showWaiting shows a file that no stream was opened for yet.
func (r *run) showWaiting(e *entry) {
	if e.out == nil {
		e.out = replay.New(&r.env)
	}
	e.out.SetSize(e.info.Size)
	r.board.Show(e.out, e.path)
}

func (r *run) hideWaiting(e *entry) {
	if e.out != nil {
		r.board.Hide(e.out)
		e.out = nil
	}
}

// left forgets a name that is gone, or leads to another file.
func (r *run) left(e *entry, deleted bool) {
	delete(r.entries, e.path)
	delete(r.todo, e)
	r.hideWaiting(e)
	r.board.Skip(e.path, "")
	s := e.st
	if s == nil || s.path != e.path {
		return
	}
	s.path, s.missing = "", time.Now()
	for _, o := range r.entries { // another name of the same file
		if e.info.Links < 2 {
			break
		}
		if o.info.Key() == e.info.Key() {
			if o.st == nil || o.st == s {
				o.st = nil
				r.attach(o)
			}
			if o.st == s {
				return
			}
		}
	}
	if deleted {
		r.lose(s, "the file was deleted before it was secured")
	}
}
