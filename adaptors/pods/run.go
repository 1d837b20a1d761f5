package pods

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/find"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/pods/internal/cri"
	"github.com/akupara/akupara/adaptors/pods/internal/kube"
	"github.com/fsnotify/fsnotify"
)

// Instances are read side by side by readers. While all of these wait, for
// collectors say, openers take hold of the others' files before they are gone.
const (
	readers = 8
	openers = 2
)

// run is one life of the adaptor: one goroutine that knows which containers
// there are and whose turn it is, and the readers.
type run struct {
	cfg   Config
	env   adaptors.Env
	times times
	box   *receipts.Box
	board *board
	find  *find.Finder
	kube  *kube.Source // nil where no metadata is asked for
	root  string

	byKey  map[string]*instance // by the path of its log below the root
	byPath map[string]*instance // by the path of its log
	links  links
	live   map[*instance]bool // these, and those that ended and are not settled yet
	idsMu  sync.Mutex
	byID   map[string]*instance

	ready     []*instance // whose turn it is
	reading   int         // readers that have an instance
	unseen    []*instance // whose folders are to be looked at, whatever readers do
	waiting   queue
	undecided map[*instance]bool // that wait for their metadata
	lru       *list.List         // of *instance, those with open files; least recently used first
	open      int                // files
	files     *adaptors.Holder   // how many of them there may be

	firstStart bool // and not all streams of what was there are open yet
	opening    map[*instance]bool

	work    chan *instance
	looks   chan *instance
	done    chan result
	scanNow bool
	scanAll bool // and look at files, too, not at folders that changed alone
}

// marker is the Source of the stored stream that says that the adaptor was
// started before. Nothing is ever sent of it.
const marker = "(first start)"

func newRun(a *Adaptor, env adaptors.Env) (*run, error) {
	if env.Log == nil {
		return nil, errors.New("run pods: no logger")
	}
	if env.Descriptors == nil || a.maxOpen > 0 {
		env.Descriptors = adaptors.NewDescriptors(a.maxOpen)
	}
	r := &run{
		cfg: a.cfg, env: env, times: a.times, box: &a.Box, root: filepath.Clean(a.cfg.Root),
		byKey: map[string]*instance{}, byPath: map[string]*instance{}, live: map[*instance]bool{}, byID: map[string]*instance{},
		links: links{}, undecided: map[*instance]bool{}, lru: list.New(), opening: map[*instance]bool{},
		work: make(chan *instance), looks: make(chan *instance), done: make(chan result),
	}
	r.board = newBoard(r.root)
	source, err := a.cfg.Metadata.source(os.Getenv, env.Log)
	if err != nil {
		return nil, err
	}
	r.kube = source
	return r, nil
}

func (r *run) metadataErr() string {
	if r.kube == nil {
		return ""
	}
	return r.kube.Trouble()
}

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

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() {
		cancel()
		wg.Wait()
		for in := range r.live {
			in.close(true)
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
		work, turn := r.work, (*reader).turn
		if i >= readers {
			work, turn = r.looks, (*reader).hold
		}
		rd := &reader{
			env: r.env, cfg: &r.cfg, times: r.times, meta: meta, buffers: buffers, opened: r.opened,
			cutter: cri.Cutter{Start: r.cfg.RecordStart.Regexp, Max: int(r.cfg.MaxRecord)},
		}
		wg.Go(func() { r.serve(ctx, work, func(in *instance) result { return turn(rd, ctx, in) }) })
	}
	r.begin(ctx)
	return r.events(ctx)
}

func (r *run) serve(ctx context.Context, work chan *instance, turn func(in *instance) result) {
	for {
		select {
		case <-ctx.Done():
			return
		case in := <-work:
			res := turn(in)
			select {
			case r.done <- res:
			case <-ctx.Done():
				return
			}
		}
	}
}

// opened lets receipts find an instance. Readers call it.
func (r *run) opened(in *instance) {
	r.idsMu.Lock()
	defer r.idsMu.Unlock()
	r.byID[in.id] = in
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
		var work, looks chan *instance
		next, unseen := r.next(), r.nextUnseen()
		if unseen != nil {
			looks = r.looks
		}
		if next != nil {
			work = r.work
			next.watched.Store(r.find.Events() != nil && !r.find.Blind())
		}
		select {
		case <-ctx.Done():
			return nil
		case work <- next:
			r.ready[0] = nil
			r.ready = r.ready[1:]
			next.queued, next.busy = false, true
			r.reading++
		case looks <- unseen:
			unseen.busy = true
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
				r.env.Log.Warn("watching folders failed; looking through all of them", "err", err)
			}
			r.scanNow, r.scanAll = true, true
			for in := range r.live { // what was written is not known
				in.written.Store(true)
			}
		case <-rescan.C:
			r.scanNow = true
		case <-labelled:
			for in := range r.undecided {
				r.enqueue(in)
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
		now := time.Now()
		for r.waiting.due(now) <= 0 {
			r.enqueue(heap.Pop(&r.waiting).(*instance))
		}
		tick.Reset(r.waiting.due(now))
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
	if in := r.byPath[path]; in != nil && ev.Op == fsnotify.Write {
		in.written.Store(true)
		r.enqueue(in)
		return
	}
	c, n, ok := r.parse(path)
	switch {
	case ok:
		if in := r.byKey[c.key()]; in != nil && (ev.Has(fsnotify.Write) || ev.Has(fsnotify.Create)) {
			in.written.Store(true)
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
	in := r.get(c)
	if in == nil {
		return
	}
	if isNew && n.rotated == "" {
		r.follow(in, path)
		if r.mayOpen() { // else a turn opens it
			if f, info, err := openLog(path); err == nil { // else the look at the folder says what is wrong
				r.arrived(in, c.logName(), f, &info)
			}
		}
	}
	if isNew && in.restart > 0 { // the one before is finished
		before := *c
		before.restart--
		if prev := r.byKey[before.key()]; prev != nil {
			prev.dirty.Store(true)
			r.enqueue(prev)
		}
	}
	in.dirty.Store(true)
	r.enqueue(in)
}

func (r *run) parse(path string) (container, name, bool) {
	rel, ok := strings.CutPrefix(path, r.root+"/")
	if !ok {
		return container{}, name{}, false
	}
	return parsePath(rel)
}

// get gives a container's instance, a new one where there is none; nil where
// the container is not collected.
func (r *run) get(c *container) *instance {
	if in := r.byKey[c.key()]; in != nil && !in.endSent.Load() {
		return in
	}
	if !r.collects(c) {
		return nil
	}
	in := newInstance(r.root, *c, r.times)
	r.add(in)
	return in
}

func (r *run) collects(c *container) bool {
	return r.cfg.Rules.names(c) && !(r.cfg.ExcludeSelf && self(c, os.Getenv))
}

func (r *run) add(in *instance) {
	r.byKey[in.key()] = in
	r.byPath[filepath.Join(r.root, in.key())] = in
	r.live[in] = true
	r.board.show(in)
}
