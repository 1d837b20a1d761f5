package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/akupara/akupara/agentd"
	"github.com/akupara/akupara/agentd/client"
	"github.com/akupara/akupara/cmd/akupara/internal/discover"
	"github.com/akupara/akupara/cmd/akupara/internal/embedded"
	"github.com/akupara/akupara/collectord"
	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/daemon/reload"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/reach"
	"github.com/akupara/akupara/web"
)

// At the first start, until there are tables and people know them, everything
// is quick: sink files are sealed after firstSeal, and demuxed every
// firstDemux, for firstMinutes.
const (
	firstSeal    = 2 * time.Second
	firstDemux   = 5 * time.Second
	firstMinutes = 3 * time.Minute
)

func (a *app) up() *cobra.Command {
	var port uint16
	var logs string
	var lookEvery time.Duration
	c := &cobra.Command{
		Use:   "up",
		Short: "Collect this machine's logs and metrics, everything in one process",
		Long: `Runs an agent, a collector, a demux and the web part in one process, on loopback.

Without --config it looks for text files in /var/log, gives each a type by a
look at its first lines, collects them with this machine's metrics into the data
directory, and writes the config that it made up there, as akupara.yaml. Files
that are new later are found within a minute; when many records of a type fail, its files
are looked at again, and what comes of those of another format from then on has that
one's type. Types are tables; their sink files are kept for 7 days after the tables hold
them.

` + daemonSignals + ` Of a config file
of your own that is all sections together.`,
		Example: `  akupara up
  akupara up --data /srv/akupara --port 19770
  akupara up --config /etc/akupara.yaml`,
	}
	c.Flags().Uint16Var(&port, "port", embedded.FirstPort, "first of four `PORT`s on loopback, without --config")
	c.Flags().StringVar(&logs, "logs", "/var/log", "`DIR` of the log files, without --config")
	c.Flags().DurationVar(&lookEvery, "look-every", time.Minute, "how often new log files are looked for, without --config; at least 1s")
	_ = c.MarkFlagDirname("logs")
	return a.command(c, func(ctx context.Context, _ []string) error {
		if port == 0 || port > 65532 {
			return usagef("--port %d: allowed are 1 to 65532", port)
		}
		if a.configFile != "" && (c.Flags().Changed("port") || c.Flags().Changed("logs") || c.Flags().Changed("look-every")) {
			return usagef("--port, --logs and --look-every are for the embedded default; with --config the file says it")
		}
		if lookEvery < time.Second {
			return usagef("--look-every %v: allowed are 1s and more", lookEvery)
		}
		return a.runUp(ctx, int(port), logs, lookEvery)
	})
}

// everything is a whole site in one process.
type everything struct {
	parts
	found     discover.Result
	first     bool // there are no tables yet
	agent     agentd.Config
	collector collectord.Config
	demux     demux.Config
	web       web.Config
}

