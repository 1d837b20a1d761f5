package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/akupara/akupara/adaptors/all"
	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/collectord"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/reach"
	"github.com/akupara/akupara/web"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// parts makes the daemons of a site. Each method validates, touches nothing
// outside, and gives the daemon to be run in a group.
type parts struct {
	site
	fs       store.FS
	log      *slog.Logger
	reloader *reload.Reloader
	storeUp  *reach.Reach
}

func (a *app) parts(level slog.Level, needsStore bool) (parts, error) {
	log, err := a.logger(level)
	if err != nil {
		return parts{}, err
	}
	s, err := a.mustLoad()
	if err != nil {
		return parts{}, err
	}
	p := parts{site: s, log: log}
	if needsStore {
		if p.fs, err = s.openStore(); err != nil {
			return p, err
		}
		p.storeUp = reach.New(p.fs, s.Store.V.String(), log)
	}
	return p, nil
}

// Decoders of the sections. Each says all that is wrong with its own.

func decodeAgent(n config.Node) (agentd.Config, config.Problems) {
	return agentd.Decode(n, all.Kinds())
}

func decodeCollector(n config.Node) (collectord.Config, config.Problems) {
	c := collectord.DefaultConfig()
	return c, config.Decode(n, &c)
}

func decodeDemux(n config.Node) (demux.Config, config.Problems) {
	c := demux.DefaultConfig()
	problems := config.Decode(n, &c)
	return c, problems
}

func decodeWeb(n config.Node) (web.Config, config.Problems) {
	c := web.DefaultConfig()
	problems := config.Decode(n, &c)
	return c, problems
}

// newRegistry is one for a daemon's metrics.
func newRegistry() *prometheus.Registry {
	reg := daemon.NewRegistry()
	reg.MustRegister(daemon.BuildInfo(buildVersion()))
	return reg
}

// agent makes the agent.
func (p parts) agent(cfg agentd.Config) (*agentd.Agent, error) {
	return agentd.New(cfg, agentd.Deps{
		Dir: filepath.Join(p.dataDir, "agent"), Kinds: all.Kinds(),
		Log: p.log.With("daemon", "agent"), Registry: newRegistry(), Reloader: p.reloader,
	})
}

// sections decodes those sections of a site that the daemons of a process have.
type sections func(site) (map[string]reload.Section, config.Problems)

// section is that of one daemon, called name.
func section[T any](name string, decode func(config.Node) (T, config.Problems)) sections {
	return func(s site) (map[string]reload.Section, config.Problems) {
		n := s.section(name)
		cfg, problems := decode(n)
		return map[string]reload.Section{name: {Config: cfg, Node: n}}, problems
	}
}

// section returns a section of the config.
func (s site) section(name string) config.Node {
	return map[string]config.Node{agentd.Section: s.Agent, collectord.Section: s.Collector, demux.Section: s.Demux, web.Section: s.Web}[name]
}

// reloading makes what reads the file of a site again for the daemons of a process,
// which run by these sections. The whole file has to be right.
func (a *app) reloading(s site, of sections, log *slog.Logger) (*reload.Reloader, map[string]reload.Section, error) {
	running, problems := of(s)
	if err := a.refuse(problems); err != nil {
		return nil, nil, err
	}
	if s.hash == "" {
		return reload.New(nil, log), running, nil
	}
	file := &reload.File{Path: s.Name, Hash: s.hash, Running: running, Load: func() (map[string]reload.Section, string, error) {
		next, problems, err := a.loadAll()
		if err != nil {
			return nil, "", err
		}
		if len(problems) == 0 {
			running, problems = of(next) // one that is not given may lack keys
		}
		if err := problems.Err(); err != nil {
			return nil, next.hash, err
		}
		const who = "daemon"
		switch {
		case next.dataDir != s.dataDir:
			return nil, next.hash, reload.NeedsRestart(next.DataDir.Pos, who, "data_dir", s.dataDir)
		case next.Store.V != s.Store.V:
			return nil, next.hash, reload.NeedsRestart(next.Store.Pos, who, "store", s.Store.V.String())
		}
		return running, next.hash, nil
	}}
	return reload.New(file, log), running, nil
}

