package tail

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/board"
	"github.com/akupara/akupara/adaptors/internal/find"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/receipts"
	"github.com/akupara/akupara/adaptors/internal/turns"
)

const (
	readers = 8  // streams that are read side by side
	openers = 16 // streams that are stored side by side; they share syncs, and never wait for the output
)

// run is one life of the adaptor: one goroutine that decides which file is
// which stream and whose turn it is, and the readers.
type run struct {
	cfg      Config
	env      adaptors.Env
	times    times
	box      *receipts.Box
	board    *board.Board
	gate     func()
	nameless bool
	find     *find.Finder
	files    *catalog
	shared   shared // with other adaptors

	turns       *queue
	done        chan result
	descriptors *adaptors.Holder // of these

	beginning  bool // all files there are are being matched with all stored streams
	began      time.Time
	firstStart bool // and the streams of the files present are not all open yet
	opening    int  // how many of these there are

	looks     []string  // paths to look at when what goes on is decided
	truncated []*stream // whose copies are to be looked for then
	unfound   []*stream // the same, not found: a while longer, since something of them is unread
	scanNow   bool      // something happened that only a scan makes clear
	scanAll   bool      // of all files
	scans     int
	goneDirs  map[string]bool // removed or renamed a moment ago
	links     map[string]bool // paths that are symlinks to files

	kept time.Time // when housekeep looked at all streams
}

func newRun(a *Adaptor, env adaptors.Env) (*run, error) {
	if env.Log == nil {
		return nil, errors.New("run tail: no logger")
	}
	if env.Descriptors == nil || a.maxOpen > 0 {
		env.Descriptors = adaptors.NewDescriptors(a.maxOpen)
	}
	files := newCatalog(&a.cfg, a.cutter, a.times)
	return &run{
		cfg: a.cfg, env: env, times: a.times, box: &a.Box, board: &a.board, gate: a.gate, nameless: a.nameless, files: files,
		turns: newQueue(a.times, files.live), done: make(chan result),
		goneDirs: map[string]bool{}, links: map[string]bool{},
	}, nil
}

// loop runs until ctx is done.
func (r *run) loop(ctx context.Context) error {
	var include, exclude []string
	for _, g := range r.cfg.Paths {
		include = append(include, string(g))
	}
	for _, g := range r.cfg.Exclude {
		exclude = append(exclude, string(g))
	}
	finder, err := find.New(include, exclude, r.cfg.Watch != "poll", r.env.Log)
	if err != nil {
		return err
	}
	r.find = finder
	defer func() { _ = finder.Close() }()

	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	buffers := &sync.Pool{New: func() any {
		b := make([]byte, readBytes+ident.MaxTail)
		return &b
	}}
	named := newOrigins()
	r.descriptors = r.env.Descriptors.Join()
	defer r.descriptors.Leave()
	r.turns.Queue = turns.New[*stream](numLanes, r.descriptors)
	r.shared = newShared(&r.env)
	defer r.shared.claimant.Leave()
	for i := range readers + openers {
		work := r.turns.work
		if i >= readers {
			work = r.turns.opens
		}
		rd := &reader{
			roots: r.cfg.roots, env: r.env, times: r.times, recordT: r.cfg.RecordTimeout.Std(), buffers: buffers,
			encoding: r.cfg.Encoding, multiLine: r.cfg.MultiLine(), cutters: newCutters(r.files.cutter),
			origins: named, nameless: r.nameless,
		}
		wg.Go(func() { r.serve(ctx, rd, work) })
	}
	defer func() {
		cancel()
		wg.Wait()
		for s := range r.turns.Open() {
			_ = s.f.Close()
		}
		for s := range r.files.live.all {
			if s.Files() == 0 && s.f != nil { // opened in a turn that was not reported any more
				_ = s.f.Close()
			}
		}
	}()
	r.restore()
	r.begin(ctx)
	return r.events(ctx)
}

func (r *run) serve(ctx context.Context, rd *reader, work <-chan *stream) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-work:
			r.pass()
			res := rd.turn(ctx, &s.tracked)
			res.s = s
			select {
			case r.done <- res:
			case <-ctx.Done():
				return
			}
		}
	}
}

// pass waits while a test has stopped the run.
func (r *run) pass() {
	if r.gate != nil {
		r.gate()
	}
}

