package agentd

import (
	"slices"
	"strings"

	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon/reload"
)

// Section is the agent's in a config file.
const Section = "agent"

// liveKeys are the keys of the agent's section that are applied while it runs.
// All others need a restart.
var liveKeys = []string{"adaptors", "switches", "personas", "collectors", "buffer", "spool.bytes", "hosts", "drain",
	"allow_commands", "allow_paths", "allow_writes", "allow_listen", "allow_urls"}

// changed is what a reload changed.
type changed struct {
	Added   []string `json:"added"` // adaptors
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
	Applied []string `json:"applied"` // other keys
}

func nothingChanged() changed {
	return changed{Added: []string{}, Removed: []string{}, Changed: []string{}, Applied: []string{}}
}

// part is the agent's share of a reload.
func (f *fleet) part() reload.Part {
	return reload.Part{Section: Section, Live: liveKeys, Prepare: func(next any, keys []string) (reload.Change, error) {
		cfg, _ := next.(Config)
		return f.prepare(&cfg, keys)
	}}
}

// prepare makes what a config needs that is new in it. No adaptor and no config
// changes from then on until it is applied or dropped.
func (f *fleet) prepare(next *Config, keys []string) (c reload.Change, err error) {
	f.mu.Lock()
	defer func() {
		if err != nil {
			f.mu.Unlock()
		}
	}()
	out := nothingChanged()
	_, generation := f.config()
	out.Applied = append(out.Applied, slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == "adaptors" })...)

	var fresh, tuned []supervise.Spec
	made := map[string]string{}
	wanted := f.wanted(next)
	for _, spec := range wanted {
		name := spec.Name
		spec.Generation = generation + 1
		made[name] = madeOf(&spec)
		before, there := f.running[name]
		switch {
		case !there:
			out.Added = append(out.Added, name)
			fresh = append(fresh, spec)
		case before != made[name]:
			out.Changed = append(out.Changed, name)
			fresh = append(fresh, spec)
		default:
			now, err := f.supervisor.Spec(name)
			if err == nil && (now.Delivery != spec.Delivery || now.Origin != spec.Origin) {
				out.Changed = append(out.Changed, name)
				tuned = append(tuned, spec)
			}
		}
	}
	for name := range f.running {
		if _, stays := made[name]; !stays {
			out.Removed = append(out.Removed, name)
		}
	}
	slices.Sort(out.Removed)
	change, err := f.supervisor.Prepare(fresh, out.Removed, f.toRun)
	if err != nil {
		return c, err
	}
	return reload.Change{Told: out, Drop: f.mu.Unlock, Apply: func() {
		defer f.mu.Unlock()
		f.apply(next, made, change, tuned)
		f.warn(wanted, 0, true)
	}}, nil
}

// apply makes a config that was prepared the one that runs. f.mu is held.
func (f *fleet) apply(next *Config, made map[string]string, change *supervise.Change, tuned []supervise.Spec) {
	f.state.Lock()
	f.cfg, f.generation = next, f.generation+1
	f.state.Unlock()
	f.running = made
	f.configure(next)
	f.supervisor.Apply(change)
	for _, spec := range tuned {
		if err := f.supervisor.Retune(spec); err != nil {
			f.log.Error("an adaptor could not be changed", "adaptor", spec.Name, "error", err) // it is gone meanwhile
		}
	}
}

// configView is the config as the API shows it.
type configView struct {
	reload.Status
	Changed   *changed       `json:"changed,omitempty"`
	Effective map[string]any `json:"effective"`
}

func (h handlers) configView() configView {
	cfg, _ := h.fleet.config()
	shown, _ := config.HideSecrets(config.Effective(cfg)).(map[string]any)
	entries := []any{}
	for _, v := range h.fleet.supervisor.List() {
		if spec, err := h.fleet.supervisor.Spec(v.Name); err == nil {
			entries = append(entries, config.HideSecrets(spec.Entry))
		}
	}
	shown["adaptors"] = entries
	return configView{Status: h.reloader.Status(), Effective: shown}
}

// names are those that requests may call this machine by.
func (f *fleet) names() []string {
	cfg, _ := f.config()
	return append([]string{strings.ToLower(hostname(cfg))}, cfg.Hosts...)
}
