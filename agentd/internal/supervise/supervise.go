package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/checkpoints"
)

// Ledger is where streams are announced.
type Ledger interface {
	Open(stream string, src ledger.Source, from int64) (settled int64)
	Close(stream string)
	Relevel() // an adaptor's delivery level changed
}

// Env is what all adaptors share.
type Env struct {
	Host        string
	Log         *slog.Logger
	Spool       *spool.Spool               // takes the chunks of adaptors that are not replayable
	Route       func(persona string) Route // the way out of a persona's adaptors
	Close       func(stream string)        // forgets a stream in the ledgers of all routes
	Switches    *filter.Switches           // nil: there are none
	Checkpoints *checkpoints.Store
	Claims      *adaptors.Claims      // which adaptor reads which file; nil: the supervisor makes them
	Descriptors *adaptors.Descriptors // of the files that all adaptors keep open; nil: half of what the process may have
}

// What callers branch on.
var (
	ErrExists  = errors.New("there is an adaptor of that name")
	ErrUnknown = errors.New("there is no adaptor of that name")
	ErrKind    = errors.New("an adaptor's kind can't be changed")
	ErrMake    = errors.New("make adaptor") // its kind refuses what it is made of
)

// Supervisor runs adaptors. It is safe for concurrent use.
type Supervisor struct {
	env      Env
	holds    *holds
	levels   levels
	changing sync.Mutex // held while adaptors come, go or are set back; taken before mu

	mu      sync.Mutex
	units   map[string]*unit
	leaving map[string]*unit // removed or replaced, and perhaps not ended yet
	lives   map[string]*lives
	held    bool          // nothing is to run for now
	fresh   []*unit       // added, their loops not started yet
	added   chan struct{} // gets a token when fresh has grown
}

// New makes a supervisor without adaptors.
func New(env Env) *Supervisor {
	if env.Descriptors == nil {
		env.Descriptors = adaptors.NewDescriptors(0)
	}
	if env.Claims == nil {
		env.Claims = adaptors.NewClaims()
	}
	s := &Supervisor{env: env, units: map[string]*unit{}, leaving: map[string]*unit{}, lives: map[string]*lives{}, added: make(chan struct{}, 1)}
	s.holds = &holds{store: env.Checkpoints, claims: env.Claims, active: s.active, lives: s.livesOf, released: map[string]struct{}{}}
	return s
}

// active reports whether an adaptor runs, or is to: it holds its streams.
func (s *Supervisor) active(of checkpoints.Owner) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if u := s.units[of.Adaptor]; u != nil && u.owner().Is(of) && u.holding() {
		return true
	}
	u := s.leaving[of.Adaptor]
	return u != nil && !u.over()
}

func (s *Supervisor) livesOf(adaptor string) *lives {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lives[adaptor]
}

