package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path"
	"time"

	"github.com/akupara/akupara/chunk"
	"github.com/akupara/akupara/cmd/akupara/internal/show"
	"github.com/akupara/akupara/daemon"
	"github.com/akupara/akupara/demux"
	"github.com/akupara/akupara/demux/repair"
	"github.com/akupara/akupara/demux/table"
	"github.com/akupara/akupara/store"
	"github.com/spf13/cobra"
)

func (a *app) repair() *cobra.Command {
	var deep, apply, asJSON bool
	c := &cobra.Command{
		Use:   "repair TYPE",
		Short: "Mend a damaged table from what is left of it",
		Long: `Looks at all files of a table, says which are damaged, and what would mend it; with
--apply it does that. Coverage is made anew from the data files and the archive,
metadata from the version before, and what damaged data files held is taken in again
from archived sink files by the next run of the demux. Nothing is deleted: damaged
files go to tables/TYPE/_damaged. The exit code is 1 where there is damage that was not
mended.`,
		Example: `  akupara repair hadoop
  akupara repair hadoop --deep --apply`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("want one data type, got %d arguments", len(args))
			}
			return nil
		},
		ValidArgsFunction: a.completeTables,
	}
	c.Flags().BoolVar(&deep, "deep", false, "read all bytes of the data files, not their footers alone")
	c.Flags().BoolVar(&apply, "apply", false, "do it")
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return a.command(c, func(ctx context.Context, args []string) error {
		return a.withStore(ctx, func(ctx context.Context, p parts) error {
			none := fmt.Errorf("there is no table %s", args[0])
			if chunk.CheckType(args[0]) != nil {
				return none
			}
			if _, err := p.fs.Stat(ctx, path.Join(store.Tables, args[0])); errors.Is(err, fs.ErrNotExist) {
				return none
			}
			if apply {
				// Runs would commit on what is being replaced, jobs move archived files.
				d := demux.New(demux.DefaultConfig(), p.fs, p.Store.V.String(), p.log, daemon.NewRegistry())
				release, err := d.HoldAll(ctx, args[0], holdWait)
				if err != nil {
					return err
				}
				defer release()
			}
			plan, err := repair.Survey(ctx, p.fs, p.Store.V.String(), args[0], repair.Options{Deep: deep, Progress: a.progress()})
			if errors.Is(err, fs.ErrNotExist) {
				return none
			}
			if err != nil {
				return err
			}
			if asJSON {
				if err := a.printJSON(plan); err != nil {
					return err
				}
			} else {
				a.printPlan(plan, apply)
			}
			if !plan.Needed() {
				return nil
			}
			if !apply {
				return errFound
			}
			err = plan.Apply(ctx, func(step string) {
				if !asJSON {
					fmt.Fprintf(a.stdout, "  %s\n", step)
				}
			})
			if err != nil {
				return err
			}
			if len(plan.Redone) > 0 && !asJSON {
				fmt.Fprintf(a.stdout, "the next run of the demux takes in %d sink files again (akupara demux --once)\n", len(plan.Redone))
			}
			return nil
		})
	})
}

// completeTables completes the data types that have a table.
func (a *app) completeTables(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), completeWait)
	defer cancel()
	p, err := a.parts(slog.LevelError, true)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	names, err := table.List(ctx, p.fs)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// holdWait is how long a repair waits for a run of the demux to end.
const holdWait = time.Minute

func (a *app) printPlan(p *repair.Plan, apply bool) {
	if len(p.Damaged) == 0 {
		fmt.Fprintf(a.stdout, "table %s: nothing is damaged (%d data files)\n", p.Type, p.Kept)
		return
	}
	fmt.Fprintf(a.stdout, "table %s: damaged\n", p.Type)
	for _, d := range p.Damaged {
		note := ""
		if !d.Needed {
			note = " (of an old snapshot: harmless)"
		}
		fmt.Fprintf(a.stdout, "  %s%s\n", d, note)
	}
	if !p.Needed() {
		return
	}
	if p.Unsure > 0 {
		fmt.Fprintf(a.stdout, "%d data files of an older version do not say what they hold: what was lost beside them can't be told\n", p.Unsure)
	}
	if p.Lost > 0 {
		fmt.Fprintf(a.stdout, "nothing holds these %s any more; if their source does, a rewind of its adaptor brings them back\n", show.Bytes(float64(p.Lost)))
		for i, m := range p.Missing {
			if i == maxMissingShown {
				fmt.Fprintf(a.stdout, "  and %d more\n", len(p.Missing)-i)
				break
			}
			fmt.Fprintf(a.stdout, "  %s %s  stream %s  bytes %d to %d\n", m.Host, m.Source, m.Stream, m.First, m.Last)
		}
	}
	if apply {
		fmt.Fprintln(a.stdout, "mending it:")
		return
	}
	fmt.Fprintln(a.stdout, "with --apply:")
	for _, step := range p.Steps() {
		fmt.Fprintf(a.stdout, "  %s\n", step)
	}
}

const maxMissingShown = 50

// progress tells on a terminal how far a long look at files is.
func (a *app) progress() func(done, total int) {
	if !isTerminal(a.stderr) {
		return nil
	}
	last := time.Now()
	return func(done, total int) {
		if time.Since(last) < time.Second && done < total {
			return
		}
		last = time.Now()
		fmt.Fprintf(a.stderr, "\r%d of %d files", done, total)
		if done == total {
			fmt.Fprintln(a.stderr)
		}
	}
}
