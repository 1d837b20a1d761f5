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
	"github.com/akupara/akupara/daemon/rest"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/web"
	"github.com/spf13/cobra"
)

// parts makes the daemons of a site. Each method validates, touches nothing
// outside, and gives the daemon to be run in a group.
type parts struct {
	site
	fs  store.FS
	log *slog.Logger
}

func (a *app) parts(level slog.Level) (parts, error) {
	log, err := a.logger(level)
	if err != nil {
		return parts{}, err
	}
	s, err := a.mustLoad()
	if err != nil {
		return parts{}, err
	}
	fs, err := s.openStore()
	return parts{s, fs, log}, err
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

// agent makes the agent, which reads its section again from file, if any.
func (p parts) agent(cfg agentd.Config, file *agentd.File) (*agentd.Agent, error) {
	return agentd.New(cfg, agentd.Deps{
		Dir: filepath.Join(p.dataDir, "agent"), Kinds: all.Kinds(),
		Log: p.log.With("daemon", "agent"), Registry: daemon.NewRegistry(), File: file,
	})
}

// agentFile is where the agent's section of a site is read again: whole, with
// the other sections, which need a restart to be applied.
func (a *app) agentFile(s site) *agentd.File {
	if s.hash == "" {
		return nil
	}
	return &agentd.File{Path: s.Name, Hash: s.hash, Load: func() (agentd.Config, string, error) {
		next, problems, err := a.loadAll()
		if err != nil {
			return agentd.Config{}, "", err
		}
		cfg, own := decodeAgent(next.Agent)
		if !next.Agent.Given() {
			problems = append(problems, own...)
		}
		if err := problems.Err(); err != nil {
			return cfg, next.hash, err
		}
		if next.dataDir != s.dataDir {
			return cfg, next.hash, agentd.NeedsRestart(next.DataDir.Pos, "data_dir", s.dataDir)
		}
		return cfg, next.hash, nil
	}}
}

func (p parts) collector(cfg collectord.Config) (*collectord.Collector, error) {
	return collectord.New(cfg, p.fs, p.dataDir, p.log.With("daemon", "collector"), daemon.NewRegistry())
}

// demux makes the scheduler and, where the config says listen, its API.
func (p parts) demux(cfg demux.Config, opts demux.Options) *demuxDaemon {
	log, reg := p.log.With("daemon", "demux"), daemon.NewRegistry()
	scheduler := demux.NewScheduler(demux.New(cfg, p.fs, p.Store.V.String(), log, reg), opts)
	d := &demuxDaemon{scheduler: scheduler}
	if cfg.Listen != "" {
		d.engine, d.health = rest.NewEngine(log), daemon.NewHealth()
		d.engine.Use(rest.Guard())
		rest.Ops(d.engine, reg, d.health)
		network, address := cfg.Listen.Split()
		d.server = daemon.NewServer(daemon.ServerConfig{
			Name: "demux", Network: network, Address: address, Handler: d.engine, Log: log, Health: d.health,
		})
	}
	return d
}

// single is the command of one daemon: add puts its parts into a group. It
// refuses a config that is wrong in any section, as check does, so that a
// mistake shows where the file is used first and not where it is used last.
func (a *app) single(c *cobra.Command, add func(p parts, g *daemon.Group) error) *cobra.Command {
	return a.command(c, func(ctx context.Context, _ []string) error {
		_, problems, err := a.loadAll()
		if err == nil {
			err = a.refuse(problems)
		}
		if err != nil {
			return err
		}
		p, err := a.parts(slog.LevelInfo)
		if err != nil {
			return err
		}
		var g daemon.Group
		if err := add(p, &g); err != nil {
			return err
		}
		return p.run(ctx, &g)
	})
}

// run runs a group until a signal; the second signal ends the process at once.
func (p parts) run(ctx context.Context, g *daemon.Group) error {
	ctx, stop := daemon.Signals(ctx, p.log, func() { os.Exit(exitFailed) })
	defer stop()
	return g.Run(ctx)
}

func (a *app) agent() *cobra.Command {
	return a.single(&cobra.Command{
		Use:   "agent",
		Short: "Run the agent: collect what the config names, send it to a collector",
		Long: `Runs the adaptors of the config's agent section and sends what they read to a
collector. Its REST API under /v1 is at agent.listen. SIGTERM drains, writes the
checkpoints and ends; a second one ends at once.

At SIGHUP, and when the file changes, it is read again: the section agent is
applied whole, or the file is refused whole, which the log, GET /v1/config and
the metrics say.`,
		Example: `  akupara agent --config /etc/akupara.yaml
  curl -s http://127.0.0.1:9771/v1/adaptors`,
	}, func(p parts, g *daemon.Group) error {
		cfg, problems := decodeAgent(p.Agent)
		if err := a.refuse(problems); err != nil {
			return err
		}
		d, err := p.agent(cfg, a.agentFile(p.site))
		if err != nil {
			return err
		}
		g.Add("agent", d.Run)
		return nil
	})
}

func (a *app) collector() *cobra.Command {
	return a.single(&cobra.Command{
		Use:   "collector",
		Short: "Run a collector: take batches from agents, publish sink files",
		Long: `Takes batches at collector.listen, keeps them in its spool under data_dir, and
publishes them as sink files in the store. What a crash left in the spool is
published at the next start.`,
		Example: `  akupara collector --config /etc/akupara.yaml`,
	}, func(p parts, g *daemon.Group) error {
		cfg, problems := decodeCollector(p.Collector)
		if err := a.refuse(problems); err != nil {
			return err
		}
		d, err := p.collector(cfg)
		if err != nil {
			return err
		}
		g.Add("collector", d.Run)
		g.Add("readme of the store", p.readme)
		return nil
	})
}

func (a *app) web() *cobra.Command {
	return a.single(&cobra.Command{
		Use:   "web",
		Short: "Serve SQL, tables, runs, audit and agents by REST",
		Long:  "Serves the REST API under /v1 at web.listen.",
		Example: `  akupara web --config /etc/akupara.yaml
  curl -s http://127.0.0.1:9772/v1/query -d 'select count(*) from syslog'`,
	}, func(p parts, g *daemon.Group) error {
		cfg, problems := decodeWeb(p.Web)
		if err := a.refuse(problems); err != nil {
			return err
		}
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
	scheduler := a.single(c, func(p parts, g *daemon.Group) error {
		cfg, problems := decodeDemux(p.Demux)
		if err := a.refuse(problems); err != nil {
			return err
		}
		limitMemory(cfg.Spreads(), demuxMemory)
		d := p.demux(cfg, demux.Options{Only: only})
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
	p, err := a.parts(slog.LevelWarn)
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
	return demux.New(cfg, p.fs, p.Store.V.String(), p.log, daemon.NewRegistry()), p, nil
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
			Log: p.log.With("daemon", "web"), Registry: daemon.NewRegistry(),
		})
		if err != nil {
			return err
		}
		return s.Run(ctx)
	})
}

// readme writes the store's README as soon as the store is there.
func (p parts) readme(ctx context.Context) error { return writeReadme(ctx, p.fs, p.log) }
