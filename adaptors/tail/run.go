package tail

import (
	"container/list"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/adaptors/internal/cut"
	"github.com/akupara/akupara/adaptors/internal/find"
	"github.com/akupara/akupara/adaptors/internal/ident"
	"github.com/akupara/akupara/adaptors/internal/receipts"
)

const (
	readers = 8  // streams that are read side by side
	openers = 16 // streams that are stored side by side; they share syncs, and never wait for the output

	warnings = 5 * time.Second // between two of files that can't be read on, at least; a status has the last
)

// run is one life of the adaptor: one goroutine that decides which file is
// which stream and whose turn it is, and the readers.
type run struct {
	cfg    Config
	cutter *cut.Cutter
	env    adaptors.Env
	times  times
	box    *receipts.Box
	board  *board
	find   *find.Finder

	live     map[*stream]bool      // that have a file, or are being finished
	byKey    map[ident.Key]*stream // live ones that have a file
	byPath   map[string]*stream
	byOrigin map[string][]*stream // live ones that have a file
	byHead   map[headName][]*stream
	byID     map[string]*stream    // live and lost ones
	lost     *lostSet              // stored ones whose file is not found
	telling  map[*stream]bool      // live ones that were lost a moment ago, and will be again
	held     map[string]*held      // by path: files that may be copies
	limbo    map[ident.Key]*stream // that were never stored and whose file is gone or, perhaps, renamed
	known    map[ident.Key]bool    // files that were followed before a truncation
	ignored  map[string]ignored    // by path: files that are too old

	ready   []*stream // whose turn it is
	fresh   []*stream // the same of those that are not stored yet
	due     []*stream // whose turn comes soon, by the time they are due
	waiting map[*stream]bool
	open    *list.List       // of *stream, those with an open file; least recently used first
	files   *adaptors.Holder // of the descriptors

	firstStart bool // and the streams of the files present are not all open yet
	opening    int  // how many of these there are

	work    chan *stream
	opens   chan *stream // streams to be stored
	done    chan result
	scanNow bool // something happened that only a scan makes clear
	scanAll bool // of all files
	scans   int
	kept    time.Time // when housekeep looked at all streams
	warned  time.Time // of a file that can't be read on

	goneDirs map[string]bool // removed or renamed a moment ago
	links    map[string]bool // paths that are symlinks to files
}

// marker is the Source of the stored stream that says that the adaptor was
// started before. Nothing is ever sent of it.
const marker = "(first start)"

