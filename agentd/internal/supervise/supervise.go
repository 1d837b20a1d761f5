package supervise

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/ledger"
	"github.com/akupara/akupara/agentd/internal/spool"
	"github.com/akupara/akupara/checkpoints"
)

// Ledger is where streams are announced.
type Ledger interface {
	Open(stream string, src ledger.Source, from int64)
	Close(stream string)
}

// Env is what all adaptors share.
type Env struct {
	Host        string
	Log         *slog.Logger
	Out         adaptors.Output // takes the chunks of replayable adaptors
	Spool       *spool.Spool    // takes those of the others
	Ledger      Ledger
	Checkpoints *checkpoints.Store
}

// What callers branch on.
var (
	ErrExists  = errors.New("there is an adaptor of that name")
	ErrUnknown = errors.New("there is no adaptor of that name")
)

// Supervisor runs adaptors. It is safe for concurrent use.
type Supervisor struct {
	env Env

	mu    sync.Mutex
	units map[string]*unit
	fresh []*unit       // added, their loops not started yet
	added chan struct{} // gets a token when fresh has grown
}

// New makes a supervisor without adaptors.
func New(env Env) *Supervisor {
	return &Supervisor{env: env, units: map[string]*unit{}, added: make(chan struct{}, 1)}
}

// Run runs the adaptors until ctx is done and all of them have returned.
func (s *Supervisor) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
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
		case <-ctx.Done():
			return
		}
	}
}

// Add adds an adaptor, and starts it where run says so. It fails with
// ErrExists, or when the kind refuses the config.
func (s *Supervisor) Add(spec Spec, run bool) error {
	u, err := newUnit(spec, &s.env, run)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.units[spec.Name] != nil {
		return fmt.Errorf("add %q: %w", spec.Name, ErrExists)
	}
	s.units[spec.Name] = u
	s.fresh = append(s.fresh, u)
	select {
	case s.added <- struct{}{}:
	default:
	}
	return nil
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
	u, err := s.unit(name)
	if err != nil {
		return err
	}
	u.set(true, false)
	return nil
}

// Stop stops an adaptor and waits until it has returned, or ctx is done.
func (s *Supervisor) Stop(ctx context.Context, name string) error {
	u, err := s.unit(name)
	if err != nil {
		return err
	}
	select {
	case <-u.set(false, false):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("adaptor %q is stopping: %w", name, ctx.Err())
	}
}

// Remove stops an adaptor and drops it. Its streams stay known: an adaptor of
// the same name that is added later goes on where this one was.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	u, err := s.unit(name)
	if err != nil {
		return err
	}
	select {
	case <-u.set(false, true):
	case <-ctx.Done():
		return fmt.Errorf("adaptor %q is stopping: %w", name, ctx.Err())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.units[name] == u {
		delete(s.units, name)
	}
	return nil
}

// View is what people see of an adaptor.
type View struct {
	Name     string     `json:"name"`
	Kind     string     `json:"kind"`
	Type     string     `json:"type"` // several, with commas, where the kind names its own
	State    State      `json:"state"`
	Position []Position `json:"position"`
	LagBytes int64      `json:"lag_bytes"` // not yet settled
	Rate     float64    `json:"rate"`      // bytes per second, of the last some ten seconds
	LastErr  string     `json:"last_error"`
	Skipped  []Skipped  `json:"skipped"`
}

// Position is how far one source is.
type Position struct {
	Path    string `json:"path"`
	Stream  string `json:"stream"`
	Read    int64  `json:"read"`
	Settled int64  `json:"settled"`
	Size    int64  `json:"size"`
}

// Skipped is something that matched and is not read.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Get shows one adaptor.
func (s *Supervisor) Get(name string) (View, error) {
	u, err := s.unit(name)
	if err != nil {
		return View{}, err
	}
	return u.view(), nil
}

// List shows all adaptors, by name.
func (s *Supervisor) List() []View {
	s.mu.Lock()
	units := make([]*unit, 0, len(s.units))
	for _, u := range s.units {
		units = append(units, u)
	}
	s.mu.Unlock()
	views := make([]View, 0, len(units))
	for _, u := range units {
		views = append(views, u.view())
	}
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
	return views
}

func (u *unit) view() View {
	status := u.adaptor.Status()
	now := time.Now()
	u.mu.Lock()
	v := View{
		Name: u.spec.Name, Kind: u.spec.Kind.Name, Type: u.spec.Type,
		State: u.state(now), Rate: u.rate.get(now), LastErr: u.lastErr,
		LagBytes: status.LagBytes, Position: []Position{}, Skipped: []Skipped{},
	}
	u.mu.Unlock()
	if status.LastErr != "" {
		v.LastErr = status.LastErr
	}
	for _, src := range status.Sources {
		v.Position = append(v.Position, Position{src.Path, src.Stream, src.Read, src.Settled, src.Size})
	}
	for _, sk := range status.Skipped {
		v.Skipped = append(v.Skipped, Skipped(sk))
	}
	if !u.spec.Kind.Replayable {
		v.LagBytes += u.env.Spool.Lag(u.spec.Name)
		var types []string
		for _, p := range u.env.Spool.Positions(u.spec.Name) {
			v.Position = append(v.Position, Position{p.Source, p.Stream, p.Sent, p.Settled, p.Size})
			types = append(types, p.Type)
		}
		if v.Type == "" {
			slices.Sort(types)
			v.Type = strings.Join(slices.Compact(types), ",")
		}
	}
	return v
}

// Count is how many adaptors are in a state.
func (s *Supervisor) Count(state State) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, u := range s.units {
		u.mu.Lock()
		if u.state(time.Now()) == state {
			n++
		}
		u.mu.Unlock()
	}
	return n
}