func (a *app) runUp(ctx context.Context, port int, logs string, lookEvery time.Duration) error {
	log, err := a.logger(slog.LevelWarn)
	if err != nil {
		return err
	}
	u := everything{}
	u.log = log
	var files *logFiles // nil with --config
	if a.configFile == "" {
		dir, err := filepath.Abs(a.dataDir)
		if err != nil {
			return fmt.Errorf("data directory: %w", err)
		}
		lock, err := daemon.LockDir(dir, "akupara up")
		if err != nil {
			return err
		}
		defer func() { _ = lock.Unlock() }() // the process is about to end
		if files, err = newLogFiles(dir, port, logs, a.stdout, a.stderr); err != nil {
			return err
		}
		if u.found, err = files.first(); err != nil {
			return err
		}
	}
	if u.site, err = a.mustLoad(); err != nil {
		return err
	}
	if u.fs, err = u.openStore(); err != nil {
		return err
	}
	u.storeUp = reach.New(u.fs, u.Store.V.String(), log)
	var running map[string]reload.Section
	if u.reloader, running, err = a.reloading(u.site, upSections, log); err != nil {
		return err
	}
	u.take(running)
	limitMemory(u.demux.Spreads(), upMemory)
	u.warnOfOthers()
	if err := u.checkPorts(a.configFile); err != nil {
		return err
	}
	tables, err := u.fs.List(ctx, store.Tables)
	u.first = err == nil && len(tables) == 0

	var warm collectord.Warmup
	if u.first {
		warm = collectord.Warmup{Seal: firstSeal, For: firstMinutes}
	}
	collector, err := u.parts.collector(u.collector, warm)
	if err != nil {
		return err
	}
	var g daemon.Group
	g.Add("look at the store", u.storeUp.Run)
	g.Add("collector", collector.Run)
	opts := demux.Options{RowBytes: upRowBytes}
	if u.first {
		opts.Warmup = demux.Warmup{Every: firstDemux, For: firstMinutes}
	}
	demuxer := u.parts.demux(u.demux, opts)
	g.Add("demux", demuxer.run)
	u.addWeb(&g, u.web)
	agent, err := u.parts.agent(u.agent)
	if err != nil {
		return err
	}
	g.Add("readme of the store", u.readme)
	g.Add("agent", func(ctx context.Context) error { // stops first: the collector still takes what it drains
		select { // starts last: a collector that is not there yet is no news
		case <-collector.Started():
			return agent.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	if files != nil {
		g.Add("search for log files", func(ctx context.Context) error {
			select {
			case <-agent.Listening():
			case <-ctx.Done():
				return nil
			}
			return files.lookOn(ctx, lookEvery, a.stdout, log, demuxer.scheduler.Newest, &u)
		})
	}
	g.Add("welcome", func(ctx context.Context) error { return a.welcome(ctx, &u, agent.Listening()) })
	return u.run(ctx, &g)
}

// upSections are those of all daemons. Where the config does not say, the web part
// is connected with what runs beside it.
func upSections(s site) (map[string]reload.Section, config.Problems) {
	u := everything{}
	var problems, p config.Problems
	u.agent, p = decodeAgent(s.Agent)
	problems = append(problems, p...)
	u.collector, p = decodeCollector(s.Collector)
	problems = append(problems, p...)
	u.demux, p = decodeDemux(s.Demux)
	problems = append(problems, p...)
	u.web, p = decodeWeb(s.Web)
	problems = append(problems, p...)
	if u.demux.Listen == "" {
		u.demux.Listen = upDemux()
	}
	if u.web.Demux == "" {
		u.web.Demux = u.demux.Listen
	}
	var o client.Options
	if len(u.web.Agents) == 0 && s.reach(&o) == nil { // at port 0 nobody finds it
		host, _ := os.Hostname()
		u.web.Agents = []web.Agent{{
			Host: cmp.Or(u.agent.Host, host, "localhost"), URL: client.Address(o.Address), TokenFile: o.TokenFile, CA: o.CA,
		}}
	}
	return map[string]reload.Section{
		agentd.Section: {Config: u.agent, Node: s.Agent}, collectord.Section: {Config: u.collector, Node: s.Collector},
		demux.Section: {Config: u.demux, Node: s.Demux}, web.Section: {Config: u.web, Node: s.Web},
	}, problems
}

// reload implements running.
func (u *everything) reload(context.Context) error {
	_, err := u.reloader.Reload("up wrote it anew")
	return err
}

// adaptor implements running.
func (u *everything) adaptor(ctx context.Context, name string) (a client.Adaptor, err error) {
	err = u.ask(ctx, func(ctx context.Context, c *client.Client) error {
		reply, err := c.Adaptor(ctx, name)
		if err != nil {
			return err
		}
		return json.Unmarshal(reply, &a)
	})
	return a, err
}

// ask asks the agent.
func (u *everything) ask(ctx context.Context, call func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	var o client.Options
	if err := u.reach(&o); err != nil {
		return err
	}
	c, err := client.New(o)
	if err != nil {
		return err
	}
	defer c.Close()
	return call(ctx, c)
}

// take takes the configs of upSections.
func (u *everything) take(sections map[string]reload.Section) {
	u.agent, _ = sections[agentd.Section].Config.(agentd.Config)
	u.collector, _ = sections[collectord.Section].Config.(collectord.Config)
	u.demux, _ = sections[demux.Section].Config.(demux.Config)
	u.web, _ = sections[web.Section].Config.(web.Config)
}

// warnOfOthers tells where root's data is served to everybody on this machine.
func (u *everything) warnOfOthers() {
	if !asRoot() {
		return
	}
	for key, s := range map[string]struct {
		listen config.Addr
		token  string
	}{"web": {u.web.Listen, u.web.TokenFile}, "demux": {u.demux.Listen, u.demux.TokenFile}} {
		if network, address := s.listen.Split(); network == "tcp" && s.token == "" {
			u.log.Warn("this runs as root, and every user of this machine may ask for what it has collected: set the key to the file of a token that they can't read",
				"key", key+".token_file", "address", address)
		}
	}
}

// checkPorts finds out before anything starts, so that the message can say
// what to do.
func (u *everything) checkPorts(configFile string) error {
	for _, s := range []struct {
		key  string
		addr config.Addr
	}{
		{"collector.listen", config.Addr(u.collector.Listen)}, {"agent.listen", u.agent.Listen},
		{"web.listen", u.web.Listen}, {"demux.listen", u.demux.Listen},
	} {
		network, address := s.addr.Split()
		if network != "tcp" {
			continue
		}
		err := free(network, address)
		if err == nil {
			continue
		}
		where := fmt.Sprintf("change %s in %s", s.key, u.Name)
		if u.embedded {
			where = "start with another --port"
		}
		if configFile == "" && !u.embedded {
			where += ", which is your own"
		}
		return fmt.Errorf("%s, %s: %w: stop what listens there, or %s", s.key, address, cause(err), where)
	}
	return nil
}

// free tells why nobody can listen on an address. A process that was killed a
// moment ago may hold it a moment longer.
func free(network, address string) error {
	for tries := 0; ; tries++ {
		l, err := net.Listen(network, address)
		if err == nil {
			return l.Close()
		}
		if tries == 20 {
			return err
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// cause is the system's own error, without what stands beside it already.
func cause(err error) error {
	var sys *os.SyscallError
	if errors.As(err, &sys) {
		return sys.Err
	}
	return err
}