// Run runs the adaptors until ctx is done and all of them have returned.
func (s *Supervisor) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for {
		s.mu.Lock()
		fresh := s.fresh
		s.fresh = nil
		s.mu.Unlock()
		for _, u := range fresh {
			wg.Go(func() { u.loop(ctx) })
		}
		select {
		case <-s.added:
		case now := <-tick.C:
			for _, u := range s.all() {
				u.sample(now)
			}
			s.holds.sweep(s.env.Close)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Supervisor) all() []*unit {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, u := range s.leaving {
		if u.over() {
			delete(s.leaving, name)
		}
	}
	return slices.Collect(maps.Values(s.units))
}

// Add adds an adaptor, and starts it where run says so. It fails with
// ErrExists, or when the kind refuses the config.
func (s *Supervisor) Add(spec Spec, run bool) error {
	u, err := newUnit(spec, &s.env, s.holds, run)
	if err != nil {
		return err
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.units[spec.Name] != nil {
		return fmt.Errorf("add %q: %w", spec.Name, ErrExists)
	}
	s.insert(u)
	return nil
}

// insert takes a unit in, to run once those before it have ended; s.mu is
// held.
func (s *Supervisor) insert(u *unit) {
	name := u.spec.Name
	if before := s.leaving[name]; before != nil {
		u.after = append(u.after, before.ended)
	}
	if s.lives[name] == nil {
		s.lives[name] = &lives{}
	}
	u.begins(s.lives[name])
	s.env.Checkpoints.Describe(u.owner())
	if s.held {
		u.held = draining
	}
	s.units[name] = u
	s.levels.set(name, &u.level)
	s.fresh = append(s.fresh, u)
	select {
	case s.added <- struct{}{}:
	default:
	}
}

// leave lets a unit go, and returns a channel that is closed once it does not run
// any more; s.mu is held.
func (s *Supervisor) leave(u *unit) <-chan struct{} {
	name := u.spec.Name
	delete(s.units, name)
	s.leaving[name] = u
	return u.set(false, true)
}

// Change is what is to become of the adaptors, prepared whole before anything
// is done.
type Change struct {
	fresh  []*unit
	remove []string
}

// Prepare makes the adaptors of specs, which start nothing: those of known names
// replace theirs, the others are new and run where run says so. It fails
// where a kind refuses a config, or where an adaptor would become another kind.
func (s *Supervisor) Prepare(specs []Spec, remove []string, run func(name string) bool) (*Change, error) {
	c := &Change{remove: remove}
	var errs []error
	for _, spec := range specs {
		old, _ := s.unit(spec.Name)
		if old != nil && old.spec.Kind.Name != spec.Kind.Name {
			errs = append(errs, fmt.Errorf("adaptor %q: %w: it is of kind %s, not %s; remove it first, or name the new one otherwise",
				spec.Name, ErrKind, old.spec.Kind.Name, spec.Kind.Name))
			continue
		}
		u, err := newUnit(spec, &s.env, s.holds, run(spec.Name))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.fresh = append(c.fresh, u)
	}
	return c, errors.Join(errs...)
}

// Apply does what was prepared. It does not wait: an adaptor starts once those of
// its kind that are removed or replaced have returned, and goes on with the
// streams of the one whose name it has, or whose sources it finds.
func (s *Supervisor) Apply(c *Change) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	var left []*unit
	for _, name := range c.remove {
		if u := s.units[name]; u != nil {
			s.leave(u)
			left = append(left, u)
		}
	}
	for _, u := range c.fresh {
		if old := s.units[u.spec.Name]; old != nil {
			old.mu.Lock()
			u.want, u.history = old.want, old.history
			old.mu.Unlock()
			s.leave(old)
			left = append(left, old)
		}
	}
	for _, u := range c.fresh {
		for _, gone := range left {
			if gone.spec.Kind.Name == u.spec.Kind.Name && gone.spec.Name != u.spec.Name {
				u.after = append(u.after, gone.ended)
			}
		}
		s.insert(u)
	}
}

func (s *Supervisor) unit(name string) (*unit, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[name]
	if u == nil {
		return nil, fmt.Errorf("adaptor %q: %w", name, ErrUnknown)
	}
	return u, nil
}

// Start starts an adaptor that was stopped; one that runs is left alone, and
// one that failed is tried again at once.
func (s *Supervisor) Start(name string) error {
	_, err := s.set(name, true)
	return err
}

// set changes what is wanted of an adaptor, also of the one that is just taking
// its place.
func (s *Supervisor) set(name string, want bool) (idle <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.units[name]
	if u == nil {
		return nil, fmt.Errorf("adaptor %q: %w", name, ErrUnknown)
	}
	return u.set(want, false), nil
}

// Stop stops an adaptor and waits until it has returned, or ctx is done.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	idle, err := s.set(name, false)
	if err != nil {
		return err
	}
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("adaptor %q is stopping: %w", name, ctx.Err())
	}
}

// Remove drops an adaptor and waits until it has returned, or ctx is done. Its
// streams stay known: an adaptor of the same name that is added later goes on
// where this one was.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	s.changing.Lock()
	s.mu.Lock()
	u := s.units[name]
	if u == nil {
		s.mu.Unlock()
		s.changing.Unlock()
		return fmt.Errorf("adaptor %q: %w", name, ErrUnknown)
	}
	idle := s.leave(u)
	s.mu.Unlock()
	s.changing.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("adaptor %q is removed, and still stopping: %w", name, ctx.Err())
	}
}

// Hold keeps all adaptors from running until Hold(false), also those that are
// added meanwhile. It returns when none runs any more, or ctx is done.
func (s *Supervisor) Hold(ctx context.Context, on bool) error {
	s.mu.Lock()
	s.held = on
	units := slices.Collect(maps.Values(s.units))
	s.mu.Unlock()
	idle := make([]<-chan struct{}, len(units))
	for i, u := range units {
		idle[i] = u.hold(draining, on)
	}
	if !on {
		return nil
	}
	for i, ch := range idle {
		select {
		case <-ch:
		case <-ctx.Done():
			return fmt.Errorf("adaptor %q is stopping: %w", units[i].spec.Name, ctx.Err())
		}
	}
	return nil
}

// Held reports whether Hold is on.
func (s *Supervisor) Held() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}
