package main

import (
	"cmp"
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"

	"github.com/akupara/akupara/config"
	"github.com/spf13/cobra"
)

func (a *app) check() *cobra.Command {
	return a.command(&cobra.Command{
		Use:   "check",
		Short: "Validate the config",
		Long: `Reads the config as all daemons would, and prints every problem as
file:line:column: message, one a line. The exit code is 1 then. Warnings are
printed alike, and change no exit code: adaptors of one type that match the same
files, by their patterns or by the files that are on this machine.`,
		Example: `  akupara check --config /etc/akupara.yaml`,
	}, func(_ context.Context, _ []string) error {
		s, problems, err := a.loadAll()
		if err != nil {
			return err
		}
		if len(problems) == 0 {
			for _, w := range s.warnings() {
				fmt.Fprintln(a.stdout, w)
			}
			fmt.Fprintf(a.stdout, "%s is fine\n", s.Name)
			return nil
		}
		for _, p := range problems {
			fmt.Fprintln(a.stdout, p)
		}
		return errFound
	})
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
func (s site) warnings() config.Problems {
	if !s.Agent.Given() {
		return nil
	}
	cfg, _ := decodeAgent(s.Agent)
	return cfg.Warnings()
}

// version is set by the linker.
var version = ""

func (a *app) version() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: "  akupara version",
	}, func(_ context.Context, _ []string) error {
		fmt.Fprintf(a.stdout, "akupara %s %s %s/%s\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	})
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
