package agentd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/filter"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/config"
)

// The checkpoints' values: what was added, stopped and switched over REST.
const (
	addedPrefix   = "adaptor/" // and the name: the entry as it was posted
	stoppedPrefix = "stopped/" // and the name
	switchPrefix  = "switch/"  // and the name: the entry as it was put
)

// maxAdded bounds the adaptors that are added over REST: each takes memory and
// open files for good.
const maxAdded = 256

// What the API branches on, beside the supervisor's errors.
var (
	errForbidden = errors.New("forbidden")
	errInConfig  = errors.New("it stands in the config")
	errRenamed   = errors.New("an adaptor's name can't be changed")
	errManyAdded = fmt.Errorf("at most %d adaptors may be added over REST; others belong in the config", maxAdded)
)

// fleet is the agent's adaptors and switches as people change them: what they
// say is stored before it is done, so that it survives a restart. Entries over
// REST go before the config's of the same name until they are deleted.
type fleet struct {
	kinds      []adaptors.Kind
	store      *checkpoints.Store
	supervisor *supervise.Supervisor
	switches   *filter.Switches
	configure  func(*Config) // applies what of a config is not the adaptors'
	log        *slog.Logger

	mu         sync.Mutex // held while adaptors or the config change; taken before state
	state      sync.Mutex
	cfg        *Config           // that is applied; under state
	generation int               // under state
	running    map[string]string // adaptors by name, with what they were made of; under mu
}

func (f *fleet) config() (*Config, int) {
	f.state.Lock()
	defer f.state.Unlock()
	return f.cfg, f.generation
}

// restore adds the config's adaptors and those that were added over REST. One
// that can't be added is logged, and harms no other.
func (f *fleet) restore() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = map[string]string{}
	cfg, _ := f.config()
	for name, body := range f.stored(switchPrefix) {
		if err := f.throw(name, body); err != nil {
			f.log.Error("a switch that was set over REST can't be set again; it stays stored", "switch", name, "error", err)
		}
	}
	specs := f.wanted(cfg)
	f.warn(specs, 0, false) // a start does not wait for a look at all files
	for _, spec := range specs {
		if err := f.supervisor.Add(spec, f.toRun(spec.Name)); err != nil {
			f.log.Error("an adaptor can't be made; the others run", "adaptor", spec.Name, "error", err)
			continue
		}
		f.running[spec.Name] = madeOf(&spec)
	}
}

// stored returns the values below a prefix, by the rest of their names.
func (f *fleet) stored(prefix string) map[string][]byte {
	out := map[string][]byte{}
	for key, body := range f.store.List() {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			out[name] = body
		}
	}
	return out
}

func (f *fleet) toRun(name string) bool {
	_, stopped := f.store.List()[stoppedPrefix+name]
	return !stopped
}

// wanted returns the adaptors that there should be with a config, by name.
func (f *fleet) wanted(cfg *Config) []supervise.Spec {
	specs := map[string]supervise.Spec{}
	for _, spec := range cfg.specs {
		specs[spec.Name] = spec
	}
	for name, body := range f.stored(addedPrefix) {
		own, inConfig := specs[name]
		spec, err := f.decode(cfg, body)
		if err == nil && inConfig && own.Kind.Name != spec.Kind.Name {
			err = fmt.Errorf("%w, and is of kind %s there", errInConfig, own.Kind.Name)
		}
		if err != nil {
			f.log.Error("an adaptor that was added over REST can't be used; it stays stored", "adaptor", name, "error", err)
			continue
		}
		specs[name] = spec
	}
	return slices.SortedFunc(maps.Values(specs), func(a, b supervise.Spec) int { return strings.Compare(a.Name, b.Name) })
}

