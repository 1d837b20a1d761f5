package supervise

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/ledger"
)

// Route is the way out of a persona's adaptors.
type Route struct {
	Out    adaptors.Output // takes the chunks of replayable adaptors
	Ledger Ledger
	Gate   *filter.Gate // nil: no bounds
	// Barred returns why collectors take nothing of a data type, "" if they do; nil:
	// they always do.
	Barred func(dataType string) string
}

// full returns why the agent's spool takes nothing of the unit, "" if it does.
func (u *unit) full() string {
	if u.spec.Kind.Replayable {
		return ""
	}
	return u.env.Spool.Waits(u.spec.Name)
}

// barred returns why collectors take nothing of what the unit sends, "" if they do.
func (u *unit) barred(types []string) string {
	r := u.way()
	if r.Barred == nil {
		return ""
	}
	for _, dataType := range types {
		if why := r.Barred(dataType); why != "" {
			return why
		}
	}
	return ""
}

// levels are the adaptors' delivery levels. They are safe for concurrent use,
// and reading them never waits.
type levels struct{ byName sync.Map }

func (l *levels) set(name string, level *atomic.Int32) { l.byName.Store(name, level) }

// Level is an adaptor's delivery level; EndToEnd of one that is not known.
func (s *Supervisor) Level(name string) ledger.Level {
	if level, ok := s.levels.byName.Load(name); ok {
		return ledger.Level(level.(*atomic.Int32).Load())
	}
	return ledger.EndToEnd
}

// SetDelivery changes an adaptor's delivery level while it runs. Where less is
// demanded than before, positions move at once over what is secured so far;
// where more is, it holds for what collectors take from now on.
func (s *Supervisor) SetDelivery(name string, level ledger.Level) error {
	u, err := s.unit(name)
	if err != nil {
		return fmt.Errorf("set delivery: %w", err)
	}
	u.mu.Lock()
	u.spec.Delivery = level
	u.mu.Unlock()
	u.level.Store(int32(level))
	u.way().Ledger.Relevel()
	return nil
}

// Dropped is what the filters of each adaptor left out since the start, and a
// full spool.
func (s *Supervisor) Dropped() map[string]filter.Dropped {
	out := map[string]filter.Dropped{}
	for _, u := range s.all() {
		out[u.spec.Name] = u.dropped()
	}
	return out
}

func (u *unit) dropped() filter.Dropped {
	all := u.filter().Dropped()
	if u.spec.Kind.Replayable {
		return all
	}
	if n := u.env.Spool.DroppedBy(u.spec.Name); n.Bytes > 0 {
		all.Reasons["spool full"] = filter.Count(n)
		all.Bytes += n.Bytes
		all.Records += n.Records
	}
	return all
}

// wayOf returns the way out of a unit, and its filter, when it is first used: its
// persona may be one that is made only after the unit was.
func (u *unit) wayOf() (Route, *filter.Filter) {
	r := u.env.Route(u.spec.Persona)
	f := filter.New(u.spec.Filter, filter.Env{
		Who:     filter.Who{Adaptor: u.spec.Name, Kind: u.spec.Kind.Name, Persona: u.spec.Persona},
		Replays: u.spec.Kind.Replayable, Message: u.spec.Kind.Message, Switches: u.env.Switches, Gate: r.Gate,
	})
	return r, f
}

func (u *unit) way() Route { r, _ := u.bound(); return r }

func (u *unit) filter() *filter.Filter { _, f := u.bound(); return f }
