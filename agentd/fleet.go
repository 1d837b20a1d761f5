package agentd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/akupara/akupara/adaptors"
	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/checkpoints"
	"github.com/akupara/akupara/config"
)

// The checkpoints' values: what was added, and what was stopped, over REST.
const (
	addedPrefix   = "adaptor/" // and the name: the entry as it was posted
	stoppedPrefix = "stopped/" // and the name: empty
)

// What the API branches on, beside the supervisor's errors.
var (
	errForbidden = errors.New("forbidden")
	errInConfig  = errors.New("it stands in the config")
)

// fleet is the agent's adaptors as people change them: what they say is stored
// before it is done, so that it survives a restart.
type fleet struct {
	cfg        *Config
	kinds      []adaptors.Kind
	store      *checkpoints.Store
	supervisor *supervise.Supervisor
	log        *slog.Logger
}

// restore adds the config's adaptors and those that were added over REST. One
// that can't be added is logged, and harms no other.
func (f *fleet) restore() error {
	values := f.store.List()
	wanted := func(name string) bool {
		_, stopped := values[stoppedPrefix+name]
		return !stopped
	}
	for _, spec := range f.cfg.specs {
		if err := f.supervisor.Add(spec, wanted(spec.Name)); err != nil {
			f.log.Error("an adaptor of the config can't be made; the others run", "adaptor", spec.Name, "err", err)
		}
	}
	for key, body := range values {
		name, ok := strings.CutPrefix(key, addedPrefix)
		if !ok {
			continue
		}
		spec, err := f.decode(body)
		if err == nil {
			err = f.supervisor.Add(spec, wanted(name))
		}
		if err != nil {
			f.log.Error("an adaptor that was added over REST can't be started; it stays stored", "adaptor", name, "err", err)
		}
	}
	return nil
}

// decode reads an entry that was posted.
func (f *fleet) decode(body []byte) (supervise.Spec, error) {
	node, problems := config.Parse("request", body)
	if err := problems.Err(); err != nil {
		return supervise.Spec{}, err
	}
	spec, problems := decodeAdaptor(node, f.kinds, f.cfg.Personas)
	if err := problems.Err(); err != nil {
		return supervise.Spec{}, err
	}
	if program, runs := spec.Program(); runs && !slices.Contains(f.cfg.Allow, program) {
		return supervise.Spec{}, fmt.Errorf("%w: the program %q is not in the config's agent.allow_commands", errForbidden, program)
	}
	return spec, nil
}

func (f *fleet) add(body []byte) (supervise.View, error) {
	spec, err := f.decode(body)
	if err != nil {
		return supervise.View{}, err
	}
	if err := f.supervisor.Add(spec, true); err != nil {
		return supervise.View{}, err
	}
	if err := errors.Join(f.store.Put(addedPrefix+spec.Name, body), f.store.Delete(stoppedPrefix+spec.Name)); err != nil {
		return supervise.View{}, errors.Join(fmt.Errorf("store adaptor %q: %w", spec.Name, err),
			f.supervisor.Remove(context.Background(), spec.Name))
	}
	return f.supervisor.Get(spec.Name)
}

func (f *fleet) start(name string) error {
	if _, err := f.supervisor.Get(name); err != nil {
		return err
	}
	if err := f.store.Delete(stoppedPrefix + name); err != nil {
		return fmt.Errorf("store that %q is started: %w", name, err)
	}
	return f.supervisor.Start(name)
}

func (f *fleet) stop(ctx context.Context, name string) error {
	if _, err := f.supervisor.Get(name); err != nil {
		return err
	}
	if err := f.store.Put(stoppedPrefix+name, []byte("1")); err != nil {
		return fmt.Errorf("store that %q is stopped: %w", name, err)
	}
	return f.supervisor.Stop(ctx, name)
}

func (f *fleet) remove(ctx context.Context, name string) error {
	if _, err := f.supervisor.Get(name); err != nil {
		return err
	}
	if slices.ContainsFunc(f.cfg.specs, func(s supervise.Spec) bool { return s.Name == name }) {
		return fmt.Errorf("remove %q: %w: remove it there, or stop it", name, errInConfig)
	}
	if err := errors.Join(f.store.Delete(addedPrefix+name), f.store.Delete(stoppedPrefix+name)); err != nil {
		return fmt.Errorf("store that %q is removed: %w", name, err)
	}
	return f.supervisor.Remove(ctx, name)
}
