package agentd

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/akupara/akupara/agentd/internal/supervise"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
)

// File is where the agent's config comes from, so that it can be read again.
type File struct {
	Path string // watched, and shown
	Hash string // of what the agent was made of: SHA-256 of the file, in hex
	// Load reads the file again. hash is empty where that is not possible;
	// config.Problems say that what it holds is wrong. It is not called
	// concurrently.
	Load func() (cfg Config, hash string, err error)
}

// liveKeys are the keys of the agent's section that are applied while it runs.
// All others need a restart.
var liveKeys = []string{"adaptors", "switches", "personas", "collectors", "buffer", "spool.bytes", "hosts", "drain",
	"allow_commands", "allow_paths", "allow_writes", "allow_listen", "allow_urls"}

// restartError says that a config would be fine after a restart.
type restartError struct{ config.Problems }

func (e restartError) Unwrap() error { return e.Problems }

var (
	errNoFile = errors.New("this agent was started without a config file")
	errUnread = errors.New("the config file can't be used")
)

// changed is what a reload changed.
type changed struct {
	Added   []string `json:"added"` // adaptors
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
	Applied []string `json:"applied"` // other keys
}

// reload applies a config, whole or not at all.
func (f *fleet) reload(next *Config) (changed, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := changed{Added: []string{}, Removed: []string{}, Changed: []string{}, Applied: []string{}}
	cfg, generation := f.config()
	keys, err := changedKeys(cfg, next)
	if err != nil {
		return out, err
	}
	out.Applied = append(out.Applied, keys...)

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
		return out, err
	}

	// From here on nothing fails.
	f.state.Lock()
	f.cfg, f.generation = next, generation+1
	f.state.Unlock()
	f.running = made
	f.configure(next)
	f.supervisor.Apply(change)
	for _, spec := range tuned {
		if err := f.supervisor.Retune(spec); err != nil {
			f.log.Error("an adaptor could not be changed", "adaptor", spec.Name, "error", err) // it is gone meanwhile
		}
	}
	f.warn(wanted, 0, true)
	return out, nil
}

// changedKeys returns the keys beside adaptors that differ. Its error names those
// that need a restart.
func changedKeys(cfg, next *Config) ([]string, error) {
	before, after := flat(cfg), flat(next)
	var keys []string
	var problems config.Problems
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if key == "adaptors" || fingerprint(before[key]) == fingerprint(after[key]) {
			continue
		}
		if slices.Contains(liveKeys, key) {
			keys = append(keys, key)
			continue
		}
		node := next.node
		for _, part := range strings.Split(key, ".") {
			node = node.Get(part)
		}
		problems = append(problems, node.Problemf(needsRestart, fingerprint(hideSecrets(before[key]))))
	}
	if len(problems) > 0 {
		return nil, restartError{problems}
	}
	return keys, nil
}

const needsRestart = "it can't be changed while the agent runs (now %s): restart the agent, or take the change back"

// NeedsRestart is what File.Load says of a key at the top of the file that was
// changed and that only a restart can change; now is its value that is in use.
func NeedsRestart(at config.Pos, key, now string) error {
	return restartError{config.Problems{at.Problemf(key+": "+needsRestart, now)}}
}

// flat is a config with the keys of its spool beside its own.
func flat(c *Config) map[string]any {
	out := effective(c)
	spool, _ := out["spool"].(map[string]any)
	for key, value := range spool {
		out["spool."+key] = value
	}
	delete(out, "spool")
	return out
}

// refusal is a config that was refused.
type refusal struct {
	At       time.Time `json:"at"`
	Hash     string    `json:"hash"`
	Error    string    `json:"error"`
	Problems []string  `json:"problems"`
}

// reloader reads the config again. It is safe for concurrent use.
type reloader struct {
	file    *File // nil: there is none
	fleet   *fleet
	hangups <-chan os.Signal
	log     *slog.Logger

	busy sync.Mutex // held while a config is loaded and applied

	mu      sync.Mutex
	hash    string
	applied time.Time
	refused *refusal
}

func newReloader(file *File, f *fleet, hangups <-chan os.Signal, log *slog.Logger) *reloader {
	r := &reloader{file: file, fleet: f, hangups: hangups, log: log, applied: time.Now()}
	if file != nil {
		r.hash = file.Hash
	}
	return r
}

