package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/cmd/akupara/internal/embedded"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
)

// site is what a command works on: a config, a store, a data directory.
type site struct {
	config.File
	dataDir string
	hash    string // of the config file; empty where there is none
	// embedded tells that the config is the embedded default.
	embedded bool
}

// load reads the config that the flags name, or the embedded default. The
// problems are those of the config's top; sections are decoded by their users.
func (a *app) load() (site, config.Problems, error) {
	if a.configFile != "" {
		data, hash, err := config.Read(a.configFile)
		if err != nil {
			return site{}, nil, err
		}
		f, problems := config.ParseFile(a.configFile, data)
		s := site{File: f, dataDir: f.DataDir.V, hash: hash}
		return s, s.withoutStore(problems), nil
	}
	dir, err := filepath.Abs(a.dataDir)
	if err != nil {
		return site{}, nil, fmt.Errorf("data directory: %w", err)
	}
	name := filepath.Join(dir, embedded.ConfigName)
	data, hash, err := config.Read(name)
	if errors.Is(err, fs.ErrNotExist) {
		data = embedded.Config(dir, embedded.FirstPort, "localhost", false, discover.Result{})
		name = "the embedded default"
	} else if err != nil {
		return site{}, nil, err
	}
	s, problems := a.parse(name, dir, data)
	s.hash = hash
	return s, problems, nil
}

// parse reads the config of a data directory. The directory may have been
// moved since up wrote it.
func (a *app) parse(name, dir string, data []byte) (site, config.Problems) {
	f, problems := config.ParseFile(name, data)
	s := site{File: f, dataDir: f.DataDir.V}
	if embedded.IsOurs(data) {
		s.embedded = true
		s.dataDir = dir
		s.Store.V = config.Store{Scheme: "file", Path: filepath.Join(dir, "store")}
	}
	return s, problems
}

// mustLoad is load for all commands but check: problems are its error.
func (a *app) mustLoad() (site, error) {
	s, problems, err := a.load()
	if err == nil {
		err = a.refuse(problems)
	}
	return s, err
}

// refuse makes an error of problems, which is printed without a prefix: each
// line starts with its place.
func (a *app) refuse(problems config.Problems) error {
	if len(problems) > 0 {
		a.bare = true
	}
	return problems.Err()
}

// openStore returns the store; it is connected to at its first use.
func (s site) openStore() (store.FS, error) {
	if s.Store.V.Path == "" {
		return nil, fmt.Errorf("%s has no store, as that of an agent alone: give the config of the whole site", s.Name)
	}
	fs, err := open.Open(s.Store.V.String(), open.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Store.Pos, err)
	}
	return fs, nil
}

// mustExist refuses to look into a data directory where up never ran: an
// answer about nothing would be taken for an answer.
func (s site) mustExist() error {
	if !s.embedded {
		return nil
	}
	if _, err := os.Stat(s.Store.V.Path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no store in %s yet: start \"akupara up\" first, or say where by --data or --config", s.dataDir)
	}
	return nil
}

func (a *app) logger(level slog.Level) (*slog.Logger, error) {
	if a.logLevel != "" {
		if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
			return nil, usagef("--log-level %q: allowed are debug, info, warn, error", a.logLevel)
		}
	}
	log, err := daemon.NewLogger(a.stderr, a.logFormat, level)
	if err != nil {
		return nil, usageError{err}
	}
	return log, nil
}

// readmeName is the README's path in a store.
const readmeName = "README.md"

// writeReadme puts the README into the store's root where it is missing or
// old, and waits for a store that is away.
func writeReadme(ctx context.Context, st store.FS, log *slog.Logger) error {
	var wait daemon.Backoff
	for ctx.Err() == nil {
		err := tryReadme(ctx, st)
		if err == nil {
			break
		}
		log.Debug("the store's README can't be written yet", "error", err)
		_ = wait.Wait(ctx) // the loop looks at ctx
	}
	return nil
}

func tryReadme(ctx context.Context, st store.FS) error {
	if info, err := st.Stat(ctx, readmeName); err == nil && info.Size == int64(len(embedded.StoreReadme)) {
		return nil
	}
	host, _ := os.Hostname()
	// One name for a process: what a crash leaves is replaced at the next start
	// under the same id, and does not add up.
	tmp := store.Temp(readmeName, fmt.Sprintf("%s-%d", host, os.Getpid()))
	if err := st.Remove(ctx, tmp); err != nil {
		return err
	}
	return store.PublishBytes(ctx, st, tmp, readmeName, embedded.StoreReadme)
}
