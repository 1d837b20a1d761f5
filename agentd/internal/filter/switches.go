package filter

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/akupara/akupara/chunk"
)

// What callers of Switches branch on.
var (
	ErrNoSwitch       = errors.New("there is no switch of that name")
	ErrSwitchInConfig = errors.New("the switch stands in the config; set one of its name with off: false, or change it there")
	ErrManySwitches   = fmt.Errorf("at most %d switches are allowed", MaxSwitches)
)

// MaxSwitches bounds how many there are, from the config and over REST each.
const MaxSwitches = 256

// Switches are all switches of an agent: those of its config, and those set
// over REST, which go before one of the same name. It is safe for concurrent
// use; a change holds for the next chunk that an adaptor sends.
type Switches struct {
	mu     sync.Mutex
	config map[string]Switch
	rest   map[string]Switch
	counts map[string]*counter

	active atomic.Pointer[[]active] // those that are off; nil: none
}

// active is a switch that is off.
type active struct {
	Switch
	cause cause
}

// counter counts what was dropped. It is safe for concurrent use.
type counter struct{ records, bytes atomic.Int64 }

func (c *counter) add(records, bytes int64) {
	c.records.Add(records)
	c.bytes.Add(bytes)
}

// NewSwitches has none.
func NewSwitches() *Switches {
	return &Switches{config: map[string]Switch{}, rest: map[string]Switch{}, counts: map[string]*counter{}}
}

// Configure replaces the config's switches. Their names are unique. What
// switches of the same names counted goes on.
func (s *Switches) Configure(list []Switch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config = make(map[string]Switch, len(list))
	for _, sw := range list {
		s.config[sw.Name] = sw
	}
	s.compile()
}

// Put sets a switch as over REST. ErrManySwitches says that there are too many.
func (s *Switches) Put(sw Switch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.rest[sw.Name]; !there && len(s.rest) >= MaxSwitches {
		return fmt.Errorf("set switch %q: %w", sw.Name, ErrManySwitches)
	}
	s.rest[sw.Name] = sw
	s.compile()
	return nil
}

// Remove takes one back that was set over REST; the config's of the same name
// works again. It fails with ErrNoSwitch or ErrSwitchInConfig.
func (s *Switches) Remove(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rest[name]; !ok {
		if _, ok := s.config[name]; ok {
			return fmt.Errorf("remove switch %q: %w", name, ErrSwitchInConfig)
		}
		return fmt.Errorf("remove switch %q: %w", name, ErrNoSwitch)
	}
	delete(s.rest, name)
	s.compile()
	return nil
}

// compile makes what Filters look at; s.mu is held.
func (s *Switches) compile() {
	var list []active
	for name, sw := range s.effective() {
		if s.counts[name] == nil {
			s.counts[name] = &counter{}
		}
		if sw.off {
			list = append(list, active{sw, cause{"switch " + name, s.counts[name]}})
		}
	}
	for name := range s.counts {
		if _, ok := s.rest[name]; !ok {
			if _, ok := s.config[name]; !ok {
				delete(s.counts, name)
			}
		}
	}
	slices.SortFunc(list, func(a, b active) int { return strings.Compare(a.Name, b.Name) })
	if len(list) == 0 {
		s.active.Store(nil)
		return
	}
	s.active.Store(&list)
}

func (s *Switches) effective() map[string]Switch {
	out := maps.Clone(s.config)
	maps.Copy(out, s.rest)
	return out
}

// SwitchView is a switch as people see it. Its JSON form has the keys of its
// entry beside its own.
type SwitchView struct {
	Name           string
	Origin         string // config or rest
	Off            bool
	DroppedBytes   int64
	DroppedRecords int64
	Entry          map[string]any
}

// MarshalJSON implements json.Marshaler.
func (v SwitchView) MarshalJSON() ([]byte, error) {
	all := maps.Clone(v.Entry)
	if all == nil {
		all = map[string]any{}
	}
	all["name"], all["origin"], all["off"] = v.Name, v.Origin, v.Off
	all["dropped_bytes"], all["dropped_records"] = v.DroppedBytes, v.DroppedRecords
	return json.Marshal(all)
}

// List returns all switches, by name.
func (s *Switches) List() []SwitchView {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]SwitchView, 0, len(s.config)+len(s.rest))
	for name, sw := range s.effective() {
		v := SwitchView{Name: name, Origin: "config", Off: sw.off, Entry: sw.entry}
		if _, ok := s.rest[name]; ok {
			v.Origin = "rest"
		}
		c := s.counts[name]
		v.DroppedRecords, v.DroppedBytes = c.records.Load(), c.bytes.Load()
		out = append(out, v)
	}
	slices.SortFunc(out, func(a, b SwitchView) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// Get returns one switch, or ErrNoSwitch.
func (s *Switches) Get(name string) (SwitchView, error) {
	for _, v := range s.List() {
		if v.Name == name {
			return v, nil
		}
	}
	return SwitchView{}, fmt.Errorf("switch %q: %w", name, ErrNoSwitch)
}

// meeting returns the switches that are off and may concern the chunk. A nil
// Switches has none.
func (s *Switches) meeting(w *Who, c *chunk.Chunk) []*active {
	if s == nil {
		return nil
	}
	list := s.active.Load()
	if list == nil {
		return nil
	}
	var out []*active
	for i := range *list {
		if (*list)[i].meetsChunk(w, c) {
			out = append(out, &(*list)[i])
		}
	}
	return out
}
