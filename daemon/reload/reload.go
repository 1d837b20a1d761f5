// Package reload applies a config file again to the daemons of a process while
// they run: at SIGHUP, when the file changes, and when somebody asks by REST. A
// file is applied to all of them or to none.
//
// Each daemon joins with what it can change while it runs. A new file is read
// and checked whole, compared key by key with what runs, prepared by each
// daemon, and only then applied.
package reload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
)

// Section is a daemon's section of the file.
type Section struct {
	Config any         // as its daemon decodes it
	Node   config.Node // to place problems by
}

// File is where the sections of a process come from.
type File struct {
	Path string // watched, and shown
	Hash string // of what the daemons were made of: SHA-256 of the file, in hex
	// Running are the sections that the daemons were made of, by their names.
	Running map[string]Section
	// Load reads the file again. hash is empty where that is not possible;
	// config.Problems say that what it holds is wrong. It is not called
	// concurrently.
	Load func() (sections map[string]Section, hash string, err error)
}

// Part is a daemon's share of a reload.
type Part struct {
	Section string
	// Live are the keys that are applied while the daemon runs, each with all
	// below it. All others need a restart.
	Live []string
	// Prepare gets the section's new config, and which of its keys differ. After an
	// error nothing of the file is applied. It is called also where no key differs.
	Prepare func(next any, keys []string) (Change, error)
}

// Change is what a daemon has prepared. One of the two is called.
type Change struct {
	Apply func() // can't fail
	Drop  func() // may be nil
	// Told is what changed, for people; nil: the keys say it.
	Told any
}

// RestartError says that a config would be fine after a restart.
type RestartError struct{ config.Problems }

func (e RestartError) Unwrap() error { return e.Problems }

const needsRestart = "it can't be changed while the %[1]s runs (now %[2]s): restart the %[1]s, or take the change back"

// NeedsRestart is what File.Load says of a key at the top of the file that was
// changed and that only a restart can change. who is the process; now is the
// value that is in use.
func NeedsRestart(at config.Pos, who, key, now string) error {
	return RestartError{config.Problems{at.Problemf(key+": "+needsRestart, who, now)}}
}

// Why nothing was reloaded, beside what is wrong with the file.
var (
	ErrNoFile   = errors.New("this process was started without a config file")
	ErrUnread   = errors.New("the config file can't be used")
	ErrUnfit    = errors.New("the config can't be applied")
	ErrStarting = errors.New("not all daemons of this process run yet, or any more; try again")
)

// Refusal is a config that was refused.
type Refusal struct {
	At       time.Time `json:"at"`
	Hash     string    `json:"hash"`
	Error    string    `json:"error"`
	Problems []string  `json:"problems"`
}

// Outcome is what a reload did to one daemon.
type Outcome struct {
	Keys []string
	Told any
}

// Reloader reads a process' config again. It is safe for concurrent use.
type Reloader struct {
	file *File // nil: there is none
	log  *slog.Logger

	busy sync.Mutex // held while a config is loaded and applied

	mu         sync.Mutex
	parts      map[string]Part
	complete   chan struct{} // closed while each section that is running has its part
	running    map[string]Section
	hash       string
	generation int
	applied    time.Time
	refused    *Refusal
}

// New makes a reloader; file is nil where there is nothing to be read again.
func New(file *File, log *slog.Logger) *Reloader {
	r := &Reloader{file: file, log: log, parts: map[string]Part{}, complete: make(chan struct{}),
		running: map[string]Section{}, generation: 1, applied: time.Now()}
	if file != nil {
		r.hash, r.running = file.Hash, maps.Clone(file.Running)
	}
	return r
}

// Join adds a daemon, from when on it can be changed; leave takes it out again.
func (r *Reloader) Join(p Part) (leave func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	whole := r.whole()
	if r.parts[p.Section] = p; !whole && r.whole() {
		close(r.complete)
	}
	return func() {
		r.busy.Lock() // what is being applied is applied to all
		defer r.busy.Unlock()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.whole() {
			r.complete = make(chan struct{})
		}
		delete(r.parts, p.Section)
	}
}

func (r *Reloader) whole() bool {
	for name := range r.running {
		if _, there := r.parts[name]; !there {
			return false
		}
	}
	return len(r.parts) > 0
}

