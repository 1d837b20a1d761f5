package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/akupara/akupara/config"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/store/local"
	"github.com/spf13/cobra"
)

func (a *app) bench() *cobra.Command {
	c := &cobra.Command{
		Use:     "bench",
		Short:   "Measure what this machine could do, without data",
		Long:    "Measures parts of Akupara on data that is made up.",
		Example: `  akupara bench plan`,
		Args:    unknownCommand,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("what is to be measured is missing: plan")
		},
	}
	c.AddCommand(a.benchPlan())
	return c
}

func (a *app) benchPlan() *cobra.Command {
	var s demux.Simulation
	block, task, run := config.Size(32<<20), config.Size(2<<30), config.Size(64<<40)
	c := &cobra.Command{
		Use:   "plan",
		Short: "Plan and commit a day of very many sink files, without their data",
		Long: `Makes up the indexes of a day of sink files, plans runs by tasks of a cluster
from them, and commits what such tasks would have written, to a table in a
folder that is removed afterwards. What plans and commits is what a demux with
the engine yarn does: it lists the sink files, reads and checks their indexes,
looks their streams up in the table's coverage, writes tasks, reads results,
and commits data files, with statistics of all columns, and coverage. What is
made up is what the blocks hold, and the tasks' results, a data file of 128 MiB
each. The store is a local folder; no cluster is asked.

By default that is a petabyte: a million sink files of 1 GiB of raw log, of
100,000 streams. Each block is of one stream, in chunks of 16 MiB, which is the
most that a chunk can have; a file has blocks of as many streams as it has
blocks, the next file of the next streams.

The time to make the indexes up, 2 to 4 minutes, does not count. They take 2.5 KB
a file in the folder for temporary files ($TMPDIR), 2.5 GB by default, the table
about 1 GB. What was done is told on standard error, run by run.`,
		Example: `  akupara bench plan
  akupara bench plan --files 10000 --streams 1000`,
	}
	f := c.Flags()
	f.IntVar(&s.Files, "files", 1_000_000, "sink files")
	f.IntVar(&s.Streams, "streams", 100_000, "streams that they have chunks of")
	f.IntVar(&s.Blocks, "blocks", 32, "blocks of a sink file, each with a chunk of one stream")
	f.IntVar(&s.Columns, "columns", 20, "columns of the table, beside the common ones")
	f.TextVar(&block, "block-bytes", block, "`SIZE` of a block, raw log")
	f.TextVar(&task, "task-bytes", task, "`SIZE` of a task, raw log")
	f.TextVar(&run, "run-bytes", run, "`SIZE` of a run, raw log")
	return a.command(c, func(ctx context.Context, _ []string) error {
		for name, n := range map[string]int{"files": s.Files, "streams": s.Streams, "blocks": s.Blocks} {
			if n < 1 || n > 100_000_000 {
				return usagef("--%s: %d is not a number from 1 to 100000000", name, n)
			}
		}
		if s.Columns < 0 || s.Columns > 400 {
			return usagef("--columns: %d is not a number from 0 to 400", s.Columns)
		}
		if block < 1 || block > 32<<20 {
			return usagef("--block-bytes: %s is not a size from 1B to 32MiB", block)
		}
		log, err := a.logger(slog.LevelWarn)
		if err != nil {
			return err
		}
		dir, err := os.MkdirTemp("", "akupara-bench-")
		if err != nil {
			return fmt.Errorf("make a folder for the table: %w", err)
		}
		defer os.RemoveAll(dir)
		limitMemory(true, demuxMemory)
		if s.Store, err = local.New(dir); err != nil {
			return err
		}
		s.Dir, s.Log = dir, log
		s.Tell = func(what string) { fmt.Fprintln(a.stderr, what) }
		s.RawLen, s.TaskBytes, s.RunBytes = int(block), int64(task), int64(run)
		out, err := s.Run(ctx)
		if err != nil {
			return err
		}
		return showPlan(a.stdout, s, out)
	})
}

func showPlan(w io.Writer, s demux.Simulation, out demux.Simulated) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "sink files\t%d, of %d streams\n", s.Files, s.Streams)
	fmt.Fprintf(t, "raw log\t%.2f PB in %d chunks\n", float64(out.Bytes)/1e15, out.Chunks)
	fmt.Fprintf(t, "made up in\t%s\n", out.Prepare)
	fmt.Fprintf(t, "planned in\t%s: %d runs of %d tasks in all\n", out.Plan, out.Runs, out.Tasks)
	fmt.Fprintf(t, "committed in\t%s: %d commits of %d data files, the slowest %.1f s\n",
		out.Commit, out.Report.Commits, out.Report.Files, out.Slowest.Seconds())
	fmt.Fprintf(t, "memory\t%s\n", peakMemory())
	return t.Flush()
}

// peakMemory is the most that this process had resident.
func peakMemory() string {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return "not known"
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			return strings.TrimSpace(rest) + " at most"
		}
	}
	return "not known"
}