// warnOf warns of an adaptor that is added or replaced; f.mu is held.
func (f *fleet) warnOf(spec supervise.Spec) {
	var specs []supervise.Spec
	for _, name := range slices.Sorted(maps.Keys(f.running)) {
		if other, err := f.supervisor.Spec(name); err == nil && name != spec.Name {
			specs = append(specs, other)
		}
	}
	f.warn(append(specs, spec), len(specs), false)
}

// madeOf tells two adaptors of the same name apart: one that is made of
// something else is to be made anew.
func madeOf(spec *supervise.Spec) string {
	entry := spec.Entry
	if m, ok := entry.(map[string]any); ok {
		m = maps.Clone(m)
		delete(m, "delivery") // can be changed while it runs
		entry = m
	}
	return config.Fingerprint([]any{entry, spec.Tags, spec.Persona, spec.Roots})
}

// decode reads an entry that is stored, and refuses what the config does not
// allow any more.
func (f *fleet) decode(cfg *Config, body []byte) (supervise.Spec, error) {
	spec, err := f.parse(cfg, body)
	if err != nil {
		return spec, err
	}
	return spec, cfg.admit(&spec, cfg.spec(spec.Name))
}

// parse reads an entry that was posted.
func (f *fleet) parse(cfg *Config, body []byte) (supervise.Spec, error) {
	node, problems := config.Parse("request", body)
	if err := problems.Err(); err != nil {
		return supervise.Spec{}, err
	}
	spec, problems := decodeAdaptor(node, f.kinds, cfg.Personas)
	if err := problems.Err(); err != nil {
		return supervise.Spec{}, err
	}
	spec.Origin = "rest"
	return spec, nil
}

// spec is the config's own adaptor of a name, nil where there is none.
func (c *Config) spec(name string) *supervise.Spec {
	for i := range c.specs {
		if c.specs[i].Name == name {
			return &c.specs[i]
		}
	}
	return nil
}

func (f *fleet) add(body []byte) (supervise.View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cfg, generation := f.config()
	spec, err := f.parse(cfg, body)
	if err != nil {
		return supervise.View{}, err
	}
	if _, err := f.supervisor.Spec(spec.Name); err == nil {
		return supervise.View{}, fmt.Errorf("add %q: %w", spec.Name, supervise.ErrExists)
	}
	if added := f.stored(addedPrefix); added[spec.Name] == nil && len(added) >= maxAdded {
		return supervise.View{}, fmt.Errorf("add %q: %w", spec.Name, errManyAdded)
	}
	if err := cfg.admit(&spec, cfg.spec(spec.Name)); err != nil {
		return supervise.View{}, err
	}
	spec.Generation = generation
	if err := f.supervisor.Add(spec, true); err != nil {
		return supervise.View{}, err
	}
	if err := errors.Join(f.store.Put(addedPrefix+spec.Name, body), f.store.Delete(stoppedPrefix+spec.Name)); err != nil {
		return supervise.View{}, errors.Join(fmt.Errorf("store adaptor %q: %w", spec.Name, err),
			f.supervisor.Remove(context.Background(), spec.Name))
	}
	f.running[spec.Name] = madeOf(&spec)
	f.warnOf(spec)
	return f.get(spec.Name)
}

// update replaces an adaptor's entry. Its streams and positions go on.
func (f *fleet) update(name string, body []byte) (supervise.View, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := f.supervisor.Spec(name); err != nil {
		return supervise.View{}, err
	}
	cfg, generation := f.config()
	spec, err := f.parse(cfg, body)
	if err != nil {
		return supervise.View{}, err
	}
	if spec.Name != name {
		return supervise.View{}, fmt.Errorf("adaptor %q: %w: the entry says %q", name, errRenamed, spec.Name)
	}
	if err := cfg.admit(&spec, cfg.spec(name)); err != nil {
		return supervise.View{}, err
	}
	spec.Generation = generation
	return f.replace(spec, func() error { return f.store.Put(addedPrefix+name, body) })
}

