package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/store/reach"
	"github.com/spf13/cobra"
)

func (a *app) check() *cobra.Command {
	var online bool
	c := &cobra.Command{
		Use:   "check",
		Short: "Validate the config",
		Long: `Reads the config as all daemons would, and prints every problem as
file:line:column: message, one a line. The exit code is 1 then. A file may hold the
section of an agent alone, without a store. Warnings are printed alike, and change
no exit code: adaptors of one type that match the same files, patterns that match
no file of this machine, paths that begin with ~ or are relative, addresses that
every machine reaches.

With --online it tries the store and the agent's collectors, too, and prints each
that can't be reached.`,
		Example: `  akupara check --config /etc/akupara.yaml
  akupara check --config /etc/akupara.yaml --online`,
	}
	c.Flags().BoolVar(&online, "online", false, "try the store and the agent's collectors, too")
	return a.command(c, func(ctx context.Context, _ []string) error {
		s, problems, err := a.loadAll()
		if err != nil {
			return err
		}
		if len(problems) == 0 {
			for _, w := range s.warnings() {
				fmt.Fprintln(a.stdout, w)
			}
			if online {
				problems = s.tryAll(ctx)
			}
		}
		if len(problems) == 0 {
			fmt.Fprintf(a.stdout, "%s is fine\n", s.Name)
			return nil
		}
		for _, p := range problems {
			fmt.Fprintln(a.stdout, p)
		}
		return errFound
	})
}

// withoutStore leaves out that a store is missing where the file is an agent's
// alone, who needs none.
func (s site) withoutStore(problems config.Problems) config.Problems {
	if !s.Agent.Given() || s.Collector.Given() || s.Demux.Given() || s.Web.Given() || s.Store.Given() {
		return problems
	}
	return slices.DeleteFunc(problems, func(p config.Problem) bool { return strings.Contains(p.Message, `key "store" is missing`) })
}

// tryAll tries what the config names: a problem for each that can't be reached.
func (s site) tryAll(ctx context.Context) (problems config.Problems) {
	if s.Store.V.Path != "" {
		fs, err := s.openStore()
		if err == nil {
			err = reach.Try(ctx, fs, s.Store.V.String())
		}
		if err != nil {
			problems = append(problems, s.Store.Problemf("%v", err))
		}
	}
	for _, n := range s.Agent.Get("collectors").Items() {
		if err := answers(ctx, n.Text()); err != nil {
			problems = append(problems, n.Problemf("the collector %s can't be reached: %v", n.Text(), err))
		}
	}
	return problems
}

// answerWait is how long a daemon may take to answer.
const answerWait = 10 * time.Second

// answers reports why a daemon at a URL is not there.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(url, "/")+"/readyz", nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // what came of it
		return fmt.Errorf("status %d: %s", resp.StatusCode, bytes.TrimSpace(said))
	}
	return nil
}

// loadAll is load with the problems of all sections, too, in the order of
// their places.
func (a *app) loadAll() (site, config.Problems, error) {
	s, problems, err := a.load()
	if err != nil {
		return s, nil, err
	}
	problems = append(problems, s.checkSections()...)
	slices.SortStableFunc(problems, func(a, b config.Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return s, problems, nil
}

// checkSections decodes every section that is given as its daemon would.
func (s site) checkSections() config.Problems {
	var problems config.Problems
	for _, section := range []struct {
		node   config.Node
		decode func(config.Node) config.Problems
	}{
		{s.Agent, func(n config.Node) config.Problems { _, p := decodeAgent(n); return p }},
		{s.Collector, func(n config.Node) config.Problems { _, p := decodeCollector(n); return p }},
		{s.Demux, func(n config.Node) config.Problems { _, p := decodeDemux(n); return p }},
		{s.Web, func(n config.Node) config.Problems { _, p := decodeWeb(n); return p }},
	} {
		if section.node.Given() {
			problems = append(problems, section.decode(section.node)...)
		}
	}
	return problems
}

// warnings are what is perhaps not meant, in a config without problems.
func (s site) warnings() (out config.Problems) {
	if doubt, doubtful := config.PathDoubt(s.DataDir.V); doubtful && !s.embedded {
		out = append(out, s.DataDir.Problemf("warning: data_dir: %s", doubt))
	}
	if s.Agent.Given() {
		cfg, _ := decodeAgent(s.Agent)
		out = append(out, cfg.Warnings()...)
	}
	for _, n := range []config.Node{s.Collector, s.Demux, s.Web} {
		out = append(out, n.Doubts()...)
	}
	return out
}

// version is set by the linker.
var version = ""

func (a *app) version() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  akupara version",
	}, func(_ context.Context, _ []string) error {
		fmt.Fprintln(a.stdout, versionLine())
		return nil
	})
}

func versionLine() string {
	return fmt.Sprintf("akupara %s %s %s/%s", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	v := version
	if v == "" && ok {
		v = info.Main.Version
	}
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v += " " + s.Value[:12]
			}
		}
	}
	return cmp.Or(v, "unknown")
}