func (p parts) collector(cfg collectord.Config, warm collectord.Warmup) (*collectord.Collector, error) {
	return collectord.New(cfg, p.fs, p.dataDir, p.log.With("daemon", "collector"), newRegistry(),
		collectord.Options{Reloader: p.reloader, Reach: p.storeUp, Warmup: warm})
}

// demux makes the scheduler and, where the config says listen, its API.
func (p parts) demux(cfg demux.Config, opts demux.Options) *demuxDaemon {
	opts.Reloader = p.reloader
	log, reg := p.log.With("daemon", "demux"), newRegistry()
	reg.MustRegister(p.reloader.Metrics("demux")...)
	reg.MustRegister(p.storeUp.Metric())
	scheduler := demux.NewScheduler(demux.New(cfg, p.fs, p.Store.V.String(), log, reg), opts)
	d := &demuxDaemon{scheduler: scheduler}
	if cfg.Listen != "" {
		d.engine, d.health = rest.NewEngine(log), daemon.NewHealth()
		d.health.AddCheck("store", p.storeUp.Ready)
		d.engine.Use(rest.Guard())
		var keeper *daemon.Keeper // without a token the address may be any
		if cfg.TokenFile != "" {
			keeper = daemon.NewKeeper(daemon.Access{TokenFile: cfg.TokenFile}, log)
			d.engine.Use(rest.Authorize(keeper))
		}
		rest.Ops(d.engine, reg, d.health)
		network, address := cfg.Listen.Split()
		d.server = daemon.NewServer(daemon.ServerConfig{
			Name: "demux", Network: network, Address: address, Handler: d.engine, Log: log, Health: d.health, Keeper: keeper,
		})
	}
	return d
}

// single is the command of one daemon: add puts its parts into a group. It
// refuses a config that is wrong in any section, as check does, so that a
// mistake shows where the file is used first and not where it is used last.
func single[T any](a *app, c *cobra.Command, name string, decode func(config.Node) (T, config.Problems), add func(p parts, cfg T, g *daemon.Group) error) *cobra.Command {
	c.Long += "\n\n" + daemonSignals
	return a.command(c, func(ctx context.Context, _ []string) error {
		_, problems, err := a.loadAll()
		if err == nil {
			err = a.refuse(problems)
		}
		if err != nil {
			return err
		}
		p, err := a.parts(slog.LevelInfo, name != agentd.Section)
		if err != nil {
			return err
		}
		reloader, running, err := a.reloading(p.site, section(name, decode), p.log.With("daemon", name))
		if err != nil {
			return err
		}
		p.reloader = reloader
		cfg, _ := running[name].Config.(T)
		var g daemon.Group
		if err := add(p, cfg, &g); err != nil {
			return err
		}
		return p.run(ctx, &g)
	})
}

// daemonSignals is what the help of each daemon says of signals.
const daemonSignals = `At SIGHUP, when the file changes, and at POST /v1/config/reload, the file is
read again: it is applied whole, or refused whole, which the log,
GET /v1/config and the metrics say with each key that needs a restart. SIGTERM
and SIGINT, or the end of the terminal that it was started from, end it in
order, with exit code 0; a second one ends it at once, with exit code 1.`

// run runs a group until a signal; the second signal ends the process at once.
func (p parts) run(ctx context.Context, g *daemon.Group) error {
	return p.reloader.RunProcess(ctx, g, buildVersion(), func() { os.Exit(exitFailed) })
}

