package supervise

import (
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
)

// View is what people see of an adaptor.
type View struct {
	Name       string         `json:"name"`
	Kind       string         `json:"kind"`
	Type       string         `json:"type"` // several, with commas, where the kind names its own
	State      State          `json:"state"`
	Delivery   string         `json:"delivery"`
	Persona    string         `json:"persona"`
	Origin     string         `json:"origin"`
	Generation int            `json:"generation"`
	Position   []Position     `json:"position"`
	LagBytes   int64          `json:"lag_bytes"`   // not yet settled
	LagSeconds float64        `json:"lag_seconds"` // how old the oldest unsettled byte is
	Rate       float64        `json:"rate"`        // bytes per second, of the last some ten seconds
	Rates      BothRates      `json:"rates"`
	Dropped    filter.Dropped `json:"dropped"`
	Lost       Lost           `json:"lost"`
	LastErr    string         `json:"last_error"`
	LastErrAt  *time.Time     `json:"last_error_at"`
	Skipped    []Skipped      `json:"skipped"`
	Entry      any            `json:"entry,omitempty"` // of Get alone
}

// BothRates are means per second.
type BothRates struct {
	Bytes   Rates `json:"bytes"`
	Records Rates `json:"records"`
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
	v := u.view()
	u.mu.Lock()
	defer u.mu.Unlock()
	v.Entry = u.spec.Entry
	return v, nil
}