// events reacts to whatever happens.
func (r *run) events(ctx context.Context) error {
	rescan := time.NewTimer(r.rescanEvery())
	tick := time.NewTimer(0)
	pause := time.NewTimer(0) // between looks at the watcher: events of busy files merge meanwhile
	housekeeping := time.NewTicker(max(min(r.times.missing/10, r.times.still), 10*time.Millisecond))
	defer func() { rescan.Stop(); tick.Stop(); pause.Stop(); housekeeping.Stop() }()
	var events <-chan fsnotify.Event
	var looked time.Time // at events
	for {
		work, next := r.turns.first(toRead, r.turns.work)
		opens, unread := r.turns.first(toStore, r.turns.opens)
		r.pass()
		select {
		case <-ctx.Done():
			return nil
		case work <- next:
			r.turns.Give(toRead)
		case opens <- unread:
			r.turns.Give(toStore)
		case <-r.descriptors.Short():
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
			// One event alone is cheap. Where they follow each other closely,
			// those of one file merge while nobody looks.
			now := time.Now()
			if now.Sub(looked) < 2*r.times.throttle {
				r.drainEvents()
				events = nil
				pause.Reset(r.times.throttle)
			}
			looked = now
			r.foldersGone()
		case err := <-r.find.Errors():
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				r.env.Log.Warn("watching folders failed; looking through all of them", "error", err)
			}
			r.files.overflow = time.Now().UnixNano()
			r.scanNow, r.scanAll = true, true
		case <-rescan.C:
			r.scanNow = true
		case <-tick.C:
		case <-housekeeping.C:
			r.housekeep()
		case <-r.box.Wake():
			r.readMail()
		}
		r.files.watched = !r.find.Blind()
		if r.scanNow {
			r.scan()
			rescan.Reset(r.rescanEvery())
		}
		r.wakeUp(tick)
		r.lookAgain()
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
	for range 4096 {
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

// wakeUp queues the streams and looks at the copies whose time has come, and
// sets the timer for the next.
func (r *run) wakeUp(tick *time.Timer) {
	now := time.Now()
	next := r.turns.wakeUp(now)
	for path, b := range r.files.blank {
		if !b.next.After(now) {
			b.next = now.Add(r.times.poll)
			r.check(path)
		}
		if b := r.files.blank[path]; b != nil {
			next = min(next, b.next.Sub(now))
		}
	}
	for path, h := range r.files.suspects {
		if d := h.next.Sub(now); d > 0 {
			next = min(next, d)
			continue
		}
		r.check(path)
		if h := r.files.suspects[path]; h != nil {
			next = min(next, max(time.Millisecond, h.next.Sub(now)))
		}
	}
	tick.Reset(next)
}

// finishTurn takes a stream back from its reader.
func (r *run) finishTurn(ctx context.Context, res result) {
	s := res.s
	grew, again := s.grew, r.turns.Back(s)
	s.grew, s.turned, s.awaited = false, time.Now(), r.files.awaited(s)
	if s.out.ID() != "" {
		r.files.byID[s.out.ID()] = s
		r.files.live.index(s)
	}
	r.keepOpen(s)
	if s.newPath != nil {
		path := *s.newPath
		s.newPath = nil
		if r.setPath(s, path); !r.files.live.has(s) {
			return
		}
	}
	if res.err != nil && ctx.Err() == nil {
		if r.board.Fail(s.out, res.err) {
			r.env.Log.Warn("a file can't be read on; trying again", "file", s.path, "stream", s.out.ID(), "error", res.err)
		}
		switch stale := isStale(res.err) && !s.gone; {
		case stale && s.path == "":
			r.board.Well(s.out)
			r.vanished(s)
			return
		case stale:
			r.close(s) // its path may lead to it again
		}
		r.turns.Wait(s, r.times.retry)
		return
	}
	r.board.Well(s.out)
	r.openedFirst(ctx, s)
	switch res.how {
	case replaced:
		r.replaced(s)
		return
	case vanished:
		r.vanished(s)
		return
	case unlinked:
		path := s.path
		if r.check(path); s.path == path && !s.Busy() { // what is there now may be its continuation
			r.setPath(s, "")
		}
	case away:
		r.files.live.remove(s)
		delete(r.files.telling, s)
		s.telling, s.told, s.reason = false, true, ""
		r.files.lost.add(s)
		r.scanNow, r.scanAll = true, true // its file may have been passed over meanwhile
		return
	}
	if res.wake > 0 {
		r.turns.Wait(s, res.wake)
	}
	for path, h := range r.files.suspects {
		if h.of == s && h.busy || s.path == "" && s.f != nil && s.info.Links == 0 { // before it is secured and forgotten
			r.look(path)
		}
	}
	if res.how == more || again || s.out.Asked() {
		r.turns.enqueue(s)
		return
	}
	if grew {
		r.turns.grown(s)
		return
	}
	r.settle(s)
}

// housekeep looks after streams whose files are away.
func (r *run) housekeep() {
	now := time.Now()
	defer r.tellLimbo(now)
	r.endUnfound(now)
	r.share()
	r.files.past.expire(now.Add(-r.times.missing))
	if now.Sub(r.kept) < r.times.missing/10 {
		return
	}
	r.kept = now
	for s := range r.files.live.all {
		if s.path == "" && !s.Busy() && s.f != nil && s.isUnread() && (s.info.Links == 0 || now.Sub(s.grewAt) > r.times.missing) &&
			(mayGrow(s.f) == no || now.Sub(s.grewAt) > r.times.linger) {
			if s.grewUnseen() { // before its writer closed it
				r.turns.enqueue(s)
			} else {
				r.forget(s)
			}
			continue
		}
		// Renamed to where nothing matches, and nobody writes there any more.
		if s.path == "" && !s.Busy() && !s.gone && s.f != nil && now.Sub(s.grewAt) > r.times.missing && s.info.Links > 0 &&
			s.out.Off() == s.end && s.out.Settled() >= s.out.Off() {
			r.vanished(s)
		}
	}
	for s := range r.files.lost.all {
		r.missing(s, now)
	}
	for key := range r.files.emptied {
		r.settleEmptied(key)
	}
}