func (a *app) agent() *cobra.Command {
	return single(a, &cobra.Command{
		Use:   "agent",
		Short: "Run the agent: collect what the config names, send it to a collector",
		Long: `Runs the adaptors of the config's agent section and sends what they read to a
collector. Its REST API under /v1 is at agent.listen. When it ends it drains and
writes its checkpoints.`,
		Example: `  akupara agent --config /etc/akupara.yaml
  curl -s http://127.0.0.1:9771/v1/adaptors`,
	}, agentd.Section, decodeAgent, func(p parts, cfg agentd.Config, g *daemon.Group) error {
		d, err := p.agent(cfg)
		if err != nil {
			return err
		}
		g.Add("agent", d.Run)
		return nil
	})
}

func (a *app) collector() *cobra.Command {
	return single(a, &cobra.Command{
		Use:   "collector",
		Short: "Run a collector: take batches from agents, publish sink files",
		Long: `Takes batches at collector.listen, keeps them in its spool under data_dir, and
publishes them as sink files in the store. What a crash left in the spool is
published at the next start.`,
		Example: `  akupara collector --config /etc/akupara.yaml`,
	}, collectord.Section, decodeCollector, func(p parts, cfg collectord.Config, g *daemon.Group) error {
		d, err := p.collector(cfg, collectord.Warmup{})
		if err != nil {
			return err
		}
		g.Add("look at the store", p.storeUp.Run)
		g.Add("collector", d.Run)
		g.Add("readme of the store", p.readme)
		return nil
	})
}

func (a *app) web() *cobra.Command {
	return single(a, &cobra.Command{
		Use:   "web",
		Short: "Serve SQL, tables, runs, audit and agents by REST",
		Long:  "Serves the REST API under /v1 at web.listen.",
		Example: `  akupara web --config /etc/akupara.yaml
  curl -s http://127.0.0.1:9772/v1/query -d 'select count(*) from syslog'`,
	}, web.Section, decodeWeb, func(p parts, cfg web.Config, g *daemon.Group) error {
		g.Add("look at the store", p.storeUp.Run)
		p.addWeb(g, cfg)
		return nil
	})
}

func (a *app) demux() *cobra.Command {
	var once bool
	var only string
	var redo redo
	c := &cobra.Command{
		Use:   "demux",
		Short: "Turn sink files into rows of tables, on a schedule or once",
		Long: `Follows the schedules of the config's demux section. With --once it runs now,
says what it did, a line for each data type, and ends; that is safe beside a
live demux.

With --redo it parses rows again from the archived sink files, by the parser
that the config has now, and puts them in the place of those that are there:
the rows of all data files that have any from --since up to --until. What the
archive does not hold any more stays as it is. --dry-run shows what would come
of it, and changes nothing.`,
		Example: `  akupara demux --config /etc/akupara.yaml
  akupara demux --once --type syslog
  akupara demux --redo syslog --since 2026-11-01 --until 2026-11-08 --dry-run`,
	}
	redo.flags(c)
	c.Flags().BoolVar(&once, "once", false, "run now and end")
	c.Flags().StringVar(&only, "type", "", "the data `TYPE` alone")
	scheduler := single(a, c, demux.Section, decodeDemux, func(p parts, cfg demux.Config, g *daemon.Group) error {
		limitMemory(cfg.Spreads(), demuxMemory)
		d := p.demux(cfg, demux.Options{Only: only})
		g.Add("look at the store", p.storeUp.Run)
		g.Add("demux", d.run)
		g.Add("readme of the store", p.readme)
		return nil
	}).RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		a.started = true
		if err := chunk.CheckType(only); only != "" && err != nil {
			return usagef("--type: %v", err)
		}
		if redo.dataType != "" || redo.given() {
			if once || only != "" {
				return usagef("--redo goes with --since, --until and --dry-run alone")
			}
			return a.redo(cmd.Context(), redo)
		}
		if once {
			return a.demuxOnce(cmd.Context(), only)
		}
		return scheduler(cmd, args)
	}
	return c
}

