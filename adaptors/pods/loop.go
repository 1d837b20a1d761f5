package pods

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors/internal/find"
	"github.com/akupara/akupara/adaptors/internal/turns"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
)

// loop runs until ctx is done.
func (r *run) loop(ctx context.Context) error {
	include, exclude := r.cfg.patterns()
	finder, err := find.New(include, exclude, r.cfg.Watch != "poll", r.env.Log)
	if err != nil {
		return err
	}
	r.find = finder
	defer func() { _ = finder.Close() }()
	r.files = r.env.Descriptors.Join()
	defer r.files.Leave()
	r.turns = turns.New[*turn](numLanes, r.files)

	defer r.owners.claims.Leave()

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		for t := range r.live.all {
			t.in.close(true)
		}
	}()
	var meta metadata
	if r.kube != nil {
		meta = r.kube
		wg.Go(func() { r.kube.Run(ctx) })
	}
	buffers := &sync.Pool{New: func() any {
		b := make([]byte, readBytes)
		return &b
	}}
	for i := range readers + openers {
		work, give := r.work, (*reader).turn
		if i >= readers {
			work, give = r.looks, (*reader).openAhead
		}
		rd := &reader{
			env: &r.env, owners: r.owners, cfg: &r.cfg, times: r.times, meta: meta, buffers: buffers,
			cutter: cri.Cutter{Start: r.cfg.RecordStart.Regexp, Max: int(r.cfg.MaxRecord)},
		}
		wg.Go(func() {
			r.serve(ctx, work, func(t *turn) result {
				rd.opened = func() { r.live.opened(t) } // before the turn is over: a receipt may come sooner
				res := give(rd, ctx, t.in)
				res.of = t
				return res
			})
		})
	}
	r.begin(ctx)
	return r.events(ctx)
}

func (r *run) serve(ctx context.Context, work chan *turn, give func(t *turn) result) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-work:
			res := give(t)
			select {
			case r.done <- res:
			case <-ctx.Done():
				return
			}
		}
	}
}

// events reacts to whatever happens.
func (r *run) events(ctx context.Context) error {
	rescan := time.NewTimer(r.rescanEvery())
	tick := time.NewTimer(0)
	pause := time.NewTimer(0) // between looks at the watcher: events of busy files merge meanwhile
	defer func() { rescan.Stop(); tick.Stop(); pause.Stop() }()
	var events <-chan fsnotify.Event
	var labelled <-chan struct{}
	if r.kube != nil {
		labelled = r.kube.Changed()
	}
	for {
		var work, looks chan *turn
		next, unseen := r.next(), r.nextUnseen()
		if unseen != nil {
			looks = r.looks
		}
		if next != nil {
			work = r.work
			next.in.mail.watched.Store(r.find.Events() != nil && !r.find.Blind())
		}
		select {
		case <-ctx.Done():
			return nil
		case work <- next:
			r.turns.Give(toRead)
			r.reading++
		case looks <- unseen:
			r.turns.Give(toOpen)
		case <-r.files.Short():
			r.closeExcess(nil)
		case res := <-r.done:
			r.finishTurn(ctx, res)
		case <-pause.C:
			events = r.find.Events()
		case ev, ok := <-events:
			if !ok {
				return errors.New("the watcher of folders was closed")
			}
			r.event(ev)
			r.drainEvents()
			events = nil
			pause.Reset(r.times.throttle)
		case err := <-r.find.Errors():
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				r.env.Log.Warn("watching folders failed; looking through all of them", "error", err)
			}
			r.scanNow, r.scanAll = true, true
			for t := range r.live.all { // what was written is not known
				t.in.mail.written.Store(true)
			}
		case <-rescan.C:
			r.scanNow = true
		case <-labelled:
			for t := range r.undecided {
				r.enqueue(t)
			}
		case <-tick.C:
		case <-r.box.Wake():
			r.readMail()
		}
		if r.scanNow {
			r.scanNow = false
			r.scan()
			rescan.Reset(r.rescanEvery())
		}
		tick.Reset(min(r.turns.Wake(time.Now(), r.enqueue), r.lookAtRefused()))
	}
}

func (r *run) rescanEvery() time.Duration {
	if r.find.Blind() {
		return min(r.cfg.Rescan.Std(), r.times.poll)
	}
	return r.cfg.Rescan.Std()
}

// drainEvents takes what else is there at once. The watcher holds few events
// itself and reads more as they are taken: there are no more when none comes for
// a moment.
func (r *run) drainEvents() {
	moment := time.NewTimer(time.Millisecond)
	defer moment.Stop()
	for range 128 { // those that wait for their turn must not wait for long
		select {
		case ev, ok := <-r.find.Events():
			if !ok {
				return // the next look finds it closed, too
			}
			r.event(ev)
			moment.Reset(time.Millisecond)
		case <-moment.C:
			return
		}
	}
}

func (r *run) event(ev fsnotify.Event) {
	path := filepath.Clean(ev.Name)
	if r.linkedEvent(path, ev.Op) {
		return
	}
	rel, _ := strings.CutPrefix(path, r.root+"/")
	if t := r.live.byKey[rel]; t != nil && ev.Op == fsnotify.Write {
		t.in.mail.written.Store(true)
		r.enqueue(t)
		return
	}
	c, n, ok := r.parse(path)
	switch {
	case ok:
		if t := r.live.byKey[c.key()]; t != nil && (ev.Has(fsnotify.Write) || ev.Has(fsnotify.Create)) {
			t.in.mail.written.Store(true)
		}
		r.happened(&c, &n, path, ev.Has(fsnotify.Create))
	case !r.find.Below(path):
	case ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename):
		if r.find.Watched(path) {
			if ev.Has(fsnotify.Rename) {
				r.find.UnwatchTree(path)
				r.scanNow = true
			} else {
				r.find.Unwatch(path)
			}
		}
	case ev.Has(fsnotify.Create) || ev.Has(fsnotify.Chmod): // a folder that is new, or whose permissions have changed
		r.find.ScanBelow(path, func(path string) {
			if c, n, ok := r.parse(path); ok {
				r.happened(&c, &n, path, true)
			}
		})
	}
}

// happened reacts to a change of a log's name, or to a write to a rotated one.
// A log that is new is opened at once: it may be gone in a moment.
func (r *run) happened(c *container, n *name, path string, isNew bool) {
	t := r.get(c)
	if t == nil {
		return
	}
	if isNew && n.rotated == "" {
		r.follow(t, path)
		if r.mayOpen() { // else a turn opens it
			if f, info, err := openLog(path); err == nil { // else the look at the folder says what is wrong
				r.arrived(t, c.logName(), f, &info)
			}
		}
	}
	if isNew && t.in.restart > 0 { // the one before is finished
		before := *c
		before.restart--
		if prev := r.live.byKey[before.key()]; prev != nil {
			prev.in.mail.dirty.Store(true)
			r.enqueue(prev)
		}
	}
	t.in.mail.dirty.Store(true)
	r.enqueue(t)
}
