package spooldir

import (
	"context"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/replay"
)

// run is one life of the adaptor.
type run struct {
	*Adaptor
	shared
	env     adaptors.Env
	watcher *watcher // nil: polling
	blind   bool     // some folder is not watched

	entries  map[string]*entry // by path
	todo     map[*entry]bool   // that may need work
	streams  map[string]*stream
	byInode  map[uint64][]*stream
	missedAt map[string]*stream // whose file a scan missed at a path before an event told why
	gone     map[uint64]bool    // inodes whose streams were dropped
	listed   map[string]bool    // folders that could be listed at the last scan
	scanned  bool               // at least once
	buf      []byte             // for reading, nil when idle
}

func newRun(a *Adaptor, env adaptors.Env) *run {
	return &run{
		Adaptor: a, env: env, entries: map[string]*entry{}, todo: map[*entry]bool{},
		streams: map[string]*stream{}, byInode: map[uint64][]*stream{}, missedAt: map[string]*stream{}, gone: map[uint64]bool{}, listed: map[string]bool{},
		shared: newShared(&env),
	}
}

func (r *run) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var reading sync.WaitGroup
	defer r.claims.Leave()
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
		r.lookAgain()
		wake := r.work(ctx)
		r.buf = nil
		wake = earlier(wake, scanned.Add(r.rescanEvery()))
		if len(r.refused) > 0 {
			wake = earlier(wake, time.Now().Add(r.times.poll))
		}
		timer.Reset(max(time.Until(wake), time.Millisecond))
		select {
		case <-ctx.Done():
		case <-r.Wake():
		case list := <-events:
			for _, h := range list {
				if h.path == "" {
					clear(r.missedAt) // the events that would tell may be lost
					r.scan()
					continue
				}
				r.missed(h)
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
	r.gone[s.ident.Ino] = true
	r.part(s)
}

func (r *run) unlist(s *stream) {
	rest := slices.DeleteFunc(r.byInode[s.ident.Ino], func(o *stream) bool { return o == s })
	if len(rest) == 0 {
		delete(r.byInode, s.ident.Ino)
		return
	}
	r.byInode[s.ident.Ino] = rest
}

// attach gives an entry its stream, where the file system says that it is the
// stream's file unchanged.
func (r *run) attach(e *entry) {
	for _, s := range r.byInode[e.info.Ino] {
		if !s.gone && !s.released && s.ident.sameAtASight(&e.info) && !r.elsewhere(s, e) {
			r.give(e, s)
			return
		}
	}
}

// elsewhere reports whether the stream's file has another name, and the entry is a
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
	r.unclaim(e)
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