// Run reloads at each of hangups and when the file changes, until ctx is done.
func (r *Reloader) Run(ctx context.Context, hangups <-chan struct{}) error {
	r.mu.Lock()
	complete := r.complete
	r.mu.Unlock()
	select {
	case <-complete:
	case <-ctx.Done():
		return nil
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			select {
			case <-hangups:
				if _, err := r.Reload("SIGHUP"); errors.Is(err, ErrNoFile) {
					r.log.Warn("there is nothing to reload", "why", "SIGHUP", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	if r.file == nil {
		<-ctx.Done()
		return nil
	}
	daemon.WatchFile(ctx, r.file.Path, r.log, func() { _, _ = r.Reload(byWatch) }) // an error is logged, and shown
	return nil
}

// byWatch is why a reload is tried that nobody asked for: what was refused
// already is not told again.
const byWatch = "the file changed"

// Reload reads the file and applies what it says. It returns what that did to
// each daemon, by its section. The error is why it was refused: config.Problems, a
// RestartError, that of reading, or that of a daemon.
func (r *Reloader) Reload(why string) (map[string]Outcome, error) {
	if r.file == nil {
		return nil, ErrNoFile
	}
	r.busy.Lock()
	defer r.busy.Unlock()
	out := map[string]Outcome{}
	r.mu.Lock()
	whole := r.whole()
	for name := range r.parts {
		out[name] = Outcome{Keys: []string{}}
	}
	r.mu.Unlock()
	if !whole {
		return nil, ErrStarting
	}
	next, hash, err := r.file.Load()
	if err != nil && hash == "" {
		err = fmt.Errorf("%w: %w", ErrUnread, err)
	}
	r.mu.Lock()
	same := err == nil && hash == r.hash
	r.mu.Unlock()
	if err == nil && !same {
		out, err = r.apply(next)
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		told := r.refused != nil && why == byWatch && r.refused.Hash == hash && r.refused.Error == err.Error()
		if !told {
			r.refused = &Refusal{At: now.UTC(), Hash: hash, Error: err.Error(), Problems: Lines(err)}
			r.log.Error("a new config was refused whole; the one before goes on", "why", why, "file", r.file.Path, "hash", hash, "error", err)
		}
		return nil, err
	}
	r.refused = nil
	if same {
		if why != byWatch {
			r.log.Info("the config is as it was", "why", why, "file", r.file.Path, "generation", r.generation)
		}
		return out, nil
	}
	r.hash, r.applied, r.running = hash, now, next
	r.generation++
	attrs := []any{"why", why, "file", r.file.Path, "generation", r.generation, "hash", hash}
	for _, name := range slices.Sorted(maps.Keys(out)) {
		attrs = append(attrs, slog.Any(name, out[name].told()))
	}
	r.log.Info("a new config is applied", attrs...)
	return out, nil
}

func (o Outcome) told() any {
	if o.Told != nil {
		return o.Told
	}
	return o.Keys
}

// apply has all parts prepare what comes, and then apply it. r.busy is held.
func (r *Reloader) apply(next map[string]Section) (map[string]Outcome, error) {
	r.mu.Lock()
	parts, running := maps.Clone(r.parts), r.running
	r.mu.Unlock()
	out := map[string]Outcome{}
	var problems config.Problems
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		keys, fixed := compare(parts[name], running[name], next[name])
		out[name] = Outcome{Keys: keys}
		problems = append(problems, fixed...)
	}
	if len(problems) > 0 {
		return nil, RestartError{problems}
	}
	var changes []Change
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		change, err := parts[name].Prepare(next[name].Config, out[name].Keys)
		if err != nil {
			for _, c := range changes {
				if c.Drop != nil {
					c.Drop()
				}
			}
			return nil, fmt.Errorf("%w: %s: %w", ErrUnfit, name, err)
		}
		changes = append(changes, change)
		out[name] = Outcome{out[name].Keys, change.Told}
	}
	for _, c := range changes {
		c.Apply()
	}
	return out, nil
}

// compare returns the keys of a section that differ, and a problem for each that
// needs a restart.
func compare(p Part, before, after Section) (keys []string, fixed config.Problems) {
	keys = []string{}
	for _, d := range config.Diff(config.Effective(before.Config), config.Effective(after.Config)) {
		if slices.ContainsFunc(p.Live, func(live string) bool { return d.Key == live || strings.HasPrefix(d.Key, live+".") }) {
			keys = append(keys, d.Key)
			continue
		}
		node := after.Node
		for _, part := range strings.Split(d.Key, ".") {
			node = node.Get(part)
		}
		fixed = append(fixed, node.Problemf(needsRestart, p.Section, config.Show(d.Before)))
	}
	return keys, fixed
}

// Lines returns an error's problems, one a line; none where it is another error.
func Lines(err error) []string {
	out := []string{}
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			out = append(out, p.String())
		}
	}
	return out
}

// Status is which config runs, and what became of the last one.
type Status struct {
	Generation int       `json:"generation"`
	Hash       string    `json:"hash"`
	Applied    time.Time `json:"applied_at"`
	Source     string    `json:"source"`
	Reloadable bool      `json:"reloadable"`
	Refused    *Refusal  `json:"last_refused"`
}

// Status tells how it stands.
func (r *Reloader) Status() Status {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := Status{Generation: r.generation, Hash: r.hash, Applied: r.applied.UTC(), Refused: r.refused}
	if r.file != nil {
		s.Source, s.Reloadable = r.file.Path, true
	}
	return s
}

// RunProcess runs the daemons of a process, and reloads their config, until a
// signal: SIGTERM and SIGINT, and a SIGHUP because the terminal is gone that the
// process was started from, end all in order; a second SIGTERM or SIGINT calls
// abort. Any other SIGHUP is a reload. The log begins with the program's version.
func (r *Reloader) RunProcess(ctx context.Context, g *daemon.Group, version string, abort func()) error {
	r.log.Info("starting", "version", version, "config", r.Status().Source)
	ctx, stop := daemon.Signals(ctx, r.log, abort)
	defer stop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	hangups, stopHangups := daemon.Hangups(func() {
		r.log.Info("stopping, as the terminal is gone; the next start goes on")
		cancel()
	})
	defer stopHangups()
	g.Add("reload", func(ctx context.Context) error { return r.Run(ctx, hangups) })
	return g.Run(ctx)
}