// run reloads at SIGHUP and when the file changes, until ctx is done.
func (r *reloader) run(ctx context.Context) {
	if r.file == nil {
		<-ctx.Done()
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for {
			select {
			case <-r.hangups:
				_, _ = r.reload("SIGHUP") // an error is logged, and shown
			case <-ctx.Done():
				return
			}
		}
	})
	daemon.WatchFile(ctx, r.file.Path, r.log, func() { _, _ = r.reload(byWatch) })
}

// byWatch is why a reload is tried that nobody asked for: what was refused
// already is not told again.
const byWatch = "the file changed"

// reload reads the file and applies what it says. The error is why it was
// refused: config.Problems, a restartError, or that of reading.
func (r *reloader) reload(why string) (*changed, error) {
	if r.file == nil {
		return nil, errNoFile
	}
	r.busy.Lock()
	defer r.busy.Unlock()
	cfg, hash, err := r.file.Load()
	if err != nil && hash == "" {
		err = fmt.Errorf("%w: %w", errUnread, err)
	}
	r.mu.Lock()
	known := r.refused != nil && why == byWatch && err != nil && r.refused.Hash == hash && r.refused.Error == err.Error()
	same := err == nil && hash == r.hash
	r.mu.Unlock()
	if known {
		return nil, err
	}
	out := changed{Added: []string{}, Removed: []string{}, Changed: []string{}, Applied: []string{}}
	if err == nil && !same {
		out, err = r.fleet.reload(&cfg)
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		told := r.refused != nil && why == byWatch && r.refused.Hash == hash && r.refused.Error == err.Error()
		r.refused = &refusal{At: now.UTC(), Hash: hash, Error: err.Error(), Problems: lines(err)}
		if !told {
			r.log.Error("a new config was refused whole; the one before goes on", "why", why, "file", r.file.Path, "hash", hash, "error", err)
		}
		return nil, err
	}
	r.refused = nil
	_, generation := r.fleet.config()
	if same {
		if why != byWatch {
			r.log.Info("the config is as it was", "why", why, "file", r.file.Path, "generation", generation)
		}
		return &out, nil
	}
	r.hash, r.applied = hash, now
	r.log.Info("a new config is applied", "why", why, "file", r.file.Path, "generation", generation, "hash", hash,
		"added", out.Added, "removed", out.Removed, "changed", out.Changed, "keys", out.Applied)
	return &out, nil
}

// lines returns an error's problems, one a line; none where it is another error.
func lines(err error) []string {
	out := []string{}
	var problems config.Problems
	if errors.As(err, &problems) {
		for _, p := range problems {
			out = append(out, p.String())
		}
	}
	return out
}

// configView is the config as the API shows it.
type configView struct {
	Generation int            `json:"generation"`
	Hash       string         `json:"hash"`
	Applied    time.Time      `json:"applied_at"`
	Source     string         `json:"source"`
	Reloadable bool           `json:"reloadable"`
	Changed    *changed       `json:"changed,omitempty"`
	Refused    *refusal       `json:"last_refused"`
	Effective  map[string]any `json:"effective"`
}

func (r *reloader) view() configView {
	cfg, generation := r.fleet.config()
	shown, _ := hideSecrets(effective(cfg)).(map[string]any)
	entries := []any{}
	for _, v := range r.fleet.supervisor.List() {
		if spec, err := r.fleet.supervisor.Spec(v.Name); err == nil {
			entries = append(entries, hideSecrets(spec.Entry))
		}
	}
	shown["adaptors"] = entries
	r.mu.Lock()
	defer r.mu.Unlock()
	v := configView{Generation: generation, Hash: r.hash, Applied: r.applied.UTC(), Refused: r.refused, Effective: shown}
	if r.file != nil {
		v.Source, v.Reloadable = r.file.Path, true
	}
	return v
}

// status is what the metrics tell.
func (r *reloader) status() (hash string, applied time.Time, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hash, r.applied, r.refused == nil
}

// names are those that requests may call this machine by.
func (f *fleet) names() []string {
	cfg, _ := f.config()
	return append([]string{strings.ToLower(hostname(cfg))}, cfg.Hosts...)
}