// Spec returns what an adaptor was made of.
func (s *Supervisor) Spec(name string) (Spec, error) {
	u, err := s.unit(name)
	if err != nil {
		return Spec{}, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.spec, nil
}

// Retune changes what of an adaptor can be changed while it runs: its delivery
// level, and what is told of its entry.
func (s *Supervisor) Retune(spec Spec) error {
	u, err := s.unit(spec.Name)
	if err != nil {
		return err
	}
	u.mu.Lock()
	u.spec.Entry, u.spec.Origin, u.spec.Generation = spec.Entry, spec.Origin, spec.Generation
	u.mu.Unlock()
	return s.SetDelivery(spec.Name, spec.Delivery)
}

// List shows all adaptors, by name.
func (s *Supervisor) List() []View {
	units := s.all()
	views := make([]View, 0, len(units))
	for _, u := range units {
		views = append(views, u.view())
	}
	slices.SortFunc(views, func(a, b View) int { return strings.Compare(a.Name, b.Name) })
	return views
}

// lag is what is in the sources and not settled, and the adaptor's own error.
func (u *unit) lag() (bytes int64, lastErr string) {
	if l, ok := u.adaptor.(adaptors.Lagger); ok && u.holding() {
		bytes, lastErr = l.Lag()
	} else {
		status := u.status()
		bytes, lastErr = status.LagBytes, status.LastErr
	}
	return bytes + u.spooled(), lastErr
}

// status is the adaptor's, without the streams that others have taken since it
// ran.
func (u *unit) status() adaptors.Status {
	status := u.adaptor.Status()
	if !u.spec.Kind.Replayable {
		return status
	}
	status.Sources = slices.DeleteFunc(slices.Clone(status.Sources), func(src adaptors.Source) bool {
		of, ok := u.env.Checkpoints.Owner(src.Stream)
		gone := ok && !of.Is(u.owner())
		if gone {
			status.LagBytes = max(0, status.LagBytes-max(0, src.Size-src.Settled))
		}
		return gone
	})
	return status
}

// sample notes the unit's totals.
func (u *unit) sample(now time.Time) {
	lag, text := u.lag()
	u.mu.Lock()
	u.told.tell(text, now)
	u.mu.Unlock()
	u.history.sample(now, lag)
}

// Totals are an adaptor's numbers, for metrics.
type Totals struct {
	Name       string
	LagBytes   int64
	LagSeconds float64
	Bytes      int64 // handed over since the start, again after a rewind or a loss
	Records    int64
}

// Totals returns the numbers of all adaptors. It costs less than List.
func (s *Supervisor) Totals() []Totals {
	var out []Totals
	now := time.Now()
	for _, u := range s.all() {
		lag, _ := u.lag()
		t := Totals{Name: u.spec.Name, LagBytes: lag, LagSeconds: u.history.age(now, lag).Seconds()}
		t.Bytes, t.Records = u.history.totals()
		out = append(out, t)
	}
	return out
}

// spooled is what the agent's spool holds of the unit. What left the spool
// since the last time counts as settled.
func (u *unit) spooled() int64 {
	if u.spec.Kind.Replayable {
		return 0
	}
	lag := u.env.Spool.Lag(u.spec.Name)
	u.history.spooled(lag)
	return lag
}

func (u *unit) view() View {
	status := u.status()
	now := time.Now()
	lag := status.LagBytes + u.spooled()
	v := View{
		Name: u.spec.Name, Kind: u.spec.Kind.Name, Type: u.spec.Type,
		Delivery: ledger.Level(u.level.Load()).String(), Persona: u.spec.Persona,
		LagBytes: lag, Position: []Position{}, Skipped: []Skipped{},
		Dropped: u.dropped(), Lost: u.history.losses.view(),
	}
	for _, src := range status.Sources {
		v.Position = append(v.Position, Position{src.Path, src.Stream, src.Read, src.Settled, src.Size})
	}
	for _, sk := range status.Skipped {
		v.Skipped = append(v.Skipped, Skipped(sk))
	}
	u.mu.Lock()
	running := u.running
	v.Origin, v.Generation = u.spec.Origin, u.spec.Generation
	v.State, v.Rate = u.state(now), u.rate.get(now)
	u.told.tell(status.LastErr, now)
	err := u.lastErr
	if u.told.text != "" {
		err = u.told
	}
	u.mu.Unlock()
	if v.LastErr = err.text; v.LastErr != "" {
		at := err.at.UTC()
		v.LastErrAt = &at
	}
	if u.spec.Kind.Replayable && !running {
		u.settledSince(&v, status.Sources)
	}
	v.LagSeconds = u.history.age(now, v.LagBytes).Seconds()
	v.Rates.Bytes, v.Rates.Records = u.history.rates(now)
	types := []string{u.spec.Type}
	if !u.spec.Kind.Replayable {
		for _, p := range u.env.Spool.Positions(u.spec.Name) {
			v.Position = append(v.Position, Position{p.Source, p.Stream, p.Sent, p.Settled, p.Size})
			types = append(types, p.Type)
		}
		if v.Type == "" {
			types = types[1:]
			slices.Sort(types)
			v.Type = strings.Join(slices.Compact(types), ",")
		}
	}
	why := u.barred(types)
	if full := u.full(); full != "" {
		why = full
	}
	if why != "" {
		at := now.UTC()
		v.LastErr, v.LastErrAt = why, &at
		if v.State == Running {
			v.State = Waiting
		}
	}
	return v
}

// settledSince corrects what an adaptor that does not run said last: receipts
// for what it sent still come in, and a rewind sets it back.
func (u *unit) settledSince(v *View, sources []adaptors.Source) {
	for i, src := range sources {
		st, ok := u.env.Checkpoints.Stream(src.Stream)
		if !ok {
			continue
		}
		v.LagBytes = max(0, v.LagBytes+src.Settled-st.Settled)
		v.Position[i].Settled = st.Settled
		v.Position[i].Read = max(st.Settled, min(src.Read, st.Sent))
	}
}

// Count is how many adaptors are in a state.
func (s *Supervisor) Count(state State) int {
	n := 0
	for _, u := range s.all() {
		u.mu.Lock()
		is := u.state(time.Now())
		u.mu.Unlock()
		if is == Running && (u.full() != "" || u.barred([]string{u.spec.Type}) != "") {
			is = Waiting
		}
		if is == state {
			n++
		}
	}
	return n
}