func newRun(a *Adaptor, env adaptors.Env) (*run, error) {
	if env.Log == nil {
		return nil, errors.New("run tail: no logger")
	}
	if env.Descriptors == nil || a.maxOpen > 0 {
		env.Descriptors = adaptors.NewDescriptors(a.maxOpen)
	}
	return &run{
		cfg: a.cfg, cutter: a.cutter, env: env, times: a.times, box: &a.Box, board: newBoard(),
		live: map[*stream]bool{}, byKey: map[ident.Key]*stream{}, byPath: map[string]*stream{}, byOrigin: map[string][]*stream{}, byHead: map[headName][]*stream{}, byID: map[string]*stream{},
		lost: newLostSet(), telling: map[*stream]bool{}, held: map[string]*held{}, known: map[ident.Key]bool{}, ignored: map[string]ignored{}, waiting: map[*stream]bool{},
		open: list.New(), limbo: map[ident.Key]*stream{}, goneDirs: map[string]bool{}, links: map[string]bool{},
		work: make(chan *stream), opens: make(chan *stream), done: make(chan result),
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
	r.files = r.env.Descriptors.Join()
	defer r.files.Leave()
	for i := range readers + openers {
		work := r.work
		if i >= readers {
			work = r.opens
		}
		rd := &reader{
			roots: r.cfg.roots, env: r.env, times: r.times, recordT: r.cfg.RecordTimeout.Std(), buffers: buffers,
			encoding: r.cfg.Encoding, multiLine: r.cfg.MultiLine(), cutters: newCutters(r.cutter),
		}
		wg.Go(func() { r.serve(ctx, rd, work) })
	}
	defer func() {
		cancel()
		wg.Wait()
		for e := r.open.Front(); e != nil; e = e.Next() {
			_ = e.Value.(*stream).f.Close()
		}
		for s := range r.live {
			if s.lru == nil && s.f != nil { // opened in a turn that was not reported any more
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
			res := rd.turn(ctx, s)
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
	housekeeping := time.NewTicker(max(min(r.times.missing/10, r.times.still), 10*time.Millisecond))
	defer func() { rescan.Stop(); tick.Stop(); pause.Stop(); housekeeping.Stop() }()
	var events <-chan fsnotify.Event
	var looked time.Time // at events
	for {
		work, next := r.first(&r.ready, r.work)
		opens, unread := r.first(&r.fresh, r.opens)
		select {
		case <-ctx.Done():
			return nil
		case work <- next:
			r.ready = r.ready[1:]
			next.queued, next.busy = false, true
		case opens <- unread:
			r.fresh = r.fresh[1:]
			unread.queued, unread.busy = false, true
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
				r.env.Log.Warn("watching folders failed; looking through all of them", "err", err)
			}
			r.scanNow, r.scanAll = true, true
		case <-rescan.C:
			r.scanNow = true
		case <-tick.C:
		case <-housekeeping.C:
			r.housekeep()
		case <-r.box.Wake():
			r.readMail()
		}
		if r.scanNow {
			r.scan()
			rescan.Reset(r.rescanEvery())
		}
		r.wakeUp(tick)
	}
}

// first gives the stream whose turn is next in a queue, and the channel to give
// it to; nil where there is none.
func (r *run) first(queue *[]*stream, to chan *stream) (chan *stream, *stream) {
	for q := *queue; len(q) > 0; q = q[1:] {
		if *queue = q; r.live[q[0]] {
			return to, q[0]
		}
		q[0].queued = false // dropped since it was queued
		*queue = q[1:]
	}
	return nil, nil
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

// enqueue gives a stream a turn, as soon as a reader is free.
func (r *run) enqueue(s *stream) {
	if s.busy {
		s.again = true
	} else if !s.queued && r.live[s] {
		s.queued = true
		if s.id == "" {
			r.fresh = append(r.fresh, s)
		} else {
			r.ready = append(r.ready, s)
		}
	}
}

// grown gives a stream a turn because its file has grown: at once where it was
// still, so that a line that comes alone does not wait; else a moment later, so
// that a file that grows all the time is read in larger pieces. The more such
// files there are, the longer is the moment: each turn has its price.
func (r *run) grown(s *stream) {
	gather := min(r.times.gather, r.times.throttle+time.Duration(len(r.due))*time.Millisecond/2)
	switch now := time.Now(); {
	case s.busy:
		s.grew = true
	case s.due || s.queued:
	case now.Sub(s.turned) >= gather:
		r.enqueue(s)
	default:
		s.due, s.dueAt = true, now.Add(gather)
		r.due = append(r.due, s)
	}
}

// wakeUp queues the streams and looks at the copies whose time has come, and
// sets the timer for the next.
func (r *run) wakeUp(tick *time.Timer) {
	now := time.Now()
	next := time.Hour
	for len(r.due) > 0 {
		s := r.due[0]
		if d := s.dueAt.Sub(now); d > 0 {
			next = max(d, r.times.throttle) // several have their turns together
			break
		}
		r.due = r.due[1:]
		s.due = false
		r.enqueue(s)
	}
	for s := range r.waiting {
		if d := s.wakeAt.Sub(now); d > 0 {
			next = min(next, d)
			continue
		}
		delete(r.waiting, s)
		r.enqueue(s)
	}
	for path, h := range r.held {
		if d := h.next.Sub(now); d > 0 {
			next = min(next, d)
			continue
		}
		r.check(path)
		if h := r.held[path]; h != nil {
			next = min(next, max(time.Millisecond, h.next.Sub(now)))
		}
	}
	tick.Reset(next)
}

// finishTurn takes a stream back from its reader.
func (r *run) finishTurn(ctx context.Context, res result) {
	s := res.s
	grew := s.grew
	s.busy, s.grew, s.turned = false, false, time.Now()
	if s.id != "" {
		r.byID[s.id] = s
		if r.byKey[s.key] == s {
			r.index(s)
		}
	}
	r.keepOpen(s)
	if s.newPath != nil {
		path := *s.newPath
		s.newPath = nil
		if r.setPath(s, path); !r.live[s] {
			return
		}
	}
	if res.err != nil && ctx.Err() == nil {
		// A full disk makes all files fail at once, and the log may be on it.
		if now := time.Now(); r.board.fail(s, res.err) && now.Sub(r.warned) >= warnings {
			r.warned = now
			r.env.Log.Warn("a file can't be read on; trying again", "file", s.path, "stream", s.id, "err", res.err)
		}
		s.wakeAt = time.Now().Add(r.times.retry)
		r.waiting[s] = true
		s.again = false
		return
	}
	r.board.well(s)
	r.openedFirst(ctx, s)
	switch res.how {
	case replaced:
		r.replaced(s)
		return
	case vanished:
		r.vanished(s)
		return
	case away:
		delete(r.live, s)
		delete(r.telling, s)
		s.telling, s.told, s.reason = false, true, ""
		r.lost.add(s)
		r.scanNow, r.scanAll = true, true // its file may have been passed over meanwhile
		return
	}
	if res.wake > 0 {
		s.wakeAt = time.Now().Add(res.wake)
		r.waiting[s] = true
	}
	if s.path == "" && s.f != nil && len(r.held) > 0 && s.info.Links == 0 { // before it is secured and forgotten
		for path := range r.held {
			r.check(path)
		}
	}
	if res.how == more || s.again || s.hasResend() {
		s.again = false
		r.enqueue(s)
		return
	}
	if grew {
		r.grown(s)
		return
	}
	r.settle(s)
}

// housekeep looks after streams whose files are away.
func (r *run) housekeep() {
	now := time.Now()
	defer r.tellLimbo(now)
	if now.Sub(r.kept) < r.times.missing/10 {
		return
	}
	r.kept = now
	for s := range r.live {
		// Renamed to where nothing matches, and nobody writes there any more.
		if s.path == "" && !s.busy && !s.gone && s.f != nil && now.Sub(s.grewAt) > r.times.missing && s.info.Links > 0 &&
			s.off == s.info.Size && s.settled.Load() >= s.off {
			r.vanished(s)
		}
	}
	for s := range r.lost.all {
		r.missing(s, now)
	}
}

// tellLimbo tells what is lost with files that were never read, and that were
// not found by another name for a while.
func (r *run) tellLimbo(now time.Time) {
	for _, s := range r.limbo {
		if now.Sub(s.lostAt) >= r.times.still {
			r.tellUnread(s)
		}
	}
}

func (r *run) tellUnread(s *stream) {
	delete(r.limbo, s.key)
	s.reason = "the file was deleted or moved away before it could be read"
	s.lostTo = s.goodSize
	r.finishReplaced(s)
}

// leaveLimbo lets go of a file that was never read and is found by another name.
// One that was deleted, and whose inode is another file's now, is lost.
func (r *run) leaveLimbo(c *candidate) {
	s := r.limbo[c.info.Key()]
	switch {
	case s == nil:
	case s.first.SameInode(&c.info) && s.first.SameHead(c.head) && c.info.Size >= s.goodSize:
		delete(r.limbo, s.key)
	default:
		r.tellUnread(s)
	}
}