// otherDemux is how long demux --once waits for one that is at work.
const otherDemux = 60 * time.Second

// demuxByHand makes the demux of a command that runs it now, on a store that exists.
func (a *app) demuxByHand() (*demux.Demux, parts, error) {
	p, err := a.parts(slog.LevelWarn, true)
	if err != nil {
		return nil, p, err
	}
	if err := p.mustExist(); err != nil {
		return nil, p, err
	}
	cfg, problems := decodeDemux(p.Demux)
	if err := a.refuse(problems); err != nil {
		return nil, p, err
	}
	limitMemory(cfg.Spreads(), demuxMemory)
	return demux.New(cfg, p.fs, p.Store.V.String(), p.log, newRegistry()), p, nil
}

// sweptEvery is every how many versions of a table a run by hand sweeps it: what a
// sweep reads grows with the table, what a run leaves behind does not.
const sweptEvery = 32

func (a *app) demuxOnce(ctx context.Context, only string) error {
	d, p, err := a.demuxByHand()
	if err != nil {
		return err
	}
	ctx, stop := daemon.Signals(ctx, p.log, func() { os.Exit(exitFailed) })
	defer stop()
	reports := 0
	err = d.RunOnce(ctx, only, otherDemux, func(r demux.Report) {
		reports++
		fmt.Fprintln(a.stdout, reportLine(r))
		if r.Version/sweptEvery > (r.Version-r.Commits)/sweptEvery {
			// Whoever runs no demux for long has no jobs that would do it.
			if _, err := d.Expire(ctx, r.Type); err != nil && ctx.Err() == nil {
				p.log.Warn("what is no longer needed could not be removed, all of it", "type", r.Type, "error", err)
			}
		}
	})
	if err == nil && reports == 0 {
		fmt.Fprintln(a.stdout, "there are no sink files in the store yet")
	}
	return err
}

func reportLine(r demux.Report) string {
	took := r.Took.Round(time.Millisecond)
	switch {
	case r.Error != "":
		return fmt.Sprintf("%s: failed after %v: %s", r.Type, took, r.Error)
	case r.Sinks == 0 && r.Quarantined == 0:
		return fmt.Sprintf("%s: nothing new", r.Type)
	}
	line := fmt.Sprintf("%s: %d records of %d bytes from %d sink files into %d data files, %d commits, in %v",
		r.Type, r.Records, r.Bytes, r.Sinks, r.Files, r.Commits, took)
	if r.ParseErrors > 0 {
		line += fmt.Sprintf("; %d could not be parsed", r.ParseErrors)
	}
	if r.Repeated > 0 {
		line += fmt.Sprintf("; %d bytes came twice and were dropped", r.Repeated)
	}
	if r.Forks > 0 {
		line += fmt.Sprintf("; %d forks of streams, for which other bytes came than the table has; akupara audit lists them", r.Forks)
	}
	if r.Quarantined > 0 {
		line += fmt.Sprintf("; %d sink files are damaged and in quarantine", r.Quarantined)
	}
	return line
}

// addWeb adds the web part and its query engine, which ends after it.
func (p parts) addWeb(g *daemon.Group, cfg web.Config) {
	g.Add("web", func(ctx context.Context) error {
		engine, err := openEngine(p.fs, p.Store.V.String(), cfg.QueryOptions(p.cacheDir()))
		if err != nil {
			return err
		}
		defer engine.Close()
		s, err := web.New(cfg, web.Deps{
			FS: p.fs, BaseURI: p.Store.V.String(), Engine: engine, CacheDir: p.cacheDir(),
			Log: p.log.With("daemon", "web"), Registry: newRegistry(), Reloader: p.reloader, Reach: p.storeUp,
		})
		if err != nil {
			return err
		}
		return s.Run(ctx)
	})
}

// readme writes the store's README as soon as the store is there.
func (p parts) readme(ctx context.Context) error { return writeReadme(ctx, p.fs, p.log) }