// replace puts a spec in the place of the adaptor of its name; f.mu is held.
func (f *fleet) replace(spec supervise.Spec, store func() error) (supervise.View, error) {
	name, made := spec.Name, madeOf(&spec)
	var fresh []supervise.Spec
	if f.running[name] != made {
		fresh = append(fresh, spec)
	}
	change, err := f.supervisor.Prepare(fresh, nil, f.toRun)
	if err != nil {
		return supervise.View{}, err
	}
	if err := store(); err != nil {
		return supervise.View{}, fmt.Errorf("store adaptor %q: %w", name, err)
	}
	f.supervisor.Apply(change)
	f.running[name] = made
	if len(fresh) == 0 {
		if err := f.supervisor.Retune(spec); err != nil {
			return supervise.View{}, err
		}
	} else {
		f.warnOf(spec)
	}
	return f.get(name)
}

// get shows an adaptor, without the secrets of its entry.
func (f *fleet) get(name string) (supervise.View, error) {
	v, err := f.supervisor.Get(name)
	v.Entry = config.HideSecrets(v.Entry)
	return v, err
}

func (f *fleet) start(name string) error {
	if _, err := f.supervisor.Spec(name); err != nil {
		return err
	}
	if err := f.store.Delete(stoppedPrefix + name); err != nil {
		return fmt.Errorf("store that %q is started: %w", name, err)
	}
	return f.supervisor.Start(name)
}

func (f *fleet) stop(ctx context.Context, name string) error {
	if _, err := f.supervisor.Spec(name); err != nil {
		return err
	}
	if err := f.store.Put(stoppedPrefix+name, []byte("1")); err != nil {
		return fmt.Errorf("store that %q is stopped: %w", name, err)
	}
	return f.supervisor.Stop(ctx, name)
}

// remove drops what was added over REST; the config's own of the same name
// comes back.
func (f *fleet) remove(ctx context.Context, name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	spec, err := f.supervisor.Spec(name)
	_, stored := f.stored(addedPrefix)[name] // and perhaps not running: it may not be allowed any more
	if err != nil && !stored {
		return err
	}
	cfg, generation := f.config()
	forget := func() error { return f.store.Delete(addedPrefix + name) }
	if own := cfg.spec(name); own != nil {
		if spec.Origin == "config" && !stored {
			return fmt.Errorf("remove %q: %w: remove it there, or stop it", name, errInConfig)
		}
		back := *own
		back.Generation = generation
		_, err := f.replace(back, forget)
		return err
	}
	if err := errors.Join(forget(), f.store.Delete(stoppedPrefix+name)); err != nil {
		return fmt.Errorf("store that %q is removed: %w", name, err)
	}
	if err != nil {
		return nil // it did not run
	}
	delete(f.running, name)
	return f.supervisor.Remove(ctx, name)
}

// throw sets a switch as over REST.
func (f *fleet) throw(name string, body []byte) error {
	node, problems := config.Parse("request", body)
	if err := problems.Err(); err != nil {
		return err
	}
	sw, problems := filter.DecodeSwitch(name, node)
	if err := problems.Err(); err != nil {
		return err
	}
	return f.switches.Put(sw)
}

func (f *fleet) putSwitch(name string, body []byte) (filter.SwitchView, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	before, was := f.stored(switchPrefix)[name]
	if err := f.throw(name, body); err != nil {
		return filter.SwitchView{}, err
	}
	if err := f.store.Put(switchPrefix+name, body); err != nil {
		err = fmt.Errorf("store switch %q: %w", name, err)
		if was {
			return filter.SwitchView{}, errors.Join(err, f.throw(name, before))
		}
		return filter.SwitchView{}, errors.Join(err, f.switches.Remove(name))
	}
	return f.switches.Get(name)
}

func (f *fleet) removeSwitch(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.switches.Remove(name); err != nil {
		return err
	}
	if err := f.store.Delete(switchPrefix + name); err != nil {
		return fmt.Errorf("store that switch %q is removed: %w", name, err)
	}
	return nil
}
