package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/engine"
	"github.com/akupara/akupara/demux/engine/yarn"
	"github.com/akupara/akupara/store"
	"github.com/akupara/akupara/store/open"
	"github.com/spf13/cobra"
)

// mapper does tasks on a node of a Hadoop cluster, where engine: yarn sends them. It
// is not for people.
func (a *app) mapper() *cobra.Command {
	return a.command(&cobra.Command{
		Use:   "mapper JOBFILE",
		Short: "Do the tasks that a demux sends to a Hadoop cluster",
		Long: `Does the tasks on its standard input, a line each, as Hadoop starts it on a node
where the config says engine: yarn. JOBFILE is what they share. It is not for
people.`,
		Example: `  akupara mapper job.json`,
		Hidden:  true,
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		log, err := a.logger(slog.LevelInfo)
		if err != nil {
			return err
		}
		limitMemory(false, demuxMemory)
		ctx, stop := daemon.Signals(ctx, log, func() { os.Exit(exitFailed) })
		defer stop()
		m := yarn.Mapper{
			Open: func(uri string) (store.FS, error) { return open.Open(uri, open.Options{}) },
			Doers: func(st store.FS, uri string) map[string]engine.Doer {
				return demux.Doers(st, uri, log)
			},
			In: a.stdin, Err: a.stderr,
		}
		return m.Run(ctx, args[0])
	})
}
